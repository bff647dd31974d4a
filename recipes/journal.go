package recipes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// JournalConfig says where a Journal stands.
type JournalConfig struct {
	// Path is that of the recipe: the journal's node is <Path>.journal/<UUID>.
	Path string
	// ACL is given to the journal's directory and node; nil means the
	// connection's default.
	ACL []keeper.ACL
	// Logger hears of journals that cannot be removed. nil means silence.
	Logger *slog.Logger
	// Retry paces what is tried again. Its Attempts and If are not used.
	Retry retry.Policy
}

// Journal applies operations exactly once, also when answers are lost. It is for
// what must not be repeated and cannot be found again by its name: an increment, a
// delete that consumes, a compare-and-set.
//
// Each operation is one Multi whose first op sets a node of the journal's own, at
// the version that the last operation left. When the answer is lost the same
// Multi is sent again, in the next session if need be: a bad version then means
// that it had been applied.
//
// The node is persistent. It is made with the first operation and removed when the
// connection is shut down in the session that used it last. That of a process
// that crashed stays until another journal of the same Path is started seven days
// later. A journal applies one operation at a time. All methods are safe for
// concurrent use.
type Journal struct {
	conn  keeper.Conn
	dir   string
	acl   []keeper.ACL
	log   *slog.Logger
	retry retry.Policy

	// turn is held, by a value in it, by whoever uses the fields below.
	turn    chan struct{}
	node    string         // path of the journal's node; "" while it has none
	made    bool           // node is known to have been made
	version int32          // of node, unless open
	open    bool           // an operation was given up: version may be one more
	tending keeper.Session // in whose Go the removal waits; nil at first
}

// What the journal's node holds: how it got its version.
const (
	applied = "applied" // by an operation
	fenced  = "fenced"  // to keep an operation from being applied any more
)

// NewJournal checks cfg and returns the journal, with nothing sent. What is wrong
// it reports as *keeper.InvalidError.
func NewJournal(conn keeper.Conn, cfg JournalConfig) (*Journal, error) {
	if conn == nil {
		return nil, &keeper.InvalidError{What: "connection", Why: "is nil"}
	}
	if err := validateDir(cfg.Path); err != nil {
		return nil, err
	}
	dir := cfg.Path + ".journal"
	if err := validateDir(dir); err != nil {
		return nil, err
	}
	if err := keeper.ValidateACL(cfg.ACL); err != nil {
		return nil, err
	}
	if err := cfg.Retry.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Journal{
		conn:  conn,
		dir:   dir,
		acl:   slices.Clone(cfg.ACL),
		log:   cfg.Logger,
		retry: cfg.Retry,
		turn:  make(chan struct{}, 1),
	}, nil
}

// Do applies ops, all or none, once. It goes on across lost connections and
// sessions until it knows, or until ctx ends; ops must therefore mean the same in
// every session, so no ephemeral nodes among them.
//
// nil says that they were applied. If that was found out only afterwards, the
// results of the ops (Stat, Created) are empty. An error whose keeper.OutcomeOf is
// NotApplied says that they were not and never will be, with the culprit's own
// Err. Unknown is left where ctx or the connection ended first, and where somebody
// deleted the journal's node just then (keeper.ErrUnknownOutcome).
//
// A Guard among the ops is bound to its session. If that ends while the outcome is
// open Do finds it out without sending ops again.
//
// It costs one request.
func (j *Journal) Do(ctx context.Context, ops ...keeper.Op) error {
	if ctx == nil {
		return nilContext()
	}
	if err := (&keeper.Multi{Ops: ops}).Validate(); err != nil {
		return &keeper.OpError{Op: "journal", Path: j.dir, Err: err, Outcome: keeper.NotApplied}
	}
	select {
	case j.turn <- struct{}{}:
	case <-ctx.Done():
		return &keeper.OpError{Op: "journal", Path: j.dir, Err: ctx.Err(), Outcome: keeper.NotApplied}
	}
	defer func() { <-j.turn }()
	var o operation
	for delays := j.retry.Delays(); ; {
		done, err := j.attempt(ctx, ops, &o)
		if done {
			return err
		}
		if cause := delays.Wait(ctx); cause != nil {
			return j.givenUp(o.unsure(), fmt.Errorf("%w, after: %w", cause, err))
		}
	}
}

// operation is what the attempts at one operation have shown so far. The
// goroutine in Do owns it.
type operation struct {
	sent    keeper.Session // the first one in which ops may have been applied; nil while none
	refused error          // not nil once a fence may have been sent: ops must not be again
}

func (o *operation) unsure() bool { return o.sent != nil }

