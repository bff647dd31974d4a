package lock_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/lock"
)

// cost says what the server has seen since the last call.
func (b *bubble) cost() string {
	synctest.Wait()
	c := b.Counts()
	b.ResetCounts()
	return fmt.Sprintf("%d requests in %d round trips", c.Total(), c.Bursts)
}

func TestCost(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		m := newMutex(t, b.client(), "/lock")
		other := newMutex(t, b.client(), "/lock")
		held := mustLock(t, m) // makes the directory
		require.NoError(t, held.Release(t.Context()))
		b.cost()

		held = mustLock(t, m)
		assert.Equal(t, "2 requests in 1 round trips", b.cost(), "acquire")
		require.NoError(t, held.Release(t.Context()))
		assert.Equal(t, "1 requests in 1 round trips", b.cost(), "release")

		held, ok, err := m.TryLock(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		assert.Equal(t, "3 requests in 2 round trips", b.cost(), "TryLock that succeeds")
		_, ok, err = other.TryLock(t.Context())
		require.NoError(t, err)
		require.False(t, ok)
		assert.Equal(t, "1 requests in 1 round trips", b.cost(), "TryLock that does not")
		_, ok, err = m.TryLock(t.Context())
		require.NoError(t, err)
		require.False(t, ok)
		assert.Equal(t, "0 requests in 0 round trips", b.cost(), "TryLock while the own process holds")

		waiting := lockAsync(t.Context(), other)
		synctest.Wait()
		assert.Equal(t, "3 requests in 2 round trips", b.cost(), "standing in line")
		require.NoError(t, held.Release(t.Context()))
		got := <-waiting
		require.NoError(t, got.err)
		assert.Equal(t, "2 requests in 2 round trips", b.cost(), "release, and the list of the one it wakes")
		require.NoError(t, got.held.Release(t.Context()))
	})
}

// An idle session's proof has grown old; the create is itself the next one.
func TestCostAfterALongIdleTime(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		require.NoError(t, c.EnsurePath(t.Context(), "/lock/keep")) // or the server removes the empty directory
		m := newMutex(t, c, "/lock")
		pass(10 * timeout)
		b.cost()
		held := mustLock(t, m)
		counts := b.Counts()
		assert.Equal(t, 1, counts.Requests["create"])
		assert.Equal(t, 1, counts.Requests["getChildren"])
		assert.Equal(t, 2, counts.Total())
		assert.True(t, held.Valid())
		pass(timeout)
		assert.True(t, held.Valid())
		require.NoError(t, held.Release(t.Context()))
	})
}

func TestCostOfManyGoroutines(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const goroutines = 64
		m := newMutex(t, b.client(), "/lock")
		held := mustLock(t, m)
		var all sync.WaitGroup
		for range goroutines {
			all.Go(func() {
				held, err := m.Lock(t.Context())
				if assert.NoError(t, err) {
					assert.NoError(t, held.Release(t.Context()))
				}
			})
		}
		synctest.Wait()
		b.cost()
		require.NoError(t, held.Release(t.Context()))
		all.Wait()
		// 64 hand-overs, and the delete of the last one.
		assert.Equal(t, fmt.Sprintf("%d requests in %d round trips", 3*goroutines+1, goroutines+1), b.cost())
	})
}

// A lock that is held for long costs one heartbeat per tenth of the timeout and,
// once, the look at its node.
func TestCostOfHolding(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		held := mustLock(t, newMutex(t, b.client(), "/lock"))
		b.cost()
		pass(timeout)
		c := b.Counts()
		assert.Equal(t, 1, c.Requests["exists"])
		assert.InDelta(t, 10, c.Requests["sync"], 1)
		assert.Equal(t, c.Total(), c.Requests["exists"]+c.Requests["sync"])
		require.NoError(t, held.Release(t.Context()))
		synctest.Wait()
		b.ResetCounts()
		pass(timeout)
		c = b.Counts()
		assert.Zero(t, c.Total(), "at rest it costs pings")
	})
}

// F9: of many waiters one is woken per release.
func TestHerd(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const waiters = 200
		held := mustLock(t, newMutex(t, b.client(), "/lock"))
		conn := b.client()
		grants := make(chan *lock.Held)
		var all sync.WaitGroup
		for range waiters {
			// A Mutex each: they stand in line like so many processes.
			m := newMutex(t, conn, "/lock")
			all.Go(func() {
				held, err := m.Lock(t.Context())
				if assert.NoError(t, err) {
					grants <- held
				}
			})
		}
		synctest.Wait()
		b.ResetCounts()
		for range waiters {
			require.NoError(t, held.Release(t.Context()))
			held = <-grants
			synctest.Wait()
			c := b.Counts()
			b.ResetCounts()
			require.LessOrEqual(t, c.Notifications, 1)
			require.Equal(t, 2, c.Total(), "the delete and one list")
		}
		all.Wait()
		require.NoError(t, held.Release(t.Context()))
	})
}

// Cancelled waits leave no watch behind, and no goroutine.
func TestCancelledWaitsLeaveNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		held := mustLock(t, newMutex(t, b.client(), "/lock"))
		conn := b.client()
		m := newMutex(t, conn, "/lock")
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := m.Lock(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		synctest.Wait()
		assert.Zero(t, conn.PendingWatches())
		names, _, err := conn.Children(t.Context(), "/lock")
		require.NoError(t, err)
		assert.Len(t, names, 1)
		require.NoError(t, held.Release(t.Context()))
	})
}
