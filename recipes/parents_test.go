package recipes

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestAcquireMakesTheDirectoryAndItsAncestors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, "create children exists exists create create create children", strings.Join(r.s.takeSent(), " "))
		assert.Equal(t, keeper.Container, r.nodes["/app"].mode)
		assert.Nil(t, r.nodes["/app"].acl, "ancestors get the connection's default")
		assert.Equal(t, keeper.Container, r.nodes[dir].mode)
		assert.Equal(t, keeper.CreatorAllACL(), r.nodes[dir].acl)
		assert.Equal(t, keeper.CreatorAllACL(), r.nodes[h.Node()].acl)
		require.NoError(t, h.Release(t.Context()))
	})
}

func TestEnsureDirRidesOutRaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		vanish := 2
		r.s.on(func(q keeper.Request) (bool, error) {
			// The ancestor is reaped between its create and that of its child.
			if create, is := q.(*keeper.Create); is && create.Path == dir && vanish > 0 {
				vanish--
				r.delete("/app")
			}
			return true, nil
		})
		require.NoError(t, EnsureDir(t.Context(), r.s, dir, nil))
		assert.Contains(t, r.nodes, dir)
		require.NoError(t, EnsureDir(t.Context(), r.s, "/", nil))
		require.ErrorIs(t, EnsureDir(t.Context(), r.s, "a", nil), keeper.ErrInvalid)
		require.ErrorIs(t, EnsureDir(t.Context(), r.s, "/a", []keeper.ACL{}), keeper.ErrInvalid)
	})
}

// A server before 3.5 knows no containers, and not every connection knows that.
func TestEnsureDirFallsBackToPersistentNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.s.on(func(q keeper.Request) (bool, error) {
			if create, is := q.(*keeper.Create); is && create.Mode == keeper.Container {
				return false, &keeper.OpError{Op: "create", Path: create.Path, Err: keeper.ErrUnimplemented}
			}
			return true, nil
		})
		require.NoError(t, EnsureDir(t.Context(), r.s, dir, keeper.CreatorAllACL()))
		assert.Equal(t, keeper.Persistent, r.nodes[dir].mode)
		assert.Equal(t, keeper.CreatorAllACL(), r.nodes[dir].acl)
	})
}

// Where the connection's chroot is missing nothing below it can be made, and
// waiting does not help.
func TestEnsureDirWithoutAChroot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		delete(r.nodes, "/")
		require.ErrorIs(t, EnsureDir(t.Context(), r.s, dir, nil), keeper.ErrNoNode)
	})
}

func TestEnsureDirStopsAtARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.s.script(map[string][]answer{"create": {refused}})
		err := EnsureDir(t.Context(), r.s, dir, nil)
		require.ErrorIs(t, err, keeper.ErrNoAuth)
		assert.NotErrorIs(t, err, errVanished)
	})
}
