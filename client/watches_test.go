package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// watch sets a watch through the peer and returns its handle.
func watch(t *testing.T, l *link, s *session, r keeper.Request, code keeper.Code) *keeper.Watch {
	t.Helper()
	done := run(func() error { return s.Do(t.Context(), r) })
	b := l.next("a request that sets a watch")
	var h proto.RequestHeader
	require.NoError(t, h.ReadFrom(b))
	require.EqualValues(t, 1, b[len(b)-1], "the watch flag")
	switch r.(type) {
	case *keeper.Get:
		l.reply(h.Xid, code, &proto.GetDataResponse{})
	case *keeper.Exists:
		l.reply(h.Xid, code, &proto.ExistsResponse{})
	case *keeper.Children:
		l.reply(h.Xid, code, &proto.GetChildren2Response{Children: []string{}})
	}
	<-done
	switch r := r.(type) {
	case *keeper.Get:
		return r.Watched
	case *keeper.Exists:
		return r.Watched
	case *keeper.Children:
		return r.Watched
	}
	return nil
}

func data(path string) *keeper.Get          { return &keeper.Get{Path: path, Watch: true} }
func exists(path string) *keeper.Exists     { return &keeper.Exists{Path: path, Watch: true} }
func children(path string) *keeper.Children { return &keeper.Children{Path: path, Watch: true} }

func state(w *keeper.Watch) string {
	select {
	case ev := <-w.C():
		return ev.String()
	default:
		return "-"
	}
}

// Which event reaches which watch.
func TestFanOut(t *testing.T) {
	for typ, want := range map[keeper.EventType][4]bool{ // data, exists of a node, exists of none, children
		keeper.EventCreated:         {true, true, true, false},
		keeper.EventDataChanged:     {true, true, true, false},
		keeper.EventDeleted:         {true, true, true, true},
		keeper.EventChildrenChanged: {false, false, false, true},
		keeper.EventSession:         {},
		keeper.EventNotWatching:     {},
		keeper.EventClosed:          {},
		7:                           {}, // PersistentWatchRemoved
		-99:                         {},
	} {
		bubble(t, func(t *testing.T) {
			_, c, l, s := connect(t)
			ws := []*keeper.Watch{
				watch(t, l, s, data("/a"), keeper.OK),
				watch(t, l, s, exists("/a"), keeper.OK),
				watch(t, l, s, exists("/a"), keeper.ErrNoNode),
				watch(t, l, s, children("/a"), keeper.OK),
			}
			require.Equal(t, []keeper.WatchKind{keeper.WatchData, keeper.WatchData, keeper.WatchExist, keeper.WatchChildren},
				[]keeper.WatchKind{ws[0].Kind(), ws[1].Kind(), ws[2].Kind(), ws[3].Kind()})
			other := watch(t, l, s, data("/a/b"), keeper.OK)
			require.Equal(t, 5, c.PendingWatches())
			l.event(typ, "/a")
			l.event(typ, "/a") // one event each, whatever comes
			synctest.Wait()
			fired := 0
			for i, w := range ws {
				got := state(w) != "-"
				require.Equal(t, want[i], got, "%v and watch %d", typ, i)
				if got {
					fired++
				}
			}
			require.Equal(t, "-", state(other))
			require.Equal(t, 5-fired, c.PendingWatches())
		})
	}
}

// A watch is set where the server sets one: not on an error, except that of an
// exists for no node.
func TestWatchOnlyOnSuccess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		require.Nil(t, watch(t, l, s, data("/a"), keeper.ErrNoNode))
		require.Nil(t, watch(t, l, s, children("/a"), keeper.ErrNoNode))
		require.Nil(t, watch(t, l, s, exists("/a"), keeper.ErrNoAuth))
		require.Zero(t, c.PendingWatches())
		require.NotNil(t, watch(t, l, s, exists("/a"), keeper.ErrNoNode))
		require.Equal(t, 1, c.PendingWatches())
		require.Empty(t, s.watches.expected)
	})
}

