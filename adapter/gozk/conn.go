package gozk

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// ZKConn is what the adapter needs of a *zk.Conn.
type ZKConn interface {
	State() zk.State
	SessionID() int64
	Create(path string, data []byte, flags int32, acl []zk.ACL) (string, error)
	CreateContainer(path string, data []byte, flags int32, acl []zk.ACL) (string, error)
	CreateTTL(path string, data []byte, flags int32, acl []zk.ACL, ttl time.Duration) (string, error)
	Delete(path string, version int32) error
	Get(path string) ([]byte, *zk.Stat, error)
	GetW(path string) ([]byte, *zk.Stat, <-chan zk.Event, error)
	Set(path string, data []byte, version int32) (*zk.Stat, error)
	Exists(path string) (bool, *zk.Stat, error)
	ExistsW(path string) (bool, *zk.Stat, <-chan zk.Event, error)
	Children(path string) ([]string, *zk.Stat, error)
	ChildrenW(path string) ([]string, *zk.Stat, <-chan zk.Event, error)
	GetACL(path string) ([]zk.ACL, *zk.Stat, error)
	SetACL(path string, acl []zk.ACL, version int32) (*zk.Stat, error)
	Sync(path string) (string, error)
	Multi(ops ...interface{}) ([]zk.MultiResponse, error)
}

var (
	_ ZKConn      = (*zk.Conn)(nil)
	_ keeper.Conn = (*Conn)(nil)
)

// Conn is a keeper.Conn over a *zk.Conn. It never closes the *zk.Conn. All
// methods are safe for concurrent use.
type Conn struct {
	zk     ZKConn
	cfg    config
	events <-chan zk.Event // may be nil; only the tracker receives

	poke    chan struct{} // capacity 1: makes the tracker look
	closing chan struct{} // closed when a shutdown begins, ours or the *zk.Conn's
	quit    chan struct{} // closed when our goroutines must end

	all  group // every goroutine of the adapter
	work group // those that Session.Go started; they are in all too

	mu      sync.Mutex
	session *session      // guarded by mu: what Session gives out, or nil
	changed chan struct{} // guarded by mu: closed and replaced by announce
	waiting bool          // guarded by mu: somebody waits for the link
	up      bool          // guarded by mu: the tracker has seen the link up
	upSince time.Time     // guarded by mu: and when it came up
	begun   bool          // guarded by mu: closing is closed
	ended   bool          // guarded by mu: quit is closed
}

// New adapts conn. It does no I/O itself; a goroutine starts at once to find
// and prove the session.
//
// The adapter has to learn of the connection's changes. In order of merit:
// WithFeed and events nil; events, the channel that zk.Connect returned, which
// then belongs to the adapter, and which loses events in a burst; neither, when
// the adapter looks now and then. See the package doc for the difference.
//
// WithSessionTimeout is required. Bad options give a *keeper.InvalidError.
func New(conn ZKConn, events <-chan zk.Event, opts ...Option) (*Conn, error) {
	if p, ok := conn.(*zk.Conn); conn == nil || ok && p == nil {
		return nil, &keeper.InvalidError{What: "zk.Conn", Why: "is nil"}
	}
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		zk:      conn,
		cfg:     cfg,
		events:  events,
		poke:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		quit:    make(chan struct{}),
		changed: make(chan struct{}),
	}
	if cfg.feed != nil {
		if !cfg.feed.attach(c.poke) {
			return nil, &keeper.InvalidError{What: "feed", Why: "serves another Conn already"}
		}
	}
	c.all.run(newTracker(c).run)
	return c, nil
}

// Session returns the current session. When there is none it waits for one to
// be established and proved alive by the leader. It fails with ctx's error, and
// with keeper.ErrClosed once Close or Shutdown was called or the *zk.Conn is
// found closed. It never fails with keeper.ErrAuthFailed: go-zookeeper does not
// tell.
func (c *Conn) Session(ctx context.Context) (keeper.Session, error) {
	if ctx == nil {
		return nil, &keeper.InvalidError{What: "context", Why: "is nil"}
	}
	for {
		c.mu.Lock()
		s, begun, changed := c.session, c.begun, c.changed
		c.mu.Unlock()
		if begun {
			return nil, sessionError(keeper.ErrClosed)
		}
		if s != nil && s.Err() == nil {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, sessionError(ctx.Err())
		}
	}
}

func sessionError(cause error) error {
	return &keeper.OpError{Op: "session", Err: cause, Outcome: keeper.NotApplied}
}

