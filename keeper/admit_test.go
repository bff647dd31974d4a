package keeper_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// requireRefused requires that err came from culprit, that nobody else was sent
// either, and that all of it is known not to have been applied.
func requireRefused(t *testing.T, err, cause error, culprit int, reqs []keeper.Request) {
	t.Helper()
	require.ErrorIs(t, err, cause)
	require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
	var op *keeper.OpError
	require.ErrorAs(t, err, &op)
	for i, r := range reqs {
		want := keeper.ErrNotSent
		if i == culprit {
			want = cause
		}
		require.ErrorIs(t, r.Meta().Err, want, "request %d", i)
		require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(r.Meta().Err))
		require.Zero(t, r.Meta().Xid)
	}
}

func TestAdmitRefusesBadInput(t *testing.T) {
	multi := func(ops ...keeper.Op) *keeper.Multi { return &keeper.Multi{Ops: ops} }
	ttl := func(mode keeper.Mode, d time.Duration) *keeper.Create {
		return &keeper.Create{Path: "/a", Mode: mode, TTL: d}
	}
	for name, bad := range map[string]keeper.Request{
		"create, path empty":         &keeper.Create{},
		"create, path relative":      &keeper.Create{Path: "a"},
		"create, path with slash":    &keeper.Create{Path: "/a/"},
		"create, the root":           &keeper.Create{Path: "/"},
		"create, mode 7":             &keeper.Create{Path: "/a", Mode: 7},
		"create, mode -1":            &keeper.Create{Path: "/a", Mode: -1},
		"create, ephemeral with TTL": ttl(keeper.Ephemeral, time.Second),
		"create, TTL 0":              ttl(keeper.PersistentTTL, 0),
		"create, TTL -1":             ttl(keeper.PersistentTTL, -1),
		"create, TTL 1.5 ms":         ttl(keeper.PersistentTTL, 1500*time.Microsecond),
		"create, TTL 2^40 ms":        ttl(keeper.PersistentSequentialTTL, (1<<40)*time.Millisecond),
		"create, TTL huge":           ttl(keeper.PersistentTTL, math.MaxInt64),
		"create, ACL empty":          &keeper.Create{Path: "/a", ACL: []keeper.ACL{}},
		"create, ACL bad":            &keeper.Create{Path: "/a", ACL: []keeper.ACL{{Perms: 1, Scheme: "digest", ID: "a"}}},
		"sequential, path relative":  &keeper.Create{Path: "a", Mode: keeper.EphemeralSequential},
		"sequential, double slash":   &keeper.Create{Path: "/a//", Mode: keeper.EphemeralSequential},
		"delete, path empty":         &keeper.Delete{},
		"delete, the root":           &keeper.Delete{Path: "/"},
		"delete, version -2":         &keeper.Delete{Path: "/a", Version: -2},
		"get, path empty":            &keeper.Get{},
		"get, path NUL":              &keeper.Get{Path: "/a\x00"},
		"set, path dots":             &keeper.Set{Path: "/a/../b"},
		"set, version -2":            &keeper.Set{Path: "/a", Version: -2},
		"set, version min":           &keeper.Set{Path: "/a", Version: math.MinInt32},
		"exists, path surrogate":     &keeper.Exists{Path: "/\xed\xa0\x80"},
		"children, path emoji":       &keeper.Children{Path: "/\U0001F600"},
		"get ACL, path":              &keeper.GetACL{Path: "//"},
		"set ACL, path":              &keeper.SetACL{Path: ""},
		"set ACL, ACL empty":         &keeper.SetACL{Path: "/a", ACL: []keeper.ACL{}},
		"set ACL, version -2":        &keeper.SetACL{Path: "/a", Version: -2},
		"sync, path":                 &keeper.Sync{Path: "/./x"},
		"multi, nil op":              multi(nil),
		"multi, typed nil op":        multi(&keeper.Check{Path: "/a"}, (*keeper.Create)(nil)),
		"multi, nil op first":        multi((*keeper.Delete)(nil)),
		"multi, bad op":              multi(&keeper.Check{Path: "/a"}, &keeper.Set{Path: "a"}),
		"multi, bad check":           multi(&keeper.Check{Path: "/a", Version: -2}),
		"nil":                        nil,
		"typed nil":                  (*keeper.Get)(nil),
		"typed nil multi":            (*keeper.Multi)(nil),
	} {
		t.Run(name, func(t *testing.T) {
			before := &keeper.Get{Path: "/before", Data: []byte("stale")}
			op := &keeper.Create{Path: "/after", Created: "stale"}
			after := &keeper.Multi{Ops: []keeper.Op{op}}

			err := keeper.Admit(t.Context(), 1, before, bad, after)
			require.ErrorIs(t, err, keeper.ErrInvalid)
			var invalid *keeper.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.NotEmpty(t, invalid.What)
			requireRefused(t, err, keeper.ErrInvalid, -1, []keeper.Request{before, after})
			require.ErrorIs(t, op.Err, keeper.ErrNotSent)
			require.Nil(t, before.Data, "a refused call leaves no results of an earlier one")
			require.Empty(t, op.Created)
		})
	}
}

