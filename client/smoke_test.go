package client

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zktest"
)

func TestSmoke(t *testing.T) {
	for name, addr := range map[string]string{"real": zkreal.Shared(t).Addr(), "zkserver": zktest.Start(t).Addr()} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			c, err := Dial(ctx, addr+"/smoke", WithSessionTimeout(2*time.Second))
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close()) }()
			require.NoError(t, c.EnsurePath(ctx, "/a/b"))
			require.NoError(t, c.EnsurePath(ctx, "/a/b"))
			p, err := c.Create(ctx, "/a/b/c", []byte("x"), keeper.Ephemeral)
			require.NoError(t, err)
			require.Equal(t, "/a/b/c", p)
			data, st, w, err := c.GetW(ctx, p)
			require.NoError(t, err)
			require.Equal(t, "x", string(data))
			require.Equal(t, c.SessionID(), st.EphemeralOwner)
			_, err = c.Set(ctx, p, []byte("y"), 0)
			require.NoError(t, err)
			ev, err := w.Wait(ctx)
			require.NoError(t, err)
			require.Equal(t, keeper.EventDataChanged, ev.Type)
			s, err := c.Session(ctx)
			require.NoError(t, err)
			require.Equal(t, 2*time.Second, s.Timeout())
			t.Log(time.Until(s.ValidUntil()), c)
		})
	}
}
