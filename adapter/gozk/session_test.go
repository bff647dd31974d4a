package gozk

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestNewRefusesBadArguments(t *testing.T) {
	good := WithSessionTimeout(timeout)
	var used Feed
	c, err := New(newFake(), nil, good, WithFeed(&used))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	for name, args := range map[string]struct {
		conn ZKConn
		opts []Option
	}{
		"no connection":        {nil, []Option{good}},
		"nil connection":       {(*zk.Conn)(nil), []Option{good}},
		"no session timeout":   {newFake(), nil},
		"zero session timeout": {newFake(), []Option{WithSessionTimeout(0)}},
		"negative timeout":     {newFake(), []Option{WithSessionTimeout(-time.Second)}},
		"timeout beyond int32": {newFake(), []Option{WithSessionTimeout(25 * 24 * time.Hour)}},
		"nil option":           {newFake(), []Option{good, nil}},
		"nil logger":           {newFake(), []Option{good, WithLogger(nil)}},
		"nil ACL":              {newFake(), []Option{good, WithDefaultACL(nil)}},
		"empty ACL":            {newFake(), []Option{good, WithDefaultACL([]keeper.ACL{})}},
		"request limit":        {newFake(), []Option{good, WithMaxRequest(0)}},
		"nil feed":             {newFake(), []Option{good, WithFeed(nil)}},
		"feed of another":      {newFake(), []Option{good, WithFeed(&used)}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(args.conn, nil, args.opts...)
			require.ErrorIs(t, err, keeper.ErrInvalid)
		})
	}
}

func TestSessionThatBeganUnderOurEyesIsProvedByItsHandshake(t *testing.T) {
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		synctest.Wait()
		began := time.Now()
		f.connect()
		s := current(t, c)
		require.LessOrEqual(t, time.Since(began), 50*time.Millisecond)
		require.Equal(t, f.SessionID(), s.ID())
		require.Equal(t, timeout, s.Timeout())
		require.False(t, s.ValidUntil().After(time.Now().Add(timeout-timeout/20)))
		require.True(t, s.ValidUntil().After(time.Now().Add(timeout/2)))
		require.Zero(t, f.count("sync"), "nothing needs the leader's word yet")
	})
}

func TestSessionOfAnOldConnectionIsProvedByTwoSyncs(t *testing.T) {
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.connect()
				after(time.Hour)
				began := time.Now()
				c := way(t, f)
				s := current(t, c)
				took := time.Since(began)
				require.GreaterOrEqual(t, took, timeout/4)
				require.Less(t, took, timeout/4+timeout/10)
				require.LessOrEqual(t, s.ValidUntil().Sub(began), timeout-timeout/20, "proved by nothing before New")
				require.NoError(t, c.Close())
			})
		})
	}
}

func TestSessionWaitsForAConnection(t *testing.T) {
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Session(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = c.Session(nil) //nolint:staticcheck // bad input is the subject
		require.ErrorIs(t, err, keeper.ErrInvalid)
		waiting := background(func() error { _, err := c.Session(t.Context()); return err })
		f.connect()
		require.NoError(t, <-waiting)
	})
}

func TestExpiryEndsTheSessionAndTheNextOneIsAnother(t *testing.T) {
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		f.connect()
		s := current(t, c)
		lapsed := make(chan error, 1)
		s.AfterLapse(func(cause error) { lapsed <- cause })
		var worked error
		require.NoError(t, s.Go(func(ctx context.Context) { <-ctx.Done(); worked = ctx.Err() }))
		exists := &keeper.Exists{Path: "/a", Watch: true}
		require.NoError(t, s.Do(t.Context(), exists))

		f.renew()
		n := next(t, c, s)
		require.Equal(t, f.SessionID(), n.ID())
		require.ErrorIs(t, s.Err(), keeper.ErrSessionExpired)
		require.ErrorIs(t, <-lapsed, keeper.ErrSessionExpired)
		synctest.Wait()
		require.ErrorIs(t, worked, context.Canceled)
		ev, err := exists.Watched.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrSessionExpired)
		require.Equal(t, keeper.EventSession, ev.Type)

		until := s.ValidUntil()
		after(timeout)
		require.Equal(t, until, s.ValidUntil(), "it does not move after the end")
		set := &keeper.Set{Path: "/a", Version: keeper.AnyVersion}
		require.Error(t, s.Do(t.Context(), set))
		require.Equal(t, keeper.NotApplied, outcome(t, set, keeper.ErrSessionExpired))
		require.ErrorIs(t, s.Go(func(context.Context) {}), keeper.ErrClosed)
		require.ErrorIs(t, func() error {
			cause := make(chan error, 1)
			s.AfterLapse(func(err error) { cause <- err })
			return <-cause
		}(), keeper.ErrSessionExpired)
		select {
		case <-s.Closing():
			t.Fatal("an expiry is no shutdown")
		default:
		}
	})
}

