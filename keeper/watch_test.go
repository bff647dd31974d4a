package keeper_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// unwatched counts the calls of Unwatch.
type unwatched struct{ n atomic.Int32 }

func (u *unwatched) Unwatch(*keeper.Watch) { u.n.Add(1) }

func changed() keeper.Event {
	return keeper.Event{Type: keeper.EventDataChanged, Path: "/a", Zxid: 7}
}

func TestWatchDeliversOneEvent(t *testing.T) {
	var b unwatched
	w := keeper.NewWatch(&b, "/a", keeper.WatchData)
	require.Equal(t, "/a", w.Path())
	require.Equal(t, keeper.WatchData, w.Kind())

	require.True(t, w.Fire(changed()), "nobody reads, and Fire does not block")
	require.False(t, w.Fire(keeper.Event{Type: keeper.EventDeleted}), "a spent watch takes nothing more")
	w.Close()
	require.Zero(t, b.n.Load(), "the server's watch is gone already")

	ev, err := w.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, changed(), ev)
	require.True(t, ev.OK())

	ev, err = w.Wait(t.Context())
	require.ErrorIs(t, err, keeper.ErrWatchClosed, "a second event does not look like a change")
	require.False(t, ev.OK())
	_, open := <-w.C()
	require.False(t, open)
	require.False(t, (<-w.C()).OK(), "nor does what a closed channel yields")
}

func TestWatchWaitsForItsEvent(t *testing.T) {
	w := keeper.NewWatch(nil, "/a", keeper.WatchExist)
	got := make(chan keeper.Event)
	go func() {
		ev, _ := w.Wait(context.Background())
		got <- ev
	}()
	require.True(t, w.Fire(changed()))
	require.Equal(t, changed(), <-got)
}

func TestLostWatchIsAnError(t *testing.T) {
	w := keeper.NewWatch(nil, "/a", keeper.WatchData)
	w.Fire(keeper.Event{Type: keeper.EventSession, Path: "/a", Err: keeper.ErrSessionExpired})
	ev, err := w.Wait(t.Context())
	require.ErrorIs(t, err, keeper.ErrSessionExpired)
	require.False(t, ev.OK())
}

func TestWatchClose(t *testing.T) {
	var b unwatched
	w := keeper.NewWatch(&b, "/a", keeper.WatchChildren)
	w.Close()
	w.Close()
	require.Equal(t, int32(1), b.n.Load())
	require.False(t, w.Fire(changed()), "an event that comes late is dropped")

	_, err := w.Wait(t.Context())
	require.ErrorIs(t, err, keeper.ErrWatchClosed)

	keeper.NewWatch(nil, "/a", keeper.WatchData).Close() // no backend, nothing to undo
}

func TestWatchCloseWakesTheWaiter(t *testing.T) {
	w := keeper.NewWatch(nil, "/a", keeper.WatchData)
	got := make(chan error)
	go func() {
		_, err := w.Wait(context.Background())
		got <- err
	}()
	w.Close()
	require.ErrorIs(t, <-got, keeper.ErrWatchClosed)
}

func TestWatchWaitContexts(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()

	w := keeper.NewWatch(nil, "/a", keeper.WatchData)
	_, err := w.Wait(done)
	require.ErrorIs(t, err, context.Canceled)
	var op *keeper.OpError
	require.ErrorAs(t, err, &op)
	require.Equal(t, "/a", op.Path)

	_, err = w.Wait(nil) //nolint:staticcheck // the misuse is the test
	require.ErrorIs(t, err, keeper.ErrInvalid)

	require.True(t, w.Fire(changed()), "the watch went on after both")
	ev, err := w.Wait(done)
	require.NoError(t, err, "what is there needs no waiting")
	require.Equal(t, changed(), ev)
}

// However Fire and Close race, there is one event, and the server's watch is
// taken back exactly when it was Close's.
func TestWatchRaces(t *testing.T) {
	for range 500 {
		var b unwatched
		var fired atomic.Int32
		w := keeper.NewWatch(&b, "/a", keeper.WatchData)
		start := make(chan struct{})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				<-start
				if w.Fire(changed()) {
					fired.Add(1)
				}
			})
			all.Go(func() {
				<-start
				w.Close()
			})
		}
		close(start)
		ev, err := w.Wait(t.Context())
		all.Wait()
		if err != nil {
			require.ErrorIs(t, err, keeper.ErrWatchClosed)
			require.Zero(t, fired.Load())
			require.Equal(t, int32(1), b.n.Load())
		} else {
			require.Equal(t, changed(), ev)
			require.Equal(t, int32(1), fired.Load())
			require.Zero(t, b.n.Load())
		}
		_, open := <-w.C()
		require.False(t, open)
	}
}

// Unwatch may use the watch: Close holds no lock while it runs.
func TestUnwatchMayCallBack(t *testing.T) {
	w := keeper.NewWatch(nosy{}, "/a", keeper.WatchData)
	w.Close()
	_, err := w.Wait(t.Context())
	require.ErrorIs(t, err, keeper.ErrWatchClosed)
}

type nosy struct{}

func (nosy) Unwatch(w *keeper.Watch) {
	w.Close()
	w.Fire(changed())
}

func TestEventsAndKindsAsText(t *testing.T) {
	require.Equal(t, "data-changed /a", changed().String())
	require.Equal(t, "session /a: session expired",
		keeper.Event{Type: keeper.EventSession, Path: "/a", Err: keeper.ErrSessionExpired}.String())
	require.Equal(t, "closed", keeper.Event{}.String())
	for typ, want := range map[keeper.EventType]string{
		keeper.EventCreated: "created", keeper.EventDeleted: "deleted", keeper.EventChildrenChanged: "children-changed",
		keeper.EventNotWatching: "not-watching", 99: "event(99)",
	} {
		require.Equal(t, want, typ.String())
	}
	for kind, want := range map[keeper.WatchKind]string{
		keeper.WatchData: "data", keeper.WatchExist: "exist", keeper.WatchChildren: "children", 0: "watch(0)",
	} {
		require.Equal(t, want, kind.String())
	}
}
