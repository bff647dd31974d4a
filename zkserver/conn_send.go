package zkserver

import (
	"net"
	"sync"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Bounds of an outbox, in bytes.
const (
	// outboxFull stops the reader: a client that does not read its replies gets
	// no further request served.
	outboxFull = 1 << 20
	// outboxMost ends the connection: notifications come without a request, so
	// nothing else stops them.
	outboxMost = 16 << 20
	// outboxKeep is the largest buffer that is kept.
	outboxKeep = 256 << 10
)

// outbox is what waits to be written to one connection. The writer takes all of
// it at once, so replies that are ready together go out in one write.
type outbox struct {
	mu     sync.Mutex
	change sync.Cond // anything below has changed

	// mu guards the rest.
	buf    []byte
	frames int  // in buf
	sent   int  // frames handed to the network so far
	held   bool // nothing is written while the server is frozen
	muted  bool // nothing more is taken in, and nobody is told
	sealed bool // muted, and the writer ends once buf is empty
	dead   bool // muted, and the writer ends at once
}

func (o *outbox) init() { o.change.L = &o.mu }

// addMode says what to do when the outbox is over its bound.
type addMode bool

const (
	mayDrop addMode = true  // refuse
	mustAdd addMode = false // add: the reader waits before the next request
)

// add appends a frame whose content appendTo writes. It reports false when the
// client has too much unread.
func (o *outbox) add(appendTo func([]byte) []byte, mode addMode) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.muted {
		return true
	}
	if mode == mayDrop && len(o.buf) > outboxMost {
		return false
	}
	b, mark := proto.BeginFrame(o.buf)
	o.buf = proto.EndFrame(appendTo(b), mark)
	o.frames++
	o.change.Broadcast()
	return true
}

// addText appends bytes that are no frame: the answer to a monitoring command.
func (o *outbox) addText(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.muted {
		o.buf = append(o.buf, text...)
		o.change.Broadcast()
	}
}

func (o *outbox) set(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
	o.change.Broadcast()
}

func (o *outbox) hold(on bool) { o.set(func() { o.held = on }) }
func (o *outbox) mute()        { o.set(func() { o.muted = true }) }
func (o *outbox) seal()        { o.set(func() { o.muted, o.sealed = true, true }) }
func (o *outbox) kill()        { o.set(func() { o.muted, o.dead, o.buf = true, true, nil }) }

// take waits for something to write and returns it with ok set, or returns with
// ok unset when there will be nothing more; whole tells that nothing was
// thrown away. spare is a buffer to go on with.
func (o *outbox) take(spare []byte) (b []byte, ok, whole bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		switch {
		case o.dead:
			return nil, false, false
		case o.held:
		case len(o.buf) > 0:
			b, o.buf = o.buf, spare[:0]
			o.sent += o.frames
			o.frames = 0
			o.change.Broadcast()
			return b, true, true
		case o.sealed:
			return nil, false, true
		}
		o.change.Wait()
	}
}

// room waits until the client has taken enough of its replies, or the
// connection is at its end.
func (o *outbox) room() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.buf) > outboxFull && !o.sealed && !o.dead {
		o.change.Wait()
	}
}

// queued counts what waits and what has been sent.
func (o *outbox) queued() (waiting, sent int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.frames, o.sent
}

// halfCloser is a connection that can end its sending side alone. TCP can: it
// keeps a reply from being thrown away because requests behind it were never
// read.
type halfCloser interface{ CloseWrite() error }

// write is the writer goroutine.
func (c *conn) write() {
	defer close(c.written)
	var spare []byte
	for {
		b, ok, whole := c.out.take(spare)
		if !ok {
			if half, can := c.nc.(halfCloser); can && whole && half.CloseWrite() == nil {
				// The reader drains until the client closes, or this is over.
				_ = c.nc.SetReadDeadline(time.Now().Add(linger))
			} else {
				_ = c.nc.Close()
			}
			return
		}
		n, err := c.nc.Write(b)
		c.s.bytesWritten.Add(int64(n))
		if err != nil {
			c.out.kill()
			_ = c.nc.Close() // ends the reader
			return
		}
		spare = b
		if cap(spare) > outboxKeep {
			spare = nil
		}
	}
}

// reply queues the answer to a request. The caller holds s.mu.
func (s *Server) reply(c *conn, h proto.ReplyHeader, body proto.Record) {
	c.out.add(func(b []byte) []byte {
		b = h.AppendTo(b)
		if body != nil && h.Err == keeper.OK {
			b = body.AppendTo(b)
		}
		return b
	}, mustAdd)
}

// stateConnected is the state that servers put into every event.
const stateConnected = 3

// notification is the content of the frame that tells of an event. Servers
// before 3.9 do not say its zxid.
func notification(event keeper.EventType, path string) func([]byte) []byte {
	return func(b []byte) []byte {
		h := proto.ReplyHeader{Xid: proto.XidNotification, Zxid: -1}
		ev := proto.WatcherEvent{Type: int32(event), State: stateConnected, Path: path}
		return ev.AppendTo(h.AppendTo(b))
	}
}

var _ halfCloser = (*net.TCPConn)(nil)
