package zkreal

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"
)

// The pair was captured from a ZooKeeper 3.8.0.
func TestPasswordIsTheServersOwn(t *testing.T) {
	p := password(0x100005f3e070002)
	require.Equal(t, "8523dc201c868d7a176ecb605e012b48", hex.EncodeToString(p[:]))
}

func TestExpireEndsALiveSession(t *testing.T) {
	if Embedded() {
		return
	}
	s := Shared(t)
	// The client reconnects the moment its connection breaks: it fights for
	// its session. The timeout is long: nothing expires by itself.
	victim, seen := connect(t, s, 40*time.Second)
	id := victim.SessionID()
	_, err := victim.Create("/victim", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
	require.NoError(t, err)
	watcher, _ := connect(t, s, 40*time.Second)
	there, _, gone, err := watcher.ExistsW("/victim")
	require.NoError(t, err)
	require.True(t, there)

	s.Expire(t, id)

	select {
	case ev := <-gone:
		require.Equal(t, zk.EventNodeDeleted, ev.Type)
	case <-time.After(patience):
		require.Fail(t, "the ephemeral node is still there")
	}
	seen.wait(t, zk.StateExpired)
	seen.wait(t, zk.StateHasSession)
	require.NotEqual(t, id, victim.SessionID())

	s.Expire(t, id) // gone already: nothing to do
}

func TestExpireEndsASessionWithoutConnection(t *testing.T) {
	if Embedded() {
		return
	}
	s := Start(t, Options{TickTime: 10 * time.Second}) // nothing expires by itself
	id, err := reattach(t, s, 0)
	require.NoError(t, err)
	again, err := reattach(t, s, id)
	require.NoError(t, err, "the derived password opens the session")
	require.Equal(t, id, again)

	s.Expire(t, id)

	_, err = reattach(t, s, id)
	require.ErrorIs(t, err, errGone)
}

// reattach opens or takes over a session and drops the connection.
func reattach(t *testing.T, s *Server, session int64) (int64, error) {
	t.Helper()
	conn, err := dial(t.Context(), s.Addr())
	require.NoError(t, err)
	defer conn.Close()
	return attach(conn, session)
}
