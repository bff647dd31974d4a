package gozk

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// fakeZK behaves like a *zk.Conn with a server behind it, as far as the adapter
// can see: one queue that outlives sessions, watch channels that are filled
// before later replies, a session id that is 0 between sessions. Its knobs are
// the accidents of real ones.
type fakeZK struct {
	mu       sync.Mutex
	state    zk.State
	id       int64 // of the session, 0 between two
	sessions int64
	closed   bool
	alive    bool // the server still has the session
	zxid     int64
	nodes    map[string]*fakeNode
	watchers map[fakeWatch][]chan zk.Event
	armed    map[fakeWatch]bool // what the server knows of them
	queue    []*fakeCall
	flying   map[*fakeCall]bool // stalled at the server
	rules    []*fakeRule
	counts   map[string]int
	log      []string // paths that were created
	events   chan zk.Event
	callback func(zk.Event)

	latency   time.Duration
	noRearm   bool // SetWatches fails: the server knows no watch after a reconnect
	noCatchUp bool // SetWatches asks from too high a zxid: changes are not told
}

type fakeNode struct {
	data []byte
	acl  []zk.ACL
	stat zk.Stat
}

type fakeWatch struct {
	kind string // "data", "exist" or "child", as in go-zookeeper
	path string
}

type fakeCall struct {
	op, path string
	apply    func() error
	back     chan error // capacity 1
}

// fakeRule does something to the next calls of a kind.
type fakeRule struct {
	op    string // "" for any
	times int
	fault fault
	err   error         // of answerError
	do    func(*fakeZK) // done first, under the lock
}

type fault int

const (
	loseReply   fault = iota + 1 // applied, then the connection is gone
	loseRequest                  // not applied, and the connection is gone
	stall                        // nothing happens until the connection does
	queueUp                      // stays in the client's queue, as if handed over a moment too late
	answerError                  // rule.err
)

func newFake() *fakeZK {
	f := &fakeZK{
		state:    zk.StateConnecting, // go-zookeeper gets there at once
		nodes:    make(map[string]*fakeNode),
		watchers: make(map[fakeWatch][]chan zk.Event),
		armed:    make(map[fakeWatch]bool),
		flying:   make(map[*fakeCall]bool),
		counts:   make(map[string]int),
		events:   make(chan zk.Event, 6),
	}
	f.nodes["/"] = &fakeNode{acl: zk.WorldACL(zk.PermAll)}
	f.nodes["/zookeeper"] = &fakeNode{acl: zk.WorldACL(zk.PermAll)}
	return f
}

// set changes the state and tells it, like Conn.setState. The lock is held.
func (f *fakeZK) set(s zk.State) {
	f.state = s
	f.emit(zk.Event{Type: zk.EventSession, State: s})
}

func (f *fakeZK) emit(ev zk.Event) {
	if f.callback != nil {
		f.callback(ev)
	}
	select {
	case f.events <- ev:
	default:
	}
}

// connect makes the connection, with the old session if the server still has it
// and with a new one otherwise.
func (f *fakeZK) connect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.state == zk.StateHasSession {
		return
	}
	f.set(zk.StateConnecting)
	f.set(zk.StateConnected)
	if f.id != 0 && !f.alive {
		f.id = 0
		f.set(zk.StateExpired)
		f.invalidate(zk.ErrSessionExpired)
		f.set(zk.StateDisconnected)
		f.set(zk.StateConnecting)
		f.set(zk.StateConnected)
	}
	if f.id == 0 {
		f.sessions++
		f.id = 0x1000 + f.sessions
		f.alive = true
	}
	f.set(zk.StateHasSession)
	f.setWatches()
	queue := f.queue
	f.queue = nil
	for _, c := range queue {
		f.deliver(c)
	}
}

// setWatches is what the server does with SetWatches.
func (f *fakeZK) setWatches() {
	for w := range f.watchers {
		switch {
		case f.noRearm:
			f.armed[w] = false
		case f.armed[w] || f.noCatchUp:
			f.armed[w] = true
		default: // it had fired while nobody listened
			n := f.nodes[w.path]
			switch {
			case n == nil:
				f.fire(w, zk.EventNodeDeleted)
			case w.kind == "exist":
				f.fire(w, zk.EventNodeCreated)
			case w.kind == "child":
				f.fire(w, zk.EventNodeChildrenChanged)
			default:
				f.fire(w, zk.EventNodeDataChanged)
			}
		}
	}
}

// cut breaks the connection: what is in flight is lost.
func (f *fakeZK) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cutLocked()
}

func (f *fakeZK) cutLocked() {
	if f.state != zk.StateHasSession {
		return
	}
	f.set(zk.StateDisconnected)
	for c := range f.flying {
		c.back <- zk.ErrConnectionClosed
	}
	clear(f.flying)
	f.set(zk.StateConnecting)
}

