package zkreal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options of a server of one's own. The zero value works.
type Options struct {
	// TickTime is the server's unit of time; 0 is 200 ms. Sessions last at
	// least two ticks and end up to one tick late.
	TickTime time.Duration
	// MaxSessionTimeout bounds what clients may ask for; 0 is 60 s.
	MaxSessionTimeout time.Duration
	// Durable makes the server wait for its disk before it answers a write.
	// Without it the log survives a Kill, but not a crash of the machine.
	Durable bool
	// Config holds further lines for zoo.cfg.
	Config []string
	// JVM holds further flags for the Java command line.
	JVM []string
}

const (
	defaultTick       = 200 * time.Millisecond
	defaultMaxSession = 60 * time.Second

	startLimit = 60 * time.Second // an idle machine needs about one second
	stopLimit  = 10 * time.Second
)

// Server is one stand-alone ZooKeeper. Its methods are safe for concurrent use;
// those that start and stop the process wait for one another.
type Server struct {
	opts Options
	java java
	dir  string // configuration, data and log; kept across restarts
	port int

	mu   sync.Mutex
	proc *process // guarded by mu; nil when the server is down
}

// Start runs a server of the test's own, which ends with the test.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s, err := start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Addr is where the server listens, as host:port. It stays the same across
// restarts.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Stop ends the process politely. Sessions, their ephemeral nodes and all data
// are there again after Restart; watches are not.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.end(t, (*process).stop)
}

// Kill ends the process with SIGKILL.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.end(t, (*process).kill)
}

func (s *Server) end(t testing.TB, how func(*process) error) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.down(how); err != nil {
		t.Fatal(err)
	}
}

// Restart starts the server again, on the same port and directory, and returns
// when it serves. One that is up is stopped first.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.down((*process).stop); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		err := s.up(ctx)
		if err == nil {
			return
		}
		// Somebody may have the port for a moment: a test that looks for a
		// free one.
		if !errors.Is(err, errPortTaken) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// Ask sends a four-letter word, such as "srvr" or "cons", and returns the
// answer.
func (s *Server) Ask(t testing.TB, word string) string {
	t.Helper()
	answer, err := ask(t.Context(), s.Addr(), word)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// errPortTaken: another process got hold of the port first.
var errPortTaken = errors.New("port is taken")

// start makes a directory, finds a port and brings the server up.
func start(opts Options) (*Server, error) {
	if opts.TickTime == 0 {
		opts.TickTime = defaultTick
	}
	if opts.MaxSessionTimeout == 0 {
		opts.MaxSessionTimeout = defaultMaxSession
	}
	j, err := findJava()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "conclave-zookeeper-")
	if err != nil {
		return nil, fmt.Errorf("directory for ZooKeeper: %w", err)
	}
	s := &Server{opts: opts, java: j, dir: dir}

	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.port, err = freePort(ctx); err != nil {
			break
		}
		// Between freePort and the server's own bind anybody may take the port.
		if err = s.up(ctx); !errors.Is(err, errPortTaken) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// up starts the process and waits until it serves. The caller holds mu.
func (s *Server) up(ctx context.Context) error {
	if err := s.writeConfig(); err != nil {
		return err
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return fmt.Errorf("log of ZooKeeper: %w", err)
	}
	defer log.Close()
	proc, err := startProcess(s.java.command(s.configFile(), s.opts.JVM, log))
	if err != nil {
		return fmt.Errorf("start ZooKeeper: %w", err)
	}
	if err := s.waitReady(ctx, proc); err != nil {
		return errors.Join(err, proc.kill())
	}
	s.proc = proc
	return nil
}

// down ends the process, if there is one. The caller holds mu.
func (s *Server) down(how func(*process) error) error {
	if s.proc == nil {
		return nil
	}
	err := how(s.proc)
	s.proc = nil
	return err
}

// remove ends the process and deletes the directory.
func (s *Server) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.down((*process).kill), os.RemoveAll(s.dir))
}

func (s *Server) configFile() string { return filepath.Join(s.dir, "zoo.cfg") }
func (s *Server) logFile() string    { return filepath.Join(s.dir, "server.log") }
func (s *Server) dataDir() string    { return filepath.Join(s.dir, "data") }

func (s *Server) writeConfig() error {
	lines := append([]string{
		fmt.Sprintf("tickTime=%d", s.opts.TickTime.Milliseconds()),
		fmt.Sprintf("maxSessionTimeout=%d", s.opts.MaxSessionTimeout.Milliseconds()),
		// A properties file takes a backslash for an escape.
		"dataDir=" + filepath.ToSlash(s.dataDir()),
		"clientPortAddress=127.0.0.1",
		fmt.Sprintf("clientPort=%d", s.port),
		"maxClientCnxns=0",
		"admin.enableServer=false",
		"4lw.commands.whitelist=*",
		"extendedTypesEnabled=true", // TTL nodes
		"forceSync=" + map[bool]string{true: "yes", false: "no"}[s.opts.Durable],
	}, s.opts.Config...)
	text := strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(s.configFile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuration of ZooKeeper: %w", err)
	}
	return nil
}

// freePort finds a port nobody listens on, below the range that kernels hand
// out by themselves: a stopped server's port is then not given to a passing
// connection, nor can a client that dials it be connected to itself.
func freePort(ctx context.Context) (int, error) {
	const low, high, tries = 10_000, 30_000, 200
	var err error
	for range tries {
		port := low + randomInt(high-low)
		var l net.Listener
		l, err = new(net.ListenConfig).Listen(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port for ZooKeeper in %d tries: %w", tries, err)
}
