package zkserver_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/zkserver"
)

// start makes a server that ends with the test.
func start(t *testing.T, opts zkserver.Options) *zkserver.Server {
	t.Helper()
	srv, err := zkserver.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	return srv
}

// dial is a peer on an in-memory pipe.
func dial(t *testing.T, srv *zkserver.Server) *peer {
	t.Helper()
	nc, err := srv.Dial(t.Context(), "tcp", srv.Addr())
	require.NoError(t, err)
	return newPeer(t, nc)
}

func tcp(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	return nc
}

func contextCancelled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

// pass lets virtual time pass: it is called in synctest bubbles only.
func pass(d time.Duration) { <-time.After(d) }
