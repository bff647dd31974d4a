package lock_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/internal/testenv"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
	"github.com/conclave-go/conclave/zkserver"
)

// Each test here is a schedule that broke another library. The names are those
// of the list of peers' bugs: L and P are go-zookeeper's, C is Curator's tracker.

// L1: every error after the create returned without deleting the node.
func TestPeerBug_L1(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		s := session(t, e.Client(t))
		// It may create and delete in the directory, but not list it.
		acl := []keeper.ACL{{Perms: keeper.PermCreate | keeper.PermDelete, Scheme: "world", ID: "anyone"}}
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: path, ACL: acl}))
		_, err := newMutex(t, e.Conn(t), path).Lock(t.Context())
		require.ErrorIs(t, err, keeper.ErrNoAuth)
		require.EventuallyWithT(t, func(poll *assert.CollectT) {
			look := &keeper.Exists{Path: path}
			require.NoError(poll, s.Do(t.Context(), look))
			assert.Equal(poll, []int32{2, 0}, []int32{look.Stat.Cversion, look.Stat.NumChildren}, "made and removed")
		}, patience, 10*time.Millisecond)
	})
}

// L2: own presence was not checked: a node that is gone between create and list
// was taken for a lock.
func TestPeerBug_L2(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		first := c.SessionID()
		b.Inject(zkserver.Rule{Kind: "getChildren", Session: first, Fault: zkserver.ExpireBefore})
		held := mustLock(t, newMutex(t, c, "/lock"))
		assert.NotEqual(t, first, c.SessionID())
		stat, found, err := c.Exists(t.Context(), held.Node())
		require.NoError(t, err)
		assert.True(t, found)
		assert.Equal(t, c.SessionID(), stat.EphemeralOwner)
		require.NoError(t, held.Release(t.Context()))
	})
}

// L4: one foreign child made Lock fail for everybody.
func TestPeerBug_L4(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		require.NoError(t, c.EnsurePath(t.Context(), "/lock/foreign"))
		require.NoError(t, mustLock(t, newMutex(t, c, "/lock")).Release(t.Context()))
	})
}

// L5: no way to stop waiting, and no TryLock.
func TestPeerBug_L5(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		held := mustLock(t, newMutex(t, b.client(), "/lock"))
		m := newMutex(t, b.client(), "/lock")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.Lock(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, ok, err := m.TryLock(t.Context())
		require.NoError(t, err)
		assert.False(t, ok)
		require.NoError(t, held.Release(t.Context()))
	})
}

// L6: no loss signal, and after an expiry the lock object was dead: Unlock
// failed for ever and so did Lock.
func TestPeerBug_L6(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		m := newMutex(t, c, "/lock")
		for range 3 {
			held := mustLock(t, m)
			b.Expire(c.SessionID())
			<-held.Context().Done()
			require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)
		}
		require.NoError(t, mustLock(t, m).Release(t.Context()))
	})
}

// L7: after three rounds of "no node" the error had been lost on the way. Here the
// directory vanishes as often as it is made, until its foe gives up …
func TestPeerBug_L7(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const rounds = 5
		c, foe := b.client(), b.client()
		b.Inject(zkserver.Rule{Kind: "create", Path: "/lock/", Times: rounds + 1, Fault: zkserver.Delay, Delay: time.Second})
		got := lockAsync(t.Context(), newMutex(t, c, "/lock"))
		for round := 0; round < rounds; {
			pass(100 * time.Millisecond)
			if err := foe.Delete(t.Context(), "/lock", keeper.AnyVersion); err == nil {
				round++
			} else {
				require.ErrorIs(t, err, keeper.ErrNoNode)
			}
			require.Empty(t, got)
		}
		held := recv(t, got, "the lock")
		require.NoError(t, held.err)
		require.NoError(t, held.held.Release(t.Context()))
	})
}

// … and here it cannot be made at all, and the reason is told.
func TestPeerBug_L7_Reason(t *testing.T) {
	run(t, func(t *testing.T, e *testenv.Env, path string) {
		s := session(t, e.Client(t))
		require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: path, Mode: keeper.Ephemeral}))
		_, err := newMutex(t, e.Conn(t), path+"/below").Lock(t.Context())
		require.ErrorIs(t, err, keeper.ErrNoChildrenForEphemerals)
	})
}

// L8: one lock object could not be shared by goroutines.
func TestPeerBug_L8(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		m, g := newMutex(t, b.client(), "/lock"), &grants{t: t}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				assert.NoError(t, m.Do(t.Context(), func(_ context.Context, held *lock.Held) error {
					g.add(held)
					return nil
				}))
			})
		}
		all.Wait()
		assert.Len(t, g.all, 10)
	})
}

// L9: Kazoo's lock nodes were counted, its read locks too.
func TestPeerBug_L9(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		require.NoError(t, c.EnsurePath(t.Context(), "/lock"))
		for name, free := range map[string]bool{"6ba7b8109dad11d180b400c04fd430c8__lock__": false, "6ba7b8109dad11d180b400c04fd430c8__rlock__": true} {
			node, err := c.Create(t.Context(), "/lock/"+name, nil, keeper.EphemeralSequential)
			require.NoError(t, err)
			held, ok, err := newMutex(t, c, "/lock").TryLock(t.Context())
			require.NoError(t, err)
			assert.Equal(t, free, ok, name)
			if ok {
				require.NoError(t, held.Release(t.Context()))
			}
			require.NoError(t, c.Delete(t.Context(), node, keeper.AnyVersion))
		}
	})
}

// P1: a sibling called _c_foo made the search for one's own node panic.
func TestPeerBug_P1(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		for _, name := range []string{"_c_foo", "_c_", "_c"} {
			require.NoError(t, c.EnsurePath(t.Context(), "/lock/"+name))
		}
		b.Inject(zkserver.Rule{Kind: "create", Session: c.SessionID(), Path: "/lock/", Fault: zkserver.CutAfter})
		require.NoError(t, mustLock(t, newMutex(t, c, "/lock")).Release(t.Context()))
	})
}

// P2: at the root the search asked for the children of "".
func TestPeerBug_P2(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		b.Inject(zkserver.Rule{Kind: "create", Session: c.SessionID(), Path: "/lock/", Fault: zkserver.CutAfter})
		require.NoError(t, mustLock(t, newMutex(t, c, "/lock")).Release(t.Context()))
	})
}

// P3: a second loss during the search gave up, with the node made. Here any two
// faults follow each other in any two places.
func TestPeerBug_P3(t *testing.T) {
	faults := []zkserver.Fault{zkserver.CutBefore, zkserver.CutAfter, zkserver.ExpireBefore, zkserver.ExpireAfter}
	const most = 8 // requests of a recovery that are met
	for _, s := range scripts()[:1] {
		for _, one := range faults {
			for _, two := range faults {
				t.Run(fmt.Sprintf("%s, %v and %v", s.name, one, two), func(t *testing.T) {
					for i := 1; i <= most; i++ {
						for j := i + 1; j <= most; j++ {
							play(t, s, func(w *stage) (context.Context, context.CancelFunc) {
								// Both count from the start; the second one also meets the next session.
								w.Inject(zkserver.Rule{Session: w.conn.SessionID(), Nth: i, Fault: one})
								w.Inject(zkserver.Rule{Nth: j, Fault: two})
								return untilTheEnd(w)
							})
						}
					}
				})
			}
		}
	}
}

// P4: the search was not preceded by a sync, and took a node of any session.
func TestPeerBug_P4(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		require.NoError(t, c.EnsurePath(t.Context(), "/lock"))
		b.Inject(zkserver.Rule{Kind: "create", Session: c.SessionID(), Fault: zkserver.CutAfter})
		b.ResetCounts()
		held := mustLock(t, newMutex(t, c, "/lock"))
		counts := b.Counts().Requests
		assert.Equal(t, 1, counts["create"])
		assert.GreaterOrEqual(t, counts["sync"], 1)
		assert.Equal(t, 1, counts["exists"], "whose is it?")
		require.NoError(t, held.Release(t.Context()))
	})
}

// C45, C79: an orphan after a lost answer or an interrupt, in a session that
// lives: nobody gets the lock ever again.
func TestPeerBug_C45_C79(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		require.NoError(t, c.EnsurePath(t.Context(), "/lock"))
		b.Inject(zkserver.Rule{Kind: "create", Session: c.SessionID(), Fault: zkserver.CutAfter})
		b.Inject(zkserver.Rule{Kind: "connect", Times: 3, Fault: zkserver.CutBefore}) // the way back takes a while
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := newMutex(t, c, "/lock").Lock(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		ctx, cancel = context.WithTimeout(t.Context(), timeout/2)
		defer cancel()
		held, err := newMutex(t, b.client(), "/lock").Lock(ctx)
		require.NoError(t, err, "long before the session expires")
		require.NoError(t, held.Release(t.Context()))
	})
}

// C498, C604: a node of the session that has just died is found and taken for
// the lock.
func TestPeerBug_C498_C604(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		wire := &cable{b: b}
		c := b.client(client.WithDialer(wire.dial))
		m := newMutex(t, c, "/lock")
		ghost := mustLock(t, m)
		// The client gives the session up by its own clock before the server does:
		// the server stands still.
		b.Freeze()
		wire.pull()
		<-ghost.Context().Done()
		require.ErrorIs(t, ghost.Release(t.Context()), keeper.ErrHoldLost)
		again := lockAsync(t.Context(), m)
		pass(2 * timeout)
		require.Empty(t, again)
		wire.plug()
		b.Thaw()
		got := <-again
		require.NoError(t, got.err)
		assert.NotEqual(t, ghost.Node(), got.held.Node())
		stat, found, err := c.Exists(t.Context(), got.held.Node())
		require.NoError(t, err)
		assert.True(t, found)
		assert.Equal(t, c.SessionID(), stat.EphemeralOwner)
		require.NoError(t, got.held.Release(t.Context()))
	})
}

// C206, C460: the holder is not told of the end of its session, or too late.
// (TestCutOffHolderStopsBelievingInTime meets every moment of it.)
func TestPeerBug_C206_C460(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		held := mustLock(t, newMutex(t, c, "/lock"))
		b.Expire(c.SessionID())
		pass(timeout / 20) // it reconnects to hear of it
		assert.False(t, held.Valid())
		require.ErrorIs(t, context.Cause(held.Context()), keeper.ErrHoldLost)
		require.ErrorIs(t, held.Release(t.Context()), keeper.ErrHoldLost)
	})
}

// C202, C205, C678: the delete of a release fails in a session that survives:
// the stale node keeps everybody out, its owner first.
func TestPeerBug_C202_C205_C678(t *testing.T) {
	for _, fault := range []zkserver.Fault{zkserver.CutBefore, zkserver.CutAfter} {
		inBubble(t, func(t *testing.T, b *bubble) {
			c := b.client()
			m := newMutex(t, c, "/lock")
			held := mustLock(t, m)
			b.Inject(zkserver.Rule{Kind: "delete", Session: c.SessionID(), Fault: fault})
			require.NoError(t, held.Release(t.Context()))
			ctx, cancel := context.WithTimeout(t.Context(), timeout/2)
			defer cancel()
			held, err := m.Lock(ctx)
			require.NoError(t, err)
			require.NoError(t, held.Release(t.Context()))
		})
	}
}

// C644, C645: whoever finds its predecessor gone starts over, and so do the
// others, for ever.
func TestPeerBug_C644_C645(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		held := mustLock(t, newMutex(t, c, "/lock"))
		// The predecessor goes between the list and the look at it.
		b.Inject(zkserver.Rule{Kind: "getData", Path: held.Node(), Fault: zkserver.Delay, Delay: time.Second})
		next := lockAsync(t.Context(), newMutex(t, b.client(), "/lock"))
		pass(time.Second / 2)
		names, _, err := c.Children(t.Context(), "/lock")
		require.NoError(t, err)
		require.Len(t, names, 2)
		require.NoError(t, held.Release(t.Context()))
		got := <-next
		require.NoError(t, got.err)
		assert.Contains(t, names, keeper.Base(got.held.Node()), "it kept its valid node")
		require.NoError(t, got.held.Release(t.Context()))
	})
}

// C724, C388: the directory is gone (reaped, or the ensemble's data with it) and
// nobody makes it again.
func TestPeerBug_C724_C388(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		m := newMutex(t, b.client(), "/app/lock")
		for range 3 {
			require.NoError(t, mustLock(t, m).Release(t.Context()))
			pass(5 * time.Minute) // empty containers are reaped
			_, found, err := b.client().Exists(t.Context(), "/app")
			require.NoError(t, err)
			assert.False(t, found)
		}
	})
}

// Kazoo #732: a TryLock that fails while disconnected leaves its node.
func TestPeerBug_Kazoo732(t *testing.T) {
	for _, fault := range []zkserver.Fault{zkserver.CutBefore, zkserver.CutAfter, zkserver.Stall} {
		inBubble(t, func(t *testing.T, b *bubble) {
			c := b.client()
			require.NoError(t, c.EnsurePath(t.Context(), "/lock"))
			b.Inject(zkserver.Rule{Kind: "create", Session: c.SessionID(), Fault: fault})
			_, ok, err := newMutex(t, c, "/lock").TryLock(t.Context())
			require.Error(t, err, "it cannot know")
			assert.False(t, ok)
			held, err := newMutex(t, b.client(), "/lock").Lock(t.Context())
			require.NoError(t, err)
			require.NoError(t, held.Release(t.Context()))
		})
	}
}