// expire ends the session at the server; the client learns it when it connects.
func (f *fakeZK) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cutLocked()
	f.alive = false
	f.zxid++
	for path, n := range f.nodes {
		if n.stat.EphemeralOwner == f.id {
			f.remove(path)
		}
	}
}

// renew is expire and connect: the adapter sees a new session.
func (f *fakeZK) renew() {
	f.expire()
	f.connect()
}

// close is the owner's zk.Conn.Close.
func (f *fakeZK) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	f.state = zk.StateDisconnected
	for c := range f.flying {
		c.back <- zk.ErrConnectionClosed
	}
	clear(f.flying)
	for _, c := range f.queue {
		c.back <- zk.ErrConnectionClosed
	}
	f.queue = nil
	f.emit(zk.Event{Type: zk.EventSession, State: zk.StateDisconnected})
	f.invalidate(zk.ErrClosing)
	close(f.events)
}

func (f *fakeZK) invalidate(err error) {
	for w, chans := range f.watchers {
		ev := zk.Event{Type: zk.EventNotWatching, Path: w.path, Err: err}
		f.emit(ev)
		for _, c := range chans {
			c <- ev
			close(c)
		}
	}
	clear(f.watchers)
	clear(f.armed)
}

// fire tells the client's watchers.
func (f *fakeZK) fire(w fakeWatch, t zk.EventType) {
	for _, c := range f.watchers[w] {
		c <- zk.Event{Type: t, Path: w.path, State: zk.StateSyncConnected}
		close(c)
	}
	delete(f.watchers, w)
	delete(f.armed, w)
}

// trigger is what a change does to the server's watches.
func (f *fakeZK) trigger(path string, t zk.EventType, kinds ...string) {
	for _, kind := range kinds {
		w := fakeWatch{kind, path}
		if len(f.watchers[w]) == 0 || !f.armed[w] {
			continue
		}
		f.armed[w] = false
		if f.state == zk.StateHasSession {
			f.fire(w, t)
		}
	}
}

// rule arranges an accident for the next call of op.
func (f *fakeZK) rule(op string, what fault) { f.addRule(&fakeRule{op: op, times: 1, fault: what}) }

func (f *fakeZK) addRule(r *fakeRule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, r)
}

// channels is the number of watch channels that the client holds for a path.
func (f *fakeZK) channels(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for w, chans := range f.watchers {
		if w.path == path {
			n += len(chans)
		}
	}
	return n
}

func (f *fakeZK) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

// waitingCalls is the number of calls that have not come back.
func (f *fakeZK) waitingCalls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue) + len(f.flying)
}

// call is Conn.request. apply runs at the server, under the lock.
func (f *fakeZK) call(op, path string, apply func() error) error {
	f.mu.Lock()
	f.counts[op]++
	c := &fakeCall{op: op, path: path, apply: apply, back: make(chan error, 1)}
	var r *fakeRule
	for _, x := range f.rules {
		if x.times > 0 && (x.op == "" || x.op == op) && path != sentinelPath {
			x.times--
			r = x
			break
		}
	}
	if r != nil && r.do != nil {
		r.do(f)
	}
	switch {
	case f.closed:
		c.back <- zk.ErrConnectionClosed
	case f.state != zk.StateHasSession || r != nil && r.fault == queueUp:
		f.queue = append(f.queue, c)
	case r == nil || r.fault == 0:
		f.deliver(c)
	case r.fault == loseReply:
		_ = apply()
		f.cutLocked()
		c.back <- zk.ErrConnectionClosed
	case r.fault == loseRequest:
		f.cutLocked()
		c.back <- zk.ErrConnectionClosed
	case r.fault == stall:
		f.flying[c] = true
	case r.fault == answerError:
		c.back <- r.err
	}
	latency := f.latency
	f.mu.Unlock()
	err := <-c.back
	if latency > 0 {
		<-time.After(latency)
	}
	return err
}

// deliver is a request that gets to the server and its answer back.
func (f *fakeZK) deliver(c *fakeCall) {
	for _, x := range f.rules {
		if x.op == "delivered "+c.op && x.do != nil {
			x.do(f)
			x.op = ""
		} else if x.times > 0 && x.op == "delivered "+c.op {
			x.times--
			_ = c.apply()
			f.cutLocked()
			c.back <- zk.ErrConnectionClosed
			return
		}
	}
	c.back <- c.apply()
}

// server does something as somebody else.
func (f *fakeZK) server(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeZK) State() zk.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *fakeZK) SessionID() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.id
}

func errUnknown(code int) error { return fmt.Errorf("unknown error: %d", code) }

var errNet = errors.New("write tcp 127.0.0.1:1->127.0.0.1:2: broken pipe")
