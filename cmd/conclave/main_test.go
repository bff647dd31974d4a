package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/internal/zkreal"
)

func TestMain(m *testing.M) { zkreal.Main(m) }

// conclave runs the command line and returns exit code, stdout and stderr.
func conclave(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(ctx, args, &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestDemoInProcess(t *testing.T) {
	code, out, errOut := conclave(t.Context(), "demo")
	require.Equal(t, exitOK, code, "%s\n%s", out, errOut)
	require.Contains(t, out, "11 of 11 facts hold")
	require.NotContains(t, out, "FAILED")
}

func TestDemoOnRealServer(t *testing.T) {
	if zkreal.Embedded() {
		t.Log("CONCLAVE_TEST=embedded: the demo on a real server was not asked for")
		return
	}
	code, out, errOut := conclave(t.Context(), "demo", "--servers", zkreal.Shared(t).Addr(), "--session-timeout", "2s")
	require.Equal(t, exitOK, code, "%s\n%s", out, errOut)
	require.Contains(t, out, "11 of 11 facts hold")
}

func TestDemoJSON(t *testing.T) {
	code, out, errOut := conclave(t.Context(), "demo", "--json")
	require.Equal(t, exitOK, code, errOut)
	facts := 0
	for line := range strings.Lines(out) {
		var l struct {
			Kind string
			Fact *struct {
				Claim string
				Holds bool
			}
		}
		require.NoError(t, json.Unmarshal([]byte(line), &l), line)
		if l.Kind == "fact" {
			require.True(t, l.Fact.Holds, line)
			facts++
		}
	}
	require.Equal(t, 11, facts)
}

func TestDemoWithoutServerFails(t *testing.T) {
	// A port that nobody listens on: taken and given back.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())

	ctx, cancel := context.WithCancel(t.Context())
	started := &signalWriter{seen: make(chan struct{})}
	done := make(chan int)
	var errOut bytes.Buffer
	go func() { done <- run(ctx, []string{"demo", "--servers", addr}, started, &errOut) }()
	<-started.seen
	cancel()
	require.Equal(t, exitFailed, <-done)
	require.Contains(t, errOut.String(), addr)
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"dmeo"},
		{"demo", "extra"},
		{"demo", "--no-such-flag"},
		{"demo", "--session-timeout", "-1s"},
		{"server", "--tick", "0s"},
		{"server", "extra"},
	} {
		code, _, errOut := conclave(t.Context(), args...)
		require.Equal(t, exitUsage, code, "%v: %s", args, errOut)
		require.Contains(t, errOut, "conclave help")
	}
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"demo", "--help"}, {"server", "--help"}} {
		code, out, errOut := conclave(t.Context(), args...)
		require.Equal(t, exitOK, code, errOut)
		require.Contains(t, out, "Usage:")
	}
}

func TestServerServesAndStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &signalWriter{seen: make(chan struct{})}
	var errOut bytes.Buffer
	done := make(chan int)
	go func() { done <- run(ctx, []string{"server", "--addr", "127.0.0.1:0"}, out, &errOut) }()
	<-out.seen
	first, _, _ := strings.Cut(out.String(), "\n")
	addr := first[strings.LastIndexByte(first, ' ')+1:]

	c, err := client.Dial(ctx, addr)
	require.NoError(t, err)
	require.NoError(t, c.EnsurePath(ctx, "/a/b"))
	require.NoError(t, c.Close())

	stop()
	require.Equal(t, exitOK, <-done, errOut.String())
	require.Contains(t, out.String(), "not for production")
}

func TestServerAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	code, _, errOut := conclave(t.Context(), "server", "--addr", l.Addr().String())
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, l.Addr().String())
}

// signalWriter collects what is written and tells when the first bytes came.
type signalWriter struct {
	once sync.Once
	seen chan struct{}

	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (w *signalWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.once.Do(func() { close(w.seen) })
	return w.buf.Write(p)
}

func (w *signalWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
