package zkserver_test

import (
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

// Tests with go-zookeeper/zk, which shares no code with us.

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func dialZK(t *testing.T, srv *zktest.Server, timeout time.Duration) *zk.Conn {
	t.Helper()
	c, events, err := zk.Connect([]string{srv.Addr()}, timeout, zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	for ev := range events {
		if ev.State == zk.StateHasSession {
			break
		}
	}
	return c
}

func TestZKClientBasics(t *testing.T) {
	srv := zktest.Start(t)
	c := dialZK(t, srv, 10*time.Second)

	path, err := c.Create("/a", []byte("x"), 0, zk.WorldACL(zk.PermAll))
	require.NoError(t, err)
	require.Equal(t, "/a", path)
	_, err = c.Create("/a", nil, 0, zk.WorldACL(zk.PermAll))
	require.ErrorIs(t, err, zk.ErrNodeExists)

	_, _, changed, err := c.GetW("/a")
	require.NoError(t, err)
	stat, err := c.Set("/a", []byte("y"), 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, stat.Version)
	require.Equal(t, zk.EventNodeDataChanged, (<-changed).Type)
	_, err = c.Set("/a", nil, 0)
	require.ErrorIs(t, err, zk.ErrBadVersion)

	for _, want := range []string{"/a/s0000000000", "/a/s0000000001"} {
		path, err = c.Create("/a/s", nil, zk.FlagSequence|zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
		require.NoError(t, err)
		require.Equal(t, want, path)
	}
	names, stat, err := c.Children("/a")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"s0000000000", "s0000000001"}, names)
	require.EqualValues(t, 2, stat.Cversion)

	_, err = c.Multi(&zk.CheckVersionRequest{Path: "/a", Version: 1}, &zk.CreateRequest{Path: "/b", Acl: zk.WorldACL(zk.PermAll)})
	require.NoError(t, err)
	ok, _, err := c.Exists("/b")
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, c.Delete("/b", -1))
}

func TestZKClientLock(t *testing.T) {
	srv := zktest.Start(t)
	const clients, rounds = 3, 20
	total := 0 // guarded by the lock under test
	done := make(chan error, clients)
	for range clients {
		c := dialZK(t, srv, 10*time.Second)
		go func() {
			for range rounds {
				l := zk.NewLock(c, "/locks/it", zk.WorldACL(zk.PermAll))
				if err := l.Lock(); err != nil {
					done <- err
					return
				}
				total++
				if err := l.Unlock(); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		require.NoError(t, <-done)
	}
	require.Equal(t, clients*rounds, total)
}

func TestZKClientExpiry(t *testing.T) {
	srv := zktest.Start(t)
	owner := dialZK(t, srv, 10*time.Second)
	watcher := dialZK(t, srv, 10*time.Second)
	_, err := owner.Create("/mine", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
	require.NoError(t, err)
	found, _, gone, err := watcher.ExistsW("/mine")
	require.NoError(t, err)
	require.True(t, found)

	require.True(t, srv.Expire(owner.SessionID()))
	require.Equal(t, zk.EventNodeDeleted, (<-gone).Type)
}

func TestZKClientAuth(t *testing.T) {
	srv := zktest.Start(t)
	owner := dialZK(t, srv, 10*time.Second)
	stranger := dialZK(t, srv, 10*time.Second)
	require.NoError(t, owner.AddAuth("digest", []byte("joe:secret")))
	_, err := owner.Create("/secret", []byte("x"), 0, zk.DigestACL(zk.PermAll, "joe", "secret"))
	require.NoError(t, err)
	_, _, err = owner.Get("/secret")
	require.NoError(t, err)
	_, _, err = stranger.Get("/secret")
	require.ErrorIs(t, err, zk.ErrNoAuth)
}

func TestZKClientSurvivesCut(t *testing.T) {
	srv := zktest.Start(t)
	c := dialZK(t, srv, 10*time.Second)
	_, err := c.Create("/a", nil, 0, zk.WorldACL(zk.PermAll))
	require.NoError(t, err)
	srv.Inject(zkserver.Rule{Kind: "setData", Path: "/a", Fault: zkserver.CutAfter})
	_, err = c.Set("/a", []byte("lost"), -1)
	require.ErrorIs(t, err, zk.ErrConnectionClosed)
	require.Eventually(t, func() bool {
		data, _, err := c.Get("/a")
		return err == nil && string(data) == "lost"
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, 1, srv.Counts().Faults)
}
