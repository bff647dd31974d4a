package lock_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/testenv"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
)

// Several processes with several goroutines each add to a value outside any
// transaction: not one update is lost, and tokens come in the order of grants.
func TestMutualExclusion(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		const processes, goroutines, rounds = 3, 3, 5
		value := keeper.Parent(path) + "/value"
		observer := session(t, e.Client(t))
		require.NoError(t, observer.Do(t.Context(), &keeper.Create{Path: value, Data: []byte("0")}))
		var (
			all    sync.WaitGroup
			mu     sync.Mutex
			tokens []int64
		)
		add := func(ctx context.Context, s keeper.Session, held *lock.Held) error {
			mu.Lock()
			tokens = append(tokens, held.Token())
			mu.Unlock()
			get := &keeper.Get{Path: value}
			if err := s.Do(ctx, get); err != nil {
				return err
			}
			n, err := strconv.Atoi(string(get.Data))
			if err != nil {
				return err
			}
			return s.Do(ctx, &keeper.Set{Path: value, Data: []byte(strconv.Itoa(n + 1)), Version: keeper.AnyVersion})
		}
		for range processes {
			conn := e.Conn(t)
			m, s := newMutex(t, conn, path), session(t, conn)
			for range goroutines {
				all.Go(func() {
					for range rounds {
						assert.NoError(t, m.Do(t.Context(), func(ctx context.Context, held *lock.Held) error {
							return add(ctx, s, held)
						}))
					}
				})
			}
		}
		all.Wait()
		get := &keeper.Get{Path: value}
		require.NoError(t, observer.Do(t.Context(), &keeper.Sync{Path: value}, get))
		assert.Equal(t, fmt.Sprint(processes*goroutines*rounds), string(get.Data))
		assert.True(t, slices.IsSorted(tokens), tokens)
		assert.Len(t, slices.Compact(tokens), processes*goroutines*rounds)
		assert.Empty(t, children(t, e.Client(t), path))
	})
}

func TestTokenIsTheCzxidOfTheNode(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		conn := e.Conn(t)
		held := mustLock(t, newMutex(t, conn, path, lock.WithData([]byte("who"))))
		get := &keeper.Get{Path: held.Node()}
		require.NoError(t, session(t, e.Client(t)).Do(t.Context(), get))
		assert.Equal(t, held.Token(), get.Stat.Czxid)
		assert.Equal(t, session(t, conn).ID(), get.Stat.EphemeralOwner)
		assert.Equal(t, "who", string(get.Data))
		require.NoError(t, held.Release(t.Context()))
	})
}

// The czxid goes on growing where the sequence starts anew.
func TestTokensGrowAcrossReCreatedDirectories(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		m := newMutex(t, e.Conn(t), path)
		observer := session(t, e.Client(t))
		last := int64(0)
		for range 3 {
			held := mustLock(t, m)
			assert.Greater(t, held.Token(), last)
			assert.Regexp(t, "-lock-0000000000$", held.Node())
			last = held.Token()
			require.NoError(t, held.Release(t.Context()))
			if err := observer.Do(t.Context(), &keeper.Delete{Path: path, Version: keeper.AnyVersion}); err != nil {
				require.ErrorIs(t, err, keeper.ErrNoNode, "the server has removed the empty container")
			}
		}
	})
}

func TestWaitersAreServedInOrderOfArrival(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		first := mustLock(t, newMutex(t, e.Conn(t), path))
		var waiting []<-chan locked
		for i := range 4 {
			waiting = append(waiting, lockAsync(t.Context(), newMutex(t, e.Conn(t), path)))
			requireChildren(t, e.Client(t), path, i+2)
		}
		held := first
		for _, next := range waiting {
			require.NoError(t, held.Release(t.Context()))
			got := recv(t, next, "the next in line")
			require.NoError(t, got.err)
			assert.Greater(t, got.held.Token(), held.Token())
			held = got.held
		}
		require.NoError(t, held.Release(t.Context()))
	})
}

func TestTryLock(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		a, b := newMutex(t, e.Conn(t), path), newMutex(t, e.Conn(t), path)
		held, ok, err := a.TryLock(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		for _, m := range []*lock.Mutex{a, b} {
			got, ok, err := m.TryLock(t.Context())
			require.NoError(t, err)
			assert.False(t, ok)
			assert.Nil(t, got)
		}
		requireChildren(t, e.Client(t), path, 1)
		require.NoError(t, held.Release(t.Context()))
		held, ok, err = b.TryLock(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, held.Release(t.Context()))
	})
}

// The session ends: the holder knows before the next one is granted, its late
// guarded writes are refused, and its release says what happened.
func TestExpiredHolderKnowsAndCannotWrite(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		old, heir := e.Conn(t), e.Conn(t)
		m := newMutex(t, old, path)
		held := mustLock(t, m)
		value := keeper.Parent(path) + "/value"
		observer := session(t, e.Client(t))
		require.NoError(t, observer.Do(t.Context(), &keeper.Create{Path: value}))
		require.NoError(t, held.Commit(t.Context(), &keeper.Set{Path: value, Data: []byte("in time"), Version: 0}))

		next := lockAsync(t.Context(), newMutex(t, heir, path))
		requireChildren(t, e.Client(t), path, 2)
		e.Expire(t, session(t, old).ID())
		recv(t, held.Context().Done(), "the holder hears")
		require.ErrorIs(t, context.Cause(held.Context()), keeper.ErrHoldLost)
		assert.False(t, held.Valid())
		err := held.Commit(t.Context(), &keeper.Set{Path: value, Data: []byte("late"), Version: keeper.AnyVersion})
		require.ErrorIs(t, err, keeper.ErrNotHeld)
		assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))

		got := recv(t, next, "the heir")
		require.NoError(t, got.err)
		assert.Greater(t, got.held.Token(), held.Token())

		// The same write, had it been under way: the server refuses it.
		err = observer.Do(t.Context(), &keeper.Multi{Ops: []keeper.Op{
			&keeper.Check{Path: held.Node(), Version: keeper.AnyVersion},
			&keeper.Set{Path: value, Data: []byte("late"), Version: keeper.AnyVersion},
		}})
		require.ErrorIs(t, err, keeper.ErrNoNode)
		get := &keeper.Get{Path: value}
		require.NoError(t, observer.Do(t.Context(), get))
		assert.Equal(t, "in time", string(get.Data))

		require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)
		require.NoError(t, got.held.Release(t.Context()))
		again := mustLock(t, m)
		assert.Greater(t, again.Token(), got.held.Token(), "the mutex works on in the next session")
		require.NoError(t, again.Release(t.Context()))
	})
}

// F3, F6: a waiter whose session expires stands again, in the next session.
func TestWaiterOutlivesItsSession(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		holder, waiter := e.Conn(t), e.Conn(t)
		held := mustLock(t, newMutex(t, holder, path))
		next := lockAsync(t.Context(), newMutex(t, waiter, path))
		requireChildren(t, e.Client(t), path, 2)
		for range 2 {
			s := session(t, waiter)
			e.Expire(t, s.ID())
			recv(t, s.Done(), "the end of the session")
			require.EventuallyWithT(t, func(poll *assert.CollectT) {
				assert.True(poll, owned(t, e, path, session(t, waiter).ID()))
			}, patience, 10*time.Millisecond)
		}
		require.NoError(t, held.Release(t.Context()))
		got := recv(t, next, "the lock")
		require.NoError(t, got.err)
		assert.True(t, owned(t, e, path, session(t, waiter).ID()))
		require.NoError(t, got.held.Release(t.Context()))
		requireChildren(t, e.Client(t), path, 0)
	})
}

// owned tells whether a node of the session stands in the directory.
func owned(t testing.TB, e *testenv.Env, path string, id int64) bool {
	t.Helper()
	s := session(t, e.Client(t))
	for _, name := range children(t, e.Client(t), path) {
		look := &keeper.Exists{Path: keeper.Join(path, name)}
		require.NoError(t, s.Do(t.Context(), look))
		if look.Found && look.Stat.EphemeralOwner == id {
			return true
		}
	}
	return false
}

// F10: the session of the middle one of three ends; the last one does not take
// that for its turn, and passes the middle one, which stands at the end again.
func TestMiddleWaiterDies(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		held := mustLock(t, newMutex(t, e.Conn(t), path))
		conn := e.Conn(t)
		middle := lockAsync(t.Context(), newMutex(t, conn, path))
		requireChildren(t, e.Client(t), path, 2)
		last := lockAsync(t.Context(), newMutex(t, e.Conn(t), path))
		requireChildren(t, e.Client(t), path, 3)
		old := session(t, conn)
		e.Expire(t, old.ID())
		recv(t, old.Done(), "the end of the session")
		require.EventuallyWithT(t, func(poll *assert.CollectT) {
			assert.True(poll, owned(t, e, path, session(t, conn).ID()))
		}, patience, 10*time.Millisecond)
		assert.True(t, held.Valid())
		assert.Empty(t, last)
		require.NoError(t, held.Release(t.Context()))
		got := recv(t, last, "the last one")
		require.NoError(t, got.err)
		require.NoError(t, got.held.Release(t.Context()))
		got = recv(t, middle, "the middle one")
		require.NoError(t, got.err)
		require.NoError(t, got.held.Release(t.Context()))
	})
}