// An event is there before the reply that shows the change completes.
func TestEventBeforeReply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		w := watch(t, l, s, data("/a"), keeper.OK)
		done := run(func() error {
			err := s.Do(t.Context(), &keeper.Get{Path: "/a"})
			if state(w) == "-" {
				return errors.Join(errors.New("the reply overtook the event"), err)
			}
			return err
		})
		h, _ := l.want("get", proto.OpGetData)
		b := frame(&proto.ReplyHeader{Xid: proto.XidNotification, Zxid: 99}, &proto.WatcherEvent{Type: 3, State: 3, Path: "/a"})
		l.write(append(b, frame(&proto.ReplyHeader{Xid: h.Xid}, &proto.GetDataResponse{})...))
		require.NoError(t, <-done)
		require.Zero(t, s.c.lastZxid.Load(), "not raised by a notification")
	})
}

func TestEventCarriesZxidAndPath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c, err := New("peer/app", WithDialer(p.dial))
		require.NoError(t, err)
		require.NoError(t, c.Start())
		t.Cleanup(func() { _ = c.Close() })
		l := p.serve(sid, full)
		s, err := c.session(t.Context())
		require.NoError(t, err)
		root, sub := watch(t, l, s, children("/"), keeper.OK), watch(t, l, s, data("/a"), keeper.OK)
		for _, path := range []string{"/zookeeper/config", "/apple/a", "/", "", "/ap"} {
			l.event(keeper.EventDeleted, path) // outside the chroot
		}
		l.write(frame(&proto.ReplyHeader{Xid: proto.XidNotification, Zxid: 99}, &proto.WatcherEvent{Type: 3, State: 3, Path: "/app/a"}))
		l.event(keeper.EventChildrenChanged, "/app")
		ev, err := sub.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, keeper.Event{Type: keeper.EventDataChanged, Path: "/a", Zxid: 99}, ev)
		ev, err = root.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, keeper.Event{Type: keeper.EventChildrenChanged, Path: "/", Zxid: -1}, ev)
	})
}

// The server's watch is removed when the last handle is closed, and only then.
func TestUnwatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		removed := func(sentence, path string, typ int32, code keeper.Code) {
			t.Helper()
			h, rec := l.want(sentence, proto.OpRemoveWatches)
			require.Equal(t, &proto.RemoveWatchesRequest{Path: path, Type: typ}, rec)
			l.reply(h.Xid, code, nil)
		}
		a1, a2 := watch(t, l, s, data("/a"), keeper.OK), watch(t, l, s, data("/a"), keeper.OK)
		a3 := watch(t, l, s, exists("/a"), keeper.ErrNoNode)
		kids := watch(t, l, s, children("/a"), keeper.OK)
		a1.Close()
		a1.Close()
		a3.Close()
		synctest.Wait()
		l.wantIdle("somebody shares the watch")
		a2.Close()
		removed("data", "/a", proto.WatcherData, keeper.OK)
		a4, a5 := watch(t, l, s, exists("/a"), keeper.ErrNoNode), watch(t, l, s, data("/a"), keeper.OK)
		a5.Close()
		synctest.Wait()
		l.wantIdle("the server's table is the same for both")
		a4.Close()
		removed("data", "/a", proto.WatcherData, keeper.OK)
		kids.Close()
		removed("children", "/a", proto.WatcherChildren, keeper.ErrNoWatcher) // is fine
		ev, err := kids.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrWatchClosed)
		require.Equal(t, keeper.EventNotWatching, ev.Type)
		require.Zero(t, c.PendingWatches())

		exist := watch(t, l, s, exists("/b"), keeper.ErrNoNode)
		exist.Close()
		removed("the server keeps exist watches as data", "/b", proto.WatcherData, keeper.OK)

		fired := watch(t, l, s, data("/c"), keeper.OK)
		l.event(keeper.EventDataChanged, "/c")
		synctest.Wait()
		fired.Close()
		synctest.Wait()
		l.wantIdle("it had fired")
	})
}

