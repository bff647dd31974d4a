package client

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// wantGoodbye takes the end of the session and confirms it as servers do.
func (l *link) wantGoodbye(sentence string) {
	l.t.Helper()
	h, _ := l.want(sentence, proto.OpCloseSession)
	l.reply(h.Xid, keeper.OK, nil)
	l.close()
}

// wantClosed checks what is left of a client and its session.
func wantClosed(t *testing.T, c *Client, s *session) {
	t.Helper()
	st, _ := c.State()
	require.Equal(t, Closed, st)
	_, err := c.Session(t.Context())
	require.ErrorIs(t, err, keeper.ErrClosed)
	require.ErrorIs(t, c.WaitConnected(t.Context()), keeper.ErrClosed)
	require.Empty(t, c.Server())
	require.Zero(t, c.SessionID())
	require.Zero(t, c.PendingWatches())
	if s == nil {
		return
	}
	<-s.Done()
	<-s.Closing()
	require.ErrorIs(t, s.Err(), keeper.ErrClosed)
	wantOutcome(t, s.Do(t.Context(), &keeper.Get{Path: "/a"}), keeper.ErrClosed, keeper.NotApplied)
	require.ErrorIs(t, s.Go(func(context.Context) {}), keeper.ErrClosed)
}

// The session is closed at the server, behind what was queued.
func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		w := watch(t, l, s, data("/a"), keeper.OK)
		get := run(func() error { return s.Do(t.Context(), &keeper.Get{Path: "/b"}) })
		synctest.Wait()
		closed := run(c.Close)
		h, _ := l.want("what was under way", proto.OpGetData)
		synctest.Wait()
		st, _ := c.State()
		require.Equal(t, Closing, st)
		_, err := c.Session(t.Context())
		require.ErrorIs(t, err, keeper.ErrClosed)
		wantOutcome(t, s.Do(t.Context(), &keeper.Get{Path: "/c"}), keeper.ErrClosed, keeper.NotApplied)
		l.reply(h.Xid, keeper.OK, &proto.GetDataResponse{})
		l.wantGoodbye("the end")
		require.NoError(t, <-get)
		require.NoError(t, <-closed)
		ev, err := w.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrClosed)
		require.Equal(t, keeper.EventSession, ev.Type)
		wantClosed(t, c, s)
		require.NoError(t, c.Close(), "again")
		require.NoError(t, c.Shutdown(t.Context()), "again")
	})
}

// No answer to the goodbye: the wait is bounded, the error says so, and what was
// in flight is unknown.
func TestCloseWithoutAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		req := &keeper.Create{Path: "/a"}
		do := run(func() error { return s.Do(t.Context(), req) })
		synctest.Wait()
		start := time.Now()
		told := make(chan time.Time, 1)
		require.NoError(t, s.Go(func(ctx context.Context) { <-ctx.Done(); told <- time.Now() }))
		err := c.Close()
		require.Equal(t, start, <-told, "work does not wait for the goodbye")
		wantOutcome(t, err, keeper.ErrConnectionLoss, keeper.Unknown)
		require.Equal(t, maxGoodbye, time.Since(start))
		wantOutcome(t, <-do, keeper.ErrClosed, keeper.Unknown)
		require.EqualValues(t, 1, req.Xid)
		require.Len(t, l.frames, 2)
		wantClosed(t, c, s)
		require.Equal(t, err, c.Close(), "the same answer again")
	})
}

// Closing while there is no connection does not wait for one.
func TestCloseWhileDisconnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		l.close()
		l = p.accept() // dialled, no answer
		do := run(func() error { return s.Do(t.Context(), &keeper.Get{Path: "/a"}) })
		synctest.Wait()
		start := time.Now()
		wantOutcome(t, c.Close(), keeper.ErrConnectionLoss, keeper.Unknown)
		require.Equal(t, start, time.Now())
		wantOutcome(t, <-do, keeper.ErrClosed, keeper.NotApplied)
		l.hello()
		l.wantEnd("closed in the handshake")
		wantClosed(t, c, s)
	})
}

// The connection is lost while the goodbye is on its way.
func TestCloseAndConnectionLoss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		do := run(func() error { return s.Do(t.Context(), &keeper.Get{Path: "/a"}) })
		l.want("get", proto.OpGetData)
		closed := run(c.Close)
		l.want("goodbye", proto.OpCloseSession)
		l.close()
		wantOutcome(t, <-closed, keeper.ErrConnectionLoss, keeper.Unknown)
		wantOutcome(t, <-do, keeper.ErrClosed, keeper.Unknown)
		wantClosed(t, c, s)
		require.EqualValues(t, 1, p.dials.Load())
	})
}

// At every stage of the first connection.
func TestCloseWhileConnecting(t *testing.T) {
	for name, reach := range map[string]func(t *testing.T, p *peer){
		"not started yet": func(*testing.T, *peer) {},
		"dialled":         func(_ *testing.T, p *peer) { p.accept() },
		"handshake":       func(_ *testing.T, p *peer) { p.accept().hello() },
		"half an answer": func(_ *testing.T, p *peer) {
			l := p.accept()
			l.hello()
			l.write([]byte{0, 0, 0, 37, 0, 0, 0})
		},
		"between two attempts": func(_ *testing.T, p *peer) { p.accept().close(); synctest.Wait() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPeer(t)
				c := p.client()
				reach(t, p)
				start := time.Now()
				require.NoError(t, c.Close())
				require.Equal(t, start, time.Now())
				wantClosed(t, c, nil)
			})
		})
	}
	t.Run("authenticating", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := newPeer(t)
			c := p.client(WithAuth("digest", []byte("u:p")))
			l := p.serve(sid, full)
			l.want("auth", proto.OpAuth)
			closed := run(c.Close)
			l.wantGoodbye("the session exists, so it is closed")
			require.NoError(t, <-closed)
			wantClosed(t, c, nil)
		})
	})
}

