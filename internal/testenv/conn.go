package testenv

import (
	"context"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/adapter/gozk"
	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/keeper"
)

// Conn is a connection under test, with the ends that client and adapter share.
type Conn interface {
	keeper.Conn
	Shutdown(ctx context.Context) error
	Close() error
}

// Conn opens a connection with a session of its own, which is there when Conn
// returns. It is closed with the test.
func (e *Env) Conn(t testing.TB) Conn {
	t.Helper()
	return e.ConnTo(t, e.Addr())
}

// ConnTo is Conn by way of another address: that of a proxy to the server.
func (e *Env) ConnTo(t testing.TB, addr string) Conn {
	t.Helper()
	if e.adapter {
		return e.adapt(t, addr)
	}
	return dial(t, t, addr, e.timeout)
}

// dial opens a client for t that lasts as long as owner.
func dial(t, owner testing.TB, addr string, timeout time.Duration) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, addr, client.WithSessionTimeout(timeout))
	if err != nil {
		t.Fatalf("dial %s: %v", addr, err)
	}
	owner.Cleanup(func() { _ = c.Close() })
	return c
}

func (e *Env) adapt(t testing.TB, addr string) *gozk.Conn {
	t.Helper()
	var feed gozk.Feed
	conn, events, err := zk.Connect([]string{addr}, e.timeout,
		zk.WithLogger(silent{}), zk.WithEventCallback(feed.Callback))
	if err != nil {
		t.Fatalf("dial %s with go-zookeeper: %v", addr, err)
	}
	t.Cleanup(func() {
		conn.Close()
		for range events { // closed by go-zookeeper's last goroutine
		}
	})
	c, err := gozk.New(conn, nil, gozk.WithFeed(&feed), gozk.WithSessionTimeout(e.timeout))
	if err != nil {
		t.Fatalf("adapt go-zookeeper: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Session(ctx); err != nil {
		t.Fatalf("session of the adapter on %s: %v", addr, err)
	}
	return c
}

// silent is go-zookeeper's logger in tests.
type silent struct{}

func (silent) Printf(string, ...any) {}