// A watch that is about to be set keeps the removal of its like back, or the
// server would remove both.
func TestUnwatchWaitsForNewWatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		old := watch(t, l, s, data("/a"), keeper.OK)
		next := data("/a")
		done := run(func() error { return s.Do(t.Context(), next) })
		h, _ := l.want("a second watch", proto.OpGetData)
		old.Close()
		synctest.Wait()
		l.wantIdle("the second one may be set by now")
		l.reply(h.Xid, keeper.OK, &proto.GetDataResponse{})
		require.NoError(t, <-done)
		synctest.Wait()
		l.wantIdle("it stays")
		require.Equal(t, 1, c.PendingWatches())
		next.Watched.Close()
		h, _ = l.want("it goes", proto.OpRemoveWatches)
		l.reply(h.Xid, keeper.OK, nil)

		// The second one fails: the removal is made up for.
		old = watch(t, l, s, children("/b"), keeper.OK)
		done = run(func() error { return s.Do(t.Context(), children("/b")) })
		h, _ = l.want("a second watch", proto.OpGetChildren2)
		old.Close()
		l.reply(h.Xid, keeper.ErrNoAuth, nil)
		require.ErrorIs(t, <-done, keeper.ErrNoAuth)
		_, rec := l.want("the first one goes after all", proto.OpRemoveWatches)
		require.Equal(t, &proto.RemoveWatchesRequest{Path: "/b", Type: proto.WatcherChildren}, rec)
		require.Empty(t, s.watches.expected)
	})
}

// After a reconnect: credentials, then the watches, then the users' requests.
func TestRearm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c, err := New("peer/app", WithDialer(p.dial), WithAuth("digest", []byte("u:p")))
		require.NoError(t, err)
		require.NoError(t, c.Start())
		t.Cleanup(func() { _ = c.Close() })
		l := p.serve(sid, full)
		l.want("auth", proto.OpAuth)
		l.reply(proto.XidAuth, keeper.OK, nil)
		s, err := c.session(t.Context())
		require.NoError(t, err)
		l.zxid.Store(41)
		w := []*keeper.Watch{
			watch(t, l, s, data("/a"), keeper.OK),
			watch(t, l, s, exists("/b"), keeper.ErrNoNode),
			watch(t, l, s, children("/"), keeper.OK),
		}
		closed := watch(t, l, s, data("/closed"), keeper.OK)
		l.write(frame(&proto.ReplyHeader{Xid: proto.XidNotification, Zxid: 99}, &proto.WatcherEvent{Type: 3, State: 3, Path: "/app/x"}))
		l.close()
		l = p.accept()
		closed.Close() // disconnected: nothing to remove
		require.EqualValues(t, 41, l.hello().LastZxidSeen, "of replies, not of notifications")
		user := run(func() error { return s.Do(t.Context(), &keeper.Get{Path: "/a"}) })
		l.welcome(sid, full)

		_, rec := l.want("credentials first", proto.OpAuth)
		require.Equal(t, &proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")}, rec)
		h, rec := l.want("then the watches", proto.OpSetWatches)
		require.Equal(t, proto.XidSetWatches, h.Xid)
		require.Equal(t, &proto.SetWatches{
			RelativeZxid: 41, DataWatches: []string{"/app/a"}, ExistWatches: []string{"/app/b"}, ChildWatches: []string{"/app"},
		}, rec)
		synctest.Wait()
		l.wantIdle("users wait")
		st, _ := c.State()
		require.Equal(t, Authenticating, st)
		l.reply(proto.XidAuth, keeper.OK, nil)
		l.event(keeper.EventDataChanged, "/app/a") // missed meanwhile
		l.reply(proto.XidSetWatches, keeper.OK, nil)
		h, _ = l.want("now the users", proto.OpGetData)
		require.EqualValues(t, 5, h.Xid)
		l.reply(h.Xid, keeper.OK, &proto.GetDataResponse{})
		require.NoError(t, <-user)
		ev, err := w[0].Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, keeper.EventDataChanged, ev.Type)
		require.Equal(t, "-", state(w[1]))
		require.Equal(t, "-", state(w[2]))
		require.Equal(t, 2, c.PendingWatches())
	})
}

// Many long paths go in several requests.
func TestRearmInChunks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		want := map[string]bool{}
		for i := range 100 {
			path := fmt.Sprintf("/%s%03d", strings.Repeat("x", 5000), i)
			s.watches.add(s, watchKey{keeper.WatchData, path})
			want[path] = true
		}
		l.close()
		l = p.serve(sid, full)
		chunks := 0
		for len(want) > 0 {
			_, rec := l.want("a chunk", proto.OpSetWatches)
			body := rec.(*proto.SetWatches)
			require.LessOrEqual(t, len(body.AppendTo(nil)), maxRearm+100)
			for _, path := range body.DataWatches {
				require.True(t, want[path])
				delete(want, path)
			}
			chunks++
		}
		require.Equal(t, 4, chunks)
		l.wantIdle("that was all")
		for range chunks {
			l.reply(proto.XidSetWatches, keeper.OK, nil)
		}
		require.NoError(t, c.WaitConnected(t.Context()))
		require.Equal(t, 100, c.PendingWatches())
	})
}

