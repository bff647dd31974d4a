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

func TestAcquireDecidesByTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		answers map[string][]answer
		sent    string
		err     error
	}{
		"both ok": {
			sent: "create children"},
		"create ok, list lost: list again, do not create": {
			answers: map[string][]answer{"children": {lost}},
			sent:    "create children children"},
		"create unsent, list stayed: again": {
			answers: map[string][]answer{"create": {unsent}, "children": {stayed}},
			sent:    "create children create children"},
		"both lost, create applied: found by its id, owner verified": {
			answers: map[string][]answer{"create": {lostDone}, "children": {lost}},
			sent:    "create children sync children exists"},
		"both lost, create not applied: created again": {
			answers: map[string][]answer{"create": {lost}, "children": {lost}},
			sent:    "create children sync children create children"},
		"lost again while looking": {
			answers: map[string][]answer{"create": {lostDone}, "children": {lost, lost}, "sync": {lost, lost}},
			sent:    "create children sync children sync children exists"},
		"sync unsent, list stayed": {
			answers: map[string][]answer{"create": {lostDone}, "children": {lost, stayed}, "sync": {unsent}},
			sent:    "create children sync children sync children exists"},
		"create lost twice": {
			answers: map[string][]answer{"create": {lost, lostDone}, "children": {lost, ok, lost}},
			sent:    "create children sync children create children sync children exists"},
		"verify lost": {
			answers: map[string][]answer{"create": {lostDone}, "exists": {lost}},
			sent:    "create children sync children exists exists"},
		"answer unreadable: the node is there": {
			answers: map[string][]answer{"create": {garbled}},
			sent:    "create children sync children exists"},
		"server refuses": {
			answers: map[string][]answer{"create": {refused}},
			sent:    "create children",
			err:     keeper.ErrNoAuth},
		"server refuses the list: the node is removed": {
			answers: map[string][]answer{"children": {refused}},
			sent:    "create children delete",
			err:     keeper.ErrNoAuth},
		"throttled": {
			answers: map[string][]answer{"create": {throttled}},
			sent:    "create children create children"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				r.s.script(c.answers)
				h, err := r.line.Acquire(t.Context(), nil)
				synctest.Wait() // background removal
				assert.Equal(t, c.sent, strings.Join(r.s.takeSent(), " "))
				if c.err != nil {
					require.ErrorIs(t, err, c.err)
					assert.Empty(t, r.list(dir))
					return
				}
				require.NoError(t, err)
				require.Equal(t, []string{h.node}, r.list(dir), "one node")
				assert.Equal(t, r.nodes[h.Node()].stat.Czxid, h.Token())
				require.NoError(t, h.Release(t.Context()))
				assert.Empty(t, r.list(dir))
			})
		})
	}
}

// The same faults must never make TryLock say false, nor leave anything behind.
func TestTryAcquireAnswersALostReplyWithAnError(t *testing.T) {
	for name, answers := range map[string]map[string][]answer{
		"list lost":        {"children": {lost}},
		"create lost":      {"create": {lost}},
		"create lost done": {"create": {lostDone}},
		"second list lost": {"children": {ok, lost}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				r.s.script(answers)
				h, ok, err := r.line.TryAcquire(t.Context(), nil)
				require.ErrorIs(t, err, keeper.ErrConnectionLoss)
				assert.False(t, ok)
				assert.Nil(t, h)
				synctest.Wait()
				assert.Empty(t, r.list(dir))

				h, ok, err = r.line.TryAcquire(t.Context(), nil)
				require.NoError(t, err)
				require.True(t, ok)
				require.NoError(t, h.Release(t.Context()))
			})
		})
	}
}

// A node that somebody deletes while we wait, or right after we made it, is
// made anew, under another name.
func TestAcquireCreatesAnewWhenItsNodeIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		var first string
		r.s.on(func(q keeper.Request) (bool, error) {
			if q, list := q.(*keeper.Children); list && first == "" {
				first = r.list(q.Path)[0]
				r.delete(keeper.Join(dir, first))
			}
			return true, nil
		})
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		assert.NotEqual(t, first, h.node)
		assert.NotEqual(t, first[:len(first)-10], h.node[:len(h.node)-10], "another id")
		require.NoError(t, h.Release(t.Context()))
	})
}

// A create whose answer was lost, and which a lagging server did not show after
// the sync, turns up later: the lower of our two nodes counts, the other goes.
func TestDoublesOfOneIdentityKeepTheLowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		lists := 0
		r.s.on(func(q keeper.Request) (bool, error) {
			switch q.(type) {
			case *keeper.Create:
				if lists == 0 {
					return lostDone.to(q)
				}
			case *keeper.Children:
				lists++
				if lists == 1 {
					return lost.to(q)
				}
				if lists == 2 {
					return false, nil // a list as of earlier: empty
				}
			}
			return true, nil
		})
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, []string{h.node}, r.list(dir))
		assert.True(t, strings.HasSuffix(h.node, "0000000000"), h.node)
		assert.Equal(t, r.nodes[h.Node()].stat.Czxid, h.Token(), "the token is that of the node that won")
		require.NoError(t, h.Release(t.Context()))
	})
}

