package lock_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/testenv"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
)

// F11: foreign children neither block nor confuse anybody.
func TestForeignChildren(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		s := session(t, e.Client(t))
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: path}))
		for _, name := range []string{"_c_foo", "ready", "lock-", "0000000000", "zz-lock-12", "-2147483648", "_c_", "é"} {
			require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: path + "/" + name}))
		}
		m := newMutex(t, e.Conn(t), path)
		held := mustLock(t, m)
		next := lockAsync(t.Context(), newMutex(t, e.Conn(t), path))
		requireChildren(t, e.Client(t), path, 10)
		require.NoError(t, held.Release(t.Context()))
		got := recv(t, next, "the lock")
		require.NoError(t, got.err)
		require.NoError(t, got.held.Release(t.Context()))
		held, ok, err := m.TryLock(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, held.Release(t.Context()))
	})
}

// Nodes of Curator, go-zookeeper and Kazoo stand in the same line.
func TestNodesOfOtherLibrariesCount(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		s := session(t, e.Client(t))
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: path}))
		m := newMutex(t, e.Conn(t), path)
		for _, prefix := range []string{
			"_c_6ba7b810-9dad-11d1-80b4-00c04fd430c8-lock-", "_c_6ba7b8109dad11d180b400c04fd430c8-lock-",
			"lock-", "6ba7b8109dad11d180b400c04fd430c8__lock__",
		} {
			other := &keeper.Create{Path: path + "/" + prefix, Mode: keeper.EphemeralSequential}
			require.NoError(t, s.Do(t.Context(), other))
			_, ok, err := m.TryLock(t.Context())
			require.NoError(t, err)
			assert.False(t, ok, prefix)
			next := lockAsync(t.Context(), m)
			requireChildren(t, e.Client(t), path, 2)
			require.NoError(t, s.Do(t.Context(), &keeper.Delete{Path: other.Created, Version: keeper.AnyVersion}))
			got := recv(t, next, "the lock")
			require.NoError(t, got.err)
			require.NoError(t, got.held.Release(t.Context()))
		}
	})
}

// F12: somebody removes the directory, nodes and all: the holder is told, the
// waiter stands in a new one.
func TestDirectoryIsDeleted(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		m := newMutex(t, e.Conn(t), path)
		held := mustLock(t, m)
		next := lockAsync(t.Context(), newMutex(t, e.Conn(t), path))
		requireChildren(t, e.Client(t), path, 2)
		s := session(t, e.Client(t))
		// Both nodes and the directory in one go, so that the waiter finds none.
		var ops []keeper.Op
		for _, name := range children(t, e.Client(t), path) {
			ops = append(ops, &keeper.Delete{Path: keeper.Join(path, name), Version: keeper.AnyVersion})
		}
		ops = append(ops, &keeper.Delete{Path: path, Version: keeper.AnyVersion})
		require.NoError(t, s.Do(t.Context(), &keeper.Multi{Ops: ops}))

		got := recv(t, next, "the lock, in a new directory")
		require.NoError(t, got.err)
		recv(t, held.Context().Done(), "the old holder is told")
		require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)
		assert.Greater(t, got.held.Token(), held.Token())
		assert.True(t, got.held.Valid())
		require.NoError(t, got.held.Release(t.Context()))
	})
}

// The node alone is deleted, and the directory stays.
func TestNodeOfTheHolderIsDeleted(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		m := newMutex(t, e.Conn(t), path)
		held := mustLock(t, m)
		s := session(t, e.Client(t))
		require.NoError(t, s.Do(t.Context(), &keeper.Delete{Path: held.Node(), Version: keeper.AnyVersion}))
		recv(t, held.Context().Done(), "the holder is told")
		require.ErrorIs(t, context.Cause(held.Context()), keeper.ErrHoldLost)
		require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)

		held = mustLock(t, m)
		require.NoError(t, s.Do(t.Context(), &keeper.Delete{Path: held.Node(), Version: keeper.AnyVersion}))
		err := held.Commit(t.Context())
		require.ErrorIs(t, err, keeper.ErrHoldLost)
		assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
		require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)
	})
}

func TestACLProtectsDirectoryAndNodes(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		acl := []keeper.ACL{
			{Perms: keeper.PermAll &^ keeper.PermAdmin, Scheme: "world", ID: "anyone"},
			keeper.DigestACL(keeper.PermAdmin, "admin", "secret")[0],
		}
		held := mustLock(t, newMutex(t, e.Conn(t), path+"/below", lock.WithACL(acl)))
		s := session(t, e.Client(t))
		for node, want := range map[string][]keeper.ACL{
			path:            keeper.OpenACL(), // an ancestor: the connection's default
			path + "/below": acl,
			held.Node():     acl,
		} {
			get := &keeper.GetACL{Path: node}
			require.NoError(t, s.Do(t.Context(), get))
			require.Len(t, get.ACL, len(want), node)
			assert.Equal(t, want[0], get.ACL[0], node)
		}
		require.NoError(t, held.Release(t.Context()))
	})
}

// A refusal is an answer, not something to wait out.
func TestNoAuthIsReturned(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		s := session(t, e.Client(t))
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: path, ACL: keeper.ReadACL()}))
		m := newMutex(t, e.Conn(t), path)
		_, err := m.Lock(t.Context())
		require.ErrorIs(t, err, keeper.ErrNoAuth)
		_, _, err = m.TryLock(t.Context())
		require.ErrorIs(t, err, keeper.ErrNoAuth)
		_, err = newMutex(t, e.Conn(t), path+"/below/that").Lock(t.Context())
		require.ErrorIs(t, err, keeper.ErrNoAuth)
	})
}