// Some servers answer a handshake for a session they have lost with another id,
// and go-zookeeper takes it for the same session.
func TestAnotherIDIsAnotherSession(t *testing.T) {
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		f.connect()
		s := current(t, c)
		exists := &keeper.Exists{Path: "/a", Watch: true}
		require.NoError(t, s.Do(t.Context(), exists))
		f.cut()
		f.server(func() { f.id += 1000 })
		f.connect()
		n := next(t, c, s)
		require.Equal(t, f.SessionID(), n.ID())
		require.ErrorIs(t, s.Err(), keeper.ErrSessionExpired)
		_, err := exists.Watched.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrSessionExpired)
	})
}

func TestSessionOutlivesDisconnects(t *testing.T) {
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		f.connect()
		s := current(t, c)
		for range 3 {
			f.cut()
			after(timeout / 2)
			f.connect()
			require.NoError(t, s.Do(t.Context(), &keeper.Sync{Path: "/"}))
			require.Same(t, s, current(t, c))
		}
		require.NoError(t, s.Err())
	})
}

func TestOwnerOfTheConnectionClosesIt(t *testing.T) {
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		f.connect()
		s := current(t, c)
		get := &keeper.Exists{Path: "/a", Watch: true}
		require.NoError(t, s.Do(t.Context(), get))
		began := time.Now()
		f.close()
		<-s.Done()
		require.Equal(t, began, time.Now(), "it is told, not found out")
		require.ErrorIs(t, s.Err(), keeper.ErrClosed)
		_, err := get.Watched.Wait(t.Context())
		require.ErrorIs(t, err, keeper.ErrClosed)
		<-s.Closing()
		_, err = c.Session(t.Context())
		require.ErrorIs(t, err, keeper.ErrClosed)
		synctest.Wait()
		require.Zero(t, c.all.size(), "every goroutine ends by itself")
	})
}

func TestOwnerClosesBeforeThereWasASession(t *testing.T) {
	eachWay(t, func(w world) {
		t, f, c := w.T, w.fake, w.conn
		waiting := background(func() error { _, err := c.Session(t.Context()); return err })
		f.close()
		require.ErrorIs(t, <-waiting, keeper.ErrClosed)
	})
}

func TestShutdownWaitsForWorkThatMayStillUseTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c, s := connected(t)
		create := &keeper.Create{Path: "/mine", Mode: keeper.Ephemeral}
		require.NoError(t, s.Do(t.Context(), create))
		var removed error
		require.NoError(t, s.Go(func(ctx context.Context) {
			<-s.Closing()
			after(time.Second)
			removed = s.Do(ctx, &keeper.Delete{Path: "/mine", Version: keeper.AnyVersion})
		}))
		require.NoError(t, c.Shutdown(t.Context()))
		require.NoError(t, removed)
		require.ErrorIs(t, s.Err(), keeper.ErrClosed)
		_, err := c.Session(t.Context())
		require.ErrorIs(t, err, keeper.ErrClosed)
		require.NoError(t, c.Shutdown(t.Context()), "again is fine")
		require.Equal(t, zk.StateHasSession, f.State(), "the connection is not ours to close")
	})
}

func TestShutdownGivesUpOnWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, s := connected(t)
		require.NoError(t, s.Go(func(ctx context.Context) { <-ctx.Done() }))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Shutdown(ctx), context.DeadlineExceeded)
		require.Zero(t, c.all.size(), "and joins it all the same")
		require.ErrorIs(t, c.Shutdown(nil), keeper.ErrInvalid) //nolint:staticcheck // bad input is the subject
	})
}

func TestCloseSaysWhatIsStuckInGoZookeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := adapt(t, f)
		f.connect()
		s := current(t, c)
		f.rule("set", stall)
		set := &keeper.Set{Path: "/", Version: keeper.AnyVersion}
		done := background(func() error { return s.Do(t.Context(), set) })
		began := time.Now()
		require.ErrorContains(t, c.Close(), "1 goroutines still wait inside go-zookeeper")
		require.Equal(t, timeout, time.Since(began))
		require.ErrorIs(t, <-done, keeper.ErrClosed)
		require.Equal(t, keeper.Unknown, keeper.OutcomeOf(set.Err))
		f.close()
		require.NoError(t, c.Close())
	})
}
