package recipes

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// result is what an acquisition in the background came to.
type result struct {
	hold *Hold
	err  error
}

// acquire starts an acquisition and returns when it waits or is done.
func (r *rig) acquire(ctx context.Context, data string) <-chan result {
	done := make(chan result, 1)
	go func() {
		h, err := r.line.Acquire(ctx, []byte(data))
		done <- result{h, err}
	}()
	synctest.Wait()
	return done
}

func (r *rig) sentNow() string { return strings.Join(r.s.takeSent(), " ") }

func TestHandOverIsOneWriteOfThree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		var waiting []<-chan result
		for range 3 {
			waiting = append(waiting, r.acquire(t.Context(), ""))
		}
		assert.Empty(t, r.sentNow(), "they wait in the process")
		for _, next := range waiting {
			old := h
			require.NoError(t, h.Release(t.Context()))
			got := <-next
			require.NoError(t, got.err)
			h = got.hold
			assert.Equal(t, "delete create children", r.sentNow())
			assert.Greater(t, h.Token(), old.Token())
			assert.NotEqual(t, old.Node(), h.Node(), "one node per grant")
			assert.Equal(t, []string{h.node}, r.list(dir))
		}
		require.NoError(t, h.Release(t.Context()))
		assert.Equal(t, "delete", r.sentNow())
		assert.False(t, r.line.busy)
	})
}

// Whoever stands in line from elsewhere gets its turn between two of ours.
func TestHandOverGoesToTheEndOfTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		next := r.acquire(t.Context(), "")
		other := r.stranger(t, "x-lock-")
		require.NoError(t, h.Release(t.Context()))
		synctest.Wait()
		require.Empty(t, next)
		assert.Equal(t, "delete create children get", r.sentNow())
		r.delete(other)
		got := <-next
		require.NoError(t, got.err)
		require.NoError(t, got.hold.Release(t.Context()))
	})
}

// A lost answer at the hand-over is the business of whoever comes next.
func TestHandOverWithLostAnswers(t *testing.T) {
	for name, answers := range map[string]map[string][]answer{
		"all lost":                {"delete": {lost}, "create": {lost}, "children": {lost}},
		"all lost, all applied":   {"delete": {lostDone}, "create": {lostDone}, "children": {lost}},
		"delete applied":          {"create": {lost}, "children": {lost}},
		"list lost":               {"children": {lost}},
		"delete unsent, rest too": {"delete": {unsent}, "create": {stayed}, "children": {stayed}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, h := acquired(t)
				next := r.acquire(t.Context(), "")
				r.s.script(answers)
				require.NoError(t, h.Release(t.Context()))
				got := <-next
				require.NoError(t, got.err)
				assert.Greater(t, got.hold.Token(), h.Token())
				synctest.Wait()
				assert.Equal(t, []string{got.hold.node}, r.list(dir))
				require.NoError(t, got.hold.Release(t.Context()))
				assert.Empty(t, r.list(dir))
			})
		})
	}
}

func TestHandOverWithAReleaseWhoseContextIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		next := r.acquire(t.Context(), "")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, h.Release(ctx))
		got := <-next
		require.NoError(t, got.err, "the context of the release is not the waiter's")
		assert.Equal(t, []string{got.hold.node}, r.list(dir))
		require.NoError(t, got.hold.Release(t.Context()))
	})
}

// The waiter gives up while the release that hands over to it is under way.
func TestHandOverToAWaiterThatGivesUp(t *testing.T) {
	for _, others := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			r, h := acquired(t)
			ctx, cancel := context.WithCancel(t.Context())
			first := r.acquire(ctx, "")
			r.s.on(func(q keeper.Request) (bool, error) {
				if q.Name() == "create" {
					cancel()
					<-first
				}
				return true, nil
			})
			var second <-chan result
			if others > 0 {
				second = r.acquire(t.Context(), "")
			}
			r.s.takeSent()
			require.NoError(t, h.Release(t.Context()))
			if others == 0 {
				r.s.work.Wait()
				assert.Empty(t, r.list(dir))
				assert.False(t, r.line.busy)
				return
			}
			got := <-second
			require.NoError(t, got.err)
			assert.Equal(t, "delete create children", r.sentNow(), "the node passes to the next one")
			require.NoError(t, got.hold.Release(t.Context()))
		})
	}
}

