package testenv

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

// DefaultSessionTimeout is long enough that no session expires by itself on a
// busy machine, and short enough to wait for one that shall.
const DefaultSessionTimeout = 6 * time.Second

// patience bounds what should happen at once, on a busy machine.
const patience = 30 * time.Second

// Env is one way to reach one server. Its methods are safe for concurrent use;
// what they hand out ends with the test they were given.
type Env struct {
	row     *testing.T // of the row: what all its tests share ends with it
	adapter bool
	timeout time.Duration
	inside  *zkserver.Server // one of these two is nil
	real    *zkreal.Server

	mu       sync.Mutex
	observer *client.Client // guarded by mu; made on first use
}

// Option changes the environment of a Run.
type Option interface{ apply(*config) }

type config struct {
	timeout time.Duration
	server  []zktest.Option
}

type option func(*config)

func (f option) apply(c *config) { f(c) }

// WithSessionTimeout replaces DefaultSessionTimeout. The real server grants
// nothing below 400 ms.
func WithSessionTimeout(d time.Duration) Option {
	return option(func(c *config) { c.timeout = d })
}

// WithServer passes options to the in-process server; the real one is as it is.
func WithServer(opts ...zktest.Option) Option {
	return option(func(c *config) { c.server = append(c.server, opts...) })
}

// Run runs f as the subtests client/zkserver, client/real, adapter/zkserver and
// adapter/real, one after the other. Each row on the in-process server has one
// of its own; the real server is the test binary's.
func Run(t *testing.T, f func(t *testing.T, e *Env), opts ...Option) {
	t.Helper()
	cfg := config{timeout: DefaultSessionTimeout}
	for _, o := range opts {
		o.apply(&cfg)
	}
	for _, via := range []string{"client", "adapter"} {
		t.Run(via, func(t *testing.T) {
			t.Run("zkserver", func(t *testing.T) {
				server := zktest.Start(t, cfg.server...)
				f(t, &Env{row: t, adapter: via == "adapter", timeout: cfg.timeout, inside: server.Server})
			})
			if zkreal.Embedded() {
				t.Log("CONCLAVE_TEST=embedded: not run against a real ZooKeeper")
				return
			}
			t.Run("real", func(t *testing.T) {
				f(t, &Env{row: t, adapter: via == "adapter", timeout: cfg.timeout, real: zkreal.Shared(t)})
			})
		})
	}
}

// Addr is the server's address.
func (e *Env) Addr() string {
	if e.real != nil {
		return e.real.Addr()
	}
	return e.inside.Addr()
}

// Adapter reports whether connections are those of the adapter.
func (e *Env) Adapter() bool { return e.adapter }

// Embedded is the in-process server, nil on a real one.
func (e *Env) Embedded() *zkserver.Server { return e.inside }

// SessionTimeout is what the connections under test ask for and get.
func (e *Env) SessionTimeout() time.Duration { return e.timeout }

// Expire ends a session, whoever it belongs to.
func (e *Env) Expire(t testing.TB, session int64) {
	t.Helper()
	if e.real != nil {
		e.real.Expire(t, session)
		return
	}
	if !e.inside.Expire(session) {
		t.Fatalf("no session %#x to expire", session)
	}
}

// Client is an observer: a client with a session of its own, on every row, that
// does not expire when those of a test are made to. It is one and the same for
// all who ask, until the row ends.
func (e *Env) Client(t testing.TB) *client.Client {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.observer == nil {
		e.observer = dial(t, e.row, e.Addr(), DefaultSessionTimeout)
	}
	return e.observer
}

// Path creates a node that no other test has, to put things under.
func (e *Env) Path(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := e.Client(t).Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Map(func(r rune) rune {
		if r <= ' ' || r == '/' || r > '~' {
			return '.'
		}
		return r
	}, t.Name())
	root := &keeper.Create{Path: "/" + name + "-", Mode: keeper.PersistentSequential}
	if err := s.Do(ctx, root); err != nil {
		t.Fatal(err)
	}
	return root.Created
}
