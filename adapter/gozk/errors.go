package gozk

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// errAbandoned ends a wait of a call nobody waits for any more. No caller sees it.
var errAbandoned = errors.New("call abandoned")

// errGone: a create was applied, and then somebody deleted the node before its
// Stat could be read.
var errGone = errors.New("node was deleted before its stat could be read")

// codeOf maps go-zookeeper's errors of servers. ErrSessionExpired is not among
// them: it is also what a request in flight gets when the session expires.
func codeOf(err error) (code keeper.Code, found bool) {
	for _, c := range [...]struct {
		err  error
		code keeper.Code
	}{
		{zk.ErrAPIError, keeper.ErrAPI},
		{zk.ErrNoNode, keeper.ErrNoNode},
		{zk.ErrNoAuth, keeper.ErrNoAuth},
		{zk.ErrBadVersion, keeper.ErrBadVersion},
		{zk.ErrNoChildrenForEphemerals, keeper.ErrNoChildrenForEphemerals},
		{zk.ErrNodeExists, keeper.ErrNodeExists},
		{zk.ErrNotEmpty, keeper.ErrNotEmpty},
		{zk.ErrInvalidACL, keeper.ErrInvalidACL},
		{zk.ErrAuthFailed, keeper.ErrAuthFailed},
		{zk.ErrNothing, keeper.ErrNothing},
		{zk.ErrSessionMoved, keeper.ErrSessionMoved},
		{zk.ErrReconfigDisabled, keeper.ErrReconfigDisabled},
		{zk.ErrBadArguments, keeper.ErrBadArguments},
	} {
		if errors.Is(err, c.err) {
			return c.code, true
		}
	}
	if number, cut := strings.CutPrefix(err.Error(), "unknown error: "); cut {
		if n, bad := strconv.ParseInt(number, 10, 32); bad == nil {
			return keeper.Code(n), true
		}
	}
	return 0, false
}

// failure is an error of go-zookeeper in keeper's words.
type failure struct {
	cause   error
	outcome keeper.Outcome // 0: the cause says it
}

// translate says what an error of a call means. The outcome is that of a
// request that was handed to go-zookeeper.
func translate(err error) failure {
	if code, found := codeOf(err); found {
		return failure{cause: code}
	}
	switch {
	case errors.Is(err, zk.ErrNoServer):
		// Only requests that were never sent get this one.
		return failure{because(keeper.ErrConnectionLoss, err), keeper.NotApplied}
	case errors.Is(err, zk.ErrConnectionClosed):
		// Also what Close of the *zk.Conn gives; the tracker finds that out.
		return failure{because(keeper.ErrConnectionLoss, err), keeper.Unknown}
	case errors.Is(err, zk.ErrClosing):
		return failure{because(keeper.ErrClosed, err), keeper.Unknown}
	case errors.Is(err, zk.ErrSessionExpired):
		return failure{keeper.ErrSessionExpired, keeper.Unknown}
	case errors.Is(err, zk.ErrInvalidPath), errors.Is(err, zk.ErrInvalidFlags):
		return failure{&keeper.InvalidError{What: "request", Why: "was refused by go-zookeeper: " + err.Error()}, keeper.NotApplied}
	case errors.Is(err, zk.ErrShortBuffer), errors.Is(err, zk.ErrUnhandledFieldType), errors.Is(err, zk.ErrPtrExpected):
		// The codec failed, in which direction is not told.
		return failure{because(keeper.ErrUndecodable, err), keeper.Unknown}
	}
	return failure{because(keeper.ErrConnectionLoss, err), keeper.Unknown}
}

// because keeps what go-zookeeper said as text only: its sentinels are no part
// of the contract, and some of them mean two things.
func because(err, cause error) error { return fmt.Errorf("%w (%s)", err, cause.Error()) }

// opError is f as the error of request r.
func (f failure) opError(r target) error {
	return &keeper.OpError{Op: r.Name(), Path: r.Target(), Err: f.cause, Outcome: f.outcome}
}

// target is a keeper.Request or a keeper.Op.
type target interface {
	Name() string
	Target() string
	Meta() *keeper.Result
}

// byServer tells whether a call that returned err was answered.
func byServer(err error) bool {
	if err == nil {
		return true
	}
	f := translate(err)
	var code keeper.Code
	return f.outcome == 0 && errors.As(f.cause, &code) && keeper.OutcomeOf(code) == keeper.NotApplied
}

// refused tells whether a call that returned err was not applied for certain.
func refused(err error) bool {
	return err != nil && (byServer(err) || translate(err).outcome == keeper.NotApplied)
}

// byLeader tells whether err is one that the leader alone gives to a write;
// other codes may come from the server the client is connected to.
func byLeader(err error) bool {
	for _, e := range [...]error{
		zk.ErrNoNode, zk.ErrNodeExists, zk.ErrBadVersion, zk.ErrNotEmpty, zk.ErrNoChildrenForEphemerals,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return err == nil
}
