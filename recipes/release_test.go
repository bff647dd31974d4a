package recipes

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// A create whose answer was lost, and which was sent again, turns up when the
// hold has long begun. It would keep everybody out until the session ends.
func TestReleaseRemovesACreateThatTurnsUpLate(t *testing.T) {
	for name, lose := range map[string]bool{"released": false, "lost": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				var late keeper.Create
				r.s.on(func(q keeper.Request) (bool, error) {
					if create, is := q.(*keeper.Create); is && late.Path == "" {
						late = keeper.Create{Path: create.Path, Mode: create.Mode}
						return lost.to(q)
					}
					return true, nil
				})
				h, err := r.line.Acquire(t.Context(), nil)
				require.NoError(t, err)
				require.NoError(t, r.s.Do(t.Context(), &late))
				require.Len(t, r.list(dir), 2)

				if lose {
					h.end(errDeleted)
					require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
				} else {
					require.NoError(t, h.Release(t.Context()))
				}
				synctest.Wait()
				assert.Empty(t, r.list(dir))
			})
		})
	}
}

// Every call of Release has the same answer, also one whose context is over.
func TestReleaseAgainWithAContextThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, h.Release(t.Context()))
		over, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 {
			require.NoError(t, h.Release(over))
		}
	})
}
