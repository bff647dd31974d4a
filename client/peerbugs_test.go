package client

import (
	"context"
	"encoding/binary"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Schedules that broke another Go client, by their numbers in the table of
// docs/robustness.md. Each test plays one of them.

// B1: the link breaks while credentials are sent again; the client hung for ever.
func TestPeerBug_B1(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client(WithAuth("digest", []byte("u:p")))
		for range 5 {
			l := p.accept()
			l.hello()
			b := frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: make([]byte, 16)})
			_, _ = l.nc.Write(b)
			l.close() // the write of the credentials fails
		}
		l := p.serve(sid, full)
		l.want("credentials", proto.OpAuth)
		l.reply(proto.XidAuth, keeper.OK, nil)
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// B2: a server that stalls inside its handshake answer held the client for ever,
// and Close could not end that.
func TestPeerBug_B2(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		stall := func() *link {
			l := p.accept()
			l.hello()
			l.write([]byte{0, 0, 0, 37, 0})
			return l
		}
		start := time.Now()
		stall().wantEnd("the deadline covers the body")
		require.LessOrEqual(t, time.Since(start), full)
		l := stall()
		start = time.Now()
		require.NoError(t, c.Close())
		require.Equal(t, start, time.Now())
		l.wantEnd("closed")
	})
}

// B3: the length of a frame was trusted, and gigabytes allocated.
func TestPeerBug_B3(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 20 {
			l := p.accept()
			l.hello()
			_, _ = l.nc.Write([]byte("HTTP/1.1 400 Bad Request\r\n")) // a length of 1.2 GB
			l.wantEnd("not a ZooKeeper server")
		}
		l := p.serve(sid, full)
		s, err := c.session(t.Context())
		require.NoError(t, err)
		go func() { _ = s.Do(t.Context(), &keeper.Get{Path: "/a"}) }()
		l.want("get", proto.OpGetData)
		l.write(raw(DefaultMaxReply, 0, 0, 0, 1)) // within the limit, and nothing follows
		l.close()
		p.accept()
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20), "most of it is the peer's")
	})
}

// B4: a frame shorter than a reply header ended the process.
func TestPeerBug_B4(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, _ := connect(t)
		for n := range 16 {
			_, _ = l.nc.Write(raw(int32(n), make([]byte, n)...))
			l.wantEnd("too short")
			l = p.serve(sid, full)
		}
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// B5: the reply to a Multi that was cut at the wrong byte ended the process.
func TestPeerBug_B5(t *testing.T) {
	body := (&proto.MultiResponse{Results: []proto.MultiResult{{Op: proto.OpCreate2, Path: "/a"}, {Op: proto.OpDelete}}}).AppendTo(nil)
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		for n := range body {
			m := &keeper.Multi{Ops: []keeper.Op{&keeper.Create{Path: "/a"}, &keeper.Delete{Path: "/b"}}}
			done := run(func() error { return s.Do(t.Context(), m) })
			h, _ := l.want("multi", proto.OpMulti)
			b := append(frame(&proto.ReplyHeader{Xid: h.Xid}), body[:n]...)
			binary.BigEndian.PutUint32(b, uint32(len(b)-4))
			l.write(b)
			err := <-done
			require.ErrorIs(t, err, keeper.ErrUndecodable, "%d bytes", n)
			require.NotEqual(t, keeper.NotApplied, keeper.OutcomeOf(err))
			l.wantEnd("malformed")
			l = p.serve(sid, full)
		}
	})
}

// B6: null strings were refused, null vectors asked for 64 GiB.
func TestPeerBug_B6(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		answer := func(r keeper.Request, body ...byte) {
			t.Helper()
			done := run(func() error { return s.Do(t.Context(), r) })
			l.next("request")
			xid := s.queue.xid
			b := append(frame(&proto.ReplyHeader{Xid: xid}), body...)
			binary.BigEndian.PutUint32(b, uint32(len(b)-4))
			l.write(b)
			require.NoError(t, <-done)
		}
		null := []byte{0xff, 0xff, 0xff, 0xff}
		list := &keeper.Children{Path: "/a"}
		answer(list, append(null, make([]byte, 68)...)...)
		require.Empty(t, list.Names)
		acl := &keeper.GetACL{Path: "/a"}
		answer(acl, append(null, make([]byte, 68)...)...)
		require.Empty(t, acl.ACL)
		answer(&keeper.Sync{Path: "/a"}, null...)
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// B7: what waited to be sent when a session expired was done in the next one.
func TestPeerBug_B7(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, c := embedded(t)
		s, err := c.session(t.Context())
		require.NoError(t, err)
		srv.Refuse(true)
		srv.Expire(s.ID())
		synctest.Wait()
		lock := &keeper.Create{Path: "/lock", Mode: keeper.Ephemeral}
		done := run(func() error { return s.Do(t.Context(), lock) })
		synctest.Wait()
		srv.Refuse(false)
		wantOutcome(t, <-done, keeper.ErrSessionExpired, keeper.NotApplied)
		_, found, err := c.Exists(t.Context(), "/lock")
		require.NoError(t, err)
		require.False(t, found)
		require.NotEqual(t, s.ID(), c.SessionID())
	})
}

