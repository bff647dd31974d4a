package recipes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// Hold is what the first in line has, until it is released or lost. It is lost
// when
//
//   - the session's ValidUntil passes unproved, or the session ends;
//   - its node is deleted by somebody else. That is noticed within a tenth of
//     the session timeout plus a round trip, and at once by Commit and Release;
//   - the owner of the connection shuts it down. The node then stays until
//     Release, which the shutdown waits for.
//
// A hold that is lost never comes back. Its node is removed at Release, or with
// the session: a holder that never releases keeps others out, however early it
// lost.
//
// What it guarantees: while Valid is true no other contender holds, as long as
// this process is not paused between asking and acting and its clock runs no
// more than 1/20 slower than the servers'. Commit and Token need neither.
//
// All methods are safe for concurrent use.
type Hold struct {
	line      *Line
	s         keeper.Session
	node      string
	token     int64
	doubt     string          // the node's id, if another create of it may yet turn up
	ctx       context.Context //nolint:containedctx // it is what a holder is given
	cancel    context.CancelCauseFunc
	stopLapse func() bool
	released  chan struct{} // closed when Release has its answer

	mu        sync.Mutex
	over      error // nil while held, then why not; guarded by mu
	releasing bool  // guarded by mu
	answer    error // of Release; written before released is closed
}

// errLapsed: the session's proof ran out between the front of the line and the
// hold.
var errLapsed = errors.New("session lapsed before the hold began")

// newHold makes the hold of a contender that is at the front. Everything that
// can end a hold is in place before the caller sees it. When it fails, the
// contender is as it was.
func newHold(ctx context.Context, c *contender) (*Hold, error) {
	h := &Hold{
		line:     c.line,
		s:        c.s,
		node:     c.node,
		token:    c.czxid,
		released: make(chan struct{}),
	}
	if c.unsure {
		h.doubt = c.id
	}
	h.ctx, h.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	h.stopLapse = h.s.AfterLapse(func(cause error) {
		h.end(fmt.Errorf("%w: the session has lapsed: %w", keeper.ErrHoldLost, orUnproved(cause)))
	})
	if h.state() == nil {
		c.granted <- h // stay goes on as tend
		return h, nil
	}
	h.stopLapse()
	switch {
	case closed(h.s.Closing()):
		return nil, closingError(c.line.dir)
	case h.s.Err() != nil:
		return nil, waitError(c.line.dir, h.s.Err())
	}
	return nil, errLapsed
}

// Context ends when the hold is released or may be lost; context.Cause says
// which, and why. Its values are those of the context given to the acquisition,
// its end is not.
func (h *Hold) Context() context.Context { return h.ctx }

// Valid tells whether the hold is on. It is computed from the clock, not from a
// flag that a goroutine sets: call it right before something irreversible. Once
// it has been false it stays false.
func (h *Hold) Valid() bool { return h.state() == nil }

// Token is the fencing token: the czxid of the node. It is greater than that of
// every earlier holder in the ensemble's life, across processes and re-created
// directories. Whatever is guarded by the hold and is not in ZooKeeper should
// refuse a token smaller than the greatest it has seen. It means nothing to
// another ensemble, or to this one after its data was restored from a backup.
func (h *Hold) Token() int64 { return h.token }

// Node is the path of the node. Its name is unique.
func (h *Hold) Node() string { return keeper.Join(h.line.dir, h.node) }

// Guard is an op that fails, and with it the whole Multi it stands in, unless
// the node still exists when the server applies it. It may be sent only on the
// hold's session and while the hold is on, else it is refused unsent with
// keeper.ErrNotHeld: a goroutine that lives on after Release cannot use it. Each
// Multi needs a guard of its own.
func (h *Hold) Guard() keeper.Op {
	return keeper.NewGuard(h.Node(), keeper.AnyVersion, func(session int64) error {
		if session != h.s.ID() {
			return fmt.Errorf("%w: the guard is of another session", keeper.ErrNotHeld)
		}
		return h.notHeld()
	})
}

