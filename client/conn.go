package client

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// conn is one connection of a session, from its handshake to its end. The loop
// makes it and waits for its two goroutines; any of the three may end it.
type conn struct {
	s       *session // these never change
	nc      net.Conn
	addr    string
	timeout time.Duration // T, negotiated
	born    time.Time

	flight inFlight    // has its own lock
	frames *frameTimes // the writer's
	out    []byte      // the writer's: what is being written

	strayed bool // the reader's: an event outside the chroot was logged

	// The loop's.
	authSent int       // how many credentials this connection was given
	open     bool      // ready was seen
	nextBeat time.Time // when the next sync goes out; zero without watchers

	lastSent  atomic.Int64 // since born; the writer sets it
	lastHeard atomic.Int64 // since born; the reader sets it
	goodbye   atomic.Bool  // the server has closed the session; the reader sets it

	mu    sync.Mutex
	setup int             // guarded by mu: credentials and watches not yet acknowledged
	set   bool            // guarded by mu: ready is closed
	beats fifo[time.Time] // guarded by mu: when the syncs without an answer were asked for

	ready chan struct{} // closed when setup has fallen to 0
	once  sync.Once
	err   error         // written before dead is closed, constant afterwards
	dead  chan struct{} // the connection is of no more use
	wg    sync.WaitGroup
}

func newConn(s *session, addr string, g greeting) *conn {
	return &conn{
		s: s, nc: g.nc, addr: addr, timeout: s.Timeout(), born: time.Now(),
		frames: newFrameTimes(g.sent, s.Timeout()),
		ready:  make(chan struct{}), dead: make(chan struct{}),
	}
}

// start begins the traffic: credentials, then watches, in the first write. The
// gate for users' requests is the loop's to open when ready is closed.
func (c *conn) start() {
	s := c.s
	s.queue.attach()
	creds := s.c.creds.from(0)
	c.authSent = len(creds)
	var calls []*call
	for _, cred := range creds {
		calls = append(calls, c.authCall(cred))
	}
	c.warnOfClearText(creds)
	calls = append(calls, s.rearm(s.c.lastZxid.Load(), c.rearmed)...)
	c.setup = len(calls) + 1
	for _, call := range calls {
		s.queue.pushUrgent(call)
	}
	c.setupDone()
	c.wg.Add(2)
	go c.write()
	go c.read()
}

// setupDone notes that one part of the setup is through.
func (c *conn) setupDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setup--
	if c.setup == 0 && !c.set {
		c.set = true
		close(c.ready)
	}
}

// rearmed is the reply to a SetWatches.
func (c *conn) rearmed(keys []watchKey, h proto.ReplyHeader) error {
	if h.Err != keeper.OK {
		c.s.c.cfg.log.Warn("the server would not set watches again", "server", c.addr, "watches", len(keys), "error", h.Err)
		c.s.loseWatches(keys, h.Err)
	}
	c.setupDone()
	return nil
}

// fail ends the connection, for the first reason given.
func (c *conn) fail(err error) {
	c.once.Do(func() {
		c.err = err
		close(c.dead)
		_ = c.nc.Close()
	})
}

// join waits for reader and writer, after fail.
func (c *conn) join() {
	<-c.dead
	c.wg.Wait()
}

// since is the clock of lastSent and lastHeard.
func (c *conn) since() int64 { return int64(time.Since(c.born)) }

func (c *conn) heardAt() time.Time { return c.born.Add(time.Duration(c.lastHeard.Load())) }
func (c *conn) sentAt() time.Time  { return c.born.Add(time.Duration(c.lastSent.Load())) }

// silence is how long a connection may bring nothing before it counts as dead,
// or take to get something across.
func (c *conn) silence() time.Duration { return c.timeout * 2 / 3 }

// ping asks the server for a sign of life.
func (c *conn) ping() {
	c.s.queue.pushUrgent(newInternal(callPing, proto.XidPing, proto.OpPing, nil, nil))
}

// beat asks the leader for one. The root is not the chroot's, but any path will
// do: sync looks at none.
func (c *conn) beat(now time.Time) {
	c.mu.Lock()
	c.beats.push(now)
	c.mu.Unlock()
	heartbeat := newInternal(callOrder, 0, proto.OpSync, &proto.SyncRequest{Path: "/"}, func(h proto.ReplyHeader) error {
		if !fromLeader(h.Err) {
			return fmt.Errorf("heartbeat refused: %w", h.Err) // another server may do better
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.beats.pop()
		return nil
	})
	heartbeat.leader = 1
	c.s.queue.pushUrgent(heartbeat)
}

// oldestBeat is when the sync was asked for that has been out the longest.
func (c *conn) oldestBeat() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.beats.len() == 0 {
		return time.Time{}, false
	}
	return c.beats.at(0), true
}
