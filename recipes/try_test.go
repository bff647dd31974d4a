package recipes

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestTryAcquireNeverPassesAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		try := func() bool {
			t.Helper()
			got, ok, err := r.line.TryAcquire(t.Context(), nil)
			require.NoError(t, err)
			if ok {
				require.NoError(t, got.Release(t.Context()))
			}
			return ok
		}
		assert.False(t, try())
		assert.Empty(t, r.sentNow(), "somebody of this process: nothing is asked")
		ctx, cancel := context.WithCancel(t.Context())
		waiting := r.acquire(ctx, "")
		assert.False(t, try())
		cancel()
		<-waiting
		require.NoError(t, h.Release(t.Context()))
		r.s.takeSent()

		other := r.stranger(t, "x-lock-")
		assert.False(t, try())
		assert.Equal(t, "children", r.sentNow(), "nothing was written")
		r.delete(other)
		assert.True(t, try())
		assert.Equal(t, "children create children delete", r.sentNow())
		assert.Empty(t, r.list(dir))
	})
}

func TestTryAcquireThatComesSecondRemovesItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		var other string
		r.s.on(func(q keeper.Request) (bool, error) {
			if q.Name() == "create" && other == "" {
				other = r.stranger(t, "x-lock-")
			}
			return true, nil
		})
		_, ok, err := r.line.TryAcquire(t.Context(), nil)
		require.NoError(t, err)
		assert.False(t, ok)
		assert.Equal(t, "children create children delete", r.sentNow())
		assert.Equal(t, []string{keeper.Base(other)}, r.list(dir))
	})
}

// A waiter that came while a TryAcquire was at work gets the turn after it.
func TestTryAcquirePassesTheTurnOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		other := r.stranger(t, "x-lock-")
		var waiting <-chan result
		r.s.on(func(keeper.Request) (bool, error) {
			if waiting == nil {
				done := make(chan result, 1)
				waiting = done
				go func() {
					h, err := r.line.Acquire(t.Context(), nil)
					done <- result{h, err}
				}()
			}
			return true, nil
		})
		_, ok, err := r.line.TryAcquire(t.Context(), nil)
		require.NoError(t, err)
		assert.False(t, ok)
		synctest.Wait()
		r.delete(other)
		got := <-waiting
		require.NoError(t, got.err)
		require.NoError(t, got.hold.Release(t.Context()))
	})
}
