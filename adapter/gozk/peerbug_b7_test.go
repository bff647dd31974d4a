package gozk

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// B7: what waits in go-zookeeper's queue when the session expires is run in the
// next one. An ephemeral node made like that would never go away.
func TestPeerBug_B7(t *testing.T) {
	for name, lost := range map[string]bool{"answered": false, "answer lost too": true} {
		for _, mode := range []keeper.Mode{keeper.Ephemeral, keeper.EphemeralSequential} {
			for _, inMulti := range []bool{false, true} {
				for _, abandoned := range []bool{false, true} {
					t.Run(fmt.Sprint(name, "/", mode, "/multi=", inMulti, "/abandoned=", abandoned), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							f, c, s := connected(t)
							testB7(t, f, c, s, mode, inMulti, abandoned, lost)
						})
					})
				}
			}
		}
	}
}

func testB7(t *testing.T, f *fakeZK, c *Conn, s *session, mode keeper.Mode, inMulti, abandoned, lost bool) {
	t.Helper()
	create := &keeper.Create{Path: "/mine-", Data: []byte("x"), Mode: mode}
	other := &keeper.Create{Path: "/mine-", Data: []byte("somebody else's"), Mode: keeper.PersistentSequential}
	require.NoError(t, s.Do(t.Context(), other))
	var r keeper.Request = create
	op := "create"
	if inMulti {
		r, op = &keeper.Multi{Ops: []keeper.Op{create}}, "multi"
	}
	list := &keeper.Children{Path: "/"}
	f.rule(op, queueUp)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := background(func() error { return s.Do(ctx, r, list) })
	if abandoned {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	}
	if lost {
		f.addRule(&fakeRule{op: "delivered " + op, times: 1})
	}
	f.renew()
	if lost {
		require.True(t, f.has("/mine-"))
		synctest.Wait()
		f.connect()
	}
	if !abandoned {
		require.Error(t, <-done)
		require.Equal(t, keeper.Unknown, outcome(t, r, keeper.ErrSessionExpired))
		require.Equal(t, keeper.Unknown, outcome(t, create, keeper.ErrSessionExpired))
		require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(list.Err))
		require.Empty(t, create.Created)
	}
	n := next(t, c, s)
	require.NoError(t, n.Do(t.Context(), list))
	require.ElementsMatch(t, []string{"zookeeper", keeper.Base(other.Created)}, list.Names,
		"the stray is gone before anybody gets the next session")
}

// B7: the next session is given out when the stray is gone, not before.
func TestPeerBug_B7_TheNextSessionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c, s := connected(t)
		f.rule("create", queueUp)
		f.rule("delete", stall)
		create := &keeper.Create{Path: "/mine", Mode: keeper.Ephemeral}
		done := background(func() error { return s.Do(t.Context(), create) })
		f.renew()
		require.Error(t, <-done)
		require.Equal(t, keeper.Unknown, outcome(t, create, keeper.ErrSessionExpired))
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		_, err := c.Session(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, f.has("/mine"))
		f.cut()
		f.connect()
		current(t, c)
		require.False(t, f.has("/mine"))
	})
}

// B7: what the stray's name now belongs to is left alone.
func TestPeerBug_B7_OthersAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c, s := connected(t)
		f.rule("create", queueUp)
		create := &keeper.Create{Path: "/mine", Mode: keeper.Ephemeral}
		done := background(func() error { return s.Do(t.Context(), create) })
		f.addRule(&fakeRule{op: "exists", times: 1, do: func(f *fakeZK) {
			f.nodes["/mine"].stat.EphemeralOwner++
		}})
		f.renew()
		require.Error(t, <-done)
		n := next(t, c, s)
		exists := &keeper.Exists{Path: "/mine"}
		require.NoError(t, n.Do(t.Context(), exists))
		require.True(t, exists.Found)
	})
}

// B7: where the name is no proof, the data tells the stray from what the service
// made itself with its *zk.Conn.
func TestPeerBug_B7_SameNameOtherData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c, s := connected(t)
		f.rule("create", queueUp)
		create := &keeper.Create{Path: "/mine-", Data: []byte("x"), Mode: keeper.EphemeralSequential}
		done := background(func() error { return s.Do(t.Context(), create) })
		f.addRule(&fakeRule{op: "delivered create", do: func(f *fakeZK) {
			_, err := f.create("/mine-", []byte("y"), zk.FlagEphemeralSequential, nil)
			require.NoError(t, err)
		}})
		f.addRule(&fakeRule{op: "delivered create", times: 1})
		f.renew()
		require.Error(t, <-done)
		f.connect()
		n := next(t, c, s)
		list := &keeper.Children{Path: "/"}
		require.NoError(t, n.Do(t.Context(), list))
		require.ElementsMatch(t, []string{"zookeeper", "mine-0000000000"}, list.Names)
	})
}

// B7: the session can change between the look at the link and the call.
func TestPeerBug_B7_ChangedAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		set := &keeper.Set{Path: "/", Version: keeper.AnyVersion}
		m := &keeper.Multi{Ops: []keeper.Op{set}}
		own, hand := private(m)
		k := &call{s: s, gone: make(chan struct{}), jobs: []job{{request: m, own: own, hand: hand}}}
		f.server(func() { f.id++ })
		require.Error(t, s.perform(k, 0, own))
		require.Error(t, k.settle(nil))
		require.Equal(t, keeper.NotApplied, outcome(t, m, keeper.ErrSessionExpired))
		require.Equal(t, keeper.NotApplied, outcome(t, set, keeper.ErrSessionExpired))
		require.Zero(t, f.count("multi"))
	})
}

// B7: a request that was refused in the next session has made nothing there.
func TestPeerBug_B7_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c, s := connected(t)
		f.rule("create", queueUp)
		create := &keeper.Create{Path: "/mine", Mode: keeper.Ephemeral}
		done := background(func() error { return s.Do(t.Context(), create) })
		f.addRule(&fakeRule{op: "delivered create", do: func(f *fakeZK) {
			_, err := f.create("/mine", nil, zk.FlagEphemeral, nil) // the service's own, by its *zk.Conn
			require.NoError(t, err)
		}})
		f.renew()
		require.Error(t, <-done)
		require.Equal(t, keeper.NotApplied, outcome(t, create, keeper.ErrSessionExpired))
		next(t, c, s)
		require.True(t, f.has("/mine"))
	})
}

// B7: a request is refused by the adapter when the session it belongs to is over.
func TestPeerBug_B7_NothingIsCarriedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c, s := connected(t)
		f.cut()
		set := &keeper.Set{Path: "/", Version: keeper.AnyVersion}
		done := background(func() error { return s.Do(t.Context(), set) })
		f.renew()
		require.Error(t, <-done)
		require.Equal(t, keeper.NotApplied, outcome(t, set, keeper.ErrSessionExpired))
		next(t, c, s)
		require.Zero(t, f.count("set"))
	})
}
