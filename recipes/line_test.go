package recipes

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestNewLineRefusesBadInput(t *testing.T) {
	good := Config{Dir: dir, Names: lockNames(t)}
	for name, change := range map[string]func(*Config){
		"empty path":      func(c *Config) { c.Dir = "" },
		"relative path":   func(c *Config) { c.Dir = "a/b" },
		"dots":            func(c *Config) { c.Dir = "/a/.." },
		"the root":        func(c *Config) { c.Dir = "/" },
		"trailing slash":  func(c *Config) { c.Dir = "/a/" },
		"empty component": func(c *Config) { c.Dir = "/a//b" },
		"long name":       func(c *Config) { c.Dir = "/" + strings.Repeat("n", 300) },
		"emoji":           func(c *Config) { c.Dir = "/\U0001F512" },
		"NUL":             func(c *Config) { c.Dir = "/a\x00" },
		"not UTF-8":       func(c *Config) { c.Dir = "/a\xff" },
		"the server's":    func(c *Config) { c.Dir = "/zookeeper/lock" },
		"no names":        func(c *Config) { c.Names = Names{} },
		"empty ACL":       func(c *Config) { c.ACL = []keeper.ACL{} },
		"odd ACL":         func(c *Config) { c.ACL = []keeper.ACL{{Perms: keeper.PermAll, Scheme: "digest", ID: "a"}} },
		"retry policy":    func(c *Config) { c.Retry.Attempts = -1 },
	} {
		cfg := good
		change(&cfg)
		_, err := NewLine(newFakeEnsemble().session(), cfg)
		var invalid *keeper.InvalidError
		require.ErrorAs(t, err, &invalid, name)
	}
	_, err := NewLine(nil, good)
	require.ErrorIs(t, err, keeper.ErrInvalid)
}

func TestNilAndDoneContextsSendNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		//nolint:staticcheck // a nil context is the point
		_, err := r.line.Acquire(nil, nil)
		require.ErrorIs(t, err, keeper.ErrInvalid)
		//nolint:staticcheck // a nil context is the point
		_, _, err = r.line.TryAcquire(nil, nil)
		require.ErrorIs(t, err, keeper.ErrInvalid)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.line.Acquire(ctx, nil)
		require.ErrorIs(t, err, context.Canceled)
		_, ok, err := r.line.TryAcquire(ctx, nil)
		require.ErrorIs(t, err, context.Canceled)
		assert.False(t, ok)
		synctest.Wait()
		assert.Empty(t, r.s.takeSent())
	})
}