func TestAdmitTellsTheCulprit(t *testing.T) {
	reqs := []keeper.Request{&keeper.Get{Path: "/a"}, &keeper.Set{Path: "bad"}, &keeper.Get{Path: "/c"}}
	err := keeper.Admit(t.Context(), 1, reqs...)
	requireRefused(t, err, keeper.ErrInvalid, 1, reqs)
	require.EqualError(t, err, `set bad: invalid path "bad": does not start with '/'`)

	m := &keeper.Multi{Ops: []keeper.Op{&keeper.Check{Path: "/a"}, &keeper.Set{Path: "bad"}}}
	err = keeper.Admit(t.Context(), 1, m)
	require.EqualError(t, err, `multi /a: op 1, set: invalid path "bad": does not start with '/'`)
	for _, op := range m.Ops {
		require.Equal(t, err, op.Meta().Err)
	}
}

// One result cannot answer for two requests.
func TestAdmitRefusesTheSameRequestTwice(t *testing.T) {
	for _, n := range []int{2, 8, 9, 100} {
		reqs := make([]keeper.Request, n)
		for i := range reqs {
			reqs[i] = &keeper.Get{Path: "/a"} // equal, but not the same
		}
		require.NoError(t, keeper.Admit(t.Context(), 1, reqs...))
		reqs[n-1] = reqs[0]
		err := keeper.Admit(t.Context(), 1, reqs...)
		require.ErrorIs(t, err, keeper.ErrInvalid)
		require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
		require.Equal(t, err, reqs[0].Meta().Err)
	}
}

func TestAdmitContexts(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	reqs := func() []keeper.Request { return []keeper.Request{&keeper.Get{Path: "/a"}, &keeper.Get{Path: "/b"}} }

	for cause, ctx := range map[error]context.Context{
		context.Canceled: cancelled, context.DeadlineExceeded: late, keeper.ErrInvalid: nil,
	} {
		rs := reqs()
		requireRefused(t, keeper.Admit(ctx, 1, rs...), cause, 0, rs)
		require.ErrorIs(t, keeper.Admit(ctx, 1), cause, "even with nothing to do")
	}
	require.NoError(t, keeper.Admit(t.Context(), 1))
}

func TestAdmitAcceptsAndClears(t *testing.T) {
	used := keeper.Result{Err: keeper.ErrNoNode, Xid: 3, Zxid: 4}
	stat := keeper.Stat{Czxid: 1}
	w := keeper.NewWatch(nil, "/a", keeper.WatchData)
	reqs := []keeper.Request{
		&keeper.Create{Path: "/a", Result: used, Created: "/x", Stat: stat},
		&keeper.Create{Path: "/", Mode: keeper.EphemeralSequential, Result: used},
		&keeper.Create{Path: "/a", Mode: keeper.PersistentTTL, TTL: keeper.MaxTTL},
		&keeper.Delete{Path: "/zookeeper", Version: math.MaxInt32, Result: used},
		&keeper.Get{Path: "/", Result: used, Data: []byte("x"), Stat: stat, Watched: w},
		&keeper.Set{Path: "/a", Version: keeper.AnyVersion, Result: used, Stat: stat},
		&keeper.Exists{Path: "/a", Result: used, Found: true, Stat: stat, Watched: w},
		&keeper.Children{Path: "/a", Result: used, Names: []string{"x"}, Stat: stat, Watched: w},
		&keeper.GetACL{Path: "/a", Result: used, ACL: keeper.OpenACL(), Stat: stat},
		&keeper.SetACL{Path: "/a", Result: used, Stat: stat},
		&keeper.Sync{Path: "/a", Result: used},
		&keeper.Multi{Result: used},
		&keeper.Multi{Ops: []keeper.Op{
			&keeper.Check{Path: "/a", Result: used}, &keeper.Set{Path: "/a", Result: used, Stat: stat},
		}},
	}
	require.NoError(t, keeper.Admit(t.Context(), 1, reqs...))
	require.Equal(t, []keeper.Request{
		&keeper.Create{Path: "/a"},
		&keeper.Create{Path: "/", Mode: keeper.EphemeralSequential},
		&keeper.Create{Path: "/a", Mode: keeper.PersistentTTL, TTL: keeper.MaxTTL},
		&keeper.Delete{Path: "/zookeeper", Version: math.MaxInt32},
		&keeper.Get{Path: "/"},
		&keeper.Set{Path: "/a", Version: keeper.AnyVersion},
		&keeper.Exists{Path: "/a"},
		&keeper.Children{Path: "/a"},
		&keeper.GetACL{Path: "/a"},
		&keeper.SetACL{Path: "/a"},
		&keeper.Sync{Path: "/a"},
		&keeper.Multi{},
		&keeper.Multi{Ops: []keeper.Op{&keeper.Check{Path: "/a"}, &keeper.Set{Path: "/a"}}},
	}, reqs, "results are cleared, and nothing else is touched")
}

