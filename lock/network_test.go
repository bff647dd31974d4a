package lock_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/netproxy"
	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/internal/testenv"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
)

// A network that loses everything, and nobody is told: by the time the servers
// have expired the holder and granted the lock to the next one, the holder does
// not believe any more. (In virtual time: TestCutOffHolderStopsBelievingInTime.)
func TestSeveredHolderDoesNotBelieveWhenTheNextIsGranted(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		link := netproxy.Start(t, e.Addr())
		held := mustLock(t, newMutex(t, e.ConnTo(t, link.Addr()), path))
		next := lockAsync(t.Context(), newMutex(t, e.Conn(t), path))
		requireChildren(t, e.Client(t), path, 2)
		link.Hold(netproxy.BothWays)

		got := recv(t, next, "the next one")
		valid, ended := held.Valid(), held.Context().Err() != nil
		require.NoError(t, got.err)
		assert.False(t, valid)
		assert.True(t, ended, "it has been told")
		assert.Greater(t, got.held.Token(), held.Token())
		require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)
		link.Resume()
		require.NoError(t, got.held.Release(t.Context()))
	}, testenv.WithSessionTimeout(2*time.Second))
}

// F4, F8: the server acts and its answer is lost, at each step of Lock and Release.
func TestLostAnswers(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		link := netproxy.Start(t, e.Addr())
		conn := e.ConnTo(t, link.Addr())
		m := newMutex(t, conn, path)
		stranger := newMutex(t, e.Conn(t), path)
		s := session(t, e.Client(t))
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: path}))
		lockWithout := func(name string, ops ...proto.OpCode) *lock.Held {
			t.Helper()
			// It has to be connected, or the handshake's answer is lost instead.
			require.NoError(t, session(t, conn).Do(t.Context(), &keeper.Sync{Path: path}))
			lost := link.LoseReplies(1, ops...)
			held := mustLock(t, m)
			recv(t, lost, "the loss of the answer to "+name)
			requireChildren(t, e.Client(t), path, 1)
			return held
		}
		last := int64(0)
		steps := map[string][]proto.OpCode{"create": {proto.OpCreate, proto.OpCreate2}}
		if session(t, conn).Supports(keeper.FeaturePipelining) {
			// Without it the list is not sent before the create is answered, and the
			// proxy lets no answer pass until it has lost that of the list.
			steps["list"] = []proto.OpCode{proto.OpGetChildren, proto.OpGetChildren2}
		}
		for name, ops := range steps {
			held := lockWithout(name, ops...)
			assert.Greater(t, held.Token(), last)
			lost := link.LoseReplies(1, proto.OpDelete)
			require.NoError(t, held.Release(t.Context()))
			recv(t, lost, "the loss of the answer to delete")
			requireChildren(t, e.Client(t), path, 0)
			held = mustLock(t, stranger)
			last = held.Token()
			require.NoError(t, held.Release(t.Context()))
		}
	})
}
