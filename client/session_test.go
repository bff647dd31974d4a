package client

import (
	"context"
	"math"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

const (
	sid   = int64(0x1234)
	tenth = time.Second // of the usual session timeout
	full  = 10 * time.Second
)

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// connect is a client with a session on a peer, both at rest.
func connect(t *testing.T, opts ...Option) (*peer, *Client, *link, *session) {
	t.Helper()
	p := newPeer(t)
	c := p.client(opts...)
	l := p.serve(sid, full)
	require.NoError(t, c.WaitConnected(t.Context()))
	s, err := c.session(t.Context())
	require.NoError(t, err)
	return p, c, l, s
}

func TestHandshake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		l := p.accept()
		require.Equal(t, "peer:2181", l.addr)
		hello := l.hello()
		require.Equal(t, proto.ConnectRequest{TimeOut: 10_000, Passwd: make([]byte, 16), HasReadOnly: true}, hello)
		synctest.Wait()
		l.wantIdle("nothing but the handshake goes out before its answer")
		st, _ := c.State()
		require.Equal(t, Handshaking, st)
		require.Zero(t, c.SessionID())
		l.welcome(sid, 4*time.Second)
		require.NoError(t, c.WaitConnected(t.Context()))
		s, err := c.Session(t.Context())
		require.NoError(t, err)
		require.Equal(t, sid, s.ID())
		require.Equal(t, 4*time.Second, s.Timeout())
		require.Equal(t, sid, c.SessionID())
		require.Equal(t, "peer:2181", c.Server())
		require.NoError(t, s.Err())
	})
}

// The requests of one Do stand next to each other in one write.
func TestOneDoIsOneWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		writes := make(chan int, 100)
		p := newPeer(t)
		c := p.client(WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := p.dial(ctx, network, addr)
			return &countingConn{nc, writes}, err
		}))
		l := p.serve(sid, full)
		s, err := c.Session(t.Context())
		require.NoError(t, err)
		require.Len(t, writes, 1, "the handshake")
		create := &keeper.Create{Path: "/a-", Data: []byte("x"), Mode: keeper.EphemeralSequential}
		list := &keeper.Children{Path: "/"}
		done := run(func() error { return s.Do(t.Context(), create, list) })
		h1, _ := l.want("create", proto.OpCreate2)
		h2, _ := l.want("children", proto.OpGetChildren2)
		require.Len(t, writes, 2, "both in one write")
		require.EqualValues(t, 1, h1.Xid)
		require.EqualValues(t, 2, h2.Xid)
		l.zxid.Store(77)
		l.reply(1, keeper.OK, &proto.Create2Response{Path: "/a-0000000000", Stat: keeper.Stat{Czxid: 77}})
		l.reply(2, keeper.OK, &proto.GetChildren2Response{Children: []string{"a-0000000000"}})
		require.NoError(t, <-done)
		require.Equal(t, "/a-0000000000", create.Created)
		require.EqualValues(t, 77, create.Stat.Czxid)
		require.EqualValues(t, 1, create.Xid)
		require.EqualValues(t, 77, create.Zxid)
		require.Equal(t, []string{"a-0000000000"}, list.Names)
	})
}

type countingConn struct {
	net.Conn
	writes chan<- int
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes <- len(b)
	return c.Conn.Write(b)
}

// A call without requests, and one that must not be sent.
func TestDoRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t, WithMaxFrame(2048, 0))
		require.NoError(t, s.Do(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		get := &keeper.Get{Path: "/a"}
		wantOutcome(t, s.Do(ctx, get), context.Canceled, keeper.NotApplied)
		wantOutcome(t, s.Do(t.Context(), &keeper.Get{Path: "a"}), keeper.ErrInvalid, keeper.NotApplied)
		wantOutcome(t, s.Do(nil, get), keeper.ErrInvalid, keeper.NotApplied) //nolint:staticcheck // that is the point

		big := &keeper.Set{Path: "/a", Data: make([]byte, 2048)}
		wantOutcome(t, s.Do(t.Context(), get, big), keeper.ErrTooLarge, keeper.NotApplied)
		wantOutcome(t, get.Err, keeper.ErrNotSent, keeper.NotApplied)
		require.Zero(t, big.Xid)
		multi := &keeper.Multi{Ops: []keeper.Op{&keeper.Set{Path: "/a", Data: make([]byte, 2048)}}}
		wantOutcome(t, s.Do(t.Context(), multi), keeper.ErrTooLarge, keeper.NotApplied)
		wantOutcome(t, multi.Ops[0].Meta().Err, keeper.ErrTooLarge, keeper.NotApplied)
		var bad *keeper.InvalidError
		_, err := c.Session(nil) //nolint:staticcheck // that is the point
		require.ErrorAs(t, err, &bad)
		require.ErrorAs(t, c.WaitConnected(nil), &bad) //nolint:staticcheck // that is the point
		require.ErrorAs(t, c.Shutdown(nil), &bad)      //nolint:staticcheck // that is the point
		require.ErrorAs(t, s.Go(nil), &bad)
		synctest.Wait()
		l.wantIdle("nothing of all that was sent")
	})
}

