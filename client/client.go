package client

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Client keeps one ZooKeeper session at a time and opens the next one when it
// has expired. It implements keeper.Conn. All methods are safe for concurrent
// use.
type Client struct {
	cfg   *config        // these never change
	enc   proto.Encoding // chroot and default ACL
	addrs []string

	creds *credentials // each has its own lock
	state *latch
	work  work
	calls sync.Pool // of *call; not shared among Clients, as each call has a channel

	// lastZxid is the newest state of the servers that was seen, also over the
	// change of sessions: no server behind it will be talked to, so that time
	// never goes back. Readers raise it.
	lastZxid atomic.Int64

	mu       sync.Mutex
	started  bool          // guarded by mu
	stopping bool          // guarded by mu: stop is closed
	sess     *session      // guarded by mu: the current one, nil if there is none
	news     chan struct{} // guarded by mu: closed when sess changes
	server   string        // guarded by mu: the server connected to, "" if none
	trouble  error         // guarded by mu: why the last attempt to connect failed; nil while connected
	closeErr error         // written before over is closed, constant afterwards

	wake    chan struct{} // capacity 1: the loop should look around
	closing chan struct{} // closed when Shutdown or Close begins
	stop    chan struct{} // closed when the loop is to end the session
	over    chan struct{} // closed when the loop has ended

	closingOnce sync.Once
}

var _ keeper.Conn = (*Client)(nil)

// New makes a Client for "host:port,host:port/chroot" without doing any I/O:
// call Start next. Ports default to 2181. The chroot, if any, is prefixed to
// all paths; it is not created, see EnsurePath. Bad input is an
// *keeper.InvalidError.
func New(connect string, opts ...Option) (*Client, error) {
	addrs, chroot, err := parseConnectString(connect)
	if err != nil {
		return nil, err
	}
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, addrs: addrs, enc: proto.Encoding{Chroot: chroot, DefaultACL: cfg.acl},
		creds: new(credentials), state: newLatch(), news: make(chan struct{}),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), stop: make(chan struct{}), over: make(chan struct{}),
	}
	for _, cred := range cfg.auth {
		c.creds.add(cred)
	}
	return c, nil
}

// Dial is New, Start and WaitConnected. When it fails nothing is left running.
func Dial(ctx context.Context, connect string, opts ...Option) (*Client, error) {
	c, err := New(connect, opts...)
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	if err := c.WaitConnected(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Start begins to connect and returns at once. It may be called once.
func (c *Client) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopping:
		return keeper.ErrClosed
	case c.started:
		return &keeper.InvalidError{What: "client", Why: "has been started before"}
	}
	c.started = true
	go newLoop(c).run()
	return nil
}

// State returns where the Client stands and a channel that is closed when that
// changes. A state that lasts very short may be missed.
func (c *Client) State() (State, <-chan struct{}) { return c.state.get() }

// terminal is why a Client in that state gives out no sessions any more.
func (s State) terminal() error {
	switch s {
	case AuthFailed:
		return keeper.ErrAuthFailed
	case Closing, Closed:
		return keeper.ErrClosed
	}
	return nil
}

// WaitConnected waits until requests flow. It fails with ctx's error, with
// keeper.ErrClosed or with keeper.ErrAuthFailed.
func (c *Client) WaitConnected(ctx context.Context) error {
	if ctx == nil {
		return &keeper.InvalidError{What: "context", Why: "is nil"}
	}
	for {
		st, changed := c.state.get()
		if st == Connected {
			return nil
		}
		if err := st.terminal(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return c.giveUp("not connected", st, ctx.Err())
		}
	}
}

// Session implements keeper.Conn. The session may be disconnected at the
// moment; its requests wait then.
func (c *Client) Session(ctx context.Context) (keeper.Session, error) {
	s, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *Client) session(ctx context.Context) (*session, error) {
	if ctx == nil {
		return nil, &keeper.InvalidError{What: "context", Why: "is nil"}
	}
	for {
		st, changed := c.state.get()
		if err := st.terminal(); err != nil {
			return nil, err
		}
		c.mu.Lock()
		s, news := c.sess, c.news
		c.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-news:
		case <-changed:
		case <-ctx.Done():
			return nil, c.giveUp("no session", st, ctx.Err())
		}
	}
}

// publish makes s the current session.
func (c *Client) publish(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess != s {
		c.sess = s
		close(c.news)
		c.news = make(chan struct{})
	}
}

func (c *Client) setServer(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = addr
}

// setTrouble keeps why an attempt to connect failed, for those who wait in vain.
func (c *Client) setTrouble(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble = err
}

// giveUp is the error of a wait that its context ended.
func (c *Client) giveUp(what string, st State, cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trouble == nil {
		return fmt.Errorf("%s, the client is %v: %w", what, st, cause)
	}
	return fmt.Errorf("%s, the client is %v: %w; last attempt: %w", what, st, cause, c.trouble)
}

// Server returns the host:port of the server the Client is connected to, ""
// while there is none.
func (c *Client) Server() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server
}

// SessionID returns the id of the current session, 0 if there is none.
func (c *Client) SessionID() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess == nil {
		return 0
	}
	return c.sess.id
}

// PendingWatches counts the watches of the current session that have not fired.
func (c *Client) PendingWatches() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess == nil {
		return 0
	}
	return c.sess.watches.len()
}

// sawZxid raises lastZxid. Notifications must not do it.
func (c *Client) sawZxid(zxid int64) {
	for {
		last := c.lastZxid.Load()
		if zxid <= last || c.lastZxid.CompareAndSwap(last, zxid) {
			return
		}
	}
}

// poke makes the loop look around. It never blocks.
func (c *Client) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Format keeps credentials and session passwords out of whatever prints a
// Client.
func (c *Client) Format(f fmt.State, _ rune) {
	st, _ := c.state.get()
	_, _ = fmt.Fprintf(f, "client of %v (%v)", c.addrs, st)
}
