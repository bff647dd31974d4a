package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// maxGoodbye bounds the wait for a server to close the session, which also
// ends after a third of its timeout.
const maxGoodbye = 2 * time.Second

// workGrace is how long functions given to Session.Go may take to return once
// their context has ended, before Close leaves them behind.
const workGrace = time.Second

// Shutdown ends the Client in good order: Session fails with keeper.ErrClosed
// from now on; every session's Closing is closed; work given to Session.Go is
// waited for until ctx ends, and told to stop then; calls under way are
// answered; the session is closed at the server, which removes its ephemeral
// nodes. Then every goroutine of the Client has ended.
//
// It may outlast ctx by the time the goodbye takes: a third of the session
// timeout, at most two seconds. The error says what could not be done: work that
// did not end in time, or a session that no server confirmed to be closed, which
// lives on until it times out. It is safe to call it more than once, also at
// the same time as Close, and from callbacks of AfterLapse; not from a function
// given to Session.Go, a dialer or a log handler, for which it would wait.
func (c *Client) Shutdown(ctx context.Context) error {
	if ctx == nil {
		return &keeper.InvalidError{What: "context", Why: "is nil"}
	}
	c.beginClosing()
	work := c.waitWork(ctx)
	c.end()
	return errors.Join(work, c.closeErr)
}

// Close is Shutdown without waiting for work given to Session.Go.
func (c *Client) Close() error {
	c.beginClosing()
	c.end()
	return c.closeErr
}

// beginClosing refuses new holds and tells everybody.
func (c *Client) beginClosing() {
	c.closingOnce.Do(func() {
		close(c.closing)
		c.state.set(Closing)
		c.poke()
	})
}

// waitWork waits for what was given to Session.Go, also of sessions that have
// ended: that was told to stop.
func (c *Client) waitWork(ctx context.Context) error {
	select {
	case <-c.work.wait():
		return nil
	default:
	}
	select {
	case <-c.work.wait():
		return nil
	case <-c.stop: // somebody called Close
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shutdown did not wait for all work: %w", ctx.Err())
	}
}

// end makes the loop end the session and waits for everything.
func (c *Client) end() {
	c.mu.Lock()
	first := !c.stopping
	c.stopping = true
	idle := first && !c.started
	c.mu.Unlock()
	if first {
		close(c.stop)
	}
	if idle {
		c.state.set(Closed)
		close(c.over)
	}
	<-c.over
}

// sayGoodbye closes the session at the server, or gives that up.
func (l *loop) sayGoodbye(now time.Time) {
	switch {
	case l.try != nil:
		l.try.cancel() // its result is awaited
	case l.conn == nil:
		l.ended = true
	case !l.bye:
		l.bye = true
		wait := maxGoodbye
		if l.sess != nil {
			wait = min(wait, l.sess.Timeout()/3)
		}
		l.byeBy = now.Add(wait)
		l.conn.sayGoodbye()
	case !now.Before(l.byeBy):
		l.conn.fail(errNoGoodbye)
	}
}

// sayGoodbye sends what is queued and then the end of the session.
func (c *conn) sayGoodbye() {
	q := c.s.queue
	q.seal(keeper.ErrClosed)
	q.pushBehind(newInternal(callGoodbye, 0, proto.OpCloseSession, nil, nil))
	q.openGate()
}

// finish leaves nothing of the loop behind.
func (l *loop) finish() {
	l.timer.Stop()
	if s := l.sess; s != nil {
		l.c.closeErr = &keeper.OpError{Op: "close session", Err: keeper.ErrConnectionLoss, Outcome: keeper.Unknown}
		l.endSession(sessionClosed, keeper.ErrClosed, l.unanswered)
	}
	l.c.closeErr = errors.Join(l.c.closeErr, l.c.work.join(workGrace))
	l.c.state.set(Closed)
	close(l.c.over)
}
