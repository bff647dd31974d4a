package client

import (
	"slices"
	"sync"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// inFlight is what one connection has sent and not got answered. The writer
// adds, the reader takes off; everything is guarded by mu.
type inFlight struct {
	mu       sync.Mutex
	calls    fifo[*call]    // with ordinary xids, in the order sent
	requests int            // requests of calls without an answer
	special  [2]fifo[*call] // credentials and re-armed watches
}

// The lists in special.
const (
	listAuth = iota
	listRearm
)

// add notes a batch that is about to be written.
func (f *inFlight) add(batch []*call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range batch {
		switch c.kind {
		case callPing:
		case callAuth:
			f.special[listAuth].push(c)
		case callRearm:
			f.special[listRearm].push(c)
		default:
			f.calls.push(c)
			f.requests += len(c.marks)
		}
	}
}

func (f *inFlight) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

// popSpecial takes the oldest call of a special list, nil if there is none.
func (f *inFlight) popSpecial(list int) *call {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.special[list].len() == 0 {
		return nil
	}
	return f.special[list].pop()
}

// match finds the call and request that a reply belongs to and takes the call
// off if it was its last. Replies come in the order of the requests, except
// refusals that a server gives without asking anybody. left is how many
// requests are still out.
func (f *inFlight) match(h proto.ReplyHeader) (c *call, i, left int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls.len() == 0 {
		return nil, 0, 0, protocolErrorf("reply to xid %d, which is not in flight", h.Xid)
	}
	at := 0
	c = f.calls.at(0)
	if c.xidAt(c.matched) == h.Xid {
		i = c.matched
		c.matched++
	} else {
		if !mayOvertake(h.Err) {
			return nil, 0, 0, protocolErrorf("reply to xid %d, expected was %d", h.Xid, c.xidAt(c.matched))
		}
		if at, i = f.find(h.Xid); at < 0 {
			return nil, 0, 0, protocolErrorf("reply to xid %d, which is not in flight", h.Xid)
		}
		c = f.calls.at(at)
		c.early = append(c.early, i)
	}
	for len(c.early) > 0 && slices.Contains(c.early, c.matched) {
		c.matched++ // answered already
	}
	f.requests--
	if c.matched == len(c.marks) {
		f.calls.remove(at)
	}
	return c, i, f.requests, nil
}

// find returns the position of the call with that xid unanswered, or -1.
func (f *inFlight) find(xid int32) (at, i int) {
	for at := range f.calls.len() {
		c := f.calls.at(at)
		if i, ok := c.offsetOf(xid); ok && i >= c.matched && !slices.Contains(c.early, i) {
			return at, i
		}
	}
	return -1, 0
}

// mayOvertake lists the refusals that a server's I/O threads send past the
// requests that are being worked on.
func mayOvertake(code keeper.Code) bool {
	switch code {
	case keeper.ErrNotReadOnly, keeper.ErrNoAuth, keeper.ErrInvalidACL, keeper.ErrUnimplemented, keeper.ErrSASLRequired:
		return true
	}
	return false
}

// drain takes off everything after the connection has ended.
func (f *inFlight) drain() []*call {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = 0
	f.special = [2]fifo[*call]{}
	return f.calls.drain()
}
