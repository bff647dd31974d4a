package client

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// session is one ZooKeeper session. It is made by the loop after a handshake
// and ended by it, once.
type session struct {
	c      *Client // these four never change
	id     int64
	passwd []byte
	queue  *queue // has its own lock, as have the next two

	watches *watchTable
	life    *validity
	errand  *errand

	timeout atomic.Int64 // negotiated, ns; each handshake sets it

	err  error // written before done is closed, constant afterwards
	done chan struct{}
}

var _ keeper.Session = (*session)(nil)

func newSession(c *Client, id int64, passwd []byte) *session {
	return &session{
		c: c, id: id, passwd: passwd,
		queue: newQueue(), watches: newWatchTable(), life: newValidity(), errand: newErrand(),
		done: make(chan struct{}),
	}
}

// Do implements keeper.Session. Watches set by requests that were answered
// before the call was cancelled are closed: a cancelled call leaves none.
func (s *session) Do(ctx context.Context, reqs ...keeper.Request) error {
	return s.do(ctx, &s.c.enc, reqs...)
}

// do is Do with a choice of the encoding.
func (s *session) do(ctx context.Context, enc *proto.Encoding, reqs ...keeper.Request) error {
	if err := keeper.Admit(ctx, s.id, reqs...); err != nil {
		return err
	}
	if len(reqs) == 0 {
		return nil
	}
	c := s.c.takeCall()
	if err := c.encode(enc, s.c.cfg.maxRequest, reqs); err != nil {
		s.release(c)
		return err
	}
	s.watches.expect(reqs)
	defer s.settle(reqs)
	if err := s.queue.push(ctx, c); err != nil {
		c.abandonUnsent(err)
		s.release(c)
		return firstError(reqs)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if !s.leave(c, ctx.Err()) {
			s.watches.disown(reqs)
			for _, w := range takeWatches(reqs) {
				w.Close()
			}
			return firstError(reqs)
		}
	}
	err := firstError(reqs)
	s.release(c)
	return err
}

// leave takes the caller out of a call that it no longer waits for. It reports
// whether the call came to its end instead and belongs to the caller again.
func (s *session) leave(c *call, cause error) bool {
	if s.queue.remove(c) {
		c.abandonUnsent(cause)
		return true
	}
	if !c.abandon(cause) {
		<-c.done // the last reply was there first
		return true
	}
	return false
}

// abandonUnsent fails a call that the writer has not got.
func (c *call) abandonUnsent(cause error) {
	c.failRest(cause, keeper.NotApplied)
}

// takeCall takes a call from the pool.
func (c *Client) takeCall() *call {
	if taken, ok := c.calls.Get().(*call); ok {
		return taken
	}
	return newCall()
}

// release gives a call that nobody else knows any more back to the pool.
func (s *session) release(c *call) {
	c.reset()
	s.c.calls.Put(c)
}

// firstError is what Do returns.
func firstError(reqs []keeper.Request) error {
	for _, r := range reqs {
		if err := r.Meta().Err; err != nil {
			return err
		}
	}
	return nil
}

// ID implements keeper.Session.
func (s *session) ID() int64 { return s.id }

// Timeout implements keeper.Session.
func (s *session) Timeout() time.Duration { return time.Duration(s.timeout.Load()) }

// ValidUntil implements keeper.Session.
func (s *session) ValidUntil() time.Time { return s.life.validUntil() }

// Done implements keeper.Session.
func (s *session) Done() <-chan struct{} { return s.done }

// Closing implements keeper.Session.
func (s *session) Closing() <-chan struct{} { return s.c.closing }

// Supports implements keeper.Session. What only the server may lack shows in
// its answer, keeper.ErrUnimplemented.
func (s *session) Supports(f keeper.Feature) bool {
	switch f {
	case keeper.FeatureContainer, keeper.FeatureTTL, keeper.FeatureUnwatch, keeper.FeaturePipelining:
		return true
	}
	return false
}

// Err implements keeper.Session.
func (s *session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// end finishes the session. The loop calls it when no reader or writer of the
// session is left; sent are the calls that were in flight.
func (s *session) end(to sessionState, cause error, sent []*call) {
	if !s.life.end(to, cause) {
		return
	}
	s.queue.seal(cause)
	for _, c := range sent {
		if c.kind == callUser {
			c.fail(cause, keeper.Unknown)
		}
	}
	s.queue.detach(cause)
	s.watches.endAll(cause)
	s.refuseWork()
	s.err = cause
	close(s.done)
	s.errand.cancel(cause)
}

// Format keeps the password out of whatever prints a session.
func (s *session) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "session 0x%x", s.id)
}