// B8: while disconnected the 17th request blocked, whatever its deadline.
func TestPeerBug_B8(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, c := embedded(t)
		srv.Refuse(true)
		srv.CutAll()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		done := make(chan error, 100)
		for range cap(done) {
			go func() { _, _, err := c.Get(ctx, "/"); done <- err }()
		}
		for range cap(done) {
			wantOutcome(t, <-done, context.DeadlineExceeded, keeper.NotApplied)
		}
		require.Equal(t, time.Second, time.Since(start))
	})
}

// B9: one error meant both that the connection was lost and that the caller had
// closed it, and errors of package net came through.
func TestPeerBug_B9(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		var netErr net.Error
		lost := run(func() error { return s.Do(t.Context(), &keeper.Delete{Path: "/a"}) })
		l.want("delete", proto.OpDelete)
		l.close()
		err := <-lost
		wantOutcome(t, err, keeper.ErrConnectionLoss, keeper.Unknown)
		require.NotErrorIs(t, err, keeper.ErrClosed)
		require.NotErrorAs(t, err, &netErr)
		l = p.serve(sid, full)
		ctx, cancel := context.WithCancel(t.Context())
		gone := run(func() error { return s.Do(ctx, &keeper.Delete{Path: "/a"}) })
		l.want("delete", proto.OpDelete)
		cancel()
		err = <-gone
		wantOutcome(t, err, context.Canceled, keeper.Unknown)
		require.False(t, keeper.IsConnectionError(err))
		closing := run(func() error { return s.Do(t.Context(), &keeper.Delete{Path: "/a"}) })
		l.want("delete", proto.OpDelete)
		_ = c.Close()
		err = <-closing
		wantOutcome(t, err, keeper.ErrClosed, keeper.Unknown)
		require.NotErrorIs(t, err, keeper.ErrConnectionLoss)
		wantOutcome(t, s.Do(t.Context(), &keeper.Delete{Path: "/a"}), keeper.ErrClosed, keeper.NotApplied)
	})
}

// B10: Close did not wait for goroutines nor end a dial, and left the session.
func TestPeerBug_B10(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, c := embedded(t)
		require.Len(t, srv.Sessions(), 1)
		require.NoError(t, c.Close())
		require.Empty(t, srv.Sessions(), "closed at the server")

		dialling := make(chan struct{})
		ended := false
		c, err := New("a", WithDialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
			close(dialling)
			<-ctx.Done()
			ended = true
			return nil, ctx.Err()
		}))
		require.NoError(t, err)
		require.NoError(t, c.Start())
		<-dialling
		require.NoError(t, c.Close())
		require.True(t, ended, "the dial is over when Close returns")
		_, _, err = c.Get(t.Context(), "/")
		wantOutcome(t, err, keeper.ErrClosed, keeper.NotApplied)
	})
}

// B12: the timeout that one server granted was what the next was asked for.
func TestPeerBug_B12(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		p.client()
		l := p.serve(sid, time.Second)
		l.close()
		l = p.accept()
		require.EqualValues(t, 10_000, l.hello().TimeOut)
		l.welcome(0, 0)
		l = p.accept()
		require.EqualValues(t, 10_000, l.hello().TimeOut, "in the next session, too")
	})
}

// B13: the socket on which a session was found expired was never closed.
func TestPeerBug_B13(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		l.close()
		l = p.accept()
		l.hello()
		l.welcome(0, 0)
		<-s.Done()
		l.wantEnd("our end is closed, even if the server keeps its own")
	})
}
