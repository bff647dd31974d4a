package recipes

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// acquired is a rig with a hold, nothing sent since.
func acquired(t *testing.T) (*rig, *Hold) {
	t.Helper()
	r := newRig(t)
	r.makeDir(t)
	h, err := r.line.Acquire(t.Context(), nil)
	require.NoError(t, err)
	r.s.takeSent()
	return r, h
}

// pass lets virtual time pass, and what is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func requireLost(t *testing.T, h *Hold, why error) {
	t.Helper()
	require.False(t, h.Valid())
	require.ErrorIs(t, context.Cause(h.Context()), keeper.ErrHoldLost)
	require.ErrorIs(t, context.Cause(h.Context()), why)
	require.ErrorIs(t, h.Commit(t.Context()), keeper.ErrNotHeld)
	require.ErrorIs(t, h.Commit(t.Context()), keeper.ErrHoldLost)
}

func TestReleaseAnswersTheSameToEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { assert.NoError(t, h.Release(t.Context())) })
		}
		all.Wait()
		require.NoError(t, h.Release(t.Context()))
		assert.Equal(t, []string{"delete"}, r.s.takeSent())
		require.ErrorIs(t, context.Cause(h.Context()), keeper.ErrNotHeld)
		assert.NotErrorIs(t, context.Cause(h.Context()), keeper.ErrHoldLost)
		assert.False(t, h.Valid())
		//nolint:staticcheck // a nil context is the point
		require.ErrorIs(t, h.Release(nil), keeper.ErrInvalid)
	})
}

func TestReleaseOfALostHoldSaysSoToEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		r.delete(h.Node())
		first := h.Release(t.Context())
		require.ErrorIs(t, first, keeper.ErrHoldLost)
		assert.Equal(t, first, h.Release(t.Context()))
	})
}

func TestContextEndsBeforeTheNodeIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		ended := false
		r.s.on(func(q keeper.Request) (bool, error) {
			if q.Name() == "delete" {
				ended = h.Context().Err() != nil && !h.Valid()
			}
			return true, nil
		})
		require.NoError(t, h.Release(t.Context()))
		assert.True(t, ended)
	})
}

// The hold was kept until its release, whatever became of the delete; the node
// goes in the background.
func TestReleaseWithoutAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		delete answer
		ctx    func(context.Context) context.Context
		err    error
	}{
		"lost":      {delete: lost},
		"lost done": {delete: lostDone},
		"unsent":    {delete: unsent},
		"refused":   {delete: refused, err: keeper.ErrNoAuth},
		"context": {delete: ok, ctx: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, h := acquired(t)
				r.s.script(map[string][]answer{"delete": {c.delete}})
				ctx := t.Context()
				if c.ctx != nil {
					ctx = c.ctx(ctx)
				}
				require.ErrorIs(t, h.Release(ctx), c.err)
				r.s.work.Wait()
				assert.Empty(t, r.list(dir))
				h, err := r.line.Acquire(t.Context(), nil)
				require.NoError(t, err)
				require.NoError(t, h.Release(t.Context()))
			})
		})
	}
}

func TestReleaseDoesNotWaitLongerThanTheSessionTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		r.s.hang = true
		start := time.Now()
		require.NoError(t, h.Release(context.WithoutCancel(t.Context())))
		assert.Equal(t, r.s.timeout, time.Since(start))
	})
}

func TestHoldEndsWhenTheSessionLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		r.s.mu.Lock()
		r.s.unproved = true
		left := time.Until(r.s.valid)
		r.s.mu.Unlock()
		pass(left - 1)
		require.True(t, h.Valid())
		pass(1)
		require.False(t, h.Valid(), "asked of the clock: nobody has told the hold")
		requireLost(t, h, errUnproved)

		// A late proof revives nothing.
		r.s.mu.Lock()
		r.s.valid = time.Now().Add(time.Hour)
		r.s.mu.Unlock()
		requireLost(t, h, errUnproved)
		require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
		r.s.work.Wait()
		assert.Empty(t, r.list(dir), "the session lives: its node must go")
	})
}

func TestHoldEndsWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		other := r.session()
		r.line = r.newLine(t, other)
		r.s.end(keeper.ErrSessionExpired)
		synctest.Wait()
		requireLost(t, h, keeper.ErrSessionExpired)
		require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
		r.s = other
	})
}

// A young hold costs nothing; from a tenth of the timeout on its node is watched.
func TestHoldEndsWhenItsNodeIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		pass(r.s.timeout/10 - 1)
		assert.Empty(t, r.s.takeSent())
		pass(1)
		assert.Equal(t, []string{"exists"}, r.s.takeSent())
		pass(time.Hour)
		assert.Empty(t, r.s.takeSent(), "one watch for the rest of its life")
		r.delete(h.Node())
		synctest.Wait()
		<-h.Context().Done()
		requireLost(t, h, errDeleted)
		require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
	})
}

func TestHoldNoticesADeletionInItsYouth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		r.delete(h.Node())
		pass(r.s.timeout / 10)
		requireLost(t, h, errDeleted)
		require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
	})
}

// A node of the same name that is not the one we were granted on is not ours.
func TestHoldNoticesThatItsNodeWasReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		r.delete(h.Node())
		require.NoError(t, r.session().Do(t.Context(), &keeper.Create{Path: h.Node()}))
		pass(r.s.timeout / 10)
		requireLost(t, h, errDeleted)
		require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
	})
}

func TestTheWatchOnTheNodeRidesOutLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		r.s.script(map[string][]answer{"exists": {lost, unsent}})
		pass(r.s.timeout)
		require.True(t, h.Valid())
		r.mu.Lock()
		for _, w := range r.watches[h.Node()] {
			w.Fire(keeper.Event{Type: keeper.EventNotWatching, Err: keeper.ErrConnectionLoss})
		}
		delete(r.watches, h.Node())
		r.mu.Unlock()
		pass(r.s.timeout)
		require.True(t, h.Valid())
		r.delete(h.Node())
		synctest.Wait()
		requireLost(t, h, errDeleted)
		require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
	})
}

func TestCommitFindsADeletionAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		require.NoError(t, h.Commit(t.Context(), &keeper.Set{Path: dir, Data: []byte("1"), Version: keeper.AnyVersion}))
		assert.Equal(t, "1", string(r.nodes[dir].data))
		r.delete(h.Node())
		set := &keeper.Set{Path: dir, Data: []byte("2"), Version: keeper.AnyVersion}
		err := h.Commit(t.Context(), set)
		require.ErrorIs(t, err, keeper.ErrHoldLost)
		require.ErrorIs(t, err, keeper.ErrNotHeld)
		assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
		assert.Equal(t, "1", string(r.nodes[dir].data))
		requireLost(t, h, errDeleted)
		require.ErrorIs(t, h.Release(t.Context()), keeper.ErrHoldLost)
	})
}

// Another op's missing node says nothing about the hold.
func TestCommitTellsItsGuardFromOtherOps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := acquired(t)
		missing := &keeper.Set{Path: "/missing", Version: keeper.AnyVersion}
		err := h.Commit(t.Context(), missing)
		require.ErrorIs(t, err, keeper.ErrNoNode)
		require.ErrorIs(t, missing.Err, keeper.ErrNoNode)
		assert.NotErrorIs(t, err, keeper.ErrNotHeld)
		assert.True(t, h.Valid())
		require.NoError(t, h.Release(t.Context()))
	})
}

func TestCommitIsNeverSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		r.s.script(map[string][]answer{"multi": {lost}})
		err := h.Commit(t.Context())
		assert.Equal(t, keeper.Unknown, keeper.OutcomeOf(err))
		assert.Equal(t, []string{"multi"}, r.s.takeSent())
		require.NoError(t, h.Release(t.Context()))
	})
}

func TestGuardIsBoundToHoldAndSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		guard := h.Guard()
		require.NoError(t, r.s.Do(t.Context(), &keeper.Multi{Ops: []keeper.Op{guard}}))
		elsewhere := r.session()
		require.ErrorIs(t, elsewhere.Do(t.Context(), &keeper.Multi{Ops: []keeper.Op{guard}}), keeper.ErrNotHeld)
		assert.Empty(t, elsewhere.takeSent())
		require.NoError(t, h.Release(t.Context()))
		r.s.takeSent()
		err := r.s.Do(t.Context(), &keeper.Multi{Ops: []keeper.Op{guard}})
		require.ErrorIs(t, err, keeper.ErrNotHeld)
		assert.NotErrorIs(t, err, keeper.ErrHoldLost)
		assert.Empty(t, r.s.takeSent())
	})
}

