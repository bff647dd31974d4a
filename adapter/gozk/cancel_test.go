package gozk

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestACancelledCallReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c, s := connected(t)
		f.rule("set", stall)
		ctx, cancel := context.WithCancel(t.Context())
		first := &keeper.Create{Path: "/a"}
		set := &keeper.Set{Path: "/a", Version: keeper.AnyVersion, Data: []byte("x")}
		get := &keeper.Get{Path: "/a", Watch: true}
		done := background(func() error { return s.Do(ctx, first, set, get) })
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.NoError(t, first.Err, "what was answered is kept")
		require.NotZero(t, first.Stat.Czxid)
		require.Equal(t, keeper.Unknown, outcome(t, set, context.Canceled))
		require.Equal(t, keeper.NotApplied, outcome(t, get, context.Canceled))
		require.Equal(t, 1, f.waitingCalls(), "go-zookeeper still has it")
		*set, *get = keeper.Set{}, keeper.Get{} // ours again: the race detector listens
		f.cut()
		f.connect()
		synctest.Wait()
		require.Zero(t, f.count("getW"))
		require.Zero(t, s.inside.size())
		_ = c
	})
}

// A Do that gives up while its worker is about to hand the request over has said
// NotApplied, and that must hold.
func TestAnAbandonedCallIsNotHandedOver(t *testing.T) {
	set := &keeper.Set{Path: "/a"}
	own, hand := private(set)
	k := &call{gone: make(chan struct{}), jobs: []job{{request: set, own: own, hand: hand}}}
	require.ErrorIs(t, k.settle(context.Canceled), context.Canceled)
	require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(set.Err))
	require.False(t, k.advance(0, handed))
	require.False(t, k.advanceCreated(0, "/a"))
}

// The caller's memory is his again at once, although go-zookeeper encodes the
// request at a time of its own.
func TestWhatACancelledCallSendsIsWhatItWasGiven(t *testing.T) {
	for _, multi := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, _, s := connected(t)
			require.NoError(t, s.Do(t.Context(), &keeper.Create{Path: "/a"}))
			data := []byte("given")
			set := &keeper.Set{Path: "/a", Data: data, Version: keeper.AnyVersion}
			var r keeper.Request = set
			if multi {
				r = &keeper.Multi{Ops: []keeper.Op{set}}
			}
			f.rule(r.Name(), queueUp)
			ctx, cancel := context.WithCancel(t.Context())
			done := background(func() error { return s.Do(ctx, r) })
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
			copy(data, "CLOSE")
			set.Path = "/"
			f.cut()
			f.connect()
			get := &keeper.Get{Path: "/a"}
			require.NoError(t, s.Do(t.Context(), get))
			require.Equal(t, "given", string(get.Data))
		})
	}
}

func TestAWatchOfACancelledCallIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		f.latency = time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		get := &keeper.Exists{Path: "/a", Watch: true}
		require.ErrorIs(t, s.Do(ctx, get), context.DeadlineExceeded)
		require.Nil(t, get.Watched)
		after(2 * time.Second)
		h := &s.watches
		h.mu.Lock()
		require.Empty(t, h.owner)
		h.mu.Unlock()
		require.Equal(t, 1, f.channels("/a"), "go-zookeeper's own stays until it fires")
		require.NoError(t, s.Do(t.Context(), get))
		require.Equal(t, 1, f.channels("/a"), "and is shared")
	})
}