func TestAdmitAsksGuards(t *testing.T) {
	var asked []int64
	held := error(nil)
	guard := keeper.NewGuard("/lock/me", keeper.AnyVersion, func(session int64) error {
		asked = append(asked, session)
		return held
	})
	write := &keeper.Multi{Ops: []keeper.Op{guard, &keeper.Set{Path: "/a"}}}
	other := &keeper.Get{Path: "/b"}

	require.NoError(t, keeper.Admit(t.Context(), 42, write, other))
	require.Equal(t, []int64{42}, asked)

	held = errors.Join(keeper.ErrNotHeld, errors.New("released"))
	reqs := []keeper.Request{other, write}
	requireRefused(t, keeper.Admit(t.Context(), 43, reqs...), keeper.ErrNotHeld, 1, reqs)
	require.Equal(t, []int64{42, 43}, asked, "asked anew each time, with the session that would send it")
	require.ErrorIs(t, write.Ops[1].Meta().Err, keeper.ErrNotHeld)

	held = nil
	require.NoError(t, keeper.Admit(t.Context(), 42, write), "a refusal leaves nothing behind")
	require.NoError(t, write.Ops[1].Meta().Err)
}

func TestAdmitOfManyOps(t *testing.T) {
	m := &keeper.Multi{}
	for range 100_000 {
		m.Ops = append(m.Ops, &keeper.Check{Path: "/a"})
	}
	require.NoError(t, keeper.Admit(t.Context(), 1, m), "how much fits a frame is for the connection to say")
}

func TestAdmitCostsNoAllocation(t *testing.T) {
	ctx := t.Context()
	reqs := []keeper.Request{
		&keeper.Create{Path: "/dir/lock-", Mode: keeper.EphemeralSequential},
		&keeper.Children{Path: "/dir"},
		&keeper.Multi{Ops: []keeper.Op{
			keeper.NewGuard("/dir/lock-0000000001", -1, func(int64) error { return nil }),
			&keeper.Set{Path: "/value", Data: []byte("v")},
		}},
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := keeper.Admit(ctx, 1, reqs...); err != nil {
			t.Error(err)
		}
	}))
}

func TestNamesAndTargets(t *testing.T) {
	for _, r := range []interface {
		Name() string
		Target() string
	}{
		&keeper.Create{Path: "/a"}, &keeper.Delete{Path: "/a"}, &keeper.Get{Path: "/a"}, &keeper.Set{Path: "/a"},
		&keeper.Exists{Path: "/a"}, &keeper.Children{Path: "/a"}, &keeper.GetACL{Path: "/a"}, &keeper.SetACL{Path: "/a"},
		&keeper.Sync{Path: "/a"}, &keeper.Check{Path: "/a"}, &keeper.Multi{Ops: []keeper.Op{&keeper.Check{Path: "/a"}}},
	} {
		require.Equal(t, "/a", r.Target())
		require.NotEmpty(t, r.Name())
		require.Equal(t, strings.ToLower(r.Name()[:1]), r.Name()[:1])
	}
	require.Empty(t, (&keeper.Multi{}).Target())
}

func TestModes(t *testing.T) {
	for mode := keeper.Persistent; mode <= keeper.PersistentSequentialTTL; mode++ {
		name := mode.String()
		require.Equal(t, strings.Contains(name, "sequential"), mode.IsSequential(), name)
		require.Equal(t, strings.Contains(name, "ephemeral"), mode.IsEphemeral(), name)
		require.Equal(t, strings.Contains(name, "ttl"), mode.HasTTL(), name)
	}
	require.Equal(t, "mode(7)", keeper.Mode(7).String())
	require.Equal(t, "mode(-1)", keeper.Mode(-1).String())
}

func TestStatTimes(t *testing.T) {
	s := keeper.Stat{Ctime: 1500, Mtime: 2500}
	require.Equal(t, time.UnixMilli(1500), s.Created())
	require.Equal(t, time.UnixMilli(2500), s.Modified())
}

func TestFeatureNames(t *testing.T) {
	for f, want := range map[keeper.Feature]string{
		keeper.FeatureContainer: "container nodes", keeper.FeatureTTL: "TTL nodes",
		keeper.FeatureUnwatch: "removal of watches", keeper.FeaturePipelining: "pipelining", 0: "unknown feature",
	} {
		require.Equal(t, want, f.String())
	}
}
