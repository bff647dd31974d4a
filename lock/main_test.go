package lock_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/testenv"
	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
)

func TestMain(m *testing.M) { zkreal.Main(m) }

// patience bounds what should happen soon, on a busy machine.
const patience = 60 * time.Second

func newMutex(t testing.TB, conn keeper.Conn, path string, opts ...lock.Option) *lock.Mutex {
	t.Helper()
	m, err := lock.New(conn, path, opts...)
	require.NoError(t, err)
	return m
}

func mustLock(t testing.TB, m *lock.Mutex) *lock.Held {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	held, err := m.Lock(ctx)
	require.NoError(t, err)
	return held
}

// locked is what became of a Lock in the background.
type locked struct {
	held *lock.Held
	err  error
}

func lockAsync(ctx context.Context, m *lock.Mutex) <-chan locked {
	done := make(chan locked, 1)
	go func() {
		held, err := m.Lock(ctx)
		done <- locked{held, err}
	}()
	return done
}

// recv receives, with patience.
func recv[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		require.Fail(t, "waited in vain", what)
		panic("unreachable")
	}
}

func session(t testing.TB, c keeper.Conn) keeper.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := c.Session(ctx)
	require.NoError(t, err)
	return s
}

// children lists a directory that may not exist, as the leader sees it.
func children(t testing.TB, c keeper.Conn, dir string) []string {
	t.Helper()
	list := &keeper.Children{Path: dir}
	_ = session(t, c).Do(t.Context(), &keeper.Sync{Path: dir}, list)
	if list.Err != nil {
		require.ErrorIs(t, list.Err, keeper.ErrNoNode)
	}
	return list.Names
}

// requireChildren waits until the directory has n children.
func requireChildren(t testing.TB, c keeper.Conn, dir string, n int) {
	t.Helper()
	require.EventuallyWithT(t, func(poll *assert.CollectT) {
		list := &keeper.Children{Path: dir}
		err := session(t, c).Do(t.Context(), &keeper.Sync{Path: dir}, list)
		if list.Err == nil || assert.ErrorIs(poll, list.Err, keeper.ErrNoNode, "%v", err) {
			assert.Len(poll, list.Names, n)
		}
	}, patience, 10*time.Millisecond)
}

// run is testenv.Run for tests of one mutex.
func run(t *testing.T, f func(t *testing.T, e *testenv.Env, path string), opts ...testenv.Option) {
	t.Helper()
	testenv.Run(t, func(t *testing.T, e *testenv.Env) { f(t, e, e.Path(t)+"/lock") }, opts...)
}
