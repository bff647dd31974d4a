package client

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

// The second half of the schedules that broke another Go client.

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