// A node that carries our id but belongs to another session (an older one, which
// is about to be reaped) is never granted on. It goes, and we stand with another.
func TestANodeOfAnotherSessionIsNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		var ghost string
		r.s.on(func(q keeper.Request) (bool, error) {
			if create, is := q.(*keeper.Create); is && ghost == "" {
				ghost = r.stranger(t, keeper.Base(create.Path))
				return lost.to(q)
			}
			return true, nil
		})
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		assert.NotEqual(t, ghost, h.Node())
		assert.Equal(t, r.s.id, r.nodes[h.Node()].stat.EphemeralOwner)
		assert.Equal(t, []string{h.node}, r.list(dir))
		require.NoError(t, h.Release(t.Context()))
	})
}

// L3 of the list of peers' bugs: past 2^31 the numbers turn negative, and a
// newcomer holds beside the holder. Long before that everybody is refused.
func TestPeerBug_L3(t *testing.T) {
	for _, c := range []struct {
		next int32
		err  error
	}{{lastSequence, nil}, {lastSequence + 1, ErrSequenceExhausted}, {1<<31 - 1, ErrSequenceExhausted}, {-1 << 31, ErrSequenceExhausted}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.makeDir(t)
			r.nodes[dir].created = c.next
			h, err := r.line.Acquire(t.Context(), nil)
			if c.err == nil {
				require.NoError(t, err)
				require.NoError(t, h.Release(t.Context()))
				return
			}
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
			synctest.Wait()
			assert.Empty(t, r.list(dir), "the node is removed")
			_, ok, err := r.line.TryAcquire(t.Context(), nil)
			require.ErrorIs(t, err, c.err)
			assert.False(t, ok)
			synctest.Wait()
			assert.Empty(t, r.list(dir))
		})
	}
}

// Past the end servers repeat the last number, so a create that is repeated
// with its id meets its own node.
func TestNodeExistsMeansExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.script(map[string][]answer{"create": {taken}})
		_, err := r.line.Acquire(t.Context(), nil)
		require.ErrorIs(t, err, ErrSequenceExhausted)
	})
}

func TestForeignNamesAreIgnoredAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		for _, name := range []string{"ready", "_c_foo", "x__rlock__"} {
			r.stranger(t, name)
		}
		for range 3 {
			h, err := r.line.Acquire(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, h.Release(t.Context()))
			h, ok, err := r.line.TryAcquire(t.Context(), nil)
			require.NoError(t, err)
			require.True(t, ok)
			require.NoError(t, h.Release(t.Context()))
		}
		assert.Equal(t, 1, strings.Count(r.log.String(), "foreign names"), r.log.String())
	})
}

// The session's proof has run out when the contender gets to the front: a sync
// goes with the list, a quarter of the timeout apart, until it is proved.
func TestNoGrantWithoutProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.unproved, r.s.valid = true, time.Now().Add(-time.Second)
		start := time.Now()
		r.s.on(func(keeper.Request) (bool, error) {
			if time.Since(start) > r.s.timeout/2 {
				r.s.mu.Lock()
				r.s.unproved = false
				r.s.mu.Unlock()
			}
			return true, nil
		})
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, "create children sync children sync children sync children", strings.Join(r.s.takeSent(), " "))
		assert.True(t, h.Valid())
		require.NoError(t, h.Release(t.Context()))
	})
}

func TestProofThatNeverComesEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.unproved, r.s.valid = true, time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := r.line.Acquire(ctx, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		assert.Empty(t, r.list(dir))
	})
}

// A list after a wake-up is no proof: when less than a quarter of the timeout is
// left a sync goes with it, else not.
func TestAListIsProvedWhenItHasToBe(t *testing.T) {
	for left, want := range map[time.Duration]string{
		2 * time.Second: "create children get sync children",
		3 * time.Second: "create children get children",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.makeDir(t)
			ahead := r.stranger(t, "x-lock-")
			got := make(chan *Hold)
			go func() {
				h, err := r.line.Acquire(t.Context(), nil)
				assert.NoError(t, err)
				got <- h
			}()
			synctest.Wait()
			r.s.mu.Lock()
			r.s.unproved, r.s.valid = true, time.Now().Add(left)
			r.s.mu.Unlock()
			r.delete(ahead)
			h := <-got
			assert.Equal(t, want, strings.Join(r.s.takeSent(), " "))
			require.NoError(t, h.Release(t.Context()))
		})
	}
}

// Whatever is lost or refused on the way, a removal goes on until the node is
// gone.
func TestRemovalGoesOn(t *testing.T) {
	for name, answers := range map[string]map[string][]answer{
		"by name":  {"children": {lost}, "delete": {lost, unsent, refused, refused, lostDone}},
		"by id":    {"create": {lostDone}, "children": {lost, lost, refused}, "delete": {lost, unsent, unsent, ok, refused}},
		"by id, 2": {"create": {lost}, "delete": {lost}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				r.s.script(answers)
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				_, err := r.line.Acquire(ctx, nil) // it meets a lost answer, and then its context ends
				require.ErrorIs(t, err, context.DeadlineExceeded)
				r.s.work.Wait()
				assert.Empty(t, r.list(dir))
				assert.Empty(t, answers["delete"], "every fault was met")
			})
		})
	}
}

func TestRetryAttemptsBoundTheLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.line.retry.Attempts = 3
		r.s.script(map[string][]answer{"create": {unsent, unsent, unsent}})
		_, err := r.line.Acquire(t.Context(), nil)
		require.ErrorIs(t, err, keeper.ErrConnectionLoss)
		assert.Equal(t, 3, strings.Count(strings.Join(r.s.takeSent(), " "), "create"))
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, h.Release(t.Context()))
	})
}
