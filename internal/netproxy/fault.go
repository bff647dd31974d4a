package netproxy

import "encoding/binary"

// fault is what LoseReplies or CutAfter asked for; guarded by Proxy.mu.
type fault struct {
	swallow bool
	replies int // with swallow: cut after so many replies
	bytes   int // otherwise: cut after so many bytes
	done    chan struct{}
}

// damage applies the fault, if there is one, to bytes on their way to a client:
// it returns those that pass, and the fault if everything is to be cut then.
func (p *Proxy) damage(l *link, b []byte) (pass []byte, due *fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	replies := l.frames.advance(b)
	f := p.fault
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

// frames follows the frames a server sends: a length of four bytes, then the
// number of the request that is answered. What is no ZooKeeper protocol, such
// as the answer to a four-letter word, shows as an absurd length and is not
// looked at further.
type frames struct {
	head   [8]byte // the length, then the request's number
	filled int     // bytes of head that have arrived
	left   int     // bytes of the frame that are still to come, once head is full
	plain  bool
}

const maxFrame = 64 << 20

// advance takes note of b and returns how many replies end in it: frames that
// answer a request, as its number, greater than 0, says. The answer to the
// handshake and those to heartbeats, notifications and authentication have
// other numbers there.
func (f *frames) advance(b []byte) (replies int) {
	for len(b) > 0 && !f.plain {
		if f.filled < len(f.head) {
			n := copy(f.head[f.filled:], b)
			f.filled += n
			b = b[n:]
			if f.filled < len(f.head) {
				return replies
			}
			size := binary.BigEndian.Uint32(f.head[:4])
			if size < 4 || size > maxFrame {
				f.plain = true
				return replies
			}
			f.left = int(size) - 4
		}
		n := min(f.left, len(b))
		f.left -= n
		b = b[n:]
		if f.left == 0 {
			if int32(binary.BigEndian.Uint32(f.head[4:])) > 0 { //nolint:gosec // same bits
				replies++
			}
			f.filled = 0
		}
	}
	return replies
}
