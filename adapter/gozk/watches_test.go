package gozk

import (
	"testing"
	"testing/synctest"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// pending tells that a watch has delivered nothing.
func pending(t *testing.T, w *keeper.Watch) {
	t.Helper()
	synctest.Wait()
	select {
	case ev := <-w.C():
		t.Fatal("unexpected event: ", ev)
	default:
	}
}

func fired(t *testing.T, w *keeper.Watch, want keeper.EventType) {
	t.Helper()
	ev, err := w.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, keeper.Event{Type: want, Path: w.Path(), Zxid: -1}, ev)
}

func TestEveryKindOfWatchFires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, s := connected(t)
		ctx := t.Context()
		none := &keeper.Exists{Path: "/a", Watch: true}
		dir := &keeper.Children{Path: "/", Watch: true}
		require.NoError(t, s.Do(ctx, none, dir))
		require.Equal(t, keeper.WatchExist, none.Watched.Kind())
		pending(t, none.Watched)
		require.NoError(t, s.Do(ctx, &keeper.Create{Path: "/a"}))
		fired(t, none.Watched, keeper.EventCreated)
		fired(t, dir.Watched, keeper.EventChildrenChanged)

		there := &keeper.Exists{Path: "/a", Watch: true}
		get := &keeper.Get{Path: "/a", Watch: true}
		kids := &keeper.Children{Path: "/a", Watch: true}
		require.NoError(t, s.Do(ctx, there, get, kids))
		require.Equal(t, keeper.WatchData, there.Watched.Kind())
		require.NoError(t, s.Do(ctx, &keeper.Set{Path: "/a", Version: 0}))
		fired(t, there.Watched, keeper.EventDataChanged)
		fired(t, get.Watched, keeper.EventDataChanged)
		pending(t, kids.Watched)
		require.NoError(t, s.Do(ctx, there, &keeper.Delete{Path: "/a", Version: 1}))
		fired(t, there.Watched, keeper.EventDeleted)
		fired(t, kids.Watched, keeper.EventDeleted)

		gone := &keeper.Get{Path: "/a", Watch: true}
		require.ErrorIs(t, s.Do(ctx, gone), keeper.ErrNoNode)
		require.Nil(t, gone.Watched)
	})
}

func TestClosedHandlesDropOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		a, b := &keeper.Exists{Path: "/a", Watch: true}, &keeper.Exists{Path: "/a", Watch: true}
		require.NoError(t, s.Do(t.Context(), a, b))
		a.Watched.Close()
		_, err := a.Watched.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrWatchClosed)
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: "/a"}))
		fired(t, b.Watched, keeper.EventCreated)
		require.Zero(t, f.channels("/a"))
		require.False(t, s.Supports(keeper.FeatureUnwatch))
	})
}

// A read that finds the watch set must not join it when the event of a change
// that it has seen is on its way.
func TestAHandleDoesNotGetTheEventOfAChangeItsOwnerHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		h := &s.watches
		first := &keeper.Exists{Path: "/a", Watch: true}
		require.NoError(t, s.Do(t.Context(), first))
		second := &keeper.Exists{Path: "/a", Watch: true}
		f.addRule(&fakeRule{op: "exists", times: 1, do: func(f *fakeZK) {
			_, err := f.create("/a", nil, 0, nil)
			require.NoError(t, err)
			f.zxid++
			f.remove("/a")
		}})
		require.NoError(t, s.Do(t.Context(), second))
		require.False(t, second.Found)
		fired(t, first.Watched, keeper.EventCreated)
		pending(t, second.Watched)
		h.mu.Lock()
		require.Len(t, h.owner, 1)
		h.mu.Unlock()
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: "/a"}))
		fired(t, second.Watched, keeper.EventCreated)
	})
}

func TestALostWatchNeverLooksLikeAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		for _, ev := range []zk.Event{
			{Type: zk.EventNotWatching, Err: errNet},
			{Type: zk.EventNotWatching},
			{},
		} {
			w := &keeper.Exists{Path: "/a", Watch: true}
			require.NoError(t, s.Do(t.Context(), w))
			f.server(func() {
				key := fakeWatch{"exist", "/a"}
				for _, c := range f.watchers[key] {
					if ev != (zk.Event{}) {
						c <- ev
					}
					close(c)
				}
				delete(f.watchers, key)
			})
			got, err := w.Watched.Wait(t.Context())
			require.ErrorIs(t, err, keeper.ErrConnectionLoss)
			require.False(t, got.OK())
		}
	})
}

func TestWatchesSurviveAReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: "/a"}))
		get := &keeper.Get{Path: "/a", Watch: true}
		kids := &keeper.Children{Path: "/a", Watch: true}
		none := &keeper.Exists{Path: "/b", Watch: true}
		require.NoError(t, s.Do(t.Context(), get, kids, none))
		for range 3 {
			f.cut()
			synctest.Wait()
			f.connect()
			pending(t, get.Watched)
			pending(t, kids.Watched)
			pending(t, none.Watched)
		}
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: "/b"}, &keeper.Create{Path: "/a/x"}))
		fired(t, none.Watched, keeper.EventCreated)
		fired(t, kids.Watched, keeper.EventChildrenChanged)
		pending(t, get.Watched)
		require.NoError(t, s.Do(t.Context(), &keeper.Delete{Path: "/a/x", Version: 0}, &keeper.Delete{Path: "/a", Version: 0}))
		fired(t, get.Watched, keeper.EventDeleted)
	})
}

func TestAWatchThatCannotBeSetAgainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: "/a"}))
		get := &keeper.Get{Path: "/a", Watch: true}
		require.NoError(t, s.Do(t.Context(), get))
		f.cut()
		f.noRearm = true
		f.addRule(&fakeRule{op: "existsW", times: 1, fault: answerError, err: zk.ErrNoAuth})
		f.connect()
		ev, err := get.Watched.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrNoAuth)
		require.Equal(t, keeper.EventNotWatching, ev.Type)
	})
}

// The event may be taken by whoever comes first: the goroutine that waits for it
// or a read that finds the watch fired.
func TestAReadThatFindsAWatchFiredPassesItsEventOn(t *testing.T) {
	h := &hub{}
	h.init(&session{})
	key := watchKey{keeper.WatchData, "/a"}
	events := make(chan zk.Event, 1)
	a := &armed{key: key, fired: events, handles: make(map[*keeper.Watch]baseline)}
	h.live[key] = a
	w := h.handleLocked(a, baseline{})
	require.NotNil(t, h.join(key, baseline{}))

	events <- zk.Event{Type: zk.EventNodeDataChanged, Path: "/a"}
	close(events)
	require.Nil(t, h.join(key, baseline{}))
	fired(t, w, keeper.EventDataChanged)
	require.Empty(t, h.live)
	require.Empty(t, h.owner)
}
