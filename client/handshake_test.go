package client

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// hungUp is a connection whose other end closes as soon as it has answered the
// handshake: what arrived can be read, but no deadline can be set any more.
type hungUp struct{ net.Conn }

func (c hungUp) SetDeadline(t time.Time) error {
	if t.IsZero() {
		return io.ErrClosedPipe
	}
	return c.Conn.SetDeadline(t)
}

// A server says that the session is gone and hangs up. That it has hung up must
// not hide what it said: the holder has to know.
func TestAnswerCountsThoughTheServerHasHungUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client(WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := p.dial(ctx, network, addr)
			return hungUp{nc}, err
		}))
		l := p.serve(sid, full)
		s, err := c.Session(t.Context())
		require.NoError(t, err)
		l.close()
		l = p.accept()
		l.hello()
		start := time.Now()
		l.welcome(0, 0)
		<-s.Done()
		require.Equal(t, start, time.Now())
		require.Equal(t, keeper.ErrSessionExpired, s.Err())
	})
}
