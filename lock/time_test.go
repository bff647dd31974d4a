package lock_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

// cable is a dialer that can be pulled out: connections break and no new ones
// come about.
type cable struct {
	b   *bubble
	out atomic.Bool

	mu    sync.Mutex
	conns []net.Conn // guarded by mu
}

func (c *cable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.out.Load() {
		return nil, fmt.Errorf("dial %s: the cable is out", addr)
	}
	conn, err := c.b.Dial(ctx, network, addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return conn, err
}

func (c *cable) pull() {
	c.out.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

func (c *cable) plug() { c.out.Store(false) }

// The server stops answering: the hold ends at the moment up to which the
// session was proved, not later and hardly earlier.
func TestHoldLapsesWhenTheServerIsFrozen(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		s := session(t, c)
		held := mustLock(t, newMutex(t, c, "/lock"))
		pass(3 * timeout)
		require.True(t, held.Valid(), "heartbeats prove it")
		b.Freeze()
		until := s.ValidUntil()
		assert.Greater(t, time.Until(until), timeout/2, "a short silence demotes nobody")

		<-held.Context().Done()
		assert.WithinDuration(t, until, time.Now(), time.Millisecond)
		assert.False(t, time.Now().Before(until), "it believed as long as it could")
		require.ErrorIs(t, context.Cause(held.Context()), keeper.ErrHoldLost)
		assert.False(t, held.Valid())

		// The server comes back in time to keep the session: the hold stays lost.
		b.Thaw()
		pass(timeout)
		assert.False(t, held.Valid())
		require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)
		pass(timeout)
		again := mustLock(t, newMutex(t, b.client(), "/lock"))
		require.NoError(t, again.Release(t.Context()))
	})
}

// A holder is cut off without being told. It stops believing before the servers
// give the lock to the next one, whenever within the heartbeat the cut comes.
func TestCutOffHolderStopsBelievingInTime(t *testing.T) {
	for at := time.Duration(0); at < timeout/5; at += timeout / 50 {
		t.Run(fmt.Sprint("after ", at), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				wire := &cable{b: b}
				held := mustLock(t, newMutex(t, b.client(client.WithDialer(wire.dial)), "/lock"))
				next := lockAsync(t.Context(), newMutex(t, b.client(), "/lock"))
				pass(2*timeout + at)
				wire.pull()
				<-held.Context().Done()
				learned := time.Now()
				assert.False(t, held.Valid())
				require.Empty(t, next)
				got := <-next
				require.NoError(t, got.err)
				assert.True(t, learned.Before(time.Now()))
				assert.Greater(t, got.held.Token(), held.Token())
				require.NoError(t, got.held.Release(t.Context()))
				require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost, "and does not wait for the cable")
				wire.plug()
				pass(timeout)
			})
		})
	}
}

// A disconnect of less than half the timeout takes nothing away.
func TestShortDisconnectDemotesNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		wire := &cable{b: b}
		held := mustLock(t, newMutex(t, b.client(client.WithDialer(wire.dial)), "/lock"))
		for range 10 {
			pass(timeout)
			wire.pull()
			pass(timeout * 2 / 5)
			wire.plug()
		}
		pass(timeout)
		assert.True(t, held.Valid())
		require.NoError(t, held.Release(t.Context()))
	})
}

// F2: a guarded write of the old holder is on its way while the lock changes
// hands. It arrives, and is refused.
func TestDelayedCommitIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		require.NoError(t, c.EnsurePath(t.Context(), "/value"))
		held := mustLock(t, newMutex(t, c, "/lock"))
		heir := b.client()
		next := lockAsync(t.Context(), newMutex(t, heir, "/lock"))
		synctest.Wait()

		b.Inject(zkserver.Rule{Kind: "multi", Fault: zkserver.Delay, Delay: timeout / 10})
		answer := make(chan error, 1)
		go func() {
			answer <- held.Commit(t.Context(), &keeper.Set{Path: "/value", Data: []byte("late"), Version: keeper.AnyVersion})
		}()
		synctest.Wait()
		require.NoError(t, heir.Delete(t.Context(), held.Node(), keeper.AnyVersion), "somebody takes the lock away")
		got := <-next
		require.NoError(t, got.err)
		err := <-answer
		require.ErrorIs(t, err, keeper.ErrHoldLost)
		assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
		data, _, err := heir.Get(t.Context(), "/value")
		require.NoError(t, err)
		assert.Empty(t, data)
		require.NoError(t, got.held.Release(t.Context()))
		require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)
	})
}

// A release while the cable is out: the answer does not come, the node goes as
// soon as it can, and the shutdown waits for that.
func TestReleaseWithoutAConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		wire := &cable{b: b}
		c := b.client(client.WithDialer(wire.dial))
		held := mustLock(t, newMutex(t, c, "/lock"))
		wire.pull()
		ctx, cancel := context.WithTimeout(t.Context(), timeout/10)
		defer cancel()
		require.NoError(t, held.Release(ctx), "it was held until the release")
		wire.plug()
		require.NoError(t, c.Shutdown(t.Context()))
		names, _, err := b.client().Children(t.Context(), "/lock")
		require.NoError(t, err)
		assert.Empty(t, names)
	})
}
