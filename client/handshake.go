package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// maxHello bounds the server's first frame: what it announces is 37 bytes.
const maxHello = 1024

// protocolError is a violation of the protocol by the server. It costs the
// connection.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return "protocol error: " + e.what }

func protocolErrorf(format string, args ...any) error {
	return &protocolError{fmt.Sprintf(format, args...)}
}

// errReadOnly is a server that serves no sessions because it has no quorum.
var errReadOnly = errors.New("the server is read-only")

// attempt is one try to connect to one server, on a goroutine of its own.
type attempt struct {
	addr   string
	asked  int64 // the session id, 0 for a new one
	cancel context.CancelFunc
	up     chan struct{} // closed when the transport stands
	result chan greeting // capacity 1: exactly one value comes
}

// greeting is what came of an attempt.
type greeting struct {
	err  error
	nc   net.Conn // the caller's to close if err is nil
	hi   proto.ConnectResponse
	sent time.Time // when the request's write began
}

// startAttempt begins to connect. One deadline covers everything from the dial
// to the last byte of the server's answer.
func startAttempt(cfg *config, addr string, limit time.Duration, hello proto.ConnectRequest) *attempt {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	a := &attempt{addr: addr, asked: hello.SessionID, cancel: cancel, up: make(chan struct{}), result: make(chan greeting, 1)}
	go func() {
		defer cancel()
		g := a.connect(ctx, cfg, hello)
		if g.err != nil && g.nc != nil {
			_ = g.nc.Close()
		}
		a.result <- g
	}()
	return a
}

func (a *attempt) connect(ctx context.Context, cfg *config, hello proto.ConnectRequest) (g greeting) {
	nc, err := cfg.dial(ctx, "tcp", a.addr)
	if err != nil {
		g.err = fmt.Errorf("dial: %w", err)
		return g
	}
	if nc == nil {
		g.err = errors.New("dial: no connection and no error")
		return g
	}
	g.nc = nc
	close(a.up)
	// The context ends at the deadline or when the Client gives up: either way
	// what blocks below comes back.
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	g.err = g.exchange(hello)
	if !stop() && g.err == nil {
		g.err = ctx.Err()
	}
	// It fails on a connection that the server has closed behind its answer. The
	// answer counts all the same: it may be that the session is gone.
	_ = nc.SetDeadline(time.Time{})
	if g.err != nil && ctx.Err() != nil {
		g.err = fmt.Errorf("handshake: %w", ctx.Err())
	}
	return g
}

// exchange sends the client's first frame and reads the server's.
func (g *greeting) exchange(hello proto.ConnectRequest) error {
	b, mark := proto.BeginFrame(nil)
	b = proto.EndFrame(hello.AppendTo(b), mark)
	g.sent = time.Now()
	if _, err := g.nc.Write(b); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	// No buffer: what follows the frame belongs to the connection's reader.
	frame, err := proto.NewFrameReader(g.nc, maxHello).Next()
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if len(frame) < 20 {
		// A read-only server answers with a bare reply header.
		var h proto.ReplyHeader
		if h.ReadFrom(frame) == nil && h.Err == keeper.ErrNotReadOnly {
			return errReadOnly
		}
		return protocolErrorf("handshake of %d bytes", len(frame))
	}
	if err := g.hi.ReadFrom(frame); err != nil {
		return &protocolError{err.Error()}
	}
	if g.hi.ReadOnly {
		return errReadOnly
	}
	return nil
}
