package gozk

import (
	"errors"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// Feed tells a Conn of its *zk.Conn's changes without losing any:
//
//	var feed gozk.Feed
//	conn, _, err := zk.Connect(servers, timeout, zk.WithEventCallback(feed.Callback))
//	c, err := gozk.New(conn, nil, gozk.WithFeed(&feed), gozk.WithSessionTimeout(timeout))
//
// The zero Feed is ready to use and serves one Conn. It must not be copied.
type Feed struct {
	mu       sync.Mutex
	poke     chan<- struct{} // guarded by mu: of the Conn, once attached
	down     time.Time       // guarded by mu: when the last handshake had not begun yet
	up       time.Time       // guarded by mu: when the last handshake was through
	sessions int             // guarded by mu: handshakes seen
}

// Callback is a zk.EventCallback. It neither blocks nor calls the *zk.Conn, so
// it may run on go-zookeeper's own goroutines; a callback of your own can call
// it.
func (f *Feed) Callback(ev zk.Event) {
	if ev.Type != zk.EventSession {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch ev.State {
	case zk.StateConnecting, zk.StateConnected, zk.StateDisconnected, zk.StateExpired:
		// go-zookeeper sends the next ConnectRequest only after this returns.
		f.down = time.Now()
	case zk.StateHasSession:
		f.up = time.Now()
		f.sessions++
	}
	if f.poke != nil {
		select {
		case f.poke <- struct{}{}:
		default:
		}
	}
}

func (f *Feed) attach(poke chan<- struct{}) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.poke != nil {
		return false
	}
	f.poke = poke
	return true
}

func (f *Feed) times() (down, up time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down, f.up
}

func (f *Feed) seen() (down time.Time, sessions int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down, f.sessions
}

// sentinelPath names a node that nobody creates. An exists-watch on it needs no
// permission and ends with the session or the *zk.Conn, which no event channel
// promises; exists on it is the heartbeat at rest.
const sentinelPath = "/zookeeper/conclave-no-such-node"

// tracker finds out, by looking and by what wakes it, which session the
// *zk.Conn is in. Its goroutine owns every field.
type tracker struct {
	c        *Conn
	events   <-chan zk.Event
	cur      *session // the session the *zk.Conn is in, given out or not
	previous *session // the one before, until its calls have come back
	up       bool     // connected when last looked
	fresh    bool     // a handshake was seen since the last look
	down     time.Time
	sessions int // handshakes the feed had counted when last looked

	sentinel <-chan zk.Event // belongs to cur
	planting bool            // a goroutine sets the sentinel
	planted  chan planted
	still    int // looks in a row that found StateDisconnected
	deaf     int // probes in a row that a closed *zk.Conn would have answered like that

	audited time.Time
}

// planted is what came of setting the sentinel.
type planted struct {
	fired   <-chan zk.Event
	err     error
	started time.Time
	id      int64 // session when it started
	dead    bool  // StateDisconnected before and after
}

func newTracker(c *Conn) *tracker {
	return &tracker{c: c, events: c.events, planted: make(chan planted, 1)}
}

func (t *tracker) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		t.look()
		interval := t.c.slow()
		if !t.up || t.cur == nil || t.previous != nil || !t.cur.proved() {
			interval = t.c.fast()
		}
		timer.Reset(interval)
		closed := false
		select {
		case <-t.c.quit:
			t.drop(keeper.ErrClosed)
			return
		case <-t.c.poke:
		case <-timer.C:
		case p := <-t.planted:
			closed = t.plant(p)
		case ev, open := <-t.sentinel:
			closed = t.sentinelFired(ev, open)
		case ev, open := <-t.events:
			// Only go-zookeeper's last goroutine closes the channel.
			closed = !open
			t.fresh = t.fresh || ev.Type == zk.EventSession && ev.State == zk.StateHasSession
		}
		if closed {
			t.c.cfg.logger.Info("the zk.Conn was closed by its owner")
			t.c.begin()
			t.drop(keeper.ErrClosed)
			return
		}
	}
}