// The largest frame that passes, and one byte more.
func TestRequestSizeIsTheFrames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		overhead := 8 + 4 + len("/a") + 4 + 4
		set := &keeper.Set{Path: "/a", Data: make([]byte, DefaultMaxRequest-overhead+1)}
		wantOutcome(t, s.Do(t.Context(), set), keeper.ErrTooLarge, keeper.NotApplied)
		set.Data = set.Data[1:]
		done := run(func() error { return s.Do(t.Context(), set) })
		b := l.next("the largest request")
		require.Len(t, b, DefaultMaxRequest)
		l.reply(1, keeper.OK, &proto.SetDataResponse{})
		require.NoError(t, <-done)
	})
}

// Loss: what was sent is unknown, what was queued was not sent, and later calls
// wait for the next connection.
func TestConnectionLoss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		answered, sent := &keeper.Get{Path: "/a"}, &keeper.Delete{Path: "/b", Version: -1}
		first := run(func() error { return s.Do(t.Context(), answered, sent) })
		l.want("get", proto.OpGetData)
		l.want("delete", proto.OpDelete)
		l.reply(1, keeper.OK, &proto.GetDataResponse{Data: []byte("x")})
		synctest.Wait()
		// The gate is shut by hand, so that this one is surely queued.
		s.queue.mu.Lock()
		s.queue.open = false
		s.queue.mu.Unlock()
		queued := &keeper.Create{Path: "/c"}
		second := run(func() error { return s.Do(t.Context(), queued) })
		synctest.Wait()
		l.close()

		wantOutcome(t, <-first, keeper.ErrConnectionLoss, keeper.Unknown)
		require.NoError(t, answered.Err)
		require.Equal(t, "x", string(answered.Data))
		require.EqualValues(t, 2, sent.Xid)
		wantOutcome(t, <-second, keeper.ErrConnectionLoss, keeper.NotApplied)
		require.Zero(t, queued.Xid)

		later := run(func() error { return s.Do(t.Context(), queued) })
		l = p.accept()
		hello := l.hello()
		require.Equal(t, sid, hello.SessionID)
		synctest.Wait()
		require.Empty(t, later, "it waits")
		l.welcome(sid, full)
		h, _ := l.want("the later request", proto.OpCreate2)
		require.EqualValues(t, 3, h.Xid, "xids go on across reconnects")
		l.reply(3, keeper.OK, &proto.Create2Response{Path: "/c"})
		require.NoError(t, <-later)
		require.NoError(t, c.WaitConnected(t.Context()))
		require.NoError(t, s.Err())
	})
}

// xids wrap from 2^31-1 to 1, also in the middle of a call.
func TestXidsWrap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		s.queue.xid = math.MaxInt32 - 1
		a, b, c := &keeper.Get{Path: "/a"}, &keeper.Get{Path: "/b"}, &keeper.Get{Path: "/c"}
		done := run(func() error { return s.Do(t.Context(), a, b, c) })
		for _, xid := range []int32{math.MaxInt32, 1, 2} {
			h, _ := l.want("get", proto.OpGetData)
			require.Equal(t, xid, h.Xid)
			l.reply(xid, keeper.OK, &proto.GetDataResponse{})
		}
		require.NoError(t, <-done)
		require.EqualValues(t, math.MaxInt32, a.Xid)
		require.EqualValues(t, 1, b.Xid)
	})
}

// A refusal may overtake; anything else out of order ends the connection.
func TestRepliesOutOfOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		a, b, c := &keeper.Get{Path: "/a"}, &keeper.Create{Path: "/b"}, &keeper.Get{Path: "/c"}
		first := run(func() error { return s.Do(t.Context(), a, b) })
		l.want("get", proto.OpGetData)
		l.want("create", proto.OpCreate2)
		second := run(func() error { return s.Do(t.Context(), c) })
		l.want("get", proto.OpGetData)
		l.reply(3, keeper.ErrNoAuth, nil)
		wantOutcome(t, <-second, keeper.ErrNoAuth, keeper.NotApplied)
		l.reply(2, keeper.ErrNotReadOnly, nil)
		synctest.Wait()
		require.Empty(t, first)
		l.reply(1, keeper.OK, &proto.GetDataResponse{Data: []byte("x")})
		wantOutcome(t, <-first, keeper.ErrNotReadOnly, keeper.NotApplied)
		require.NoError(t, a.Err)
		next := run(func() error { return s.Do(t.Context(), a) })
		l.want("get", proto.OpGetData)
		l.reply(4, keeper.OK, &proto.GetDataResponse{})
		require.NoError(t, <-next, "what was answered early has left the line")

		third := run(func() error { return s.Do(t.Context(), a, c) })
		l.want("get", proto.OpGetData)
		l.want("get", proto.OpGetData)
		l.reply(6, keeper.OK, &proto.GetDataResponse{})
		l.wantEnd("a success out of order")
		wantOutcome(t, <-third, keeper.ErrConnectionLoss, keeper.Unknown)
	})
}

