package client

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// peer is a server that does what a test says, however wrong. Clients reach it
// over pipes, so that it works in synctest bubbles.
type peer struct {
	t     *testing.T
	links chan *link
	dials atomic.Int32
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	return &peer{t: t, links: make(chan *link, 100)}
}

// dial fits WithDialer.
func (p *peer) dial(_ context.Context, _, addr string) (net.Conn, error) {
	p.dials.Add(1)
	ours, theirs := net.Pipe()
	l := &link{t: p.t, nc: ours, addr: addr, frames: make(chan []byte, 10_000)}
	l.pongs.Store(true)
	go l.pump()
	p.links <- l
	return theirs, nil
}

// client starts a Client of this peer.
func (p *peer) client(opts ...Option) *Client {
	p.t.Helper()
	c, err := New("peer", append([]Option{WithDialer(p.dial), WithSessionTimeout(10 * time.Second), strict(p.t)}, opts...)...)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = c.Close() })
	require.NoError(p.t, c.Start())
	return c
}

// strict makes a test fail when the client finds a bug in itself.
func strict(t *testing.T) Option {
	t.Helper()
	return WithLogger(slog.New(strictLog{slog.DiscardHandler, t}))
}

type strictLog struct {
	slog.Handler
	t *testing.T
}

func (strictLog) Enabled(context.Context, slog.Level) bool { return true }
func (l strictLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == msgNoSuchTransition {
		l.t.Error(r.Message)
	}
	return nil
}

// accept takes the next connection.
func (p *peer) accept() *link {
	p.t.Helper()
	select {
	case l := <-p.links:
		p.t.Cleanup(func() { _ = l.nc.Close() })
		return l
	case <-time.After(time.Hour):
		require.FailNow(p.t, "no connection came")
		return nil
	}
}

// serve accepts a connection and grants it the session.
func (p *peer) serve(session int64, timeout time.Duration) *link {
	p.t.Helper()
	l := p.accept()
	l.hello()
	l.welcome(session, timeout)
	return l
}

// link is the peer's end of one connection. A goroutine keeps reading, as a
// server's network stack would, and answers pings while pongs is set.
type link struct {
	t      *testing.T
	nc     net.Conn
	addr   string
	frames chan []byte // closed at the end of the connection
	pongs  atomic.Bool
	pings  atomic.Int32
	zxid   atomic.Int64 // of replies
	greet  bool         // the first frame has come; the pump's
}

func (l *link) pump() {
	defer close(l.frames)
	r := proto.NewFrameReader(l.nc, 64<<20)
	for {
		b, err := r.Next()
		if err != nil {
			return
		}
		var h proto.RequestHeader
		if l.greet && h.ReadFrom(b) == nil && h.Op == proto.OpPing {
			l.pings.Add(1)
			if l.pongs.Load() {
				_, _ = l.nc.Write(frame(&proto.ReplyHeader{Xid: proto.XidPing, Zxid: l.zxid.Load()}))
			}
			continue
		}
		l.greet = true
		l.frames <- append([]byte(nil), b...)
	}
}

// frame is one frame of the given parts.
func frame(parts ...proto.Record) []byte {
	b, mark := proto.BeginFrame(nil)
	for _, part := range parts {
		if part != nil {
			b = part.AppendTo(b)
		}
	}
	return proto.EndFrame(b, mark)
}

func (l *link) write(b []byte) {
	l.t.Helper()
	_, err := l.nc.Write(b)
	require.NoError(l.t, err)
}

func (l *link) next(sentence string) []byte {
	l.t.Helper()
	select {
	case b, ok := <-l.frames:
		require.True(l.t, ok, "%s: the connection has ended", sentence)
		return b
	case <-time.After(time.Hour):
		require.FailNow(l.t, "nothing came", sentence)
		return nil
	}
}

// hello takes the client's first frame.
func (l *link) hello() (req proto.ConnectRequest) {
	l.t.Helper()
	require.NoError(l.t, req.ReadFrom(l.next("handshake")))
	return req
}

func (l *link) welcome(session int64, timeout time.Duration) {
	l.t.Helper()
	l.write(frame(&proto.ConnectResponse{
		SessionID: session, TimeOut: int32(timeout.Milliseconds()), Passwd: make([]byte, 16), HasReadOnly: true,
	}))
}

// want takes the next request, which must have that opcode, and decodes it.
func (l *link) want(sentence string, op proto.OpCode) (proto.RequestHeader, proto.Record) {
	l.t.Helper()
	b := l.next(sentence)
	var h proto.RequestHeader
	require.NoError(l.t, h.ReadFrom(b))
	require.Equal(l.t, op, h.Op, sentence)
	rec, err := proto.DecodeRequest(op, b[proto.RequestHeaderSize:])
	require.NoError(l.t, err)
	return h, rec
}

// wantEnd waits for the client to close the connection.
func (l *link) wantEnd(sentence string) {
	l.t.Helper()
	select {
	case _, ok := <-l.frames:
		require.False(l.t, ok, "%s: a frame came instead of the end", sentence)
	case <-time.After(time.Hour):
		require.FailNow(l.t, "the connection goes on", sentence)
	}
}

// wantIdle checks that nothing but pings is there to be taken.
func (l *link) wantIdle(sentence string) {
	l.t.Helper()
	require.Empty(l.t, l.frames, sentence)
}

func (l *link) reply(xid int32, code keeper.Code, body proto.Record) {
	l.t.Helper()
	h := &proto.ReplyHeader{Xid: xid, Zxid: l.zxid.Load(), Err: code}
	if code != keeper.OK {
		body = nil
	}
	l.write(frame(h, body))
}

func (l *link) event(typ keeper.EventType, path string) {
	l.t.Helper()
	l.write(frame(&proto.ReplyHeader{Xid: proto.XidNotification, Zxid: -1},
		&proto.WatcherEvent{Type: int32(typ), State: 3, Path: path}))
}

func (l *link) close() { _ = l.nc.Close() }

// run runs a call on its own goroutine and returns where its error will be.
func run(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// wantOutcome checks a request's error and what it says of the outcome.
func wantOutcome(t *testing.T, err, target error, o keeper.Outcome) {
	t.Helper()
	require.ErrorIs(t, err, target)
	var op *keeper.OpError
	require.ErrorAs(t, err, &op)
	require.Equal(t, o, keeper.OutcomeOf(err), "%v", err)
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }
