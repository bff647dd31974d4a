package gozk

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestDoFillsEveryKindOfResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		ctx := t.Context()
		data := []byte("x")
		dir := &keeper.Create{Path: "/dir", Data: data}
		me := &keeper.Create{Path: "/dir/lock-", Mode: keeper.EphemeralSequential}
		peers := &keeper.Children{Path: "/dir"}
		require.NoError(t, s.Do(ctx, dir, me, peers))
		require.Equal(t, "/dir", dir.Created)
		require.Equal(t, "/dir/lock-0000000000", me.Created)
		require.Equal(t, s.ID(), me.Stat.EphemeralOwner)
		require.Greater(t, me.Stat.Czxid, dir.Stat.Czxid)
		require.Equal(t, []string{"lock-0000000000"}, peers.Names)
		require.EqualValues(t, 1, peers.Stat.NumChildren)
		data[0] = 'y' // ours again

		get := &keeper.Get{Path: "/dir"}
		exists := &keeper.Exists{Path: "/dir"}
		none := &keeper.Exists{Path: "/none"}
		require.NoError(t, s.Do(ctx, get, exists, none))
		require.Equal(t, "x", string(get.Data))
		require.True(t, exists.Found)
		require.Equal(t, get.Stat, exists.Stat)
		require.False(t, none.Found)
		require.Zero(t, none.Stat)

		set := &keeper.Set{Path: "/dir", Data: nil, Version: 0}
		require.NoError(t, s.Do(ctx, set, get))
		require.EqualValues(t, 1, set.Stat.Version)
		require.Nil(t, get.Data)

		acl := []keeper.ACL{{Perms: keeper.PermRead, Scheme: "world", ID: "anyone"}}
		setACL := &keeper.SetACL{Path: "/dir", ACL: acl, Version: keeper.AnyVersion}
		getACL := &keeper.GetACL{Path: "/dir"}
		require.NoError(t, s.Do(ctx, getACL))
		require.Equal(t, keeper.OpenACL(), getACL.ACL, "the default")
		require.NoError(t, s.Do(ctx, setACL, getACL))
		require.EqualValues(t, 1, setACL.Stat.Aversion)
		require.Equal(t, acl, getACL.ACL)

		container := &keeper.Create{Path: "/c", Mode: keeper.Container}
		ttl := &keeper.Create{Path: "/t-", Mode: keeper.PersistentSequentialTTL, TTL: time.Second}
		require.NoError(t, s.Do(ctx, container, ttl, &keeper.Sync{Path: "/"}))
		require.True(t, strings.HasPrefix(ttl.Created, "/t-0"))
		require.NotZero(t, container.Stat.Czxid)
		require.NoError(t, s.Do(ctx, &keeper.Delete{Path: me.Created, Version: 0}))
		require.NoError(t, s.Do(ctx), "nothing to do")
		require.Equal(t, 1, f.count("createContainer"))
		require.Equal(t, 1, f.count("createTTL"))
	})
}

func TestDefaultACLStandsForNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := adapt(t, f, WithDefaultACL(keeper.ReadACL()))
		f.connect()
		s := current(t, c)
		getA, getB := &keeper.GetACL{Path: "/a"}, &keeper.GetACL{Path: "/b"}
		require.NoError(t, s.Do(t.Context(),
			&keeper.Create{Path: "/a"},
			&keeper.Multi{Ops: []keeper.Op{&keeper.Create{Path: "/b"}}},
			getA, getB))
		require.Equal(t, keeper.ReadACL(), getA.ACL)
		require.Equal(t, keeper.ReadACL(), getB.ACL)
	})
}

func TestARefusedRequestDoesNotKeepTheNextFromBeingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, s := connected(t)
		create := &keeper.Create{Path: "/none/a"}
		list := &keeper.Children{Path: "/"}
		err := s.Do(t.Context(), create, list)
		require.Same(t, create.Err, err)
		require.Equal(t, keeper.NotApplied, outcome(t, create, keeper.ErrNoNode))
		require.EqualError(t, err, "create /none/a: node does not exist")
		require.NoError(t, list.Err)
		require.NotEmpty(t, list.Names)
	})
}

