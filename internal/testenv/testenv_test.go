package testenv_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/netproxy"
	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/internal/testenv"
	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
)

func TestMain(m *testing.M) { zkreal.Main(m) }

func session(t *testing.T, c keeper.Conn) keeper.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := c.Session(ctx)
	require.NoError(t, err)
	return s
}

func TestRunHasARowForEachWay(t *testing.T) {
	var rows []string
	testenv.Run(t, func(t *testing.T, e *testenv.Env) {
		rows = append(rows, t.Name()[len("TestRunHasARowForEachWay/"):])
		if e.Embedded() != nil {
			require.Equal(t, e.Embedded().Addr(), e.Addr())
		}
	})
	want := []string{"client/zkserver", "client/real", "adapter/zkserver", "adapter/real"}
	if zkreal.Embedded() {
		want = []string{"client/zkserver", "adapter/zkserver"}
	}
	require.Equal(t, want, rows)
}

func TestEachConnIsASessionOfItsOwn(t *testing.T) {
	testenv.Run(t, func(t *testing.T, e *testenv.Env) {
		a, b, observer := session(t, e.Conn(t)), session(t, e.Conn(t)), session(t, e.Client(t))
		require.NotEqual(t, a.ID(), b.ID())
		require.NotEqual(t, a.ID(), observer.ID())
		require.Equal(t, testenv.DefaultSessionTimeout, a.Timeout())

		path := e.Path(t)
		require.NotEqual(t, path, e.Path(t))
		create := &keeper.Create{Path: path + "/a", Mode: keeper.Ephemeral}
		require.NoError(t, a.Do(t.Context(), create))
		found := &keeper.Exists{Path: path + "/a"}
		require.NoError(t, observer.Do(t.Context(), found))
		require.Equal(t, a.ID(), found.Stat.EphemeralOwner)
	})
}

func TestExpireEndsASession(t *testing.T) {
	testenv.Run(t, func(t *testing.T, e *testenv.Env) {
		c := e.Conn(t)
		s := session(t, c)
		e.Expire(t, s.ID())
		select {
		case <-s.Done():
			require.ErrorIs(t, s.Err(), keeper.ErrSessionExpired)
		case <-time.After(30 * time.Second):
			require.Fail(t, "the session goes on")
		}
		require.NotEqual(t, s.ID(), session(t, c).ID())
	})
}

func TestConnToGoesThroughAProxy(t *testing.T) {
	testenv.Run(t, func(t *testing.T, e *testenv.Env) {
		p := netproxy.Start(t, e.Addr())
		s := session(t, e.ConnTo(t, p.Addr()))
		path := e.Path(t)
		lost := p.LoseReplies(1, proto.OpCreate, proto.OpCreate2)
		create := &keeper.Create{Path: path + "/lost"}
		err := s.Do(t.Context(), create)
		require.Equal(t, keeper.Unknown, keeper.OutcomeOf(err), "%v", err)
		<-lost
		found := &keeper.Exists{Path: path + "/lost"}
		require.NoError(t, session(t, e.Client(t)).Do(t.Context(), found))
		require.True(t, found.Found)
	})
}

func TestSessionTimeoutIsGranted(t *testing.T) {
	const short = 400 * time.Millisecond
	testenv.Run(t, func(t *testing.T, e *testenv.Env) {
		require.Equal(t, short, e.SessionTimeout())
		require.Equal(t, short, session(t, e.Conn(t)).Timeout())
	}, testenv.WithSessionTimeout(short))
}
