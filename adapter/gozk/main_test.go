package gozk

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
)

func TestMain(m *testing.M) { zkreal.Main(m) }

// timeout is the session timeout of tests in virtual time.
const timeout = 10 * time.Second

// connected is a fake that was connected under the eyes of an adapter, and the
// session.
func connected(t *testing.T) (*fakeZK, *Conn, *session) {
	t.Helper()
	f := newFake()
	c := adapt(t, f)
	f.connect()
	return f, c, current(t, c)
}

// world is what a test that eachWay runs gets.
type world struct {
	*testing.T
	fake *fakeZK
	conn *Conn
}

// eachWay runs a test in virtual time for each of the three ways to tell the
// adapter of changes.
func eachWay(t *testing.T, test func(w world)) {
	t.Helper()
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				test(world{t, f, way(t, f)})
			})
		})
	}
}

func ways() map[string]func(testing.TB, *fakeZK) *Conn {
	return map[string]func(testing.TB, *fakeZK) *Conn{
		"feed": func(tb testing.TB, f *fakeZK) *Conn {
			tb.Helper()
			return adapt(tb, f)
		},
		"events": func(tb testing.TB, f *fakeZK) *Conn {
			tb.Helper()
			return adaptPlain(tb, f, f.events)
		},
		"neither": func(tb testing.TB, f *fakeZK) *Conn {
			tb.Helper()
			return adaptPlain(tb, f, nil)
		},
	}
}

// adaptPlain makes an adapter over f, without a feed.
func adaptPlain(tb testing.TB, f *fakeZK, events <-chan zk.Event) *Conn {
	tb.Helper()
	c, err := New(f, events, WithSessionTimeout(timeout))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, c.Close()) })
	return c
}

// adapt makes an adapter over f, with a feed.
func adapt(tb testing.TB, f *fakeZK, opts ...Option) *Conn {
	tb.Helper()
	var feed Feed
	f.callback = feed.Callback
	c, err := New(f, nil, append([]Option{WithSessionTimeout(timeout), WithFeed(&feed)}, opts...)...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, c.Close()) })
	return c
}

// current is the session that c gives out within a session timeout.
func current(t *testing.T, c *Conn) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s, err := c.Session(ctx)
	require.NoError(t, err)
	require.IsType(t, (*session)(nil), s)
	own, _ := s.(*session)
	return own
}

// next waits for the session after s.
func next(t *testing.T, c *Conn, s keeper.Session) *session {
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