// attempt sends the operation once. It reports whether that settled it, and else
// why not.
func (j *Journal) attempt(ctx context.Context, ops []keeper.Op, o *operation) (done bool, err error) {
	// An open outcome is asked for in its own session if that lives: a shutdown,
	// which waits for us, gives out no other.
	s := j.tending
	if !o.unsure() || s.Err() != nil {
		if s, err = j.conn.Session(ctx); err != nil {
			return true, j.givenUp(o.unsure(), err)
		}
	}
	if err := j.ready(ctx, s, o.unsure()); err != nil {
		return !passing(err), j.givenUp(o.unsure(), err)
	}
	if o.refused != nil {
		return j.resolve(ctx, s, o.refused)
	}
	entry := &keeper.Set{Path: j.node, Data: []byte(applied), Version: j.version}
	err = s.Do(ctx, &keeper.Multi{Ops: append([]keeper.Op{entry}, ops...)})
	switch {
	case err == nil, keeper.OutcomeOf(err) == keeper.Applied:
		j.version++
		return true, err
	case keeper.OutcomeOf(err) == keeper.Unknown:
		if j.open = true; o.sent == nil {
			o.sent = s
		}
		return !passing(err), j.givenUp(true, err)
	case errors.Is(entry.Err, keeper.ErrNoNode), errors.Is(entry.Err, keeper.ErrBadVersion) && !o.unsure():
		// Somebody has deleted or written our node. Nothing of this was applied.
		j.forget()
		return o.unsure(), j.givenUp(o.unsure(), err)
	case errors.Is(entry.Err, keeper.ErrBadVersion):
		j.version, j.open = j.version+1, false
		for _, op := range ops {
			op.Reset() // of the errors that this repetition left
		}
		return true, nil
	case passing(err):
		return false, err
	case o.unsure() && (s != o.sent || !keeper.IsAPIError(err)):
		// Not sent, or refused in another session: what was sent before may still
		// be on its way, as a client can give its session up before the servers do.
		o.refused = err
		return j.resolve(ctx, s, err)
	}
	// The server refused ops, so the entry stands where it stood: whatever was sent
	// before has not been applied, and never is, as one session's requests are
	// applied in order and those sent before a reconnect are dropped.
	if o.unsure() {
		j.open = false
	}
	return true, err
}

// passing tells failures after which another attempt makes sense, if need be in
// the next session.
func passing(err error) bool {
	return retry.Idempotent(err) || errors.Is(err, keeper.ErrSessionExpired)
}

// ready sees to it that there is a node at a known version. While the operation's
// own outcome is open the node stays as it is: it holds the answer.
func (j *Journal) ready(ctx context.Context, s keeper.Session, unsure bool) error {
	if !j.made {
		if err := j.start(ctx, s); err != nil {
			return err
		}
	}
	j.tend(s)
	if !j.open || unsure {
		return nil
	}
	// An earlier operation was given up: the next version is its or the fence's.
	fence := &keeper.Set{Path: j.node, Data: []byte(fenced), Version: j.version}
	err := s.Do(ctx, fence)
	switch {
	case err == nil, errors.Is(err, keeper.ErrBadVersion):
		j.version, j.open = j.version+1, false
	case errors.Is(err, keeper.ErrNoNode):
		j.forget()
		return j.ready(ctx, s, false)
	default:
		return err
	}
	return nil
}

// resolve finds out what became of an operation that cannot be sent again, as
// refused says: it takes the version the operation would need.
func (j *Journal) resolve(ctx context.Context, s keeper.Session, refused error) (done bool, err error) {
	fence := &keeper.Set{Path: j.node, Data: []byte(fenced), Version: j.version}
	look := &keeper.Get{Path: j.node}
	_ = s.Do(ctx, fence, look)
	for _, err := range []error{fence.Err, look.Err} {
		if err != nil && !errors.Is(err, keeper.ErrBadVersion) {
			return !passing(err), j.givenUp(true, err)
		}
	}
	j.version, j.open = look.Stat.Version, false
	if string(look.Data) == applied {
		return true, nil
	}
	return true, refused
}

// givenUp is the error of an operation that ended before it was settled.
func (j *Journal) givenUp(unsure bool, err error) error {
	if !unsure {
		return err
	}
	if errors.Is(err, keeper.ErrNoNode) {
		err = fmt.Errorf("%w: the journal was deleted: %w", keeper.ErrUnknownOutcome, err)
	}
	return &keeper.OpError{Op: "journal", Path: j.dir, Err: err, Outcome: keeper.Unknown}
}
