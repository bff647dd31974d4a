package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
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

// B14: events of the session were dropped, and a callback that used the client
// blocked it.
func TestPeerBug_B14(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, c := embedded(t)
		seen := make(chan keeper.Session, 100)
		var follow func(s keeper.Session)
		follow = func(s keeper.Session) {
			s.AfterLapse(func(error) {
				next, err := c.Session(t.Context()) // the callback uses the client
				if err != nil {
					return
				}
				_, _, err = c.Get(t.Context(), "/")
				if err == nil {
					follow(next)
					seen <- next
				}
			})
		}
		s, err := c.Session(t.Context())
		require.NoError(t, err)
		follow(s)
		for range 20 {
			srv.Expire(s.ID())
			next := <-seen
			require.NotEqual(t, s.ID(), next.ID())
			s = next
		}
		st, _ := c.State()
		require.Equal(t, Connected, st)
	})
}

// B15: the last zxid was read and written without a lock. The race detector
// watches.
func TestPeerBug_B15(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, c := embedded(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 300 {
				_, err := c.Create(t.Context(), fmt.Sprintf("/n%d", i), nil, keeper.Persistent)
				if err != nil {
					pass(10 * time.Millisecond)
				}
			}
		}()
		for range 20 {
			_, _, _, _ = c.ChildrenW(t.Context(), "/")
			srv.CutAll()
			pass(100 * time.Millisecond)
		}
		<-done
		require.LessOrEqual(t, c.lastZxid.Load(), srv.Zxid())
		require.Positive(t, c.lastZxid.Load())
	})
}

// B16: users' requests went out before the watches were set again, so that new
// data could be read before the event, which then never came.
func TestPeerBug_B16(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		l.zxid.Store(10)
		w := watch(t, l, s, data("/a"), keeper.OK)
		l.close()
		l = p.accept()
		l.hello()
		for range 20 {
			go func() { _ = s.Do(t.Context(), &keeper.Get{Path: "/a"}) }()
		}
		synctest.Wait()
		l.zxid.Store(20) // the node changed meanwhile
		l.welcome(sid, full)
		_, rec := l.want("watches come first", proto.OpSetWatches)
		require.EqualValues(t, 10, rec.(*proto.SetWatches).RelativeZxid, "from before any new reply")
		l.event(keeper.EventDataChanged, "/a")
		l.reply(proto.XidSetWatches, keeper.OK, nil)
		ev, err := w.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, keeper.EventDataChanged, ev.Type)
		l.want("then the users", proto.OpGetData)
	})
}

// B17: that watches could not be set again was only logged; they never fired.
func TestPeerBug_B17(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		w := watch(t, l, s, data("/a"), keeper.OK)
		l.close()
		l = p.serve(sid, full)
		l.want("watches", proto.OpSetWatches)
		l.reply(proto.XidSetWatches, keeper.ErrUnimplemented, nil)
		_, err := w.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrUnimplemented)
	})
}

// B18: each call that set a watch added a channel that nobody could take away.
func TestPeerBug_B18(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, c := embedded(t)
		for range 1000 {
			_, _, w, err := c.GetW(t.Context(), "/")
			require.NoError(t, err)
			_, _, w2, err := c.ExistsW(t.Context(), "/none")
			require.NoError(t, err)
			w.Close()
			w2.Close()
		}
		require.Zero(t, c.PendingWatches())
		s, err := c.session(t.Context())
		require.NoError(t, err)
		require.Empty(t, s.watches.handles)
		require.Empty(t, s.watches.expected)
		require.NoError(t, c.Sync(t.Context(), "/"))
		srv.ResetCounts()
		_, err = c.Set(t.Context(), "/", nil, keeper.AnyVersion)
		require.NoError(t, err)
		require.Zero(t, srv.Counts().Notifications, "the server has forgotten them, too")
	})
}

// B19: credentials were kept only after the answer, twice if given twice, and one
// that was refused later made the client reconnect for ever.
func TestPeerBug_B19(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, _ := connect(t)
		added := run(func() error { return c.AddAuth(t.Context(), "digest", []byte("u:p")) })
		twice := run(func() error { return c.AddAuth(t.Context(), "digest", []byte("u:p")) })
		l.want("credentials", proto.OpAuth)
		l.close() // the link breaks before the answer
		l = p.serve(sid, full)
		l.want("once more", proto.OpAuth)
		l.reply(proto.XidAuth, keeper.OK, nil)
		require.NoError(t, <-added)
		require.NoError(t, <-twice)
		l.wantIdle("kept once")
		l.close()
		l = p.serve(sid, full)
		l.want("again", proto.OpAuth)
		l.reply(proto.XidAuth, keeper.ErrAuthFailed, nil)
		l.close()
		require.ErrorIs(t, c.WaitConnected(t.Context()), keeper.ErrAuthFailed)
		dials := p.dials.Load()
		pass(time.Hour)
		require.Equal(t, dials, p.dials.Load())
		st, _ := c.State()
		require.Equal(t, AuthFailed, st)
	})
}

// B20: a result was written after the call had returned. The race detector
// watches.
func TestPeerBug_B20(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, c := embedded(t)
		s, err := c.session(t.Context())
		require.NoError(t, err)
		_, err = c.Create(t.Context(), "/a", []byte("x"), keeper.Persistent)
		require.NoError(t, err)
		srv.Inject(zkserver.Rule{Kind: "getData", Times: -1, Fault: zkserver.Delay, Delay: 10 * time.Millisecond})
		r := &keeper.Get{Path: "/a"}
		for i := range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%3*5)*time.Millisecond+time.Microsecond)
			err := s.Do(ctx, r)
			cancel()
			r.Data, r.Path = nil, "/a" // it is ours again
			if i%50 == 0 {
				srv.Cut(s.ID())
			}
			if err != nil {
				require.NotEqual(t, keeper.Applied, keeper.OutcomeOf(err))
			}
		}
	})
}

// B21: results came along with errors: Exists said true, Stats were not nil.
func TestPeerBug_B21(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		r := &keeper.Exists{Path: "/a", Found: true, Stat: keeper.Stat{Version: 9}} // from an earlier use
		done := run(func() error { return s.Do(t.Context(), r) })
		l.want("exists", proto.OpExists)
		l.close()
		require.Error(t, <-done)
		require.False(t, r.Found)
		require.Zero(t, r.Stat)
		_ = c.Close()
		stat, found, err := c.Exists(t.Context(), "/a")
		require.Error(t, err)
		require.False(t, found)
		require.Zero(t, stat)
	})
}

// B22: most codes became "unknown error", without a type.
func TestPeerBug_B22(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		for code := keeper.Code(-1); code >= -130; code-- {
			if code == keeper.ErrSASLRequired {
				continue // ends the client, see TestSASLRequired
			}
			done := run(func() error { return s.Do(t.Context(), &keeper.Get{Path: "/a"}) })
			h, _ := l.want("get", proto.OpGetData)
			l.reply(h.Xid, code, nil)
			err := <-done
			wantOutcome(t, err, code, keeper.NotApplied)
			var got keeper.Code
			require.ErrorAs(t, err, &got)
			require.Equal(t, code, got)
		}
	})
}

// B23: an IPv6 address without a port could not be dialled.
func TestPeerBug_B23(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c, err := New("::1", WithDialer(p.dial))
		require.NoError(t, err)
		require.NoError(t, c.Start())
		t.Cleanup(func() { _ = c.Close() })
		require.Equal(t, "[::1]:2181", p.accept().addr)
	})
}

// B24: names were resolved once, and one bad name spoiled all.
func TestPeerBug_B24(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		var dialled []string
		c, err := New("bad.invalid,good", WithOrderedServers(), WithSessionTimeout(full),
			WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialled = append(dialled, addr)
				if addr == "bad.invalid:2181" {
					return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
				}
				return p.dial(ctx, network, addr)
			}))
		require.NoError(t, err)
		require.NoError(t, c.Start())
		t.Cleanup(func() { _ = c.Close() })
		l := p.serve(sid, full)
		require.NoError(t, c.WaitConnected(t.Context()))
		l.close()
		p.serve(sid, full)
		require.NoError(t, c.WaitConnected(t.Context()))
		require.Equal(t, []string{"bad.invalid:2181", "good:2181", "bad.invalid:2181", "good:2181"}, dialled,
			"the name itself, each time")
	})
}
