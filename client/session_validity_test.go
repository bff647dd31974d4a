package client

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

func TestFrameTimes(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	f := newFrameTimes(start, 6400*time.Millisecond) // quiet 100 ms, age 1600 ms
	require.Zero(t, f.before(at(1599)))
	require.Equal(t, start, f.before(at(1600)))
	for ms := 50; ms <= 20_000; ms += 50 {
		f.sent(at(ms))
	}
	require.Equal(t, at(18_400), f.before(at(20_000)), "every second frame was recorded")
	require.Equal(t, at(18_400), f.before(at(20_099)))
	require.Equal(t, at(20_000), f.before(at(60_000)))
	require.Zero(t, f.before(at(17_000)), "further back than it remembers")
	// Against the definition: never newer than it allows, older by at most the
	// grain.
	for ms := 20_000; ms < 21_600; ms += 7 {
		got := f.before(at(ms))
		exact := at((ms - 1600) / 50 * 50)
		require.False(t, got.After(exact))
		require.Less(t, exact.Sub(got), 100*time.Millisecond)
	}
}

// lapseAt registers a callback that notes when it ran and why.
func lapseAt(s keeper.Session) (ran <-chan time.Time, cause func() error, stop func() bool) {
	at := make(chan time.Time, 1)
	var why error
	stop = s.AfterLapse(func(cause error) {
		why = cause
		at <- time.Now()
	})
	return at, func() error { return why }, stop
}

// answer serves syncs and pings, for as long as the connection lasts.
func (l *link) answer() {
	for b := range l.frames {
		var h proto.RequestHeader
		_ = h.ReadFrom(b)
		if h.Op == proto.OpSync {
			_, _ = l.nc.Write(frame(&proto.ReplyHeader{Xid: h.Xid}, &proto.SyncResponse{Path: "/"}))
		}
	}
}

// The handshake is evidence by itself.
func TestValidUntilAfterHandshake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		l := p.accept()
		sent := time.Now()
		l.hello()
		pass(900 * time.Millisecond) // slow to answer: what counts is when we asked
		l.welcome(sid, full)
		s, err := c.Session(t.Context())
		require.NoError(t, err)
		require.Equal(t, sent.Add(full-full/20), s.ValidUntil())
	})
}

// Pings and reads prove nothing, writes and syncs do, by the frame a quarter of
// the timeout before them.
func TestWhatProvesValidity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		start := time.Now() // of the handshake, too: time stands still meanwhile
		first := s.ValidUntil()
		xid := int32(0)
		do := func(r keeper.Request, op proto.OpCode, code keeper.Code, body proto.Record) {
			t.Helper()
			done := run(func() error { return s.Do(t.Context(), r) })
			l.want("request", op)
			xid++
			l.reply(xid, code, body)
			<-done
		}
		read := func() { t.Helper(); do(&keeper.Get{Path: "/a"}, proto.OpGetData, keeper.OK, &proto.GetDataResponse{}) }

		pass(2 * time.Second)
		read() // the frame at 2 s
		do(&keeper.Set{Path: "/a"}, proto.OpSetData, keeper.OK, &proto.SetDataResponse{})
		require.Equal(t, first, s.ValidUntil(), "nothing was sent long enough before")
		pass(3 * time.Second)
		read()
		require.Equal(t, first, s.ValidUntil(), "a read proves nothing")
		for _, code := range []keeper.Code{
			keeper.ErrUnimplemented, keeper.ErrNotReadOnly, keeper.ErrThrottled, keeper.ErrNoAuth,
			keeper.ErrInvalidACL, keeper.ErrMarshalling, keeper.ErrSessionMoved, -9999,
		} {
			do(&keeper.Set{Path: "/a"}, proto.OpSetData, code, nil)
			require.Equal(t, first, s.ValidUntil(), "%v proves nothing", code)
		}
		valid := start.Add(2*time.Second + full - full/20)
		do(&keeper.Set{Path: "/a"}, proto.OpSetData, keeper.ErrBadVersion, nil)
		require.Equal(t, valid, s.ValidUntil(), "the frame at 2 s had reached the leader")
		pass(3 * time.Second)
		do(&keeper.Sync{Path: "/a"}, proto.OpSync, keeper.OK, &proto.SyncResponse{})
		valid = start.Add(5*time.Second + full - full/20)
		require.Equal(t, valid, s.ValidUntil())
		pass(time.Second)
		do(&keeper.Sync{Path: "/a"}, proto.OpSync, keeper.OK, &proto.SyncResponse{})
		require.Equal(t, valid, s.ValidUntil(), "the frame at 8 s is too young, and time never goes back")
	})
}