// Cancelling: unsent is NotApplied and gone from the queue, sent is Unknown, and
// a late reply harms nobody.
func TestCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		ctx, cancel := context.WithCancel(t.Context())
		answered, sent := &keeper.Get{Path: "/a", Watch: true}, &keeper.Get{Path: "/b", Watch: true}
		done := run(func() error { return s.Do(ctx, answered, sent) })
		l.want("get", proto.OpGetData)
		l.want("get", proto.OpGetData)
		l.reply(1, keeper.OK, &proto.GetDataResponse{})
		synctest.Wait()
		require.Equal(t, 1, s.watches.len())
		cancel()
		wantOutcome(t, <-done, context.Canceled, keeper.Unknown)
		require.NoError(t, answered.Err)
		require.EqualValues(t, 2, sent.Xid)
		require.Nil(t, answered.Watched)
		require.Zero(t, s.watches.len(), "a cancelled call leaves no watch")
		h, rec := l.want("the answered request's watch is removed", proto.OpRemoveWatches)
		require.Equal(t, &proto.RemoveWatchesRequest{Path: "/a", Type: proto.WatcherData}, rec)
		_, rec = l.want("so is the one that is still to be set", proto.OpRemoveWatches)
		require.Equal(t, &proto.RemoveWatchesRequest{Path: "/b", Type: proto.WatcherData}, rec)
		*sent = keeper.Get{Path: "/b"} // it is the caller's again
		l.reply(2, keeper.OK, &proto.GetDataResponse{Data: []byte("late")})
		l.reply(h.Xid, keeper.OK, nil)
		l.event(keeper.EventDataChanged, "/b")
		l.reply(h.Xid+1, keeper.ErrNoWatcher, nil)
		synctest.Wait()
		require.Zero(t, s.watches.len())
		require.Nil(t, sent.Data)

		// Unsent: nobody is connected.
		l.close()
		l = p.accept()
		ctx, cancel = context.WithCancel(t.Context())
		done = run(func() error { return s.Do(ctx, sent) })
		synctest.Wait()
		cancel()
		wantOutcome(t, <-done, context.Canceled, keeper.NotApplied)
		require.Zero(t, sent.Xid)
		l.hello()
		l.welcome(sid, full)
		synctest.Wait()
		l.wantIdle("the cancelled request is gone")
	})
}

// A cancel between the loss of the connection, which empties the queue, and the
// failing of what was in it: such a call was not sent either.
func TestCancelOfACallThatWasNeverTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		s.queue.mu.Lock()
		s.queue.open = false
		s.queue.mu.Unlock()
		ctx, cancel := context.WithCancel(t.Context())
		done := run(func() error { return s.Do(ctx, &keeper.Get{Path: "/a"}) })
		synctest.Wait()
		s.queue.mu.Lock()
		calls := s.queue.empty()
		s.queue.mu.Unlock()
		cancel()
		wantOutcome(t, <-done, context.Canceled, keeper.NotApplied)
		failQueued(calls, keeper.ErrConnectionLoss) // harmless
		l.close()
	})
}

// A deadline of the caller, not of the connection.
func TestDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		wantOutcome(t, s.Do(ctx, &keeper.Get{Path: "/a"}), context.DeadlineExceeded, keeper.Unknown)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.NotEmpty(t, l.frames)
	})
}

// The queue is bounded while nobody takes from it, and waiting there can be
// cancelled.
func TestBackPressure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		l.close()
		l = p.accept() // and says nothing
		ctx, cancel := context.WithCancel(t.Context())
		many := maxQueued + 10
		done := make(chan error, many)
		for range many {
			go func() { done <- s.Do(ctx, &keeper.Get{Path: "/a"}) }()
		}
		synctest.Wait()
		require.Equal(t, maxQueued, s.queue.reqs)
		cancel()
		for range many {
			wantOutcome(t, <-done, context.Canceled, keeper.NotApplied)
		}
		require.Zero(t, s.queue.reqs)
		require.Zero(t, s.queue.bytes)

		// With a server that takes them all of them get through.
		for range many {
			go func() { done <- s.Do(t.Context(), &keeper.Get{Path: "/a"}) }()
		}
		l.hello()
		l.welcome(sid, full)
		for range many {
			h, _ := l.want("get", proto.OpGetData)
			l.reply(h.Xid, keeper.ErrNoNode, nil)
			require.ErrorIs(t, <-done, keeper.ErrNoNode)
		}
	})
}

// What a server never answers does not pile up: the writer stops, and goes on
// when answers come.
func TestInFlightIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		sent := make(chan int, 100_000)
		go func() {
			for b := range l.frames {
				sent <- len(b)
			}
		}()
		const each = maxInFlight / 4
		for range 5 {
			gets := make([]keeper.Request, each)
			for i := range gets {
				gets[i] = &keeper.Get{Path: "/a"}
			}
			go func() { _ = s.Do(t.Context(), gets...) }()
			synctest.Wait()
		}
		require.Len(t, sent, maxInFlight)
		require.Equal(t, each, s.queue.reqs, "not taken from the queue")
		l.reply(1, keeper.ErrNoNode, nil)
		synctest.Wait()
		require.Len(t, sent, maxInFlight+each)
		require.Zero(t, s.queue.reqs)
	})
}
