package zktest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/conclave-go/conclave/zkserver"
)

// Server is a running server that ends with its test.
type Server struct {
	*zkserver.Server
}

// Option changes how Start starts a server.
type Option interface{ apply(*config) }

type config struct {
	server zkserver.Options
	pipe   bool
}

type option func(*config)

func (f option) apply(c *config) { f(c) }

// Tick sets the grain of session expiry; the default is 50 ms. Sessions still
// get the timeout they ask for, from two ticks to a minute.
func Tick(d time.Duration) Option { return option(func(c *config) { c.server.Tick = d }) }

// Version sets the ZooKeeper whose behaviour is shown; see
// [zkserver.Options].
func Version(v string) Option { return option(func(c *config) { c.server.Version = v }) }

// Logger gets what happens on the server; the default is nothing.
func Logger(l *slog.Logger) Option { return option(func(c *config) { c.server.Logger = l }) }

// PipeOnly starts a server without a listener: it is reached by Dial, and Addr
// is a name for it.
func PipeOnly() Option { return option(func(c *config) { c.pipe = true }) }

// Start starts a server on a free port of the loopback interface and closes it
// when the test and its subtests are over. Short sessions can expire quickly,
// long ones are granted, TTL nodes and all monitoring commands are allowed, and
// the whole history is kept. It fails the test if the server cannot start.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	c := config{server: zkserver.Options{
		Tick:              50 * time.Millisecond,
		MaxSessionTimeout: time.Minute,
		TTLNodes:          true,
		HistoryLimit:      -1,
		FourLetterWords:   []string{"*"},
	}}
	for _, o := range opts {
		o.apply(&c)
	}
	srv, err := zkserver.New(c.server)
	if err != nil {
		t.Fatalf("start ZooKeeper server: %v", err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	if !c.pipe {
		if _, err := srv.Listen("127.0.0.1:0"); err != nil {
			t.Fatalf("start ZooKeeper server: %v", err)
		}
	}
	return &Server{Server: srv}
}
