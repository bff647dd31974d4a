package zkreal

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"
)

// patience bounds every wait of these tests; none is expected to last.
const patience = 30 * time.Second

// states is what became of a connection. The channel that zk.Connect returns
// drops events when nobody reads; a server's restart gives enough of them.
type states struct {
	news chan zk.State // larger than any test needs
}

// wait reads on until the state wanted.
func (s *states) wait(t *testing.T, want zk.State) {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case got := <-s.news:
			if got == want {
				return
			}
		case <-limit:
			require.Failf(t, "no such state", "waited for %v", want)
		}
	}
}

// connect opens a session with an independent client.
func connect(t *testing.T, s *Server, timeout time.Duration) (*zk.Conn, *states) {
	t.Helper()
	seen := &states{news: make(chan zk.State, 1<<12)}
	conn, _, err := zk.Connect([]string{s.Addr()}, timeout, zk.WithLogger(quiet{}), zk.WithEventCallback(func(ev zk.Event) {
		if ev.Type == zk.EventSession {
			seen.news <- ev.State
		}
	}))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	seen.wait(t, zk.StateHasSession)
	return conn, seen
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func TestSharedIsOneServerThatServes(t *testing.T) {
	if Embedded() {
		return
	}
	s := Shared(t)
	require.Same(t, s, Shared(t))
	require.Contains(t, s.Ask(t, "srvr"), "Mode: standalone")
	require.Equal(t, "imok", s.Ask(t, "ruok"))

	conn, _ := connect(t, s, 6*time.Second)
	_, err := conn.CreateTTL(fmt.Sprintf("/ttl-%d", conn.SessionID()), nil, zk.FlagTTL, zk.WorldACL(zk.PermAll), time.Hour)
	require.NoError(t, err, "TTL nodes are on")
}

func TestServerListensOnLoopbackOnly(t *testing.T) {
	if Embedded() {
		return
	}
	host, port, err := net.SplitHostPort(Shared(t).Addr())
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	require.Less(t, n, 32768, "below the ports kernels hand out")

	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.IsLoopback() || ip.IP.To4() == nil {
			continue
		}
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(ip.IP.String(), port), time.Second)
		if err == nil {
			require.NoError(t, conn.Close())
		}
		require.Error(t, err, "reachable at %v", ip)
	}
}

func TestRestartKeepsPortSessionsAndData(t *testing.T) {
	if Embedded() {
		return
	}
	ends := map[string]func(*Server){
		"stopped":        func(s *Server) { s.Stop(t); s.Restart(t) },
		"killed":         func(s *Server) { s.Kill(t); s.Restart(t) },
		"restarted only": func(s *Server) { s.Restart(t) },
	}
	s := Start(t, Options{Durable: true})
	for name, restart := range ends {
		t.Run(name, func(t *testing.T) {
			conn, seen := connect(t, s, 10*time.Second)
			id := conn.SessionID()
			path, err := conn.Create("/e", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
			require.NoError(t, err)
			addr := s.Addr()

			restart(s)

			require.Equal(t, addr, s.Addr())
			seen.wait(t, zk.StateHasSession)
			require.Equal(t, id, conn.SessionID())
			_, stat, err := conn.Exists(path)
			require.NoError(t, err)
			require.Equal(t, id, stat.EphemeralOwner)
			require.NoError(t, conn.Delete(path, -1))
		})
	}
}

func TestAStoppedServerRefuses(t *testing.T) {
	if Embedded() {
		return
	}
	s := Start(t, Options{})
	s.Stop(t)
	_, err := ask(t.Context(), s.Addr(), "ruok")
	require.Error(t, err)
	s.Stop(t) // once more: nothing to do
	s.Kill(t)
}

func TestOptionsReachTheServer(t *testing.T) {
	if Embedded() {
		return
	}
	s := Start(t, Options{
		TickTime:          300 * time.Millisecond,
		MaxSessionTimeout: 5 * time.Second,
		Config:            []string{"maxClientCnxns=7"},
		JVM:               []string{"-Dzookeeper.preAllocSize=2048"},
	})
	conf := s.Ask(t, "conf")
	for _, line := range []string{"tickTime=300\n", "minSessionTimeout=600\n", "maxSessionTimeout=5000\n", "maxClientCnxns=7\n"} {
		require.Contains(t, conf, line)
	}
}

func TestABadConfigurationFailsWithTheServersOwnWords(t *testing.T) {
	if Embedded() {
		return
	}
	_, err := start(Options{Config: []string{"initLimit=many"}})
	require.ErrorContains(t, err, "ended before it served")
	require.ErrorContains(t, err, "NumberFormatException")
}

// The port is taken between the choice and the server's bind.
func TestATakenPortIsSeen(t *testing.T) {
	if Embedded() {
		return
	}
	other := Shared(t)
	s := &Server{opts: Options{TickTime: defaultTick, MaxSessionTimeout: defaultMaxSession}, dir: t.TempDir(), port: other.port}
	var err error
	s.java, err = findJava()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.ErrorIs(t, s.up(ctx), errPortTaken, "although a ZooKeeper answers there: another one")
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Setenv(envVar, "")
	t.Run("java", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := start(Options{})
		requireAdvice(t, err, "no Java runtime")
	})
	t.Run("release", func(t *testing.T) {
		bin := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(bin, "java"), nil, 0o700))
		t.Setenv("PATH", bin)
		t.Setenv(homeVar, t.TempDir())
		_, err := start(Options{})
		requireAdvice(t, err, "no lib/zookeeper-*.jar")
	})
}

func requireAdvice(t *testing.T, err error, what string) {
	t.Helper()
	for _, s := range []string{what, "make setup", "CONCLAVE_TEST=embedded", homeVar} {
		require.ErrorContains(t, err, s)
	}
}

func TestEmbeddedAsksForNoServer(t *testing.T) {
	t.Setenv(envVar, embedded)
	require.True(t, Embedded())
	_, err := start(Options{})
	require.ErrorContains(t, err, "must ask zkreal.Embedded first")
}

func TestAReleaseDirectoryMayBeNamed(t *testing.T) {
	if Embedded() {
		return
	}
	home := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(home, "lib"), 0o700))
	jars, err := filepath.Glob("/usr/share/java/*.jar")
	require.NoError(t, err)
	for _, jar := range jars {
		link := filepath.Join(home, "lib", filepath.Base(jar))
		for _, wanted := range []string{"zookeeper-[0-9]*", "zookeeper-jute.jar", "slf4j-api.jar", "slf4j-simple.jar", "netty-*", "metrics-core.jar", "snappy-java.jar"} {
			if ok, err := filepath.Match(wanted, filepath.Base(jar)); err == nil && ok {
				require.NoError(t, os.Symlink(jar, link))
				break
			}
		}
	}
	t.Setenv(homeVar, home)
	s := Start(t, Options{})
	require.Contains(t, s.java.classPath, home)
	require.Contains(t, s.Ask(t, "srvr"), "Mode: standalone")
}

func ExampleEmbedded() {
	fmt.Println("without real servers:", Embedded() == (os.Getenv("CONCLAVE_TEST") == "embedded"))
	// Output: without real servers: true
}
