package client

import (
	"context"
	"math"
	"sync"

	"github.com/conclave-go/conclave/keeper"
)

const (
	// maxQueued and maxQueuedBytes bound what waits for the writer; callers
	// beyond wait themselves.
	maxQueued      = 4096
	maxQueuedBytes = 16 << 20
	// maxInFlight bounds what waits for the server, which may never answer.
	maxInFlight = 16384
	// maxBatch is where the writer stops collecting for one write.
	maxBatch = 256 << 10
)

// queue holds a session's calls until a writer takes them. Everything is
// guarded by mu.
type queue struct {
	mu     sync.Mutex
	calls  fifo[*call] // of users
	urgent fifo[*call] // internal: neither bounded nor held back by the gate
	reqs   int         // requests in calls
	bytes  int         // their frames
	xid    int32       // of the last request taken: xids go on across reconnects
	online bool        // a connection is there to take internal calls
	open   bool        // the gate: users' calls may be taken
	err    error       // no more calls are accepted

	wake  chan struct{} // capacity 1: there may be something to take
	space chan struct{} // closed when room was made; nil if nobody waits
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push adds a user's call and waits for room. The error is ctx's, or why the
// session takes no more.
func (q *queue) push(ctx context.Context, c *call) error {
	n, size := len(c.marks), len(c.buf)
	q.mu.Lock()
	for {
		if q.err != nil {
			q.mu.Unlock()
			return q.err
		}
		if q.reqs == 0 || q.reqs+n <= maxQueued && q.bytes+size <= maxQueuedBytes {
			break
		}
		if q.space == nil {
			q.space = make(chan struct{})
		}
		space := q.space
		q.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		}
		q.mu.Lock()
	}
	q.calls.push(c)
	q.reqs += n
	q.bytes += size
	q.mu.Unlock()
	q.poke()
	return nil
}

// pushUrgent adds an internal call that goes out before all that waits. Offline
// it is dropped: what it is about died with the connection.
func (q *queue) pushUrgent(c *call) {
	q.mu.Lock()
	if q.online {
		q.urgent.push(c)
	}
	q.mu.Unlock()
	q.poke()
}

// pushBehind adds an internal call in the order of the users' calls, and is
// otherwise as pushUrgent.
func (q *queue) pushBehind(c *call) {
	q.mu.Lock()
	if q.online {
		q.calls.push(c)
		q.reqs++
		q.bytes += len(c.buf)
	}
	q.mu.Unlock()
	q.poke()
}

// poke makes the writer look. It never blocks.
func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take appends to batch what the next write should carry, numbered, but at most
// about room requests of users.
func (q *queue) take(batch []*call, room int) []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.urgent.len() > 0 {
		batch = append(batch, q.number(q.urgent.pop()))
	}
	if !q.open {
		return batch
	}
	size := 0
	for q.calls.len() > 0 && room > 0 && size < maxBatch {
		c := q.number(q.calls.pop())
		batch = append(batch, c)
		q.reqs -= len(c.marks)
		q.bytes -= len(c.buf)
		size += len(c.buf)
		room -= len(c.marks)
	}
	if q.calls.len() > 0 && room > 0 {
		q.poke() // more than one batch: the writer shall come back
	}
	q.makeSpace()
	return batch
}

// number gives a call its xids, 1 to 2^31-1 and round again.
func (q *queue) number(c *call) *call {
	switch c.kind {
	case callUser, callOrder, callGoodbye:
		c.xid = q.xid%math.MaxInt32 + 1
		q.xid = c.xidAt(len(c.marks) - 1)
	}
	return c
}

func (q *queue) makeSpace() {
	if q.space != nil {
		close(q.space)
		q.space = nil
	}
}

// remove takes a call back that no writer has taken.
func (q *queue) remove(c *call) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.calls.len() {
		if q.calls.at(i) == c {
			q.calls.remove(i)
			q.reqs -= len(c.marks)
			q.bytes -= len(c.buf)
			q.makeSpace()
			return true
		}
	}
	return false
}

// attach lets internal calls in: a connection is being set up.
func (q *queue) attach() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.online = true
}

// openGate lets users' calls out.
func (q *queue) openGate() {
	q.mu.Lock()
	q.open = true
	q.mu.Unlock()
	q.poke()
}

// detach shuts the gate after the connection was lost and fails what is queued:
// none of it was sent.
func (q *queue) detach(cause error) {
	q.mu.Lock()
	q.online, q.open = false, false
	q.urgent.drain()
	calls := q.empty()
	q.mu.Unlock()
	failQueued(calls, cause)
}

// seal accepts no more calls, for the reason given; what is queued still goes.
func (q *queue) seal(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	q.makeSpace()
}

// empty takes all users' calls. q.mu is held.
func (q *queue) empty() []*call {
	calls := q.calls.drain()
	q.reqs, q.bytes = 0, 0
	q.makeSpace()
	return calls
}

func failQueued(calls []*call, cause error) {
	for _, c := range calls {
		if c.kind == callUser {
			c.fail(cause, keeper.NotApplied)
		}
	}
}
