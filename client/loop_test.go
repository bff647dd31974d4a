package client

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// The server says that the session is gone: it ends, with what belongs to it,
// and the next one is opened at once.
func TestExpiryOpensTheNextSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		go l.answer()
		l.zxid.Store(5)
		pass(full) // a ping brings the zxid
		sent, queued := &keeper.Create{Path: "/a", Mode: keeper.Ephemeral}, &keeper.Create{Path: "/b"}
		inFlight := run(func() error { return s.Do(t.Context(), sent) })
		synctest.Wait()
		l.close()
		wantOutcome(t, <-inFlight, keeper.ErrConnectionLoss, keeper.Unknown)
		l = p.accept()
		require.Equal(t, sid, l.hello().SessionID)
		waiting := run(func() error { return s.Do(t.Context(), queued) })
		synctest.Wait()
		start := time.Now()
		l.welcome(0, 0)
		wantOutcome(t, <-waiting, keeper.ErrSessionExpired, keeper.NotApplied)
		<-s.Done()
		require.Equal(t, keeper.ErrSessionExpired, s.Err())
		wantOutcome(t, s.Do(t.Context(), queued), keeper.ErrSessionExpired, keeper.NotApplied)
		require.ErrorIs(t, s.Go(func(context.Context) {}), keeper.ErrClosed)
		require.Zero(t, c.SessionID())

		l = p.accept()
		require.Equal(t, start, time.Now(), "an honest answer is no reason to wait")
		hello := l.hello()
		require.Zero(t, hello.SessionID)
		require.EqualValues(t, 5, hello.LastZxidSeen, "time does not go back, not even in a new session")
		require.EqualValues(t, 10_000, hello.TimeOut)
		l.welcome(sid+1, full)
		next, err := c.session(t.Context())
		require.NoError(t, err)
		require.Equal(t, sid+1, next.ID())
		done := run(func() error { return next.Do(t.Context(), queued) })
		h, _ := l.want("a request of the new session", proto.OpCreate2)
		require.EqualValues(t, 1, h.Xid, "a new session numbers anew")
		l.reply(1, keeper.OK, &proto.Create2Response{Path: "/b"})
		require.NoError(t, <-done)
	})
}

// Whatever the answer, an id other than ours means that ours is gone.
func TestOtherSessionIDIsExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		l.close()
		l = p.serve(sid+7, full)
		l.wantEnd("the session that nobody asked for is not used")
		<-s.Done()
		require.ErrorIs(t, s.Err(), keeper.ErrSessionExpired)
		l = p.accept()
		require.Zero(t, l.hello().SessionID)
		l.welcome(sid+8, full)
		require.NoError(t, c.WaitConnected(t.Context()))
		require.Equal(t, sid+8, c.SessionID())
	})
}

// Nobody answers: after 4/3 of the timeout since the server was last heard of the
// session counts as expired, and its id is never used again, not even by an
// attempt that was under way.
func TestSelfExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		heard := time.Now()
		l.pongs.Store(false)
		l.wantEnd("nothing was heard for two thirds of the timeout")
		require.Equal(t, heard.Add(full*2/3), time.Now())
		l = p.accept() // and no answer
		require.Equal(t, sid, l.hello().SessionID)
		<-s.Done()
		require.Equal(t, heard.Add(full*4/3), time.Now())
		require.ErrorIs(t, s.Err(), keeper.ErrSessionExpired)
		_, _ = l.nc.Write(frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: make([]byte, 16)}))
		l.wantEnd("too late")
		l = p.accept()
		require.Zero(t, l.hello().SessionID)
		l.welcome(sid+1, full)
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// The answer for a session that was given up while the attempt was under way,
// both at the same moment.
func TestStaleAttemptIsNotAdopted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, err := New("a")
		require.NoError(t, err)
		l := newLoop(c)
		ours, theirs := net.Pipe()
		l.try = &attempt{asked: sid, up: make(chan struct{}), result: make(chan greeting, 1)}
		l.greeted(greeting{nc: theirs, hi: proto.ConnectResponse{SessionID: sid, TimeOut: 10_000}, sent: time.Now()})
		require.Nil(t, l.sess)
		require.Nil(t, l.conn)
		_, err = ours.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	})
}