// Commit applies ops, all or none, and only while the hold is on: they travel in
// one Multi with the Guard. Each op has its own result. Where the hold is over
// the error is keeper.ErrNotHeld, and keeper.ErrHoldLost too if it was lost;
// nothing was applied then. If the answer is lost, keeper.OutcomeOf says Unknown:
// Commit never sends anything twice. Where an op is invalid the error counts ops
// from 0, without the Guard.
func (h *Hold) Commit(ctx context.Context, ops ...keeper.Op) error {
	guard := h.Guard()
	m := &keeper.Multi{Ops: append([]keeper.Op{guard}, ops...)}
	err := h.s.Do(ctx, m)
	if errors.Is(err, keeper.ErrInvalid) {
		if own := (&keeper.Multi{Ops: ops}).Validate(); own != nil {
			return &keeper.OpError{Op: "commit", Path: h.Node(), Err: own, Outcome: keeper.NotApplied}
		}
	}
	if err != nil && errors.Is(guard.Meta().Err, keeper.ErrNoNode) {
		h.end(errDeleted)
		return &keeper.OpError{Op: "commit", Path: h.Node(), Err: h.notHeld(), Outcome: keeper.NotApplied}
	}
	return err
}

// Release ends the hold: first its Context, then the node, so that the next in
// line can go on. It returns nil, or an error that wraps keeper.ErrHoldLost and
// says why when the hold was lost before, or what the server said when it refuses
// to delete the node. Every call returns the same; one that comes while another
// is at work waits for it, or for its own ctx.
//
// Release waits for the answer no longer than ctx allows and the session timeout
// lasts. When it does not get one, the hold was still kept until its release, so
// it returns nil; the node is then removed in the background, which a shutdown of
// the connection waits for.
//
// It costs one request.
func (h *Hold) Release(ctx context.Context) error {
	if ctx == nil {
		return nilContext()
	}
	h.mu.Lock()
	if h.releasing {
		h.mu.Unlock()
		select {
		case <-h.released:
			return h.answer
		case <-ctx.Done():
			if closed(h.released) {
				return h.answer // select chooses at random
			}
			return &keeper.OpError{Op: "release", Path: h.Node(), Err: ctx.Err(), Outcome: keeper.Unknown}
		}
	}
	h.releasing = true
	h.mu.Unlock()

	h.answer = h.leave(ctx)
	close(h.released)
	return h.answer
}

// leave does Release's work once.
func (h *Hold) leave(ctx context.Context) error {
	lost := h.state()
	h.end(errReleased)
	h.stopLapse()
	if h.doubt != "" {
		// Only now: while it stands behind the hold's own node it harms nobody.
		defer h.line.later(h.s, func(ctx context.Context) error { return h.line.removeByID(ctx, h.s, h.doubt) })
	}
	if lost != nil {
		h.line.removeLater(h.s, h.node)
		h.line.passTurn(nil)
		return lost
	}
	ctx, cancel := context.WithTimeout(ctx, h.s.Timeout())
	defer cancel()
	err := h.line.handOver(ctx, h.s, h.node)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keeper.ErrNoNode):
		return errDeleted
	}
	h.line.removeLater(h.s, h.node)
	if keeper.IsAPIError(err) {
		return err
	}
	return nil
}

// state is nil while the hold is on, and else says why it is not. It asks the
// clock and the session, and makes what it finds final.
func (h *Hold) state() error {
	if err := h.ended(); err != nil {
		return err
	}
	switch {
	case closed(h.s.Closing()):
		h.end(errShutdown)
	case h.s.Err() != nil:
		h.end(fmt.Errorf("%w: the session is over: %w", keeper.ErrHoldLost, h.s.Err()))
	case time.Until(h.s.ValidUntil()) <= 0:
		h.end(fmt.Errorf("%w: %w", keeper.ErrHoldLost, errUnproved))
	}
	return h.ended()
}

// ended says why the hold is over, as far as anybody has noticed.
func (h *Hold) ended() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over
}

// end ends the hold for good. The first reason counts.
func (h *Hold) end(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over == nil {
		h.over = why
		h.cancel(why)
	}
}

// notHeld is state as an error of a guard.
func (h *Hold) notHeld() error {
	err := h.state()
	if err == nil || errors.Is(err, keeper.ErrNotHeld) {
		return err
	}
	return fmt.Errorf("%w: %w", keeper.ErrNotHeld, err)
}

// Why holds end.
var (
	errReleased = fmt.Errorf("%w: released", keeper.ErrNotHeld)
	errDeleted  = fmt.Errorf("%w: its node was deleted", keeper.ErrHoldLost)
	errShutdown = fmt.Errorf("%w: the connection is shutting down: %w", keeper.ErrHoldLost, keeper.ErrClosed)
	errUnproved = errors.New("nothing has proved in time that the session lives")
)

func orUnproved(cause error) error {
	if cause == nil {
		return errUnproved
	}
	return cause
}
