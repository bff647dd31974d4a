package netproxy

import (
	"encoding/binary"
	"slices"

	"github.com/conclave-go/conclave/internal/proto"
)

// fault is what LoseReplies or CutAfter asked for; guarded by Proxy.mu.
type fault struct {
	swallow bool
	replies int            // with swallow: cut after so many replies
	ops     []proto.OpCode // to requests of these kinds; all if there are none
	bytes   int            // without: cut after so many bytes
	done    chan struct{}
}

// counts tells whether the reply to a request of that kind counts.
func (f *fault) counts(op proto.OpCode) bool {
	return len(f.ops) == 0 || slices.Contains(f.ops, op)
}

// note takes down the requests in bytes on their way to the server.
func (p *Proxy) note(l *link, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.requests.advance(b, func(head []byte) {
		// The handshake, heartbeats and credentials have no number above 0.
		if xid := number(head); xid > 0 {
			l.asked[xid] = proto.OpCode(binary.BigEndian.Uint32(head[8:]))
		}
	})
}

// damage applies the fault, if there is one, to bytes on their way to a client:
// it returns those that pass, and the fault if everything is to be cut then.
func (p *Proxy) damage(l *link, b []byte) (pass []byte, due *fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	replies := 0
	l.replies.advance(b, func(head []byte) {
		op, answers := l.asked[number(head)]
		delete(l.asked, number(head))
		if answers && f != nil && f.counts(op) {
			replies++
		}
	})
	switch {
	case f == nil:
		return b, nil
	case f.swallow:
		b, f.replies = nil, f.replies-replies
		if f.replies > 0 {
			return nil, nil
		}
	case len(b) < f.bytes:
		f.bytes -= len(b)
		return b, nil
	default:
		b = b[:f.bytes]
	}
	p.fault = nil
	return b, f
}

// frames follows one direction of a connection: frames are a length of four
// bytes and a body that starts with the number of the request it makes or
// answers. What is no ZooKeeper protocol, such as a four-letter word and its
// answer, shows as an absurd length and is not looked at further.
type frames struct {
	head   []byte // its length is how much of a frame's start is wanted
	filled int    // bytes of head that have arrived
	left   int    // bytes of the frame that are still to come, once head is full
	plain  bool
}

const maxFrame = 64 << 20

// number is the request's, or what stands in its place in the handshake, in
// heartbeats, notifications and answers to credentials: never above 0.
func number(head []byte) int32 {
	return int32(binary.BigEndian.Uint32(head[4:]))
}

// advance takes note of b and calls ended, with its start, for each frame that
// ends in b.
func (f *frames) advance(b []byte, ended func(head []byte)) {
	for len(b) > 0 && !f.plain {
		if f.filled < len(f.head) {
			n := copy(f.head[f.filled:], b)
			f.filled += n
			b = b[n:]
			if f.filled < len(f.head) {
				return
			}
			size := int(binary.BigEndian.Uint32(f.head))
			if f.left = size - len(f.head) + 4; f.left < 0 || size > maxFrame {
				f.plain = true
				return
			}
		}
		n := min(f.left, len(b))
		f.left -= n
		b = b[n:]
		if f.left == 0 {
			ended(f.head)
			f.filled = 0
		}
	}
}
