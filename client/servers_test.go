package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zktest"
)

// patience bounds what should happen at once, on a busy machine.
const patience = 30 * time.Second

// server is one that plain tests run on: ours, or a real one.
type server struct {
	addr   string
	base   string // a path that no other test has, nor another run of this one
	expire func(t testing.TB, session int64)
}

// onServers runs f on both servers.
func onServers(t *testing.T, f func(t *testing.T, srv server)) {
	t.Helper()
	t.Run("zkserver", func(t *testing.T) {
		s := zktest.Start(t)
		f(t, server{s.Addr(), base(t), func(t testing.TB, session int64) {
			t.Helper()
			require.True(t, s.Expire(session))
		}})
	})
	if zkreal.Embedded() {
		t.Log("CONCLAVE_TEST=embedded: not run against a real ZooKeeper")
		return
	}
	t.Run("real", func(t *testing.T) {
		s := zkreal.Shared(t)
		f(t, server{s.Addr(), base(t), s.Expire})
	})
}

func base(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("/client.%s.%x", strings.ReplaceAll(t.Name(), "/", "."), time.Now().UnixNano())
}

// dial connects a client that ends with the test.
func (s server) dial(t *testing.T, chroot string, opts ...client.Option) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, s.addr+chroot, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// root makes the test's own node and a client for which it is the root.
func (s server) root(t *testing.T, opts ...client.Option) *client.Client {
	t.Helper()
	c := s.dial(t, s.base, opts...)
	require.NoError(t, c.EnsurePath(t.Context(), "/"))
	return c
}

// ask sends a four-letter word.
func (s server) ask(t *testing.T, word string) string {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer nc.Close()
	_, err = io.WriteString(nc, word)
	require.NoError(t, err)
	text, err := io.ReadAll(nc)
	require.NoError(t, err)
	return string(text)
}

// cutter is a dialer whose connections can be cut.
type cutter struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (c *cutter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.conns = append(c.conns, nc)
	}
	return nc, err
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, nc := range c.conns {
		_ = nc.Close()
	}
	c.conns = nil
}

func outcome(t *testing.T, err, target error, o keeper.Outcome) {
	t.Helper()
	require.ErrorIs(t, err, target)
	require.Equal(t, o, keeper.OutcomeOf(err))
}

func wantEvent(t *testing.T, w *keeper.Watch, typ keeper.EventType, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ev, err := w.Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, typ, ev.Type)
	require.Equal(t, path, ev.Path)
}

func TestPlainMethods(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, c := t.Context(), srv.root(t)
		path, err := c.Create(ctx, "/a", []byte("one"), keeper.Persistent)
		require.NoError(t, err)
		require.Equal(t, "/a", path)
		_, err = c.Create(ctx, "/a", nil, keeper.Persistent)
		outcome(t, err, keeper.ErrNodeExists, keeper.NotApplied)
		_, err = c.Create(ctx, "/no/parent", nil, keeper.Persistent)
		outcome(t, err, keeper.ErrNoNode, keeper.NotApplied)

		got, stat, err := c.Get(ctx, "/a")
		require.NoError(t, err)
		require.Equal(t, "one", string(got))
		require.Zero(t, stat.Version)
		require.Equal(t, stat.Czxid, stat.Mzxid)
		set, err := c.Set(ctx, "/a", []byte{}, 0)
		require.NoError(t, err)
		require.EqualValues(t, 1, set.Version)
		require.Greater(t, set.Mzxid, set.Czxid)
		_, err = c.Set(ctx, "/a", nil, 0)
		outcome(t, err, keeper.ErrBadVersion, keeper.NotApplied)
		got, _, err = c.Get(ctx, "/a")
		require.NoError(t, err)
		require.True(t, got != nil && len(got) == 0, "empty is not null")
		_, err = c.Set(ctx, "/a", nil, keeper.AnyVersion)
		require.NoError(t, err)
		got, _, err = c.Get(ctx, "/a")
		require.NoError(t, err)
		require.Nil(t, got, "null is not empty")

		stat, found, err := c.Exists(ctx, "/a")
		require.NoError(t, err)
		require.True(t, found)
		require.EqualValues(t, 2, stat.Version)
		stat, found, err = c.Exists(ctx, "/b")
		require.NoError(t, err)
		require.False(t, found)
		require.Zero(t, stat)
		got, stat, err = c.Get(ctx, "/b")
		outcome(t, err, keeper.ErrNoNode, keeper.NotApplied)
		require.Nil(t, got)
		require.Zero(t, stat)

		for range 2 {
			_, err = c.Create(ctx, "/a/s-", nil, keeper.EphemeralSequential)
			require.NoError(t, err)
		}
		names, stat, err := c.Children(ctx, "/a")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"s-0000000000", "s-0000000001"}, names)
		require.EqualValues(t, 2, stat.NumChildren)
		outcome(t, c.Delete(ctx, "/a", keeper.AnyVersion), keeper.ErrNotEmpty, keeper.NotApplied)
		outcome(t, c.Delete(ctx, "/a/s-0000000000", 7), keeper.ErrBadVersion, keeper.NotApplied)
		require.NoError(t, c.Delete(ctx, "/a/s-0000000000", 0))
		outcome(t, c.Delete(ctx, "/", keeper.AnyVersion), keeper.ErrInvalid, keeper.NotApplied)
		_, err = c.Create(ctx, "/a/s-0000000001/x", nil, keeper.Persistent)
		outcome(t, err, keeper.ErrNoChildrenForEphemerals, keeper.NotApplied)
		_, err = c.Create(ctx, "/box", nil, keeper.Container)
		require.NoError(t, err)
		path, err = c.Create(ctx, "/", nil, keeper.PersistentSequential)
		require.NoError(t, err)
		require.Equal(t, "/0000000002", path, "inside the chroot")
		require.NoError(t, c.Sync(ctx, "/a"))
		require.NoError(t, c.Sync(ctx, "/none"))
	})
}

func TestACLs(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, open := t.Context(), srv.root(t)
		c := srv.root(t, client.WithDefaultACL(keeper.ReadACL()))
		_, err := c.Create(ctx, "/read", nil, keeper.Persistent)
		require.NoError(t, err)
		acl, _, err := open.GetACL(ctx, "/read")
		require.NoError(t, err)
		require.True(t, keeper.EqualACL(keeper.ReadACL(), acl), "%v", acl)
		_, err = c.Set(ctx, "/read", nil, keeper.AnyVersion)
		outcome(t, err, keeper.ErrNoAuth, keeper.NotApplied)
		_, err = c.Create(ctx, "/open", nil, keeper.Persistent, keeper.OpenACL()...)
		require.NoError(t, err)
		_, err = open.Set(ctx, "/open", nil, keeper.AnyVersion)
		require.NoError(t, err)

		owner := srv.dial(t, "")
		node := srv.base + "/acl"
		_, err = owner.Create(ctx, node, nil, keeper.Persistent)
		require.NoError(t, err)
		stat, err := owner.SetACL(ctx, node, keeper.DigestACL(keeper.PermAll, "u", "p"), 0)
		require.NoError(t, err)
		require.EqualValues(t, 1, stat.Aversion)
		_, _, err = owner.Get(ctx, node)
		outcome(t, err, keeper.ErrNoAuth, keeper.NotApplied)
		require.NoError(t, owner.AddAuth(ctx, "digest", []byte("u:p")))
		_, _, err = owner.Get(ctx, node)
		require.NoError(t, err)
		_, err = owner.SetACL(ctx, node, nil, 0)
		outcome(t, err, keeper.ErrBadVersion, keeper.NotApplied)
		_, err = owner.Create(ctx, node+"/mine", nil, keeper.Persistent, keeper.CreatorAllACL()...)
		require.NoError(t, err)
		acl, _, err = owner.GetACL(ctx, node+"/mine")
		require.NoError(t, err)
		require.True(t, keeper.EqualACL(keeper.DigestACL(keeper.PermAll, "u", "p"), acl), "%v", acl)
	})
}

// An unknown scheme makes servers hang up for good.
func TestUnknownAuthScheme(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, c := t.Context(), srv.dial(t, "")
		outcome(t, c.AddAuth(ctx, "no-such-scheme", []byte("x")), keeper.ErrAuthFailed, keeper.NotApplied)
		_, err := c.Session(ctx)
		require.ErrorIs(t, err, keeper.ErrAuthFailed)
		require.NoError(t, c.Close())
	})
}

func TestMulti(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, c := t.Context(), srv.root(t)
		a, b := &keeper.Create{Path: "/a"}, &keeper.Create{Path: "/a/s-", Mode: keeper.PersistentSequential}
		set := &keeper.Set{Path: "/a", Data: []byte("x"), Version: 0}
		require.NoError(t, c.Multi(ctx, a, b, set, &keeper.Check{Path: "/a", Version: 1}))
		require.Equal(t, "/a", a.Created)
		require.Equal(t, "/a/s-0000000000", b.Created)
		require.EqualValues(t, 1, set.Stat.Version)

		again, del := &keeper.Create{Path: "/new"}, &keeper.Delete{Path: "/a/s-0000000000", Version: keeper.AnyVersion}
		check := &keeper.Check{Path: "/a", Version: 0}
		err := c.Multi(ctx, again, check, del)
		outcome(t, err, keeper.ErrBadVersion, keeper.NotApplied)
		outcome(t, check.Err, keeper.ErrBadVersion, keeper.NotApplied)
		outcome(t, again.Err, keeper.ErrRuntimeInconsistency, keeper.NotApplied)
		outcome(t, del.Err, keeper.ErrRuntimeInconsistency, keeper.NotApplied)
		_, found, err := c.Exists(ctx, "/new")
		require.NoError(t, err)
		require.False(t, found, "all or nothing")
		require.NoError(t, c.Multi(ctx))
	})
}