// Shutdown ends the adapter, not the *zk.Conn. It closes every session's
// Closing, waits for the work of Session.Go until ctx ends, ends the session
// with keeper.ErrClosed, and joins the adapter's goroutines.
//
// The ZooKeeper session lives on: ephemeral nodes stay until the *zk.Conn is
// closed, unless the work of Session.Go removed them.
//
// It returns ctx's error, wrapped, if that cut work short. A call that
// go-zookeeper does not answer cannot be taken back: Shutdown waits for such
// calls up to a session timeout and then says how many are left; they end when
// the *zk.Conn is closed.
func (c *Conn) Shutdown(ctx context.Context) error {
	if ctx == nil {
		return &keeper.InvalidError{What: "context", Why: "is nil"}
	}
	c.begin()
	err := c.work.wait(ctx)
	c.end()
	joined, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.timeout)
	defer cancel()
	if c.all.wait(joined) != nil {
		n := c.all.size()
		c.cfg.logger.Warn("calls still wait inside go-zookeeper", "goroutines", n)
		return fmt.Errorf("shutdown: %d goroutines still wait inside go-zookeeper; close the zk.Conn to end them: %w",
			n, context.DeadlineExceeded)
	}
	if err != nil {
		return fmt.Errorf("shutdown: work was cut short: %w", err)
	}
	return nil
}

// Close is Shutdown without waiting for the work of Session.Go, whose contexts
// end at once. Calls after the first do nothing but wait.
func (c *Conn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	err := c.Shutdown(ctx)
	if c.all.size() == 0 {
		return nil // that ctx ended is what Close means
	}
	return err
}

// begin closes closing, once.
func (c *Conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun {
		c.begun = true
		close(c.closing)
		c.announceLocked()
	}
}

// end closes quit, once.
func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		close(c.quit)
	}
}

// publish makes s, or nil, what Session gives out.
func (c *Conn) publish(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != s {
		c.session = s
		c.announceLocked()
	}
}

// announceLocked wakes everybody who waits for a session or the link.
func (c *Conn) announceLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
	c.waiting = false
}

// linkSeen is what the tracker tells after a look; again says that the link was
// down since the look before, or came up anew.
func (c *Conn) linkSeen(up, again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = up
	if up && again {
		c.upSince = time.Now()
	}
	if up && (again || c.waiting) {
		c.announceLocked()
	}
}

// wake makes the tracker look.
func (c *Conn) wake() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// linked tells whether requests of session s may be handed to the *zk.Conn: it
// is connected in s, and if it came back to s, that was a moment ago.
//
// The moment is for go-zookeeper, which reads the zxid that it will ask for
// missed events from when it serves requests already: an answer in between makes
// it ask from too high a zxid, and is a data race. What the pause does not
// prevent, audit makes good.
func (c *Conn) linked(s *session) (ok bool, wait time.Duration) {
	c.mu.Lock()
	up, since := c.up, c.upSince
	c.mu.Unlock()
	if !up {
		return false, 0 // the tracker must look first
	}
	if f := c.cfg.feed; f != nil {
		down, up := f.times()
		if down.After(up) {
			return false, 0 // State may be a step ahead of the callback
		}
		since = up
	}
	if c.zk.State() != zk.StateHasSession || c.zk.SessionID() != s.id {
		return false, 0
	}
	if since.After(s.born) {
		if wait = time.Until(since.Add(c.fast())); wait > 0 {
			return false, wait
		}
	}
	return true, 0
}

// awaitLink returns nil as soon as the *zk.Conn is connected in session s, and
// an error when s is over or gone is closed. Requests wait here and not in
// go-zookeeper's queue, where nothing can be taken back, where the 17th blocks
// for good, and from where they would be run in the next session.
func (c *Conn) awaitLink(s *session, gone <-chan struct{}) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.waiting = true
		c.mu.Unlock()
		if err := s.Err(); err != nil {
			return err
		}
		ok, wait := c.linked(s)
		if ok {
			return nil
		}
		var settled <-chan time.Time
		if wait > 0 {
			settled = time.After(wait)
		} else {
			c.wake()
		}
		select {
		case <-changed:
		case <-settled:
		case <-s.done:
		case <-gone:
			return errAbandoned
		}
	}
}

// fast and slow are the intervals at which the tracker looks by itself: while
// something is awaited, and otherwise.
func (c *Conn) fast() time.Duration {
	return min(max(c.cfg.timeout/100, time.Millisecond), 50*time.Millisecond)
}

func (c *Conn) slow() time.Duration {
	return min(max(c.cfg.timeout/10, c.fast()), time.Second)
}

// sleep waits a moment before a further try, and reports false when one of the
// channels is closed before.
func (c *Conn) sleep(stop, stop2 <-chan struct{}) bool {
	timer := time.NewTimer(c.fast())
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
	case <-stop2:
	}
	return false
}
