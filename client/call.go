package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// callKind says how a call is numbered and matched with its replies.
type callKind uint8

const (
	callUser    callKind = iota // requests of a Do
	callOrder                   // an internal request with an ordinary xid
	callPing                    // xid -2, in no order
	callAuth                    // xid -4, in order among themselves
	callRearm                   // xid -8, in order among themselves
	callGoodbye                 // closeSession: nothing follows it
)

// keepBuffer is the largest buffer that goes back to the pool with its call.
const keepBuffer = 64 << 10

// call is the requests of one Do, or one internal request, on its way to the
// server and back. Its fields change hands:
//
//   - kind, enc, buf, marks, reqs, leader, onReply: whoever made it, up to the push
//     into the queue; the writer reads buf and marks after it has taken the
//     call. reqs is the session's until Do returns and touched under mu only.
//   - xid, proof: set when the writer takes the call, under the queue's lock;
//     constant from there on.
//   - matched, early: the in-flight list, under its lock.
//
// When the last reply has been dealt with, done gets a value, and that is the
// last time anybody but the caller touches the call.
type call struct {
	kind    callKind
	enc     *proto.Encoding
	buf     []byte // the frames, lengths included
	marks   []int  // where each frame starts in buf
	reqs    []keeper.Request
	leader  uint64                        // bit i: the answer to request i comes from the leader
	onReply func(proto.ReplyHeader) error // internal calls; runs on the reader

	xid   int32     // of the first request
	proof time.Time // S' of the writes, see validity

	matched int   // requests answered in order
	early   []int // requests answered out of order

	mu        sync.Mutex
	left      int  // guarded by mu: requests without an answer
	abandoned bool // guarded by mu: the caller is gone, and reqs with it
	done      chan struct{}
}

func newCall() *call { return &call{done: make(chan struct{}, 1)} }

// newInternal makes a call of one request that no user waits for.
func newInternal(kind callKind, xid int32, op proto.OpCode, body proto.Record, onReply func(proto.ReplyHeader) error) *call {
	h := proto.RequestHeader{Xid: xid, Op: op}
	b, mark := proto.BeginFrame(nil)
	b = h.AppendTo(b)
	if body != nil {
		b = body.AppendTo(b)
	}
	return &call{kind: kind, buf: proto.EndFrame(b, mark), marks: []int{mark}, onReply: onReply}
}

// reset makes a call fit for its next use.
func (c *call) reset() {
	clear(c.reqs)
	c.reqs, c.marks, c.early = c.reqs[:0], c.marks[:0], c.early[:0]
	c.buf = c.buf[:0]
	if cap(c.buf) > keepBuffer {
		c.buf = nil
	}
	c.leader, c.matched, c.xid, c.left, c.proof = 0, 0, 0, 0, time.Time{}
}

// encode turns reqs into frames. On an error every request has one and nothing
// is to be sent.
func (c *call) encode(enc *proto.Encoding, limit int, reqs []keeper.Request) error {
	for i, r := range reqs {
		b, mark := proto.BeginFrame(c.buf)
		b, cause := enc.AppendRequest(b, 0, r)
		if size := len(b) - mark - 4; cause == nil && size > limit {
			cause = fmt.Errorf("%w: %d bytes, the limit is %d", keeper.ErrTooLarge, size, limit)
		}
		if cause != nil {
			c.buf = b
			for j, r := range reqs {
				if j == i {
					failRequest(r, 0, cause, keeper.NotApplied)
				} else {
					failRequest(r, 0, keeper.ErrNotSent, keeper.NotApplied)
				}
			}
			return reqs[i].Meta().Err
		}
		c.buf, c.marks = proto.EndFrame(b, mark), append(c.marks, mark)
		if i < 64 && needsLeader(r) {
			c.leader |= 1 << i
		}
	}
	c.enc = enc
	c.reqs = append(c.reqs, reqs...)
	c.left = len(reqs)
	return nil
}

// xidAt is the xid of the i-th request: xids wrap past zero.
func (c *call) xidAt(i int) int32 { return int32((int64(c.xid)-1+int64(i))%math.MaxInt32) + 1 }

// offsetOf is the reverse: which request has that xid, if any.
func (c *call) offsetOf(xid int32) (int, bool) {
	i := (int64(xid) - int64(c.xid) + math.MaxInt32) % math.MaxInt32
	return int(i), xid > 0 && i < int64(len(c.marks))
}