func TestEnsurePath(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx := t.Context()
		base := srv.base
		c := srv.dial(t, base+"/x/y")
		_, err := c.Create(ctx, "/a", nil, keeper.Persistent)
		outcome(t, err, keeper.ErrNoNode, keeper.NotApplied) // the chroot is not made by itself
		all := make(chan error, 8)
		for range cap(all) {
			go func() { all <- c.EnsurePath(ctx, "/a/b/c") }()
		}
		for range cap(all) {
			require.NoError(t, <-all)
		}
		require.NoError(t, c.EnsurePath(ctx, "/a/b/c"))
		require.NoError(t, c.EnsurePath(ctx, "/"))
		_, found, err := c.Exists(ctx, "/a/b/c")
		require.NoError(t, err)
		require.True(t, found)

		plain := srv.dial(t, "")
		require.NoError(t, plain.EnsurePath(ctx, "/"))
		_, found, err = plain.Exists(ctx, base+"/x/y/a/b/c")
		require.NoError(t, err)
		require.True(t, found)
		_, err = plain.Create(ctx, base+"/e", nil, keeper.Ephemeral)
		require.NoError(t, err)
		outcome(t, plain.EnsurePath(ctx, base+"/e/f/g"), keeper.ErrNoChildrenForEphemerals, keeper.NotApplied)
		require.NoError(t, plain.EnsurePath(ctx, base+"/mine", keeper.ReadACL()...))
		acl, _, err := plain.GetACL(ctx, base+"/mine")
		require.NoError(t, err)
		require.True(t, keeper.EqualACL(keeper.ReadACL(), acl))
		for _, bad := range []string{"", "a", "/a/", "/a//b", "/../a"} {
			outcome(t, plain.EnsurePath(ctx, bad), keeper.ErrInvalid, keeper.NotApplied)
		}
		outcome(t, plain.EnsurePath(ctx, "/a", keeper.ACL{}), keeper.ErrInvalid, keeper.NotApplied)
	})
}

// Many goroutines share one connection, and everybody gets their own answer.
func TestManyGoroutines(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, c := t.Context(), srv.root(t)
		const workers, each = 32, 50
		errs := make(chan error, workers)
		for w := range workers {
			go func() {
				errs <- func() error {
					for i := range each {
						path, value := fmt.Sprintf("/n-%d-%d", w, i), bytes.Repeat([]byte{byte(i)}, i*w)
						if _, err := c.Create(ctx, path, value, keeper.Persistent); err != nil {
							return err
						}
						got, _, err := c.Get(ctx, path)
						if err != nil {
							return err
						}
						if !bytes.Equal(got, value) {
							return fmt.Errorf("%s: %d bytes, want %d", path, len(got), len(value))
						}
					}
					return nil
				}()
			}()
		}
		for range workers {
			require.NoError(t, <-errs)
		}
		names, _, err := c.Children(ctx, "/")
		require.NoError(t, err)
		require.Len(t, names, workers*each)
	})
}

// A reply over the limit fails its request only; a request over it is not sent.
func TestLimits(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, c := t.Context(), srv.root(t, client.WithMaxFrame(0, 64<<10))
		_, err := c.Create(ctx, "/big", make([]byte, 200_000), keeper.Persistent)
		require.NoError(t, err)
		session, conn := c.SessionID(), c.Server()
		_, _, err = c.Get(ctx, "/big")
		outcome(t, err, keeper.ErrTooLarge, keeper.Applied)
		_, err = c.Set(ctx, "/big", make([]byte, 2<<20), keeper.AnyVersion)
		outcome(t, err, keeper.ErrTooLarge, keeper.NotApplied)
		_, found, err := c.Exists(ctx, "/big")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, session, c.SessionID())
		require.Equal(t, conn, c.Server())
	})
}

// The largest frame that the client sends is one that servers take.
func TestLargestRequest(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, c := t.Context(), srv.dial(t, "")
		node := srv.base
		_, err := c.Create(ctx, node, nil, keeper.Persistent)
		require.NoError(t, err)
		room := client.DefaultMaxRequest - 8 - 4 - len(node) - 4 - 4
		_, err = c.Set(ctx, node, make([]byte, room), keeper.AnyVersion)
		require.NoError(t, err)
		_, err = c.Set(ctx, node, make([]byte, room+1), keeper.AnyVersion)
		outcome(t, err, keeper.ErrTooLarge, keeper.NotApplied)
	})
}
