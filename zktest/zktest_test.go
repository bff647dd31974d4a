package zktest_test

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/conclave-go/conclave/zktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStart(t *testing.T) {
	var log bytes.Buffer
	var addr string
	t.Run("while it runs", func(t *testing.T) {
		srv := zktest.Start(t, zktest.Version("3.8"), zktest.Logger(slog.New(slog.NewTextHandler(&log, nil))))
		addr = srv.Addr()
		conn, events, err := zk.Connect([]string{addr}, 30*time.Second, zk.WithLogInfo(false))
		require.NoError(t, err)
		defer conn.Close()
		for ev := range events {
			if ev.State == zk.StateHasSession {
				break
			}
		}
		require.True(t, srv.Expire(conn.SessionID()))
		require.Equal(t, []bool{true}, zk.FLWRuok([]string{addr}, time.Second))
	})
	require.Contains(t, log.String(), "session expired")
	require.Contains(t, log.String(), "timeout=30s", "long sessions are granted")
	require.Equal(t, []bool{false}, zk.FLWRuok([]string{addr}, time.Second), "it ends with its test")
}

func TestStartInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t, zktest.PipeOnly(), zktest.Tick(10*time.Second))
		conn, err := srv.Dial(t.Context(), "tcp", srv.Addr())
		require.NoError(t, err)
		began := time.Now()
		_, err = io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, time.Since(began), "the deadline of the handshake")
		require.NoError(t, conn.Close())
	})
}

// fatal catches what Start does to a test it cannot serve.
type fatal struct {
	testing.TB
	failed bool
}

func (f *fatal) Helper()               {}
func (f *fatal) Fatalf(string, ...any) { f.failed = true; panic(f) }

func TestStartFailsTheTest(t *testing.T) {
	f := &fatal{TB: t}
	require.Panics(t, func() { zktest.Start(f, zktest.Version("0.1")) })
	require.True(t, f.failed)
}