// Shutdown waits for work, which still has the session, and holders are told
// first.
func TestShutdownWaitsForWork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		finish := make(chan struct{})
		var workErr error
		require.NoError(t, s.Go(func(ctx context.Context) {
			<-s.Closing()
			<-finish
			workErr = s.Do(ctx, &keeper.Delete{Path: "/mine", Version: -1})
		}))
		down := run(func() error { return c.Shutdown(t.Context()) })
		synctest.Wait()
		_, err := c.Session(t.Context())
		require.ErrorIs(t, err, keeper.ErrClosed, "no new holds")
		late := make(chan struct{})
		require.NoError(t, s.Go(func(context.Context) { close(late) }), "work is still accepted")
		<-late
		pass(time.Minute)
		require.Empty(t, down)
		close(finish)
		h, _ := l.want("the work's request", proto.OpDelete)
		l.reply(h.Xid, keeper.OK, nil)
		l.wantGoodbye("then the end")
		require.NoError(t, <-down)
		require.NoError(t, workErr)
		wantClosed(t, c, s)
	})
}

// The caller's patience ends first: work is told to stop.
func TestShutdownGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		var cause error
		require.NoError(t, s.Go(func(ctx context.Context) {
			<-ctx.Done()
			cause = context.Cause(ctx)
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		down := run(func() error { return c.Shutdown(ctx) })
		l.wantGoodbye("the end")
		require.ErrorIs(t, <-down, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.ErrorIs(t, cause, keeper.ErrClosed)
		wantClosed(t, c, s)
	})
}

// Work that does not listen is left behind, and reported.
func TestShutdownReportsDeafWork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		never := make(chan struct{})
		require.NoError(t, s.Go(func(context.Context) { <-never }))
		closed := run(c.Close)
		l.wantGoodbye("the end")
		require.ErrorContains(t, <-closed, "1 functions given to Session.Go")
		close(never)
		wantClosed(t, c, s)
	})
}

// A session that expires during Shutdown is not followed by another.
func TestExpiryDuringShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		require.NoError(t, s.Go(func(ctx context.Context) { <-ctx.Done(); pass(time.Minute) }))
		down := run(func() error { return c.Shutdown(t.Context()) })
		synctest.Wait()
		l.close()
		l = p.accept()
		l.hello()
		l.welcome(0, 0)
		require.NoError(t, <-down)
		require.ErrorIs(t, s.Err(), keeper.ErrSessionExpired)
		require.EqualValues(t, 2, p.dials.Load())
	})
}

// A reconnect during Shutdown is fine, for the sake of the work.
func TestReconnectDuringShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		done := make(chan error, 1)
		require.NoError(t, s.Go(func(ctx context.Context) {
			<-s.Closing()
			pass(time.Second)
			done <- s.Do(ctx, &keeper.Delete{Path: "/mine", Version: -1})
		}))
		down := run(func() error { return c.Shutdown(t.Context()) })
		synctest.Wait()
		l.close()
		l = p.serve(sid, full)
		h, _ := l.want("the work's request", proto.OpDelete)
		l.reply(h.Xid, keeper.OK, nil)
		require.NoError(t, <-done)
		l.wantGoodbye("then the end")
		require.NoError(t, <-down)
		wantClosed(t, c, s)
	})
}

// Close from everywhere at once: callbacks, work, and other goroutines.
func TestCloseFromEverywhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		var all sync.WaitGroup
		all.Add(1)
		s.AfterLapse(func(error) {
			defer all.Done()
			_ = c.Close()
		})
		for range 3 {
			all.Add(3)
			go func() { defer all.Done(); _ = c.Close() }()
			go func() { defer all.Done(); _ = c.Shutdown(t.Context()) }()
			go func() { defer all.Done(); _, _, _ = c.Get(t.Context(), "/a") }()
		}
		go func() {
			for b := range l.frames {
				var h proto.RequestHeader
				_ = h.ReadFrom(b)
				_, _ = l.nc.Write(frame(&proto.ReplyHeader{Xid: h.Xid, Err: keeper.ErrNoNode}))
			}
		}()
		all.Wait()
		wantClosed(t, c, s)
	})
}

// Close by a function that Shutdown waits for.
func TestCloseFromWork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		errs := make(chan error, 1)
		require.NoError(t, s.Go(func(context.Context) { errs <- c.Close() }))
		l.wantGoodbye("the end")
		require.ErrorContains(t, <-errs, "Session.Go")
		wantClosed(t, c, s)
	})
}

// Close ends a Shutdown that waits for work.
func TestCloseEndsShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		require.NoError(t, s.Go(func(ctx context.Context) { <-ctx.Done() }))
		down := run(func() error { return c.Shutdown(t.Context()) })
		synctest.Wait()
		closed := run(c.Close)
		l.wantGoodbye("the end")
		require.NoError(t, <-closed)
		require.NoError(t, <-down)
	})
}