// While somebody relies on the session its heartbeat is a sync, every tenth of
// the timeout, the first one after a tenth; before and after, pings do.
func TestHeartbeatIsASyncWhileHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, _, l, s := connect(t)
		pass(7 * time.Second)
		require.EqualValues(t, 2, l.pings.Load(), "a third of the timeout apart")
		l.wantIdle("no sync yet")

		_, _, stop := lapseAt(s)
		synctest.Wait()
		l.wantIdle("who lets go within a tenth costs nothing")
		require.True(t, stop())
		require.False(t, stop())
		pass(2 * tenth)
		l.wantIdle("none any more")

		_, _, stop = lapseAt(s)
		synctest.Wait()
		l.want("little time is left, so the heartbeat cannot wait", proto.OpSync)
		l.reply(1, keeper.OK, &proto.SyncResponse{})
		start := time.Now()
		for i := range 20 {
			h, rec := l.want("heartbeat", proto.OpSync)
			require.Equal(t, &proto.SyncRequest{Path: "/"}, rec)
			require.Equal(t, time.Duration(i+1)*tenth, time.Since(start))
			l.reply(h.Xid, keeper.OK, &proto.SyncResponse{})
		}
		synctest.Wait()
		require.InDelta(t, (6 * tenth).Seconds(), time.Until(s.ValidUntil()).Seconds(), 1, "0.6 of the timeout from the last one")
		require.True(t, stop())
		pings := l.pings.Load()
		pass(10 * time.Second)
		l.wantIdle("none any more")
		require.Greater(t, l.pings.Load(), pings)
	})
}

// An idle holder stays valid for as long as the leader answers.
func TestIdleHolderStaysValid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		go l.answer()
		ran, _, stop := lapseAt(s)
		for range 3600 {
			pass(time.Second)
			require.True(t, time.Now().Before(s.ValidUntil()))
		}
		require.Empty(t, ran)
		require.True(t, stop())
		require.NoError(t, s.Err())
		st, _ := c.State()
		require.Equal(t, Connected, st)
		require.Equal(t, sessionLive, s.life.state)
	})
}

// Silence: the holder is told at ValidUntil exactly, and a late answer does not
// undo that. The session may be proved again, for those who come later.
func TestSilenceLapsesAtValidUntil(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		until := s.ValidUntil()
		ran, cause, stop := lapseAt(s)
		for range 3 {
			l.want("heartbeat", proto.OpSync) // unanswered
		}
		l.wantEnd("a heartbeat was not answered for a quarter of the timeout")
		require.Equal(t, (tenth + full/4), time.Since(until.Add(-full+full/20)))
		l = p.accept()
		asked := time.Now() // and no answer yet
		select {
		case at := <-ran:
			require.Equal(t, until, at)
		case <-s.Done():
			t.Fatal("the session is not over")
		}
		require.ErrorIs(t, cause(), keeper.ErrConnectionLoss)
		require.False(t, stop())
		require.Equal(t, until, s.ValidUntil())
		require.NoError(t, s.Err())

		late, _, _ := lapseAt(s)
		require.Equal(t, until, <-late, "at once")

		// The session turns out to live: nobody who was told is called again, who
		// comes now is in time.
		l.hello()
		l.welcome(sid, full)
		require.NoError(t, c.WaitConnected(t.Context()))
		require.Equal(t, asked.Add(full-full/20), s.ValidUntil())
		next, _, stop := lapseAt(s)
		go l.answer()
		pass(time.Minute)
		require.Empty(t, ran)
		require.Empty(t, next)
		require.True(t, stop())
	})
}