// stamp writes the xids into the frames.
func (c *call) stamp() {
	if c.kind != callUser && c.kind != callOrder && c.kind != callGoodbye {
		return
	}
	for i, mark := range c.marks {
		binary.BigEndian.PutUint32(c.buf[mark+4:], uint32(c.xidAt(i)))
	}
}

// answer fills the i-th request with its reply, or with tooLarge if that was
// over the limit. On success ready may add what a reply brings about, such as
// a watch. The error is one that the connection cannot go on after.
func (c *call) answer(i int, h proto.ReplyHeader, body []byte, tooLarge error, ready func(keeper.Request)) error {
	var err error
	c.mu.Lock()
	c.left--
	if c.abandoned {
		c.mu.Unlock()
		return nil
	}
	r := c.reqs[i]
	if tooLarge != nil && h.Err == keeper.OK {
		failRequest(r, h.Xid, tooLarge, appliedUnlessMulti(r))
		r.Meta().Zxid = h.Zxid
	} else {
		err = c.enc.DecodeReply(r, h, body)
	}
	if r.Meta().Err == nil {
		ready(r)
	}
	last := c.left == 0
	c.mu.Unlock()
	if last {
		c.done <- struct{}{}
	}
	if errors.Is(err, keeper.ErrUndecodable) {
		return err
	}
	return nil
}

// appliedUnlessMulti is the outcome of a request answered with 0 and an
// unreadable body: only a Multi says 0 when it failed, too.
func appliedUnlessMulti(r keeper.Request) keeper.Outcome {
	if _, ok := r.(*keeper.Multi); ok {
		return keeper.Unknown
	}
	return keeper.Applied
}

// fail ends a call that gets no more answers; requests that had theirs keep it.
func (c *call) fail(cause error, o keeper.Outcome) {
	c.mu.Lock()
	if c.abandoned {
		c.mu.Unlock()
		return
	}
	c.failRest(cause, o)
	c.left = 0
	c.mu.Unlock()
	c.done <- struct{}{}
}

// abandon gives up on answers that are still out, for a caller who leaves. It
// reports false when there are none: the call is complete then.
func (c *call) abandon(cause error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return false
	}
	c.abandoned = true
	o := keeper.Unknown
	if c.xid == 0 {
		o = keeper.NotApplied // it was queued when the connection was lost, and is about to be failed
	}
	c.failRest(cause, o)
	return true
}

// failRest gives an error to every request without an answer. c.mu is held.
func (c *call) failRest(cause error, o keeper.Outcome) {
	for i, r := range c.reqs {
		if r.Meta().Xid != 0 {
			continue // answered
		}
		xid := int32(0)
		if c.xid != 0 {
			xid = c.xidAt(i)
		}
		failRequest(r, xid, cause, o)
	}
}

// failRequest gives r, and its ops if it is a Multi, an error of this side.
func failRequest(r keeper.Request, xid int32, cause error, o keeper.Outcome) {
	meta := r.Meta()
	meta.Xid = xid
	meta.Err = &keeper.OpError{Op: r.Name(), Path: r.Target(), Err: cause, Outcome: o}
	if m, ok := r.(*keeper.Multi); ok {
		for _, op := range m.Ops {
			op.Meta().Xid = xid
			op.Meta().Err = &keeper.OpError{Op: op.Name(), Path: op.Target(), Err: cause, Outcome: o}
		}
	}
}

// needsLeader tells requests that no server answers without its leader.
func needsLeader(r keeper.Request) bool {
	switch r.(type) {
	case *keeper.Get, *keeper.Exists, *keeper.Children, *keeper.GetACL:
		return false
	}
	return true
}

// fromLeader tells whether a reply's code shows that the leader dealt with the
// request. Codes that a follower can give by itself, such as -6, -102 (eager
// ACL check), -114, -119 and -127, do not.
func fromLeader(code keeper.Code) bool {
	switch code {
	case keeper.OK, keeper.ErrNoNode, keeper.ErrBadVersion, keeper.ErrNoChildrenForEphemerals,
		keeper.ErrNodeExists, keeper.ErrNotEmpty:
		return true
	}
	return false
}