// The first reconnect is immediate, to the next server; then waits grow.
func TestReconnectPace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type try struct {
			at   time.Duration
			addr string
		}
		var tries []try
		start := time.Now()
		ready := make(chan net.Conn, 1)
		c, err := New("a,b,c", WithOrderedServers(), WithSessionTimeout(full),
			WithRetryPolicy(retry.Policy{Initial: 100 * time.Millisecond, Max: time.Second, Jitter: -1}),
			WithDialer(func(_ context.Context, _, addr string) (net.Conn, error) {
				tries = append(tries, try{time.Since(start).Round(time.Millisecond), addr})
				select {
				case nc := <-ready:
					return nc, nil
				default:
					return nil, errors.New("refused")
				}
			}))
		require.NoError(t, err)
		require.NoError(t, c.Start())
		defer func() { _ = c.Close() }()
		pass(3 * time.Second)
		synctest.Wait()
		require.Equal(t, []try{
			{0, "a:2181"}, {100 * time.Millisecond, "b:2181"}, {300 * time.Millisecond, "c:2181"},
			{700 * time.Millisecond, "a:2181"}, {1500 * time.Millisecond, "b:2181"}, {2500 * time.Millisecond, "c:2181"},
		}, tries)
		st, _ := c.State()
		require.Equal(t, Disconnected, st)
	})
}

// A server that grants a session and hangs up, again and again, is not asked
// faster and faster.
func TestFlappingServerIsNotStormed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, _ := connect(t)
		start := time.Now()
		for range 20 {
			l.close()
			l = p.serve(sid, full)
		}
		require.Greater(t, time.Since(start), 5*time.Second)
		// One good connection later the first attempt is immediate again.
		pass(full)
		start = time.Now()
		l.close()
		l = p.serve(sid, full)
		require.Equal(t, start, time.Now())
		// While a session lives no wait is long beside its timeout.
		for range 20 {
			start = time.Now()
			l.close()
			l = p.serve(sid, full)
			require.LessOrEqual(t, time.Since(start), full/6)
		}
	})
}

// A server that alternates between sessions and their expiry.
func TestExpiringServerIsNotStormed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, _ := connect(t)
		start := time.Now()
		for i := range int64(20) {
			l.close()
			l = p.accept()
			l.hello()
			l.welcome(0, 0)
			l = p.accept()
			l.hello()
			l.welcome(sid+i+1, full)
			synctest.Wait()
		}
		require.Greater(t, time.Since(start), 5*time.Second)
	})
}

// One deadline covers the handshake from the dial to the last byte.
func TestHandshakeDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c, err := New("a,b,c,d,e", WithDialer(p.dial), WithSessionTimeout(full))
		require.NoError(t, err)
		require.NoError(t, c.Start())
		defer func() { _ = c.Close() }()
		answer := frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: make([]byte, 16), HasReadOnly: true})
		for k := range answer {
			l := p.accept()
			start := time.Now()
			l.hello()
			pass(time.Second)
			if k > 0 {
				l.write(answer[:k])
			}
			l.wantEnd("a fifth of the timeout is over")
			require.Equal(t, 2*time.Second, time.Since(start), "stalled after %d bytes", k)
		}
		// Drip by drip is no way around it.
		l := p.accept()
		start := time.Now()
		l.hello()
		for _, b := range answer {
			if _, err := l.nc.Write([]byte{b}); err != nil {
				break
			}
			pass(500 * time.Millisecond)
		}
		l.wantEnd("dripping")
		require.Less(t, time.Since(start), 3*time.Second)
		p.serve(sid, full)
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// A dialer that hangs is cancelled at the deadline, and by Close.
func TestHangingDialer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dials := 0
		c, err := New("a", WithSessionTimeout(full), WithDialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
			dials++
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		require.NoError(t, err)
		require.NoError(t, c.Start())
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		err = c.WaitConnected(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "connecting")
		_, err = c.Session(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		start := time.Now()
		require.NoError(t, c.Close())
		require.Equal(t, start, time.Now())
		require.Equal(t, 4, dials)
	})
}

