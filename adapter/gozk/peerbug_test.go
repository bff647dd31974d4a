package gozk

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// The tests here are named after the defects of go-zookeeper/zk v1.0.4 that
// the adapter has to live with, as numbered in docs/robustness.md.

// B8: while disconnected go-zookeeper takes 16 requests and blocks on the 17th
// without a deadline.
func TestPeerBug_B8(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		f.cut()
		calls := f.total()
		ctx, cancel := context.WithCancel(t.Context())
		const n = 40
		errs := make(chan error, n)
		for range n {
			go func() { errs <- s.Do(ctx, &keeper.Get{Path: "/"}) }()
		}
		synctest.Wait()
		cancel()
		for range n {
			require.ErrorIs(t, <-errs, context.Canceled)
		}
		require.Equal(t, calls, f.total())
		require.LessOrEqual(t, f.waitingCalls(), 1, "at most a heartbeat")
	})
}

// B9: one error for a lost connection and for Close, and raw errors of net.
func TestPeerBug_B9(t *testing.T) {
	for _, x := range []struct {
		raw     error
		want    error
		outcome keeper.Outcome
	}{
		{zk.ErrConnectionClosed, keeper.ErrConnectionLoss, keeper.Unknown},
		{zk.ErrNoServer, keeper.ErrConnectionLoss, keeper.NotApplied},
		{zk.ErrClosing, keeper.ErrClosed, keeper.Unknown},
		{zk.ErrSessionExpired, keeper.ErrSessionExpired, keeper.Unknown},
		{errNet, keeper.ErrConnectionLoss, keeper.Unknown},
		{zk.ErrShortBuffer, keeper.ErrUndecodable, keeper.Unknown},
		{zk.ErrInvalidPath, keeper.ErrInvalid, keeper.NotApplied},
		{fmt.Errorf("x: %w", zk.ErrInvalidFlags), keeper.ErrInvalid, keeper.NotApplied},
		{zk.ErrNoAuth, keeper.ErrNoAuth, keeper.NotApplied},
		{zk.ErrBadArguments, keeper.ErrBadArguments, keeper.NotApplied},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, _, s := connected(t)
			f.addRule(&fakeRule{op: "set", times: 1, fault: answerError, err: x.raw})
			set := &keeper.Set{Path: "/", Version: keeper.AnyVersion}
			require.Error(t, s.Do(t.Context(), set))
			require.Equal(t, x.outcome, outcome(t, set, x.want), x.raw)
		})
	}
}

// B14: go-zookeeper drops session events when its channel of six is full.
func TestPeerBug_B14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		nobody := make(chan zk.Event) // every event is dropped
		c, err := New(f, nobody, WithSessionTimeout(timeout))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		f.connect()
		s := current(t, c)
		f.renew()
		s = next(t, c, s)
		f.close()
		<-s.Done()
		require.ErrorIs(t, s.Err(), keeper.ErrClosed)
	})
}

// B15: go-zookeeper reads lastZxid for SetWatches while it serves requests.
func TestPeerBug_B15(t *testing.T) {
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		f.connect()
		s := current(t, c)
		began := time.Now()
		require.NoError(t, s.Do(t.Context(), &keeper.Sync{Path: "/"}))
		require.Equal(t, began, time.Now(), "a new session has no watches")
		w1 := &keeper.Exists{Path: "/a", Watch: true}
		require.NoError(t, s.Do(t.Context(), w1))
		f.cut()
		after(2 * time.Second) // without a feed it is noticed late
		calls := f.all()
		f.connect()
		began = time.Now()
		require.NoError(t, s.Do(t.Context(), &keeper.Sync{Path: "/"}))
		require.GreaterOrEqual(t, time.Since(began), c.fast(), "SetWatches goes first")
		require.LessOrEqual(t, f.all()-calls, 3, "the sync, a beat and the watch")
	})
}

// B16: a change during a disconnect can fall through: go-zookeeper asks for
// changes since a zxid that may be past it.
func TestPeerBug_B16(t *testing.T) {
	missed(t, func(f *fakeZK) { f.noCatchUp = true })
}

// B17: a SetWatches that fails is only logged; the watches never fire.
func TestPeerBug_B17(t *testing.T) {
	missed(t, func(f *fakeZK) { f.noRearm = true })
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		f.connect()
		s := current(t, c)
		none := &keeper.Exists{Path: "/a", Watch: true}
		dir := &keeper.Children{Path: "/", Watch: true}
		require.NoError(t, s.Do(t.Context(), none, dir))
		f.cut()
		f.noRearm = true
		f.connect()
		synctest.Wait()
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: "/a"}))
		fired(t, none.Watched, keeper.EventCreated)
		fired(t, dir.Watched, keeper.EventChildrenChanged)
	})
}

