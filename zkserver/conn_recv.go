package zkserver

import (
	"bufio"
	"errors"
	"io"
	"net"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
)

// readBuffer holds what one read can bring. A client's write up to this size is
// one read on a pipe, and on loopback.
const readBuffer = 64 << 10

// burstReader counts the reads that bring something, so that it can be told
// which read a frame came with.
type burstReader struct {
	c     *conn
	reads int
}

func (r *burstReader) Read(p []byte) (int, error) {
	n, err := r.c.nc.Read(p)
	if n > 0 {
		r.reads++
		r.c.s.bytesRead.Add(int64(n))
	}
	return n, err
}

// input is the reader goroutine's side of a connection.
type input struct {
	reads  burstReader
	buf    *bufio.Reader
	frames *proto.FrameReader
	last   int // the read that the last burst counted for came with
}

func newInput(c *conn) *input {
	in := &input{reads: burstReader{c: c}}
	in.buf = bufio.NewReaderSize(&in.reads, readBuffer)
	in.frames = proto.NewFrameReader(in.buf, c.s.opts.MaxFrame)
	return in
}

// next returns the next frame and the number of the read its first byte came
// with.
func (in *input) next() (frame []byte, read int, err error) {
	read = in.reads.reads
	if in.buf.Buffered() == 0 {
		read++
	}
	frame, err = in.frames.Next()
	return frame, read, err
}

// read is the reader goroutine.
func (c *conn) read() {
	_ = c.nc.SetReadDeadline(time.Now().Add(c.s.opts.HandshakeTimeout))
	in := newInput(c)
	c.end(c.converse(in))
	c.drain()
	<-c.written
	_ = c.nc.Close()
	c.s.remove(c)
}

// converse serves the connection to its end, and returns why if the client is
// to blame.
func (c *conn) converse(in *input) error {
	head, err := in.buf.Peek(4)
	if err != nil {
		return err
	}
	if word := string(head); knownWord(word) {
		c.s.probe(c, word)
		return nil
	}
	frame, _, err := in.next()
	if err != nil {
		return err
	}
	if ok, err := c.s.connect(c, frame); !ok {
		return err
	}
	for {
		frame, read, err := in.next()
		if err != nil {
			return err
		}
		if ok, err := c.s.request(c, in, frame, read); !ok {
			return err
		}
		c.out.room()
	}
}

// end finishes the connection and logs what the client did wrong.
func (c *conn) end(err error) {
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
	default:
		c.s.log.Debug("connection ended", "from", c.remote, "err", err)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.finish(c)
}

// drainMost bounds what a connection at its end is read for.
const drainMost = 4 << 20

// drain throws away what comes in until the client has closed, has sent too
// much, or the writer's deadline is over.
func (c *conn) drain() {
	_, _ = io.CopyN(io.Discard, c.nc, drainMost)
}
