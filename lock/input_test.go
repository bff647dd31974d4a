package lock_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
	"github.com/conclave-go/conclave/retry"
)

func requireInvalid(t *testing.T, err error) {
	t.Helper()
	var invalid *keeper.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.ErrorIs(t, err, keeper.ErrInvalid)
	assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
}

func TestBadPathsAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		b.ResetCounts()
		for _, path := range []string{
			"", "a", "a/b", "/", "//", "/a/", "/a//b", "/..", "/.", "/./x", "/a/../b", "/a\x00b", "/\x01", "/\x7f", "/\u0085",
			"/\xed\xa0\x80", "/\ue000", "/\ufff0", "/\U0001F600", "/\xff", "/zookeeper", "/zookeeper/lock",
			"/" + strings.Repeat("n", 300), "/a/" + strings.Repeat("ü", 128),
		} {
			_, err := lock.New(c, path)
			requireInvalid(t, err)
		}
		assert.Zero(t, b.Counts().Total())
	})
}

func TestBadOptionsAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		b.ResetCounts()
		for _, opt := range []lock.Option{
			nil,
			lock.WithACL([]keeper.ACL{}),
			lock.WithACL([]keeper.ACL{{Perms: keeper.PermAll, ID: "anyone"}}),
			lock.WithACL([]keeper.ACL{{Perms: keeper.PermAll, Scheme: "digest", ID: "a"}}),
			lock.WithACL([]keeper.ACL{{Perms: keeper.PermAll, Scheme: "digest", ID: "a:b:c"}}),
			lock.WithMarkers(""),
			lock.WithMarkers("a/b"),
			lock.WithMarkers("lock-", "\U0001F512"),
			lock.WithMarkers("lock-1"),
			lock.WithRetryPolicy(retry.Policy{Initial: -time.Second}),
		} {
			_, err := lock.New(c, "/lock", opt)
			requireInvalid(t, err)
		}
		_, err := lock.New(nil, "/lock")
		requireInvalid(t, err)
		assert.Zero(t, b.Counts().Total())
	})
}

func TestBadContextsSendNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		m := newMutex(t, b.client(), "/lock")
		held := mustLock(t, m)
		b.ResetCounts()
		var none context.Context
		_, err := m.Lock(none)
		requireInvalid(t, err)
		_, _, err = m.TryLock(none)
		requireInvalid(t, err)
		requireInvalid(t, m.Do(none, func(context.Context, *lock.Held) error { panic("ran") }))
		requireInvalid(t, m.Do(t.Context(), nil))
		requireInvalid(t, held.Commit(none))
		requireInvalid(t, held.Release(none))
		requireInvalid(t, held.Commit(t.Context(), nil))
		requireInvalid(t, held.Commit(t.Context(), &keeper.Set{Path: "a"}))

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = m.Lock(ended)
		require.ErrorIs(t, err, context.Canceled)
		_, ok, err := m.TryLock(ended)
		require.ErrorIs(t, err, context.Canceled)
		assert.False(t, ok)
		require.ErrorIs(t, held.Commit(ended), context.Canceled)
		assert.Zero(t, b.Counts().Total())
		assert.True(t, held.Valid(), "none of that has touched the hold")
		require.NoError(t, held.Release(t.Context()))
	})
}

// What a node holds is for people, and can be blank.
func TestDataOfTheNodes(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		var log strings.Builder
		for want, opts := range map[string][]lock.Option{
			"host/pid": nil,
			"":         {lock.WithData(nil), lock.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))},
			"me":       {lock.WithData([]byte("me"))},
		} {
			held := mustLock(t, newMutex(t, c, "/lock", opts...))
			data, _, err := c.Get(t.Context(), held.Node())
			require.NoError(t, err)
			if want == "host/pid" {
				assert.Regexp(t, `^\S+/\d+$`, string(data))
			} else {
				assert.Equal(t, want, string(data))
			}
			require.NoError(t, held.Release(t.Context()))
		}
		assert.Empty(t, log.String())
	})
}

// A dialect: Kazoo's names, so that Kazoo as it comes takes part.
func TestMarkersOfADialect(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := b.client()
		held := mustLock(t, newMutex(t, c, "/lock", lock.WithMarkers("__lock__", "lock-")))
		assert.Regexp(t, `/_c_[0-9a-f-]{36}-__lock__0000000000$`, held.Node())
		_, ok, err := newMutex(t, c, "/lock").TryLock(t.Context())
		require.NoError(t, err)
		assert.False(t, ok, "the default counts it")
		require.NoError(t, held.Release(t.Context()))
	})
}

// Nothing that is shown holds what nodes hold.
func TestErrorsHoldNoData(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		m := newMutex(t, b.client(), "/lock", lock.WithData([]byte("canary")))
		held := mustLock(t, m)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.Lock(ctx)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "canary")
		require.NoError(t, held.Release(t.Context()))
		err = held.Commit(t.Context(), &keeper.Set{Path: "/lock", Data: []byte("canary"), Version: keeper.AnyVersion})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "canary")
	})
}