// B17: a watch without handles may be lost like any other; nobody may join it.
func TestPeerBug_B17_WatchLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		left := &keeper.Exists{Path: "/a", Watch: true}
		require.NoError(t, s.Do(t.Context(), left))
		left.Watched.Close()
		f.cut()
		f.noRearm = true
		f.connect()
		after(time.Second)
		again := &keeper.Exists{Path: "/a", Watch: true}
		require.NoError(t, s.Do(t.Context(), again, &keeper.Create{Path: "/a"}))
		fired(t, again.Watched, keeper.EventCreated)
	})
}

// missed changes nodes while the connection is down and go-zookeeper's way of
// catching up is broken.
func missed(t *testing.T, broken func(f *fakeZK)) {
	t.Helper()
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		f.connect()
		s := current(t, c)
		ctx := t.Context()
		for _, path := range []string{"/set", "/deleted", "/again", "/dir", "/same"} {
			require.NoError(t, s.Do(ctx, &keeper.Create{Path: path}))
		}
		created := &keeper.Exists{Path: "/created", Watch: true}
		set := &keeper.Get{Path: "/set", Watch: true}
		deleted := &keeper.Exists{Path: "/deleted", Watch: true}
		again := &keeper.Get{Path: "/again", Watch: true}
		dir := &keeper.Children{Path: "/dir", Watch: true}
		same := &keeper.Get{Path: "/same", Watch: true}
		require.NoError(t, s.Do(ctx, created, set, deleted, again, dir, same))
		f.cut()
		f.server(func() {
			broken(f)
			_, err := f.create("/created", nil, 0, nil)
			require.NoError(t, err)
			_, err = f.create("/dir/x", nil, 0, nil)
			require.NoError(t, err)
			_, err = f.write("/set", nil, -1)
			require.NoError(t, err)
			require.NoError(t, f.delete("/deleted", -1))
			require.NoError(t, f.delete("/again", -1))
			_, err = f.create("/again", nil, 0, nil)
			require.NoError(t, err)
		})
		f.connect()
		fired(t, created.Watched, keeper.EventCreated)
		fired(t, dir.Watched, keeper.EventChildrenChanged)
		fired(t, set.Watched, keeper.EventDataChanged)
		fired(t, deleted.Watched, keeper.EventDeleted)
		fired(t, again.Watched, keeper.EventDeleted)
		pending(t, same.Watched)
	})
}

// B18: go-zookeeper keeps a channel for every call that sets a watch.
func TestPeerBug_B18(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		var last *keeper.Watch
		for range 1000 {
			exists := &keeper.Exists{Path: "/a", Watch: true}
			require.NoError(t, s.Do(t.Context(), exists))
			if last != nil {
				last.Close()
			}
			last = exists.Watched
		}
		require.Equal(t, 1, f.channels("/a"))

		f.latency = 1 // callers meet
		const n = 100
		watches := make(chan *keeper.Watch, n)
		for range n {
			go func() {
				kids := &keeper.Children{Path: "/", Watch: true}
				if err := s.Do(t.Context(), kids); err != nil {
					t.Error(err)
				}
				watches <- kids.Watched
			}()
		}
		all := []*keeper.Watch{last}
		for range n {
			all = append(all, <-watches)
		}
		require.Equal(t, 1, f.channels("/"))
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: "/a"}))
		for _, w := range all {
			_, err := w.Wait(t.Context())
			require.NoError(t, err)
		}
	})
}

// B21: Exists says true together with an error, and reads give a zero Stat.
func TestPeerBug_B21(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		for _, op := range []string{"exists", "get", "children", "getACL", "set", "setACL"} {
			f.addRule(&fakeRule{op: op, times: 1, fault: answerError, err: zk.ErrNoAuth})
		}
		exists := &keeper.Exists{Path: "/"}
		get := &keeper.Get{Path: "/"}
		err := s.Do(t.Context(), exists, get, &keeper.Children{Path: "/"}, &keeper.GetACL{Path: "/"},
			&keeper.Set{Path: "/", Version: -1}, &keeper.SetACL{Path: "/", Version: -1})
		require.ErrorIs(t, err, keeper.ErrNoAuth)
		require.False(t, exists.Found)
		require.ErrorIs(t, get.Err, keeper.ErrNoAuth)
	})
}

// B22: many codes arrive as text.
func TestPeerBug_B22(t *testing.T) {
	for code, want := range map[int]keeper.Outcome{
		-1: keeper.NotApplied, -2: keeper.NotApplied, -5: keeper.NotApplied, -6: keeper.NotApplied,
		-13: keeper.NotApplied, -119: keeper.NotApplied, -120: keeper.NotApplied, -124: keeper.NotApplied,
		-125: keeper.NotApplied, -127: keeper.NotApplied, -9999: keeper.NotApplied,
		-4: keeper.Unknown, -7: keeper.Unknown, -122: keeper.Unknown,
	} {
		f := translate(errUnknown(code))
		require.Equal(t, keeper.Code(code), f.cause)
		require.Equal(t, want, keeper.OutcomeOf(f.opError(&keeper.Sync{Path: "/"})), code)
	}
	f := translate(fmt.Errorf("unknown error: %s", "of another kind"))
	require.ErrorIs(t, f.cause, keeper.ErrConnectionLoss)
}