func TestContextCarriesValuesAndNotTheEndOfTheAcquisition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
		h, err := r.line.Acquire(ctx, nil)
		require.NoError(t, err)
		cancel()
		require.NoError(t, h.Context().Err())
		assert.Equal(t, "v", h.Context().Value(key{}))
		require.NoError(t, h.Release(t.Context()))
		require.Error(t, h.Context().Err())
	})
}

// Shutdown: the holder is told, keeps its node until it releases, and the
// shutdown waits for that.
func TestShutdownWaitsForTheHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		close(r.s.closing)
		synctest.Wait()
		<-h.Context().Done()
		requireLost(t, h, keeper.ErrClosed)
		assert.Equal(t, []string{h.node}, r.list(dir))

		waited := make(chan struct{})
		go func() {
			r.s.work.Wait()
			close(waited)
		}()
		synctest.Wait()
		assert.False(t, closed(waited))
		err := h.Release(t.Context())
		require.ErrorIs(t, err, keeper.ErrHoldLost)
		require.ErrorIs(t, err, keeper.ErrClosed)
		<-waited
		assert.Empty(t, r.list(dir))
		_, err = r.line.Acquire(t.Context(), nil)
		require.ErrorIs(t, err, keeper.ErrClosed)
	})
}

// The grant that meets a shutdown is none.
func TestNoGrantDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.on(func(q keeper.Request) (bool, error) {
			if q.Name() == "children" && !closed(r.s.closing) {
				close(r.s.closing)
			}
			return true, nil
		})
		_, err := r.line.Acquire(t.Context(), nil)
		require.ErrorIs(t, err, keeper.ErrClosed)
		assert.NotErrorIs(t, err, keeper.ErrHoldLost)
		r.s.work.Wait()
		assert.Empty(t, r.list(dir))
	})
}

// The proof runs out between the front and the grant: the place is kept and
// proved again.
func TestALapseAtTheGrantIsNoGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.atLapse = func() {
			r.s.unproved, r.s.valid = true, time.Now()
			r.s.atLapse = nil
		}
		r.s.on(func(q keeper.Request) (bool, error) {
			if q.Name() == "sync" {
				r.s.mu.Lock()
				r.s.unproved = false
				r.s.mu.Unlock()
			}
			return true, nil
		})
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		assert.True(t, h.Valid())
		assert.Equal(t, "create children sync children", strings.Join(r.s.takeSent(), " "))
		require.NoError(t, h.Release(t.Context()))
	})
}

func TestDoReleasesWhateverHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		acquire := func() *Hold {
			h, err := r.line.Acquire(t.Context(), nil)
			require.NoError(t, err)
			return h
		}
		mine := errors.New("mine")
		require.ErrorIs(t, acquire().Do(t.Context(), func(context.Context) error { return mine }), mine)
		assert.Empty(t, r.list(dir))

		assert.PanicsWithValue(t, "fn's", func() {
			_ = acquire().Do(t.Context(), func(context.Context) error { panic("fn's") })
		})
		assert.Empty(t, r.list(dir))

		ctx, cancel := context.WithCancel(t.Context())
		require.ErrorIs(t, acquire().Do(ctx, func(ctx context.Context) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}), context.Canceled)
		assert.Empty(t, r.list(dir), "released although the caller's context is over")

		h := acquire()
		err := h.Do(t.Context(), func(ctx context.Context) error {
			r.delete(h.Node())
			<-ctx.Done()
			assert.ErrorIs(t, context.Cause(ctx), keeper.ErrHoldLost)
			return nil
		})
		require.ErrorIs(t, err, keeper.ErrHoldLost, "fn returned nil, but it was not alone")
		//nolint:staticcheck // a nil context is the point
		require.ErrorIs(t, acquire().Do(nil, func(context.Context) error { return nil }), keeper.ErrInvalid)
	})
}