func TestALostConnectionKeepsTheNextFromBeingSent(t *testing.T) {
	for _, lost := range []fault{loseReply, loseRequest} {
		synctest.Test(t, func(t *testing.T) {
			f, _, s := connected(t)
			f.rule("create", lost)
			create := &keeper.Create{Path: "/a", Mode: keeper.Ephemeral}
			list := &keeper.Children{Path: "/"}
			multi := &keeper.Multi{Ops: []keeper.Op{&keeper.Delete{Path: "/b", Version: keeper.AnyVersion}}}
			require.Error(t, s.Do(t.Context(), create, list, multi))
			require.Equal(t, keeper.Unknown, outcome(t, create, keeper.ErrConnectionLoss))
			require.Equal(t, keeper.NotApplied, outcome(t, list, keeper.ErrNotSent))
			require.Equal(t, keeper.NotApplied, outcome(t, multi, keeper.ErrNotSent))
			require.Equal(t, keeper.NotApplied, outcome(t, multi.Ops[0], keeper.ErrNotSent))
			require.Zero(t, f.count("children"))
			f.connect()
			require.NoError(t, s.Do(t.Context(), list), "the session goes on")
		})
	}
}

func TestBadInputIsRefusedUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		guard := keeper.NewGuard("/g", 0, func(int64) error { return keeper.ErrNotHeld })
		refused := func(ctx context.Context, bad keeper.Request, want error) {
			calls := f.total()
			good := &keeper.Delete{Path: "/x", Version: keeper.AnyVersion}
			require.ErrorIs(t, s.Do(ctx, bad, good), want)
			require.Equal(t, keeper.NotApplied, outcome(t, bad, want))
			require.Equal(t, keeper.NotApplied, outcome(t, good, keeper.ErrNotSent))
			if m, ok := bad.(*keeper.Multi); ok {
				require.Equal(t, keeper.NotApplied, outcome(t, m.Ops[0], want))
			}
			require.Equal(t, calls, f.total(), "nothing was sent", want)
		}
		multi := func(op keeper.Op) *keeper.Multi { return &keeper.Multi{Ops: []keeper.Op{op}} }
		ctx := t.Context()
		refused(ended, &keeper.Get{Path: "/"}, context.Canceled)
		refused(nil, &keeper.Get{Path: "/"}, keeper.ErrInvalid)
		refused(ctx, &keeper.Get{Path: "a"}, keeper.ErrInvalid)
		refused(ctx, multi(guard), keeper.ErrNotHeld)
		refused(ctx, &keeper.Set{Path: "/a", Data: make([]byte, defaultMaxRequest), Version: -1}, keeper.ErrTooLarge)
		refused(ctx, multi(&keeper.Create{Path: "/c", Mode: keeper.Container}), errors.ErrUnsupported)
		refused(ctx, multi(&keeper.Create{Path: "/c", Mode: keeper.PersistentTTL, TTL: time.Second}), errors.ErrUnsupported)
		require.Error(t, s.Do(ctx, nil))
	})
}

func TestRequestSizeIsThatOfTheFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := adapt(t, newFake())
		world := 4 + 4 + 4 + len("world") + 4 + len("anyone")
		for want, r := range map[int]keeper.Request{
			8 + 4 + 2 + 1:                 &keeper.Get{Path: "/a"},
			8 + 4 + 3 + 4 + 3 + 4:         &keeper.Set{Path: "/ab", Data: []byte("xyz")},
			8 + 4 + 2 + 4 + 1 + world + 4: &keeper.Create{Path: "/a", Data: []byte("x"), Mode: keeper.EphemeralSequential},
			8 + 4 + 2 + 4 + world + 4 + 8: &keeper.Create{Path: "/a", Mode: keeper.PersistentTTL, TTL: 1},
			8 + 9 + 9 + 4 + 2 + 4:         &keeper.Multi{Ops: []keeper.Op{&keeper.Check{Path: "/a"}}},
			8 + 4 + 2 + world + 4:         &keeper.SetACL{Path: "/a"},
			8 + 4 + 1:                     &keeper.Sync{Path: "/"},
			8 + 4 + 2 + 4:                 &keeper.Delete{Path: "/a"},
		} {
			require.Equal(t, want, c.requestSize(r), r.Name())
		}
	})
}

func TestDoWaitsForTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		f.cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		set := &keeper.Set{Path: "/", Version: keeper.AnyVersion}
		require.Error(t, s.Do(ctx, set))
		require.Equal(t, keeper.NotApplied, outcome(t, set, context.DeadlineExceeded))
		require.Zero(t, f.count("set"), "it never left our hands")

		done := background(func() error { return s.Do(t.Context(), set) })
		f.connect()
		require.NoError(t, <-done)
	})
}

func TestStatOfACreateIsReadAgainAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		f.rule("exists", loseRequest)
		create := &keeper.Create{Path: "/a-", Mode: keeper.EphemeralSequential}
		list := &keeper.Children{Path: "/"}
		done := background(func() error { return s.Do(t.Context(), create, list) })
		f.connect()
		require.NoError(t, <-done)
		require.NotZero(t, create.Stat.Czxid)
		require.Contains(t, list.Names, strings.TrimPrefix(create.Created, "/"))
		require.Equal(t, 1, f.count("create"))
	})
}

func TestCreateWhoseStatCannotBeHadIsApplied(t *testing.T) {
	for name, x := range map[string]struct {
		accident *fakeRule
		mode     keeper.Mode
		act      func(f *fakeZK, cancel func())
		want     error
	}{
		"cancelled while disconnected": {
			&fakeRule{fault: loseRequest},
			keeper.EphemeralSequential,
			func(_ *fakeZK, cancel func()) { cancel() },
			context.Canceled,
		},
		"cancelled while it is read": {
			&fakeRule{fault: stall},
			keeper.EphemeralSequential,
			func(_ *fakeZK, cancel func()) { cancel() },
			context.Canceled,
		},
		"expired": {
			&fakeRule{fault: stall},
			keeper.EphemeralSequential,
			func(f *fakeZK, _ func()) { f.renew() },
			keeper.ErrSessionExpired,
		},
		"not readable": {
			&fakeRule{fault: answerError, err: zk.ErrNoAuth},
			keeper.EphemeralSequential,
			func(*fakeZK, func()) {},
			keeper.ErrNoAuth,
		},
		"deleted by another": {
			&fakeRule{do: func(f *fakeZK) { f.zxid++; f.remove("/a-0000000000") }},
			keeper.PersistentSequential,
			func(*fakeZK, func()) {},
			errGone,
		},
		"replaced by another's": {
			&fakeRule{do: func(f *fakeZK) { f.nodes["/a-0000000000"].stat.EphemeralOwner++ }},
			keeper.EphemeralSequential,
			func(*fakeZK, func()) {},
			errGone,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, _, s := connected(t)
				x.accident.op, x.accident.times = "exists", 1
				f.addRule(x.accident)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				create := &keeper.Create{Path: "/a-", Mode: x.mode}
				done := background(func() error { return s.Do(ctx, create) })
				x.act(f, cancel)
				require.Error(t, <-done)
				require.Equal(t, keeper.Applied, outcome(t, create, x.want))
				require.Equal(t, "/a-0000000000", create.Created)
				require.Zero(t, create.Stat)
				f.cut() // what is stalled comes back
				f.connect()
			})
		})
	}
}

func TestMultiResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		ctx := t.Context()
		create := &keeper.Create{Path: "/m-", Data: []byte("x"), Mode: keeper.EphemeralSequential}
		set := &keeper.Set{Path: "/", Version: keeper.AnyVersion}
		admitted := keeper.NewGuard("/", keeper.AnyVersion, func(id int64) error {
			if id != s.ID() {
				return keeper.ErrNotHeld
			}
			return nil
		})
		ok := &keeper.Multi{Ops: []keeper.Op{admitted, create, set}}
		require.NoError(t, s.Do(ctx, ok))
		require.Equal(t, "/m-0000000000", create.Created)
		require.Zero(t, create.Stat, "go-zookeeper's multi does not tell it")
		require.EqualValues(t, 1, set.Stat.Version)
		require.NoError(t, s.Do(ctx, &keeper.Multi{}))

		del := &keeper.Delete{Path: create.Created, Version: keeper.AnyVersion}
		bad := &keeper.Set{Path: "/none", Version: keeper.AnyVersion}
		last := &keeper.Create{Path: "/last"}
		fails := &keeper.Multi{Ops: []keeper.Op{del, bad, last}}
		require.Error(t, s.Do(ctx, fails))
		require.Equal(t, keeper.NotApplied, outcome(t, fails, keeper.ErrNoNode))
		require.Equal(t, keeper.NotApplied, outcome(t, bad, keeper.ErrNoNode))
		require.Equal(t, keeper.NotApplied, outcome(t, del, keeper.ErrRuntimeInconsistency))
		require.Equal(t, keeper.NotApplied, outcome(t, last, keeper.ErrRuntimeInconsistency))
		require.True(t, f.has(create.Created))
	})
}

func TestMultiThatCannotBeReadIsNotSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		f.addRule(&fakeRule{op: "multi", times: 1, fault: answerError})
		m := &keeper.Multi{Ops: []keeper.Op{&keeper.Create{Path: "/a"}}}
		require.Error(t, s.Do(t.Context(), m))
		require.Equal(t, keeper.Applied, outcome(t, m, keeper.ErrUndecodable), "success without results")
		f.addRule(&fakeRule{op: "multi", times: 1, fault: answerError, err: zk.ErrAPIError})
		require.Error(t, s.Do(t.Context(), m))
		require.Equal(t, keeper.Unknown, outcome(t, m, keeper.ErrUndecodable), "a result go-zookeeper does not know")
	})
}

// A guard is asked once more when the connection is back: the hold may have
// ended while the call waited.
func TestGuardIsAskedAgainBeforeSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		released := make(chan struct{})
		guard := keeper.NewGuard("/", keeper.AnyVersion, func(int64) error {
			select {
			case <-released:
				return keeper.ErrNotHeld
			default:
				return nil
			}
		})
		f.cut()
		set := &keeper.Set{Path: "/", Version: keeper.AnyVersion}
		m := &keeper.Multi{Ops: []keeper.Op{guard, set}}
		done := background(func() error { return s.Do(t.Context(), m) })
		close(released)
		f.connect()
		require.ErrorIs(t, <-done, keeper.ErrNotHeld)
		require.Equal(t, keeper.NotApplied, outcome(t, set, keeper.ErrNotHeld))
		require.Zero(t, f.count("multi"))
	})
}

func TestManyCallersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		const n = 64
		errs := make(chan error, n)
		for range n {
			go func() {
				me := &keeper.Create{Path: "/n-", Mode: keeper.EphemeralSequential}
				err := s.Do(t.Context(), me, &keeper.Children{Path: "/", Watch: true})
				if err == nil {
					err = s.Do(t.Context(), &keeper.Delete{Path: me.Created, Version: 0})
				}
				errs <- err
			}()
		}
		for range n {
			require.NoError(t, <-errs)
		}
		require.False(t, f.has("/n-"))
	})
}

// total is the number of calls other than heartbeats.
func (f *fakeZK) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for op, count := range f.counts {
		if op != "exists" && op != "existsW" && op != "sync" {
			n += count
		}
	}
	return n
}

// all is the number of calls.
func (f *fakeZK) all() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, count := range f.counts {
		n += count
	}
	return n
}
