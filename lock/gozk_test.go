package lock_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/testenv"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
)

// go-zookeeper's own Lock and ours take turns on one path.
func TestContendsWithGoZookeepersLock(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		const each, rounds = 2, 5
		value := keeper.Parent(path) + "/value"
		s := session(t, e.Client(t))
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: value, Data: []byte("0")}))
		var inside sync.Mutex // only to notice two at once
		add := func(ctx context.Context) {
			assert.True(t, inside.TryLock(), "two inside at once")
			get := &keeper.Get{Path: value}
			assert.NoError(t, s.Do(ctx, get))
			n, err := strconv.Atoi(string(get.Data))
			assert.NoError(t, err)
			assert.NoError(t, s.Do(ctx, &keeper.Set{Path: value, Data: []byte(strconv.Itoa(n + 1)), Version: keeper.AnyVersion}))
			inside.Unlock()
		}
		var all sync.WaitGroup
		for range each {
			theirs := dialGoZookeeper(t, e)
			all.Go(func() {
				l := zk.NewLock(theirs, path, zk.WorldACL(zk.PermAll))
				for range rounds {
					if assert.NoError(t, l.Lock()) {
						add(t.Context())
						assert.NoError(t, l.Unlock())
					}
				}
			})
			ours := newMutex(t, e.Conn(t), path)
			all.Go(func() {
				for range rounds {
					assert.NoError(t, ours.Do(t.Context(), func(ctx context.Context, _ *lock.Held) error {
						add(ctx)
						return nil
					}))
				}
			})
		}
		all.Wait()
		get := &keeper.Get{Path: value}
		require.NoError(t, s.Do(t.Context(), get))
		assert.Equal(t, strconv.Itoa(2*each*rounds), string(get.Data))
	})
}

type silent struct{}

func (silent) Printf(string, ...any) {}

func dialGoZookeeper(t *testing.T, e *testenv.Env) *zk.Conn {
	t.Helper()
	conn, events, err := zk.Connect([]string{e.Addr()}, 10*time.Second, zk.WithLogger(silent{}))
	require.NoError(t, err)
	t.Cleanup(func() {
		conn.Close()
		for range events { // closed by go-zookeeper's last goroutine
		}
	})
	return conn
}
