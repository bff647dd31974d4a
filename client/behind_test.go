package client

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Servers that know less than the client has seen hang up in the handshake. The
// client goes on trying, for that is right, but says what it suspects.
func TestServersBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		done := run(func() error { return s.Do(t.Context(), &keeper.Sync{Path: "/"}) })
		h, _ := l.want("sync", proto.OpSync)
		l.write(frame(&proto.ReplyHeader{Xid: h.Xid, Zxid: 1000}, &proto.SyncResponse{Path: "/"}))
		require.NoError(t, <-done)
		l.close()

		start := time.Now()
		for time.Since(start) <= 2*full+time.Minute {
			l = p.accept()
			require.EqualValues(t, 1000, l.hello().LastZxidSeen, "time must not go back, also in a new session")
			l.close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := c.WaitConnected(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrServersBehind)

		l = p.accept()
		l.hello()
		l.welcome(sid, full)
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// Whoever waits in vain learns what stands in the way.
func TestWaitConnectedTellsTheTrouble(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		p.accept().close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := c.WaitConnected(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "handshake")
		require.NotErrorIs(t, err, ErrServersBehind, "a first client has seen nothing")
		_, err = c.Session(ctx)
		require.ErrorContains(t, err, "handshake")
	})
}
