package gozk

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestHeartbeatsAreSyncsWhileSomethingIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		after(time.Minute)
		require.Zero(t, f.count("sync"))
		require.InDelta(t, 24, f.count("exists"), 1, "a read every T/4 at rest")

		require.NoError(t, s.Do(t.Context(), &keeper.Sync{Path: "/"}))
		require.True(t, s.ValidUntil().After(time.Now().Add(timeout/3)), "a hold can begin at once")
		stop := s.AfterLapse(func(error) { t.Error("must not lapse") })
		for i := range 200 {
			after(timeout / 20)
			least := timeout / 3
			if i > 10 {
				least = timeout / 2
			}
			require.True(t, s.ValidUntil().After(time.Now().Add(least)))
		}
		require.InDelta(t, 100, f.count("sync"), 3, "every T/10")
		require.True(t, stop())
		require.False(t, stop())
		syncs := f.count("sync")
		after(time.Minute)
		require.LessOrEqual(t, f.count("sync"), syncs+1)
	})
}

func TestCallsOfUsersReplaceHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		require.NoError(t, s.Do(t.Context(), &keeper.Sync{Path: "/"}))
		defer s.AfterLapse(func(error) {})()
		syncs := f.count("sync")
		for range 100 {
			require.NoError(t, s.Do(t.Context(), &keeper.Set{Path: "/", Version: keeper.AnyVersion}))
			after(timeout / 20)
			require.True(t, s.ValidUntil().After(time.Now().Add(timeout/3)))
		}
		require.LessOrEqual(t, f.count("sync"), syncs+1)
	})
}

func TestLapseComesAtValidUntilWhenTheLeaderIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, s := connected(t)
		require.NoError(t, s.Do(t.Context(), &keeper.Sync{Path: "/"}))
		type lapse struct {
			at    time.Time
			cause error
		}
		lapsed := make(chan lapse, 1)
		s.AfterLapse(func(cause error) { lapsed <- lapse{time.Now(), cause} })
		after(timeout)
		f.cut()
		until := s.ValidUntil()
		l := <-lapsed
		require.Equal(t, until, l.at)
		require.ErrorIs(t, l.cause, keeper.ErrConnectionLoss)
		require.NoError(t, s.Err(), "the session may live on")

		again := make(chan error, 1)
		stop := s.AfterLapse(func(cause error) { again <- cause })
		require.ErrorIs(t, <-again, keeper.ErrConnectionLoss, "it has passed already")
		require.False(t, stop())

		f.connect()
		synctest.Wait()
		require.True(t, s.ValidUntil().After(time.Now().Add(timeout/2)), "the handshake proves it anew")
	})
}

func TestAnswersThatDoNotNeedTheLeaderProveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, s := connected(t)
		until := s.ValidUntil()
		for range 40 {
			after(timeout / 20)
			require.NoError(t, s.Do(t.Context(), &keeper.Exists{Path: "/"}, &keeper.Children{Path: "/"}))
		}
		require.Equal(t, until, s.ValidUntil())
	})
}

func TestEvidenceIsTwoCallsAQuarterOfTheTimeoutApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := adapt(t, f)
		s := &session{c: c, done: make(chan struct{}), kick: make(chan struct{}, 1)}
		zero := time.Now()
		at := zero.Add

		s.answered(at(0), true)
		require.Zero(t, s.ValidUntil(), "one call proves nothing")
		after(timeout / 4)
		s.answered(at(timeout/4-1), true)
		require.Zero(t, s.ValidUntil(), "too near")
		s.answered(at(timeout/4), true)
		require.Equal(t, at(timeout-timeout/20), s.ValidUntil(), "counted from the first")

		// A call of which only the start is early is no evidence: its answer
		// says when the server had it.
		after(timeout)
		s.answered(at(timeout/2), false)
		s.answered(at(timeout/2+timeout/4), true)
		require.Equal(t, at(timeout/4-1+timeout-timeout/20), s.ValidUntil(), "from the call answered in time")

		before := s.ValidUntil()
		s.answered(at(timeout/4), true)
		s.handshake(at(timeout / 8))
		require.Equal(t, before, s.ValidUntil(), "it only moves forward")

		s.watches.init(s)
		s.cancel = func() {}
		s.end(keeper.ErrSessionExpired)
		s.answered(at(3*timeout), true)
		s.handshake(at(4 * timeout))
		require.Equal(t, before, s.ValidUntil(), "and not at all when the session is over")
	})
}

func TestSessionsOfEveryTimeoutAreKeptProved(t *testing.T) {
	for _, T := range []time.Duration{time.Millisecond, 200 * time.Millisecond, 4 * time.Second, 40 * time.Second, time.Hour} {
		t.Run(T.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.latency = T / 200
				f.connect()
				c, err := New(f, nil, WithSessionTimeout(T))
				require.NoError(t, err)
				s, err := c.Session(t.Context())
				require.NoError(t, err)
				require.NoError(t, s.Do(t.Context(), &keeper.Sync{Path: "/"}))
				stop := s.AfterLapse(func(cause error) { t.Error("must not lapse:", cause) })
				for range 100 {
					after(T / 10)
					require.True(t, s.ValidUntil().After(time.Now().Add(T/3)))
				}
				require.True(t, stop())
				require.NoError(t, c.Close())
			})
		})
	}
}