// look compares the *zk.Conn with what is known.
func (t *tracker) look() {
	c := t.c
	now := time.Now()
	if f := c.cfg.feed; f != nil {
		down, sessions := f.seen() // before the state: see session.handshake
		if down.After(t.down) {
			t.down = down
		}
		t.fresh = t.fresh || sessions != t.sessions
		t.sessions = sessions
	}
	state := c.zk.State()
	id := c.zk.SessionID() // after the state: see session.handshake
	switch state {
	case zk.StateDisconnected, zk.StateConnecting, zk.StateExpired:
		t.down = now
	}
	if state == zk.StateDisconnected {
		t.still++
	} else {
		t.still = 0
	}
	up := state == zk.StateHasSession && id != 0
	if t.cur != nil && id != t.cur.id {
		t.drop(keeper.ErrSessionExpired)
	}
	c.linkSeen(up, !t.up || t.fresh)
	if up {
		if t.cur != nil && !t.down.IsZero() {
			t.cur.handshake(t.down)
		}
		if t.cur != nil && (!t.up || t.fresh) {
			t.cur.wake()
			t.cur.watches.audit(true)
		}
		t.fresh = false
	}
	t.up = up
	// StateDisconnected lasts only where the *zk.Conn was closed: then the
	// probe tells.
	if !t.planting && t.sentinel == nil && (up || t.still > 2) {
		t.planting = true
		c.all.run(t.setSentinel)
	}
	t.giveOut()
	if t.cur != nil && up && c.cfg.feed == nil && now.Sub(t.audited) >= c.cfg.timeout {
		// Without a feed a reconnect can go unseen.
		t.audited = now
		t.cur.watches.audit(false)
	}
}

// giveOut publishes cur once it is proved and what go-zookeeper still held of
// the session before is settled: requests of that one may have been run in cur,
// and their nodes must be gone before anybody lists.
func (t *tracker) giveOut() {
	if t.previous != nil && t.previous.inside.size() == 0 {
		t.previous = nil
	}
	if t.cur != nil && t.previous == nil && t.cur.proved() {
		t.c.publish(t.cur)
	}
}

// drop ends the current session.
func (t *tracker) drop(cause error) {
	t.c.publish(nil)
	t.sentinel = nil
	if t.cur == nil {
		return
	}
	if errors.Is(cause, keeper.ErrSessionExpired) {
		t.c.cfg.logger.Warn("session expired")
	}
	t.cur.end(cause)
	if t.previous == nil { // else cur was never given out and has no calls
		t.previous = t.cur
	}
	t.cur = nil
}

// setSentinel runs on its own goroutine: it blocks while there is no session.
func (t *tracker) setSentinel() {
	conn := t.c.zk
	before := conn.State()
	p := planted{started: time.Now(), id: conn.SessionID()}
	_, _, p.fired, p.err = conn.ExistsW(sentinelPath)
	p.dead = before == zk.StateDisconnected && conn.State() == zk.StateDisconnected
	t.planted <- p // capacity 1, one at a time
}

// plant takes over the sentinel and reports whether the *zk.Conn was found
// closed.
func (t *tracker) plant(p planted) bool {
	t.planting = false
	if p.err != nil {
		switch {
		case errors.Is(p.err, zk.ErrClosing):
			return true
		case errors.Is(p.err, zk.ErrConnectionClosed) && p.dead:
			t.deaf++
		default:
			t.deaf = 0
		}
		t.still = 0 // wait some looks before the next try
		return t.deaf > 2
	}
	t.deaf = 0
	state := t.c.zk.State()
	id := t.c.zk.SessionID() // after the state: see session.handshake
	// go-zookeeper ends all watches of a session before it has the next id, so
	// a sentinel that has not fired at this point belongs to session id.
	select {
	case ev, open := <-p.fired:
		return t.sentinelFired(ev, open)
	default:
	}
	if id == 0 || t.cur != nil && t.cur.id != id {
		return false // look will see to it
	}
	if t.cur == nil {
		t.cur = newSession(t.c, id)
		if state == zk.StateHasSession && !t.down.IsZero() {
			t.cur.handshake(t.down)
		}
		t.c.all.run(t.cur.heart)
		t.c.cfg.logger.Debug("session found", "session", id)
	}
	t.sentinel = p.fired
	if p.id == id {
		t.cur.answered(p.started, false)
	}
	return false
}

// sentinelFired reports whether the *zk.Conn was closed.
func (t *tracker) sentinelFired(ev zk.Event, open bool) bool {
	t.sentinel = nil
	switch {
	case open && errors.Is(ev.Err, zk.ErrClosing):
		return true
	case open && errors.Is(ev.Err, zk.ErrSessionExpired):
		t.drop(keeper.ErrSessionExpired)
	}
	return false // somebody made the node, or it was lost: look sets it again
}
