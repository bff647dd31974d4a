package client

import (
	"bufio"
	"errors"
	"fmt"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// errGoodbye ends a connection whose session was closed as we asked.
var errGoodbye = errors.New("session closed")

// Read makes the connection an io.Reader that does not wait for ever: the
// reader's, below its buffer.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(c.silence())); err != nil {
		return 0, err
	}
	n, err := c.nc.Read(p)
	if n > 0 {
		c.lastHeard.Store(c.since())
	}
	return n, err
}

// read is the connection's reader. It deals with one frame after the other, so
// that events and replies keep their order.
func (c *conn) read() {
	defer c.wg.Done()
	frames := proto.NewFrameReader(bufio.NewReaderSize(c, 16<<10), c.s.c.cfg.maxReply)
	for {
		if err := c.readFrame(frames); err != nil {
			c.fail(err)
			return
		}
	}
}

func (c *conn) readFrame(frames *proto.FrameReader) error {
	frame, err := frames.Next()
	var refused *proto.FrameError
	if errors.As(err, &refused) && refused.Oversize() {
		h, err := frames.OversizeHeader()
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if h.Xid <= 0 {
			return &protocolError{refused.Error()}
		}
		return c.reply(h, nil, fmt.Errorf("%w: %w", keeper.ErrTooLarge, refused))
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	var h proto.ReplyHeader
	if err := h.ReadFrom(frame); err != nil {
		return &protocolError{err.Error()}
	}
	body := frame[proto.ReplyHeaderSize:]
	switch h.Xid {
	case proto.XidNotification:
		return c.event(h, body)
	case proto.XidPing:
		c.s.c.sawZxid(h.Zxid)
		return nil
	case proto.XidAuth:
		return c.special(listAuth, h)
	case proto.XidSetWatches:
		return c.special(listRearm, h)
	}
	return c.reply(h, body, nil)
}

// event hands a notification to the watches. Its zxid says nothing about what
// else this client has seen: several events may share it, so that a reconnect
// after the first must still bring the others.
func (c *conn) event(h proto.ReplyHeader, body []byte) error {
	var ev proto.WatcherEvent
	if err := ev.ReadFrom(body); err != nil {
		return &protocolError{err.Error()}
	}
	path, ok := c.s.c.enc.StripChroot(ev.Path)
	if !ok {
		if !c.strayed { // once: a server could send many
			c.strayed = true
			c.s.c.cfg.log.Error("event for a path outside the chroot", "server", c.addr)
		}
		return nil
	}
	zxid := h.Zxid
	if zxid <= 0 {
		zxid = -1 // servers before 3.9 do not tell
	}
	c.s.watches.fire(keeper.Event{Type: keeper.EventType(ev.Type), Path: path, Zxid: zxid})
	return nil
}

// special deals with the reply to a credential or a SetWatches.
func (c *conn) special(list int, h proto.ReplyHeader) error {
	call := c.flight.popSpecial(list)
	if call == nil {
		return protocolErrorf("reply to xid %d, which is not in flight", h.Xid)
	}
	return call.onReply(h)
}

// reply deals with the reply to an ordinary request.
func (c *conn) reply(h proto.ReplyHeader, body []byte, tooLarge error) error {
	call, i, left, err := c.flight.match(h)
	if err != nil {
		return err
	}
	if left == maxInFlight-1 {
		c.s.queue.poke() // the writer may have had to wait
	}
	c.s.c.sawZxid(h.Zxid)
	if i < 64 && call.leader&(1<<i) != 0 && fromLeader(h.Err) {
		c.s.life.prove(time.Now(), call.proof)
	}
	switch {
	case call.kind == callGoodbye:
		c.goodbye.Store(true)
		err = errGoodbye
	case call.kind != callUser:
		err = call.onReply(h)
	default:
		err = call.answer(i, h, body, tooLarge, c.s.setWatch)
	}
	if err == nil && h.Err == keeper.ErrSASLRequired {
		return &authError{scheme: "sasl", code: h.Err}
	}
	return err
}
