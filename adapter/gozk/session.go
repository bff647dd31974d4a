package gozk

import (
	"context"
	"sync"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// session is one ZooKeeper session of the *zk.Conn: a keeper.Session.
type session struct {
	c       *Conn
	id      int64
	born    time.Time       // when it was found
	done    chan struct{}   // closed by end
	ctx     context.Context //nolint:containedctx // that of Go's work: it ends with the session
	cancel  context.CancelFunc
	kick    chan struct{} // capacity 1: wakes the heart
	watches hub           // has its own lock
	inside  group         // goroutines of this session that may be in go-zookeeper

	mu    sync.Mutex
	err   error    // guarded by mu: why the session is over
	proof validity // guarded by mu
}

// newSession makes a session whose heart does not run yet.
func newSession(c *Conn, id int64) *session {
	s := &session{c: c, id: id, born: time.Now(), done: make(chan struct{}), kick: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.watches.init(s)
	return s
}

// ID is the session id.
func (s *session) ID() int64 { return s.id }

// Timeout is what WithSessionTimeout said.
func (s *session) Timeout() time.Duration { return s.c.cfg.timeout }

// Done is closed when the session is over.
func (s *session) Done() <-chan struct{} { return s.done }

// Closing is closed when the adapter or the *zk.Conn is being closed.
func (s *session) Closing() <-chan struct{} { return s.c.closing }

// Err says why the session is over.
func (s *session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Supports knows go-zookeeper, not the servers: one that cannot make a container
// or TTL node answers keeper.ErrUnimplemented.
func (*session) Supports(f keeper.Feature) bool {
	return f == keeper.FeatureContainer || f == keeper.FeatureTTL
}

// Go runs f on a goroutine that Shutdown waits for.
func (s *session) Go(f func(ctx context.Context)) error {
	if f == nil {
		return &keeper.InvalidError{What: "function", Why: "is nil"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return &keeper.OpError{Op: "go", Err: keeper.ErrClosed, Outcome: keeper.NotApplied}
	}
	s.c.work.add() // under the lock: end, and with it Shutdown's last step, comes after
	s.c.all.run(func() {
		defer s.c.work.done()
		f(s.ctx)
	})
	return nil
}

// end makes the session over, once. The tracker calls it.
func (s *session) end(cause error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = cause
	lapsed := s.proof.takeAll()
	close(s.done)
	s.mu.Unlock()
	s.cancel()
	runLapsed(lapsed, cause)
	s.watches.end(cause)
}

// wake makes the heart look at its timers.
func (s *session) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}