// The answer to a heartbeat arrives after ValidUntil: first the holder is told,
// then the time is moved.
func TestLateAnswerDoesNotRevive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newValidity()
		start := time.Now()
		v.granted(start, start, full)
		ran := make(chan error, 1)
		v.register(&lapse{func(cause error) { ran <- cause }}, start)
		pass(full)
		v.prove(time.Now(), start.Add(9*time.Second))
		require.ErrorIs(t, <-ran, keeper.ErrConnectionLoss)
		require.Equal(t, start.Add(9*time.Second+full-full/20), v.validUntil())
		require.Equal(t, sessionLive, v.state)
		require.Empty(t, v.watchers)
	})
}

// A server that answers pings but no syncs: the connection is given up in time
// to try others, and the holder is told if none is better.
func TestServerThatAnswersOnlyPings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		until := s.ValidUntil()
		ran, _, _ := lapseAt(s)
		dropped := 0
		for len(ran) == 0 {
			for range l.frames { // takes everything, answers pings only
			}
			dropped++
			l = p.accept()
			// It cannot get a session revalidated, without its leader.
			l.hello()
			pass(time.Second / 2)
			l.close()
		}
		require.Equal(t, until, <-ran)
		require.GreaterOrEqual(t, dropped, 2)
	})
}

// Another server has the leader: nobody is told anything.
func TestHolderMovesToABetterServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t)
		ran, _, _ := lapseAt(s)
		for range 3 {
			l.want("heartbeat", proto.OpSync) // unanswered
		}
		go p.serve(sid, full).answer()
		pass(time.Minute)
		require.Empty(t, ran)
		require.NoError(t, c.WaitConnected(t.Context()))
		require.True(t, time.Now().Before(s.ValidUntil()))
	})
}

// The end of the session is a lapse, too, and freezes ValidUntil.
func TestRefusedHeartbeatMovesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		pass(9 * time.Second)
		_, _, stop := lapseAt(s)
		defer stop()
		l.want("little time is left, so the heartbeat cannot wait", proto.OpSync)
		l.reply(1, keeper.ErrThrottled, nil)
		l.wantEnd("a refusal proves nothing: another server may do better")
		p.accept().hello()
	})
}

// A server that grants a shorter timeout on a reconnect has told the leader so:
// what the longer one had promised does not hold any more.
func TestShorterTimeoutTakesBackValidity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		lapsed, _, stop := lapseAt(s)
		defer stop()
		l.close()
		l = p.accept()
		sent := time.Now()
		l.hello()
		l.welcome(sid, 2*time.Second)
		synctest.Wait()
		require.Equal(t, 2*time.Second, s.Timeout())
		require.Equal(t, sent.Add(1900*time.Millisecond), s.ValidUntil())
		require.Equal(t, sent.Add(1900*time.Millisecond), <-lapsed)
	})
}

func TestEndOfSessionLapses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		ran, cause, _ := lapseAt(s)
		until := s.ValidUntil()
		l.close()
		l = p.accept()
		l.hello()
		l.welcome(0, 0)
		<-s.Done()
		<-ran
		require.Equal(t, keeper.ErrSessionExpired, cause())
		require.ErrorIs(t, s.Err(), keeper.ErrSessionExpired)
		s.life.prove(time.Now(), time.Now().Add(time.Hour))
		require.Equal(t, until, s.ValidUntil())
		late, cause, stop := lapseAt(s)
		<-late
		require.Equal(t, keeper.ErrSessionExpired, cause())
		require.False(t, stop())
		require.True(t, s.AfterLapse(nil)())
	})
}