// A server without a quorum is told apart and left.
func TestReadOnlyServers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client(WithRetryPolicy(retry.Policy{Jitter: -1}))
		l := p.accept()
		l.hello()
		l.write(frame(&proto.ReplyHeader{Xid: 0, Zxid: 2, Err: keeper.ErrNotReadOnly})) // a bare refusal
		l.wantEnd("of no use")
		synctest.Wait()
		st, changed := c.State()
		require.Equal(t, ReadOnly, st)
		l = p.accept()
		<-changed
		l.hello()
		l.write(frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: make([]byte, 16), ReadOnly: true, HasReadOnly: true}))
		l.wantEnd("of no use")
		synctest.Wait()
		st, _ = c.State()
		require.Equal(t, ReadOnly, st)
		p.serve(sid, full)
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// A server that refuses to make a session is just another failed attempt.
func TestNoSessionGranted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		for _, timeout := range []time.Duration{0, -time.Second, full} {
			l := p.accept()
			l.hello()
			id := int64(0)
			if timeout != full {
				id = sid
			}
			l.welcome(id, timeout)
			l.wantEnd("no session")
		}
		p.serve(sid, full)
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// Servers before 3.4 leave the last byte out.
func TestOldServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		l := p.accept()
		l.hello()
		l.write(frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: make([]byte, 16)}))
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// The timeout is negotiated anew with each server; what is asked for stays the
// wish.
func TestTimeoutIsNegotiatedEachTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		l := p.serve(sid, 4*time.Second)
		s, err := c.Session(t.Context())
		require.NoError(t, err)
		require.Equal(t, 4*time.Second, s.Timeout())
		l.close()
		l = p.accept()
		require.EqualValues(t, 10_000, l.hello().TimeOut)
		l.welcome(sid, 6*time.Second)
		require.NoError(t, c.WaitConnected(t.Context()))
		require.Equal(t, 6*time.Second, s.Timeout())
		start := time.Now()
		l.pongs.Store(false)
		l.wantEnd("two thirds of the new one")
		require.Equal(t, 4*time.Second, time.Since(start))
	})
}

// A timeout of a millisecond must not make us send without end.
func TestAbsurdTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		l := p.serve(sid, time.Millisecond)
		s, err := c.Session(t.Context())
		require.NoError(t, err)
		s.AfterLapse(func(error) {})
		pass(20 * time.Millisecond)
		require.Less(t, int(l.pings.Load())+len(l.frames), 40)
	})
}

func TestStartTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, _, _ := connect(t)
		require.ErrorIs(t, c.Start(), keeper.ErrInvalid)
	})
}

func TestDialFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := Dial(ctx, "a", WithDialer(func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("refused")
		}))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = Dial(ctx, "")
		require.ErrorIs(t, err, keeper.ErrInvalid)
		c, err := New("a", WithDialer(func(context.Context, string, string) (net.Conn, error) {
			return nil, nil //nolint:nilnil // that is the point
		}))
		require.NoError(t, err)
		require.NoError(t, c.Start())
		pass(time.Second)
		require.NoError(t, c.Close())
	})
}

// A transport and an answer that are there at once must not skip a state: the
// table would refuse those that follow.
func TestInstantServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for i := range 100 {
			c, err := New("a", WithLogger(slog.New(slowLog{slog.DiscardHandler})), WithDialer(func(context.Context, string, string) (net.Conn, error) {
				return &instantConn{answer: frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000}), closed: make(chan struct{})}, nil
			}))
			require.NoError(t, err)
			require.NoError(t, c.Start())
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			require.NoError(t, c.WaitConnected(ctx), "round %d", i)
			cancel()
			_ = c.Close()
		}
	})
}

// slowLog holds the loop up while an attempt is under way.
type slowLog struct{ slog.Handler }

func (slowLog) Enabled(context.Context, slog.Level) bool { return true }
func (slowLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "connecting" {
		pass(time.Millisecond)
	}
	return nil
}

// instantConn never blocks until its answer has been read.
type instantConn struct {
	net.Conn
	answer []byte
	closed chan struct{}
	once   sync.Once
}

func (c *instantConn) Read(b []byte) (int, error) {
	if len(c.answer) > 0 {
		n := copy(b, c.answer)
		c.answer = c.answer[n:]
		return n, nil
	}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *instantConn) Write(b []byte) (int, error)      { return len(b), nil }
func (c *instantConn) Close() error                     { c.once.Do(func() { close(c.closed) }); return nil }
func (c *instantConn) SetDeadline(time.Time) error      { return nil }
func (c *instantConn) SetReadDeadline(time.Time) error  { return nil }
func (c *instantConn) SetWriteDeadline(time.Time) error { return nil }
