package gozk

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
)

func TestMain(m *testing.M) { zkreal.Main(m) }

// timeout is the session timeout of tests in virtual time.
const timeout = 10 * time.Second

// bubble runs a test in virtual time on a fake that is connected once the
// adapter watches it, and closes the adapter in the end.
func bubble(t *testing.T, test func(t *testing.T, f *fakeZK, c *Conn, s keeper.Session)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := adapt(t, f)
		f.connect()
		test(t, f, c, current(t, c))
	})
}

// adapt makes an adapter over f, with a feed.
func adapt(t *testing.T, f *fakeZK, opts ...Option) *Conn {
	t.Helper()
	var feed Feed
	f.callback = feed.Callback
	c, err := New(f, nil, append([]Option{WithSessionTimeout(timeout), WithFeed(&feed)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// current is the session that c gives out within a session timeout.
func current(t *testing.T, c *Conn) keeper.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s, err := c.Session(ctx)
	require.NoError(t, err)
	return s
}

// next waits for the session after s.
func next(t *testing.T, c *Conn, s keeper.Session) keeper.Session {
	t.Helper()
	<-s.Done()
	n := current(t, c)
	require.NotEqual(t, s.ID(), n.ID())
	return n
}

// after lets virtual time pass.
func after(d time.Duration) { <-time.After(d) }

// background runs f and returns the channel of its result.
func background[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	synctest.Wait()
	return c
}

// outcome is what a request that must have failed says of itself.
func outcome(t *testing.T, r interface{ Meta() *keeper.Result }, want error) keeper.Outcome {
	t.Helper()
	require.ErrorIs(t, r.Meta().Err, want)
	return keeper.OutcomeOf(r.Meta().Err)
}
