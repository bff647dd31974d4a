package client_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
)

// Credentials come before everything else on every connection.
func TestAuthSurvivesReconnect(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx := t.Context()
		var link cutter
		c := srv.root(t, client.WithAuth("digest", []byte("u:p")), client.WithDialer(link.dial))
		_, err := c.Create(ctx, "/mine", nil, keeper.Persistent, keeper.CreatorAllACL()...)
		require.NoError(t, err)
		session := c.SessionID()
		for range 5 {
			_, _, w, err := c.GetW(ctx, "/mine")
			require.NoError(t, err)
			link.cut()
			require.Eventually(t, func() bool {
				_, err := c.Set(ctx, "/mine", nil, keeper.AnyVersion)
				require.NotErrorIs(t, err, keeper.ErrNoAuth)
				return err == nil
			}, patience, time.Millisecond)
			wantEvent(t, w, keeper.EventDataChanged, "/mine")
		}
		require.Equal(t, session, c.SessionID())
	})
}

// An expiry ends the session and what belongs to it; the client goes on in the
// next one.
func TestExpiry(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c := srv.root(t)
		s, err := c.Session(ctx)
		require.NoError(t, err)
		_, err = c.Create(ctx, "/mine", nil, keeper.Ephemeral)
		require.NoError(t, err)
		_, _, w, err := c.GetW(ctx, "/mine")
		require.NoError(t, err)
		lapsed := make(chan error, 1)
		s.AfterLapse(func(cause error) { lapsed <- cause })
		srv.expire(t, s.ID())
		require.ErrorIs(t, <-lapsed, keeper.ErrSessionExpired)
		<-s.Done()
		require.ErrorIs(t, s.Err(), keeper.ErrSessionExpired)
		// The delete by the expiry and the end of the connection race.
		ev, err := w.Wait(ctx)
		require.True(t, ev.Type == keeper.EventDeleted && err == nil || ev.Type == keeper.EventSession && err != nil, "%v", ev)
		outcome(t, s.Do(ctx, &keeper.Get{Path: "/"}), keeper.ErrSessionExpired, keeper.NotApplied)
		next, err := c.Session(ctx)
		require.NoError(t, err)
		require.NotEqual(t, s.ID(), next.ID())
		_, found, err := c.Exists(ctx, "/mine")
		require.NoError(t, err)
		require.False(t, found)
	})
}

// Close removes what the session made; a cut connection does not.
func TestEphemeralsAndClose(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		ctx := t.Context()
		var link cutter
		c, other := srv.root(t, client.WithDialer(link.dial)), srv.root(t)
		_, err := c.Create(ctx, "/mine", nil, keeper.Ephemeral)
		require.NoError(t, err)
		link.cut()
		_, stat, gone, err := other.GetW(ctx, "/mine")
		require.NoError(t, err)
		_, _, err = c.Get(ctx, "/mine")
		if err != nil {
			require.ErrorIs(t, err, keeper.ErrConnectionLoss)
		}
		require.NoError(t, c.WaitConnected(ctx))
		require.Equal(t, stat.EphemeralOwner, c.SessionID())
		require.NoError(t, c.Close())
		wantEvent(t, gone, keeper.EventDeleted, "/mine")
		_, _, err = c.Get(ctx, "/mine")
		outcome(t, err, keeper.ErrClosed, keeper.NotApplied)
	})
}

// While somebody relies on the session a real leader keeps proving it.
func TestSyncHeartbeat(t *testing.T) {
	onServers(t, func(t *testing.T, srv server) {
		c := srv.dial(t, "", client.WithSessionTimeout(2*time.Second))
		s, err := c.Session(t.Context())
		require.NoError(t, err)
		first := s.ValidUntil()
		lapsed := make(chan error, 1)
		stop := s.AfterLapse(func(cause error) { lapsed <- cause })
		require.Eventually(t, func() bool { return s.ValidUntil().After(first.Add(time.Second)) }, patience, 10*time.Millisecond)
		require.True(t, stop())
		require.Empty(t, lapsed)
	})
}

// A real server that is killed and comes back knows the session, its nodes, and
// what happened; another server of the list that is never there does not hurt.
func TestRealServerRestart(t *testing.T) {
	if zkreal.Embedded() {
		t.Log("CONCLAVE_TEST=embedded: not run against a real ZooKeeper")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	srv := zkreal.Start(t, zkreal.Options{})
	nobody, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	c, err := client.Dial(ctx, nobody.Addr().String()+","+srv.Addr(), client.WithSessionTimeout(patience))
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, srv.Addr(), c.Server())
	_, err = c.Create(ctx, "/mine", nil, keeper.Ephemeral)
	require.NoError(t, err)
	_, _, w, err := c.GetW(ctx, "/mine")
	require.NoError(t, err)
	session := c.SessionID()
	for range 2 {
		srv.Kill(t)
		srv.Restart(t)
		stat, found, err := c.Exists(ctx, "/mine")
		for keeper.IsConnectionError(err) {
			stat, found, err = c.Exists(ctx, "/mine")
		}
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, session, stat.EphemeralOwner)
		require.Equal(t, session, c.SessionID())
	}
	_, err = c.Set(ctx, "/mine", nil, 0)
	require.NoError(t, err)
	wantEvent(t, w, keeper.EventDataChanged, "/mine")
}
