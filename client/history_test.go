package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

// embedded is a client of an in-process server, over pipes.
func embedded(t *testing.T, opts ...Option) (*zktest.Server, *Client) {
	t.Helper()
	srv := zktest.Start(t, zktest.PipeOnly())
	c, err := New("zkserver", append([]Option{WithDialer(srv.Dial), WithSessionTimeout(full), strict(t)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.Start())
	require.NoError(t, c.WaitConnected(t.Context()))
	return srv, c
}

// entry finds what the server did with a request, by its number in its session.
func entry(srv *zktest.Server, session int64, xid int32) (found []zkserver.Txn) {
	for _, txn := range srv.History() {
		if txn.Session == session && txn.Xid == xid {
			found = append(found, txn)
		}
	}
	return found
}

// What each fault makes of a write, told by the client and by the history.
func TestFaultsAndOutcomes(t *testing.T) {
	for _, c := range []struct {
		fault   zkserver.Fault
		target  error
		outcome keeper.Outcome
		applied bool
		expired bool
	}{
		{zkserver.CutBefore, keeper.ErrConnectionLoss, keeper.Unknown, false, false},
		{zkserver.CutAfter, keeper.ErrConnectionLoss, keeper.Unknown, true, false},
		{zkserver.ReplyThenCut, nil, keeper.Applied, true, false},
		{zkserver.ExpireBefore, keeper.ErrConnectionLoss, keeper.Unknown, false, true},
		{zkserver.ExpireAfter, keeper.ErrConnectionLoss, keeper.Unknown, true, true},
		{zkserver.Stall, keeper.ErrConnectionLoss, keeper.Unknown, true, false},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv, cl := embedded(t)
				s, err := cl.session(t.Context())
				require.NoError(t, err)
				srv.Inject(zkserver.Rule{Kind: "create", Path: "/a", Fault: c.fault})
				r := &keeper.Create{Path: "/a"}
				err = s.Do(t.Context(), r)
				require.ErrorIs(t, err, c.target)
				require.Equal(t, c.outcome, keeper.OutcomeOf(err))
				require.NotZero(t, r.Xid)
				if txns := entry(srv, s.ID(), r.Xid); c.applied {
					require.Len(t, txns, 1)
				} else {
					require.Empty(t, txns)
				}
				if c.expired {
					<-s.Done()
				}
				_, found, err := cl.Exists(t.Context(), "/a")
				for errors.Is(err, keeper.ErrConnectionLoss) { // the cut after the reply
					_, found, err = cl.Exists(t.Context(), "/a")
				}
				require.NoError(t, err)
				require.Equal(t, c.applied, found)
				require.Equal(t, c.expired, s.ID() != cl.SessionID())
			})
		})
	}
}

// A storm of faults: whatever happens, each write's outcome is the one that the
// server's history shows, numbers are never used twice, and nothing is done
// twice or in another session.
func TestStormAgreesWithHistory(t *testing.T) {
	count := map[keeper.Outcome]int{}
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { storm(t, seed, count) })
		})
	}
	t.Log(count)
	for _, o := range []keeper.Outcome{keeper.Applied, keeper.NotApplied, keeper.Unknown} {
		require.Greater(t, count[o], 100, "what was %v: or the storm says nothing", o)
	}
}

type writeRecord struct {
	session int64
	path    string
	xid     int32
	err     error
}

