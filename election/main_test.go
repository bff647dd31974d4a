package election_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/election"
	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zktest"
)

func TestMain(m *testing.M) { zkreal.Main(m) }

// patience bounds what should happen soon, on a busy machine.
const patience = 60 * time.Second

func newElection(t testing.TB, conn keeper.Conn, path string, opts ...election.Option) *election.Election {
	t.Helper()
	e, err := election.New(conn, path, opts...)
	require.NoError(t, err)
	return e
}

// term is what became of a Campaign in the background.
type term struct {
	*election.Leadership
	err error
}

func campaign(ctx context.Context, e *election.Election, value string) <-chan term {
	done := make(chan term, 1)
	go func() {
		l, err := e.Campaign(ctx, []byte(value))
		done <- term{l, err}
	}()
	return done
}

// recv receives, with patience.
func recv[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		require.Fail(t, "waited in vain", what)
		panic("unreachable")
	}
}

func mustLead(t testing.TB, e *election.Election, value string) term {
	t.Helper()
	got := recv(t, campaign(t.Context(), e, value), "leadership")
	require.NoError(t, got.err)
	return got
}

func session(t testing.TB, c keeper.Conn) keeper.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := c.Session(ctx)
	require.NoError(t, err)
	return s
}

// seen is one element of Observe.
type seen struct {
	election.Leader
	err error
}

// observed turns Observe into a channel, which is closed at its end.
func observed(seq iter.Seq2[election.Leader, error]) <-chan seen {
	c := make(chan seen)
	go func() {
		defer close(c)
		for l, err := range seq {
			c <- seen{l, err}
		}
	}()
	return c
}

const timeout = 10 * time.Second // of every session in a bubble

// inBubble runs f with a server in the process, in virtual time.
func inBubble(t *testing.T, f func(t *testing.T, srv *zktest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, zktest.Start(t, zktest.PipeOnly())) })
}

func dial(t *testing.T, srv *zktest.Server) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), srv.Addr(), client.WithSessionTimeout(timeout), client.WithDialer(srv.Dial))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// pass lets virtual time pass, and what is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
