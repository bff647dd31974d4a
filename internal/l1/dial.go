package l1

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// dial connects to the play's server as TCP would.
func (p *Play) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := p.server.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return likeTCP{nc}, nil
}

// likeTCP is a pipe whose deadlines can be set although the other end has closed
// it. On a bare pipe that is an error, and whether a client that has just read an
// answer meets it is chance.
type likeTCP struct{ net.Conn }

func (c likeTCP) SetDeadline(t time.Time) error      { return unlessClosed(c.Conn.SetDeadline(t)) }
func (c likeTCP) SetReadDeadline(t time.Time) error  { return unlessClosed(c.Conn.SetReadDeadline(t)) }
func (c likeTCP) SetWriteDeadline(t time.Time) error { return unlessClosed(c.Conn.SetWriteDeadline(t)) }

func unlessClosed(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}
