package netproxy

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/internal/zkreal"
)

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// A reply lost on a real server: the client does not know, the node is there.
func TestLoseRepliesOfARealServer(t *testing.T) {
	if zkreal.Embedded() {
		return
	}
	server := zkreal.Shared(t)
	p := Start(t, server.Addr())
	conn, events, err := zk.Connect([]string{p.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
	require.NoError(t, err)
	defer conn.Close()
	for ev := range events {
		if ev.State == zk.StateHasSession {
			break
		}
	}
	path := fmt.Sprintf("/lost-reply-%d", conn.SessionID())
	lost := p.LoseReplies(1, proto.OpCreate)
	_, err = conn.Create(path, nil, 0, zk.WorldACL(zk.PermAll))
	require.ErrorIs(t, err, zk.ErrConnectionClosed)
	<-lost
	there, _, err := conn.Exists(path)
	require.NoError(t, err)
	require.True(t, there)
	require.GreaterOrEqual(t, p.Accepted(), 2)
}
