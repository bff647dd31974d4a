package recipes

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// registered counts what is registered by AfterLapse: more than none costs the
// session a sync every tenth of its timeout.
func (s *fakeSession) registered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.lapses {
		if f != nil {
			n++
		}
	}
	return n
}

// The proof runs out between the front and the grant of a TryAcquire: nothing
// stays behind.
func TestATryThatLapsesAtTheGrantLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.atLapse = func() { r.s.unproved, r.s.valid = true, time.Now() }
		h, got, err := r.line.TryAcquire(t.Context(), nil)
		require.ErrorIs(t, err, errLapsed)
		assert.False(t, got)
		assert.Nil(t, h)
		synctest.Wait()
		assert.Empty(t, r.list(dir))
		assert.Zero(t, r.s.registered())
	})
}

// Nothing stays registered with the session after any way out.
func TestEveryExitEndsTheProvingHeartbeat(t *testing.T) {
	exits := map[string]func(t *testing.T, r *rig){
		"released": func(t *testing.T, r *rig) {
			h, err := r.line.Acquire(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, 1, r.s.registered())
			require.NoError(t, h.Release(t.Context()))
		},
		"released after its loss": func(t *testing.T, r *rig) {
			h, err := r.line.Acquire(t.Context(), nil)
			require.NoError(t, err)
			h.end(errDeleted)
			require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
		},
		"lapsed at the grant": func(t *testing.T, r *rig) {
			r.s.atLapse = func() { r.s.atLapse, r.s.valid = nil, time.Now() }
			h, err := r.line.Acquire(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, 1, r.s.registered(), "that of the second grant")
			require.NoError(t, h.Release(t.Context()))
		},
		"shutdown at the grant": func(t *testing.T, r *rig) {
			r.s.atLapse = func() { close(r.s.closing) }
			_, err := r.line.Acquire(t.Context(), nil)
			require.ErrorIs(t, err, keeper.ErrClosed)
		},
		"given up while waiting": func(t *testing.T, r *rig) {
			r.stranger(t, "lock-")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := r.line.Acquire(ctx, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
	}
	for name, exit := range exits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				exit(t, r)
				synctest.Wait()
				assert.Zero(t, r.s.registered())
			})
		})
	}
}

// The session is over and nobody has told the hold yet; its proof would last.
func TestAHoldAsksItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		r.s.mu.Lock()
		r.s.err = keeper.ErrSessionExpired
		r.s.mu.Unlock()
		require.Positive(t, time.Until(r.s.ValidUntil()))
		assert.False(t, h.Valid())
		require.ErrorIs(t, context.Cause(h.Context()), keeper.ErrSessionExpired)
		require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
	})
}