// The goroutine at the front of the process stands in line and gives up: the
// next one goes on with its node.
func TestACancelledWaiterPassesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		ahead := r.stranger(t, "x-lock-")
		ctx, cancel := context.WithCancel(t.Context())
		first := r.acquire(ctx, "")
		second := r.acquire(t.Context(), "")
		behind := r.stranger(t, "y-lock-")
		standing := r.list(dir)
		cancel()
		require.ErrorIs(t, (<-first).err, context.Canceled)
		synctest.Wait()
		assert.Equal(t, standing, r.list(dir))
		r.delete(ahead)
		got := <-second
		require.NoError(t, got.err)
		assert.Contains(t, standing, got.hold.node)
		assert.Less(t, got.hold.node[len(got.hold.node)-10:], behind[len(behind)-10:])
		require.NoError(t, got.hold.Release(t.Context()))
	})
}

// A place whose node shows other data than the next one wants is given up.
func TestAPlaceWithOtherDataIsNotPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		ahead := r.stranger(t, "x-lock-")
		ctx, cancel := context.WithCancel(t.Context())
		first := r.acquire(ctx, "first")
		second := r.acquire(t.Context(), "second")
		cancel()
		require.ErrorIs(t, (<-first).err, context.Canceled)
		synctest.Wait()
		assert.Len(t, r.list(dir), 2)
		r.delete(ahead)
		got := <-second
		require.NoError(t, got.err)
		assert.Equal(t, "second", string(r.nodes[got.hold.Node()].data))
		third := r.acquire(t.Context(), "third")
		require.NoError(t, got.hold.Release(t.Context()))
		got = <-third
		require.NoError(t, got.err)
		assert.Equal(t, "third", string(r.nodes[got.hold.Node()].data), "the hand-over makes the node for its heir")
		require.NoError(t, got.hold.Release(t.Context()))
	})
}

func TestTheLastWaiterTakesItsPlaceWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		ahead := r.stranger(t, "x-lock-")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, nil)
		defer cancel()
		got := <-r.acquire(ctx, "")
		require.ErrorIs(t, got.err, context.DeadlineExceeded)
		assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(got.err))
		assert.EqualError(t, got.err, "wait in line /app/lock: context deadline exceeded")
		r.s.work.Wait()
		assert.Equal(t, []string{keeper.Base(ahead)}, r.list(dir))
		assert.False(t, r.line.busy)
	})
}

func TestLocalWaitersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		const waiters = 20
		var (
			all   sync.WaitGroup
			mu    sync.Mutex
			order []int
		)
		for i := range waiters {
			all.Go(func() {
				h, err := r.line.Acquire(t.Context(), nil)
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				assert.NoError(t, h.Release(t.Context()))
			})
			synctest.Wait()
		}
		require.NoError(t, h.Release(t.Context()))
		all.Wait()
		assert.Len(t, order, waiters)
		assert.True(t, slices.IsSorted(order), order)
	})
}

func TestWaitersThatGiveUpLeaveTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		ctx, cancel := context.WithCancel(t.Context())
		first := r.acquire(t.Context(), "")
		second := r.acquire(ctx, "")
		third := r.acquire(t.Context(), "")
		cancel()
		require.ErrorIs(t, (<-second).err, context.Canceled)
		assert.Empty(t, r.sentNow())
		require.NoError(t, h.Release(t.Context()))
		got := <-first
		require.NoError(t, got.err)
		require.NoError(t, got.hold.Release(t.Context()))
		got = <-third
		require.NoError(t, got.err)
		require.NoError(t, got.hold.Release(t.Context()))
	})
}