func storm(t *testing.T, seed uint64, count map[keeper.Outcome]int) {
	t.Helper()
	srv, c := embedded(t)
	const workers, each = 16, 60
	var mu sync.Mutex
	var done []writeRecord
	var all sync.WaitGroup
	for w := range workers {
		rnd := rand.New(rand.NewPCG(seed, uint64(w)))
		all.Go(func() {
			for i := range each {
				pass(time.Duration(rnd.IntN(300)) * time.Millisecond)
				s, err := c.session(t.Context())
				if err != nil {
					continue
				}
				ctx, cancel := context.WithCancel(t.Context())
				if rnd.IntN(5) == 0 {
					ctx, cancel = context.WithTimeout(t.Context(), time.Duration(rnd.IntN(2000))*time.Millisecond)
				}
				r := &keeper.Create{Path: fmt.Sprintf("/n-%d-%d", w, i), Mode: keeper.Mode(rnd.IntN(2))}
				list := &keeper.Children{Path: "/", Watch: rnd.IntN(2) == 0}
				_ = s.Do(ctx, r, list)
				cancel()
				if list.Watched != nil && rnd.IntN(2) == 0 {
					list.Watched.Close()
				}
				mu.Lock()
				done = append(done, writeRecord{s.ID(), r.Path, r.Xid, r.Err})
				mu.Unlock()
			}
		})
	}
	stop := make(chan struct{})
	var faults sync.WaitGroup
	faults.Go(func() {
		rnd := rand.New(rand.NewPCG(seed, 99))
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rnd.IntN(1500)) * time.Millisecond):
			}
			switch rnd.IntN(8) {
			case 0, 1:
				srv.CutAll()
			case 2:
				srv.Expire(c.SessionID())
			case 3:
				srv.Freeze()
				pass(time.Duration(rnd.IntN(16_000)) * time.Millisecond)
				srv.Thaw()
			case 4:
				srv.Refuse(true)
				pass(time.Duration(rnd.IntN(3000)) * time.Millisecond)
				srv.Refuse(false)
			default:
				kinds := []zkserver.Fault{zkserver.CutBefore, zkserver.CutAfter, zkserver.ReplyThenCut, zkserver.ExpireBefore, zkserver.ExpireAfter, zkserver.Stall}
				srv.Inject(zkserver.Rule{Fault: kinds[rnd.IntN(len(kinds))], Nth: 1 + rnd.IntN(5)})
			}
		}
	})
	all.Wait()
	close(stop)
	faults.Wait()

	type key struct {
		session int64
		xid     int32
	}
	history := map[key][]zkserver.Txn{}
	byPath := map[string]int{}
	for _, txn := range srv.History() {
		if txn.Xid != 0 {
			k := key{txn.Session, txn.Xid}
			history[k] = append(history[k], txn)
			require.Len(t, history[k], 1, "number %d used twice in a session", txn.Xid)
		}
		if txn.Op == "create" && txn.Err == keeper.OK {
			byPath[txn.Path]++
			require.Equal(t, 1, byPath[txn.Path], "%s made twice", txn.Path)
		}
	}
	require.Len(t, done, workers*each)
	used := map[key]string{}
	for _, r := range done {
		o := keeper.OutcomeOf(r.err)
		count[o]++
		k := key{r.session, r.xid}
		txns := history[k]
		applied := len(txns) == 1 && txns[0].Err == keeper.OK
		switch o {
		case keeper.Applied:
			require.True(t, applied, "%s is said to be applied", r.path)
			require.Equal(t, r.path, txns[0].Path)
		case keeper.NotApplied:
			require.Zero(t, byPath[r.path], "%s is said not to be applied: %v", r.path, r.err)
		case keeper.Unknown:
			require.NotZero(t, r.xid)
			require.Equal(t, applied, byPath[r.path] == 1, "%s was done by its own request or not at all", r.path)
		}
		if r.xid != 0 {
			require.Empty(t, used[k], "%s and %s have one number", used[k], r.path)
			used[k] = r.path
		}
		known := r.err == nil
		for _, e := range []error{keeper.ErrConnectionLoss, keeper.ErrSessionExpired, context.DeadlineExceeded} {
			known = known || errors.Is(r.err, e)
		}
		require.True(t, known, "%v", r.err)
	}
}

// A frozen server: the holder is told at ValidUntil, when the server still has
// the session.
func TestFrozenServerLapsesInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, c := embedded(t)
		s, err := c.session(t.Context())
		require.NoError(t, err)
		ran, _, _ := lapseAt(s)
		pass(time.Minute + tenth/2) // between two heartbeats
		require.Empty(t, ran)
		srv.Freeze()
		frozen := time.Now()
		until := s.ValidUntil()
		require.Equal(t, until, <-ran)
		require.Less(t, time.Since(frozen), full)
		require.Contains(t, srv.Sessions(), s.ID(), "the holder knew before the server acted")
		pass(full)
		srv.Thaw()
		<-s.Done()
		require.ErrorIs(t, s.Err(), keeper.ErrSessionExpired)
	})
}
