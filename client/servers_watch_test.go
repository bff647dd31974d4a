package client_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/keeper"
)

func TestWatches(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, c := t.Context(), srv.root(t)
		_, found, created, err := c.ExistsW(ctx, "/a")
		require.NoError(t, err)
		require.False(t, found)
		_, _, kids, err := c.ChildrenW(ctx, "/")
		require.NoError(t, err)
		_, err = c.Create(ctx, "/a", nil, keeper.Persistent)
		require.NoError(t, err)
		wantEvent(t, created, keeper.EventCreated, "/a")
		wantEvent(t, kids, keeper.EventChildrenChanged, "/")

		_, _, changed, err := c.GetW(ctx, "/a")
		require.NoError(t, err)
		_, err = c.Set(ctx, "/a", nil, keeper.AnyVersion)
		require.NoError(t, err)
		wantEvent(t, changed, keeper.EventDataChanged, "/a")

		_, _, w1, err := c.GetW(ctx, "/a")
		require.NoError(t, err)
		_, _, w2, err := c.ExistsW(ctx, "/a")
		require.NoError(t, err)
		_, _, w3, err := c.ChildrenW(ctx, "/a")
		require.NoError(t, err)
		require.NoError(t, c.Delete(ctx, "/a", keeper.AnyVersion))
		for _, w := range []*keeper.Watch{w1, w2, w3} {
			wantEvent(t, w, keeper.EventDeleted, "/a")
		}
		_, _, none, err := c.GetW(ctx, "/a")
		outcome(t, err, keeper.ErrNoNode, keeper.NotApplied)
		require.Nil(t, none)
		require.Zero(t, c.PendingWatches())
	})
}

// Closing the last handle removes the server's watch.
func TestWatchesAreRemovedAtTheServer(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, c := t.Context(), srv.root(t)
		watches := func() string {
			require.NoError(t, c.Sync(ctx, "/")) // behind what was sent before
			for line := range strings.Lines(srv.ask(t, "mntr")) {
				if n, ok := strings.CutPrefix(line, "zk_watch_count\t"); ok {
					return strings.TrimSpace(n)
				}
			}
			return "?"
		}
		require.Equal(t, "0", watches())
		_, _, a, err := c.ChildrenW(ctx, "/")
		require.NoError(t, err)
		_, _, _, err = c.ExistsW(ctx, "/none")
		require.NoError(t, err)
		_, _, b, err := c.ChildrenW(ctx, "/")
		require.NoError(t, err)
		_, _, d, err := c.GetW(ctx, "/")
		require.NoError(t, err)
		require.Equal(t, "3", watches())
		a.Close()
		require.Equal(t, "3", watches())
		b.Close()
		require.Equal(t, "2", watches())
		d.Close()
		require.Equal(t, "1", watches())
		require.NoError(t, c.Close())
	})
}

// Over a disconnect watches are kept, and what was missed is made up for.
func TestWatchesSurviveReconnect(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx := t.Context()
		var link cutter
		c, other := srv.root(t, client.WithDialer(link.dial)), srv.root(t)
		for _, path := range []string{"/data", "/gone", "/kids", "/quiet"} {
			_, err := c.Create(ctx, path, nil, keeper.Persistent)
			require.NoError(t, err)
		}
		_, _, data, err := c.GetW(ctx, "/data")
		require.NoError(t, err)
		_, _, gone, err := c.ExistsW(ctx, "/gone")
		require.NoError(t, err)
		_, _, kids, err := c.ChildrenW(ctx, "/kids")
		require.NoError(t, err)
		_, _, born, err := c.ExistsW(ctx, "/born")
		require.NoError(t, err)
		_, _, quiet, err := c.GetW(ctx, "/quiet")
		require.NoError(t, err)

		link.cut()
		_, err = other.Set(ctx, "/data", nil, keeper.AnyVersion)
		require.NoError(t, err)
		require.NoError(t, other.Delete(ctx, "/gone", keeper.AnyVersion))
		_, err = other.Create(ctx, "/kids/x", nil, keeper.Persistent)
		require.NoError(t, err)
		_, err = other.Create(ctx, "/born", nil, keeper.Persistent)
		require.NoError(t, err)
		wantEvent(t, data, keeper.EventDataChanged, "/data")
		wantEvent(t, gone, keeper.EventDeleted, "/gone")
		wantEvent(t, kids, keeper.EventChildrenChanged, "/kids")
		wantEvent(t, born, keeper.EventCreated, "/born")
		require.Equal(t, 1, c.PendingWatches())
		_, err = other.Set(ctx, "/quiet", nil, keeper.AnyVersion)
		require.NoError(t, err)
		wantEvent(t, quiet, keeper.EventDataChanged, "/quiet")
	})
}