// sessions is a Conn that gives out one session after another.
type sessions struct {
	mu  sync.Mutex
	now *fakeSession
}

func (c *sessions) Session(ctx context.Context) (keeper.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Session(ctx)
}

func (c *sessions) next(s *fakeSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = s
}

func TestWaitersStandAgainInTheNextSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		old, conn := r.s, &sessions{now: r.s}
		r.line = r.newLine(t, conn)
		ahead := r.stranger(t, "x-lock-")
		front := r.acquire(t.Context(), "")
		local := r.acquire(t.Context(), "")
		r.s = r.session()
		conn.next(r.s)
		old.end(keeper.ErrSessionExpired)
		synctest.Wait()
		assert.Len(t, r.list(dir), 2, "the old node is gone, a new one stands")
		r.delete(ahead)
		got := <-front
		require.NoError(t, got.err)
		assert.Equal(t, r.s.id, r.nodes[got.hold.Node()].stat.EphemeralOwner)
		require.NoError(t, got.hold.Release(t.Context()))
		got = <-local
		require.NoError(t, got.err)
		require.NoError(t, got.hold.Release(t.Context()))
	})
}

// A Conn may give out a session that dies on the way: no busy loop.
func TestADeadSessionIsNotAskedInALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		dead := r.session()
		dead.end(keeper.ErrSessionExpired)
		conn := &sessions{now: dead}
		r.line = r.newLine(t, conn)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got := <-r.acquire(ctx, "")
		require.ErrorIs(t, got.err, context.DeadlineExceeded)
	})
}

// Goroutines of one process never believe at the same time: a hold that was
// lost keeps them out until it is released.
func TestALostHoldKeepsItsOwnProcessOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		old, conn := r.s, &sessions{now: r.s}
		r.line = r.newLine(t, conn)
		got := <-r.acquire(t.Context(), "")
		require.NoError(t, got.err)
		local := r.acquire(t.Context(), "")
		r.s = r.session()
		conn.next(r.s)
		old.end(keeper.ErrSessionExpired)
		pass(time.Hour)
		require.Empty(t, local)
		require.ErrorIs(t, got.hold.Release(t.Context()), keeper.ErrHoldLost)
		next := <-local
		require.NoError(t, next.err)
		require.NoError(t, next.hold.Release(t.Context()))
	})
}

func TestShutdownEndsEveryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := acquired(t)
		local := r.acquire(t.Context(), "")
		other := r.newLine(t, r.s) // another lock on the same directory: it stands in line
		inLine := make(chan error, 1)
		go func() {
			_, err := other.Acquire(t.Context(), nil)
			inLine <- err
		}()
		synctest.Wait()
		close(r.s.closing)
		require.ErrorIs(t, (<-local).err, keeper.ErrClosed)
		require.ErrorIs(t, <-inLine, keeper.ErrClosed)
		require.ErrorIs(t, h.Release(t.Context()), keeper.ErrClosed)
		r.s.work.Wait()
		assert.Empty(t, r.list(dir))
		_, _, err := r.line.TryAcquire(t.Context(), nil)
		require.ErrorIs(t, err, keeper.ErrClosed)
	})
}

// Who stands in line counts as work, so that a shutdown waits for its node to go:
// not every connection's end takes its nodes with it.
func TestShutdownWaitsForWhoStandsInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		ahead := r.stranger(t, "x-lock-")
		inLine := r.acquire(t.Context(), "")
		waited := make(chan struct{})
		go func() {
			r.s.work.Wait()
			close(waited)
		}()
		synctest.Wait()
		require.False(t, closed(waited))
		close(r.s.closing)
		require.ErrorIs(t, (<-inLine).err, keeper.ErrClosed)
		<-waited
		assert.Equal(t, []string{keeper.Base(ahead)}, r.list(dir))
	})
}
