package recipes

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// The caller knows nothing of the guard in front of its ops.
func TestCommitNamesTheOpThatIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		r.s.takeSent()
		good, bad := &keeper.Set{Path: "/app", Version: keeper.AnyVersion}, &keeper.Set{Path: "app"}
		err = h.Commit(t.Context(), good, bad)
		require.ErrorIs(t, err, keeper.ErrInvalid)
		assert.Contains(t, err.Error(), "op 1, set")
		assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
		require.ErrorIs(t, bad.Err, keeper.ErrInvalid)
		require.ErrorContains(t, h.Commit(t.Context(), nil, good), "op 0 is nil")
		assert.Empty(t, r.s.takeSent())
		assert.True(t, h.Valid())
		require.NoError(t, h.Release(t.Context()))
	})
}
