package recipes

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// A sync may be refused by itself, and the list behind it be answered by a server
// that lags. That list must not decide whether a lost create was applied.
func TestAListWhoseSyncFailedIsNoAnswer(t *testing.T) {
	for name, fault := range map[string]answer{"throttled": throttled, "unsent": unsent} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				r.s.script(map[string][]answer{"create": {lostDone}, "sync": {fault}})
				h, err := r.line.Acquire(t.Context(), nil)
				require.NoError(t, err)
				assert.Equal(t, "create children sync children sync children exists", strings.Join(r.s.takeSent(), " "),
					"it asks again behind a sync")
				require.NoError(t, h.Release(t.Context()))
			})
		})
	}
}

// The delete that stands before the list was lost, so the list may be older than
// a create: that it shows no directory proves nothing.
func TestRemovalByIDWaitsForItsBarrier(t *testing.T) {
	for name, fault := range map[string]answer{"lost": lost, "throttled": throttled, "unsent": unsent} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				c := r.line.newContender(r.s, nil)
				require.NoError(t, r.s.Do(t.Context(), c.enter().requests()...))
				lagging := true
				r.s.on(func(q keeper.Request) (bool, error) {
					switch {
					case lagging && q.Name() == "delete":
						return fault.to(q)
					case lagging && q.Name() == "children":
						lagging = false
						return false, &keeper.OpError{Op: "children", Path: dir, Err: keeper.ErrNoNode}
					}
					return true, nil
				})
				err := r.line.removeByID(t.Context(), r.s, c.id)
				require.Error(t, err)
				require.NoError(t, r.line.removeByID(t.Context(), r.s, c.id))
				assert.Empty(t, r.list(dir))
				c.settle()
			})
		})
	}
}

// The answer to a create cannot be read: there is a node, of unknown name.
func TestAGarbledCreateLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.script(map[string][]answer{"create": {garbled}, "children": {ok, lost}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := r.line.Acquire(ctx, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		assert.Empty(t, r.list(dir))
	})
}

// A removal that is refused goes on, and whoever reads the log learns of it once.
func TestARefusedRemovalIsLoggedOnce(t *testing.T) {
	for name, faults := range map[string][]answer{
		"refused":                {refused, refused, refused, refused},
		"refused after a loss":   {lost, throttled, refused, refused},
		"only lost or throttled": {lost, throttled, unsent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				h, err := r.line.Acquire(t.Context(), nil)
				require.NoError(t, err)
				h.end(errDeleted)
				r.s.script(map[string][]answer{"delete": faults})
				require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
				r.s.work.Wait()
				assert.Empty(t, r.list(dir))
				want := 1
				if name == "only lost or throttled" {
					want = 0
				}
				assert.Equal(t, want, strings.Count(r.log.String(), "refuses to remove"), r.log.String())
			})
		})
	}
}