// The shutdown of a connection that only waits leaves no node behind, even where
// the ZooKeeper session outlives it.
func TestShutdownWhileWaiting(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		held := mustLock(t, newMutex(t, e.Conn(t), path))
		conn := e.Conn(t)
		waiting := lockAsync(t.Context(), newMutex(t, conn, path))
		requireChildren(t, e.Client(t), path, 2)
		require.NoError(t, conn.Shutdown(t.Context()))
		require.ErrorIs(t, recv(t, waiting, "the waiter").err, keeper.ErrClosed)
		requireChildren(t, e.Client(t), path, 1)
		assert.True(t, held.Valid())
		require.NoError(t, held.Release(t.Context()))
	})
}

func TestShutdownWhileHoldingAndWaiting(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		conn := e.Conn(t)
		m := newMutex(t, conn, path)
		held := mustLock(t, m)
		local := lockAsync(t.Context(), m)                            // waits in the process
		inLine := lockAsync(t.Context(), newMutex(t, conn, path))     // stands in line
		other := lockAsync(t.Context(), newMutex(t, e.Conn(t), path)) // of another process
		requireChildren(t, e.Client(t), path, 3)

		down := make(chan error, 1)
		go func() { down <- conn.Shutdown(t.Context()) }()
		recv(t, held.Context().Done(), "the holder is told")
		require.ErrorIs(t, context.Cause(held.Context()), keeper.ErrClosed)
		require.ErrorIs(t, recv(t, local, "the local waiter").err, keeper.ErrClosed)
		require.ErrorIs(t, recv(t, inLine, "the waiter in line").err, keeper.ErrClosed)
		assert.Empty(t, down, "the shutdown waits for the holder")
		require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)
		require.NoError(t, recv(t, down, "the shutdown"))

		got := recv(t, other, "the lock")
		require.NoError(t, got.err)
		require.NoError(t, got.held.Release(t.Context()))
		requireChildren(t, e.Client(t), path, 0)
		_, err := m.Lock(t.Context())
		require.ErrorIs(t, err, keeper.ErrClosed)
		_, _, err = m.TryLock(t.Context())
		require.ErrorIs(t, err, keeper.ErrClosed)
	})
}

func TestReleaseTwiceAndAtOnce(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		m := newMutex(t, e.Conn(t), path)
		held := mustLock(t, m)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { assert.NoError(t, held.Release(t.Context())) })
		}
		all.Wait()
		next := mustLock(t, m)
		require.NoError(t, held.Release(t.Context()), "and does not touch the next hold")
		assert.True(t, next.Valid())
		requireChildren(t, e.Client(t), path, 1)
		require.NoError(t, next.Release(t.Context()))
	})
}

func TestDoGivesBackTheLock(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		m := newMutex(t, e.Conn(t), path)
		mine := errors.New("mine")
		require.ErrorIs(t, m.Do(t.Context(), func(context.Context, *lock.Held) error { return mine }), mine)
		assert.PanicsWithValue(t, "fn's", func() {
			_ = m.Do(t.Context(), func(context.Context, *lock.Held) error { panic("fn's") })
		})
		requireChildren(t, e.Client(t), path, 0)
	})
}

func TestLocker(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m := newMutex(t, e.Conn(t), path)
		l, n := m.Locker(ctx), 0
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 5 {
					l.Lock()
					n++ // the race detector watches
					l.Unlock()
				}
			})
		}
		all.Wait()
		assert.Equal(t, 20, n)
		l.Unlock() // not locked: does nothing

		held := mustLock(t, m)
		returned, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			l.Lock()
			close(returned)
		}()
		cancel()
		recv(t, ended, "the goroutine ends")
		select {
		case <-returned:
			assert.Fail(t, "Lock returned without the lock")
		default:
		}
		require.NoError(t, held.Release(t.Context()))
	})
}
