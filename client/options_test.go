package client

import (
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]Option{
		"nil":              nil,
		"zero timeout":     WithSessionTimeout(0),
		"negative timeout": WithSessionTimeout(-time.Second),
		"tiny timeout":     WithSessionTimeout(time.Microsecond),
		"huge timeout":     WithSessionTimeout(math.MaxInt32*time.Millisecond + time.Millisecond),
		"nil dialer":       WithDialer(nil),
		"nil logger":       WithLogger(nil),
		"nil ACL":          WithDefaultACL(nil),
		"empty ACL":        WithDefaultACL([]keeper.ACL{}),
		"bad ACL":          WithDefaultACL([]keeper.ACL{{Perms: 99, Scheme: "world", ID: "anyone"}}),
		"ACL scheme":       WithDefaultACL([]keeper.ACL{{Perms: keeper.PermAll}}),
		"auth scheme":      WithAuth("", []byte("x")),
		"auth length":      WithAuth("digest", make([]byte, 1<<20)),
		"policy":           WithRetryPolicy(retry.Policy{Initial: -1}),
		"request limit":    WithMaxFrame(1, 0),
		"reply limit":      WithMaxFrame(0, -1),
	} {
		_, err := New("a", o)
		var bad *keeper.InvalidError
		require.ErrorAs(t, err, &bad, name)
	}
}

func TestGoodOptions(t *testing.T) {
	c, err := New("a,b", WithSessionTimeout(math.MaxInt32*time.Millisecond), WithLogger(slog.Default()),
		WithDefaultACL(keeper.ReadACL()), WithAuth("digest", nil), WithOrderedServers(),
		WithRetryPolicy(retry.Policy{}), WithMaxFrame(1024, 1024))
	require.NoError(t, err)
	require.NoError(t, c.Close(), "a client that was never started")
	st, _ := c.State()
	require.Equal(t, Closed, st)
	require.ErrorIs(t, c.Start(), keeper.ErrClosed)
}
