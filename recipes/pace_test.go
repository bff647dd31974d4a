package recipes

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// What holds for every other request holds for those that make the directory:
// Attempts bounds the losses.
func TestRetryAttemptsBoundTheLossesWhileTheDirectoryIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.line.retry.Attempts = 3
		r.s.on(func(q keeper.Request) (bool, error) {
			if q.Name() == "exists" {
				return lost.to(q)
			}
			return true, nil
		})
		_, err := r.line.Acquire(t.Context(), nil)
		require.ErrorIs(t, err, keeper.ErrConnectionLoss)
		sent := strings.Fields(strings.Join(r.s.takeSent(), " "))
		assert.Equal(t, "create children", strings.Join(sent[:2], " "))
		assert.Len(t, sent, 2+3*2, "two looks, three times")
	})
}

// A shutdown ends it too, while somebody removes the ancestors as fast as they
// are made.
func TestShutdownEndsTheMakingOfTheDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.s.on(func(q keeper.Request) (bool, error) {
			if create, is := q.(*keeper.Create); is && create.Path == dir && r.nodes["/app"] != nil {
				r.delete("/app")
			}
			return true, nil
		})
		got := r.acquire(t.Context(), "")
		synctest.Wait()
		close(r.s.closing)
		require.ErrorIs(t, (<-got).err, keeper.ErrClosed)
	})
}

// TryAcquire says that an answer was lost, whichever it was.
func TestTryAcquireReportsALossWhileTheDirectoryIsMade(t *testing.T) {
	for _, answers := range []map[string][]answer{
		{"exists": {lost}},
		{"create": {ok, lost}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.s.script(answers)
			_, ok, err := r.line.TryAcquire(t.Context(), nil)
			require.ErrorIs(t, err, keeper.ErrConnectionLoss)
			assert.False(t, ok)
			h, ok, err := r.line.TryAcquire(t.Context(), nil)
			require.NoError(t, err)
			require.True(t, ok)
			require.NoError(t, h.Release(t.Context()))
		})
	}
}
