package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// work counts the functions given to Session.Go, of all sessions.
type work struct {
	mu      sync.Mutex
	running int           // guarded by mu
	idle    chan struct{} // guarded by mu: closed when running falls to 0; nil if nobody waits
}

// errand is the part of a session that has to do with work.
type errand struct {
	ctx    context.Context //nolint:containedctx // it is the session's lifetime
	cancel context.CancelCauseFunc
	over   bool // guarded by work.mu: nothing more is accepted
}

func newErrand() *errand {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &errand{ctx: ctx, cancel: cancel}
}

// Go implements keeper.Session. f has to return soon after its context has
// ended: Close and Shutdown wait a second for it, and then report an error.
func (s *session) Go(f func(ctx context.Context)) error {
	if f == nil {
		return &keeper.InvalidError{What: "function", Why: "is nil"}
	}
	w := &s.c.work
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.errand.over {
		return &keeper.OpError{Op: "go", Err: keeper.ErrClosed, Outcome: keeper.NotApplied}
	}
	w.running++
	go func() {
		defer w.done()
		f(s.errand.ctx)
	}()
	return nil
}

// refuseWork takes no more work.
func (s *session) refuseWork() {
	s.c.work.mu.Lock()
	defer s.c.work.mu.Unlock()
	s.errand.over = true
}

func (w *work) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
	if w.running == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

// wait returns a channel that is closed once nothing runs.
func (w *work) wait() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.idle == nil {
		idle := make(chan struct{})
		if w.running == 0 {
			close(idle)
			return idle
		}
		w.idle = idle
	}
	return w.idle
}

// join waits for work that has been told to stop.
func (w *work) join(grace time.Duration) error {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-w.wait():
		return nil
	case <-timer.C:
		w.mu.Lock()
		defer w.mu.Unlock()
		return fmt.Errorf("%d functions given to Session.Go still run after their context has ended", w.running)
	}
}