// The server would not set them again: they end with its error, and the
// connection goes on.
func TestRearmRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		w := watch(t, l, s, data("/a"), keeper.OK)
		l.close()
		l = p.serve(sid, full)
		l.want("watches", proto.OpSetWatches)
		l.reply(proto.XidSetWatches, keeper.ErrMarshalling, nil)
		ev, err := w.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrMarshalling)
		require.Equal(t, keeper.EventNotWatching, ev.Type)
		require.NoError(t, c.WaitConnected(t.Context()))
		require.Zero(t, c.PendingWatches())
	})
}

// A connection that is lost while watches are set again costs none of them, and
// one that stalls then is given up.
func TestRearmInterrupted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		w := watch(t, l, s, data("/a"), keeper.OK)
		l.close()
		l = p.serve(sid, full)
		l.want("watches", proto.OpSetWatches)
		l.close()
		l = p.serve(sid, full)
		_, rec := l.want("watches again", proto.OpSetWatches)
		since := rec.(*proto.SetWatches).RelativeZxid
		l.write(frame(&proto.ReplyHeader{Xid: proto.XidSetWatches, Zxid: since + 99}))
		l.close()
		l = p.serve(sid, full)
		_, rec = l.want("and again", proto.OpSetWatches)
		require.Equal(t, since, rec.(*proto.SetWatches).RelativeZxid,
			"the answer to one list must not make the next one skip what it missed")
		l.wantEnd("no answer to the watches, though pings are answered")
		l = p.serve(sid, full)
		l.want("and again", proto.OpSetWatches)
		l.reply(proto.XidSetWatches, keeper.OK, nil)
		require.NoError(t, c.WaitConnected(t.Context()))
		require.Equal(t, "-", state(w))
		require.Equal(t, 1, c.PendingWatches())
	})
}

// The end of the session ends every watch, and none is set again silently.
func TestSessionEndsWatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		w := watch(t, l, s, data("/a"), keeper.OK)
		l.close()
		l = p.accept()
		l.hello()
		l.welcome(0, 0)
		ev, err := w.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrSessionExpired)
		require.Equal(t, keeper.Event{Type: keeper.EventSession, Path: "/a", Zxid: -1, Err: keeper.ErrSessionExpired}, ev)
		l = p.serve(sid+1, full)
		require.NoError(t, c.WaitConnected(t.Context()))
		synctest.Wait()
		l.wantIdle("nothing is armed in the new session")
		w.Close() // harmless
		require.Zero(t, c.PendingWatches())
	})
}

// Nobody reads, and a flood comes: the connection does not care.
func TestUnreadWatchesBlockNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		for range 1000 {
			s.watches.add(s, watchKey{keeper.WatchData, "/a"})
		}
		for range 10_000 {
			l.event(keeper.EventDataChanged, "/a")
		}
		done := run(func() error { _, _, err := c.Get(t.Context(), "/a"); return err })
		l.want("get", proto.OpGetData)
		l.reply(1, keeper.ErrNoNode, nil)
		require.ErrorIs(t, <-done, keeper.ErrNoNode)
		require.Zero(t, c.PendingWatches())
	})
}

// A cancelled request leaves nothing, whenever the cancel comes.
func TestCancelledWatchLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			r := data("/a")
			done := run(func() error { return s.Do(ctx, r) })
			h, _ := l.want("get", proto.OpGetData)
			go cancel()
			l.reply(h.Xid, keeper.OK, &proto.GetDataResponse{})
			if err := <-done; err == nil {
				require.NotNil(t, r.Watched, "round %d", i)
				r.Watched.Close()
			} else {
				require.Nil(t, r.Watched, "round %d", i)
			}
			h, _ = l.want("removal at the server, too", proto.OpRemoveWatches)
			l.reply(h.Xid, keeper.OK, nil)
			synctest.Wait()
			require.Zero(t, c.PendingWatches())
			require.Empty(t, s.watches.expected)
		}
	})
}
