package election_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/election"
	"github.com/conclave-go/conclave/internal/testenv"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

// Five candidates, one after the other: by resignation, by the end of a
// session, by shutdown. Tokens grow, and nobody leads beside another.
func TestHandOver(t *testing.T) {
	testenv.Run(t, func(t *testing.T, e *testenv.Env) {
		path := e.Path(t) + "/election"
		observer := newElection(t, e.Client(t), path)
		_, err := observer.Leader(t.Context())
		require.ErrorIs(t, err, election.ErrNoLeader)

		const candidates = 4
		var (
			conns [candidates]testenv.Conn
			terms [candidates]<-chan term
		)
		for i := range conns {
			conns[i] = e.Conn(t)
			terms[i] = campaign(t.Context(), newElection(t, conns[i], path), fmt.Sprint("candidate ", i))
			requireCandidates(t, e, path, i+1)
		}
		var last term
		for i := range conns {
			now := recv(t, terms[i], "the next leader")
			require.NoError(t, now.err)
			leader, err := observer.Leader(t.Context())
			require.NoError(t, err)
			assert.Equal(t, election.Leader{Value: fmt.Appendf(nil, "candidate %d", i), Token: now.Token()}, leader)
			assert.False(t, leader.Nobody())
			if i > 0 {
				assert.False(t, last.Valid())
				assert.Greater(t, now.Token(), last.Token())
			}
			switch i {
			case 0, 3:
				require.NoError(t, now.Release(t.Context()))
			case 1:
				e.Expire(t, session(t, conns[i]).ID())
				recv(t, now.Context().Done(), "the leader hears")
				require.ErrorIs(t, now.Proclaim(t.Context(), []byte("still me")), keeper.ErrNotHeld)
				require.ErrorIs(t, now.Release(t.Context()), keeper.ErrHoldLost)
			case 2:
				down := make(chan error, 1)
				go func() { down <- conns[i].Shutdown(t.Context()) }()
				recv(t, now.Context().Done(), "the leader hears")
				require.ErrorIs(t, now.Release(t.Context()), keeper.ErrClosed)
				require.NoError(t, recv(t, down, "the shutdown"))
			}
			last = now
		}
		leader, err := observer.Leader(t.Context())
		require.ErrorIs(t, err, election.ErrNoLeader)
		assert.True(t, leader.Nobody())
	})
}

func requireCandidates(t testing.TB, e *testenv.Env, path string, n int) {
	t.Helper()
	require.EventuallyWithT(t, func(poll *assert.CollectT) {
		list := &keeper.Children{Path: path}
		_ = session(t, e.Client(t)).Do(t.Context(), &keeper.Sync{Path: path}, list)
		assert.Len(poll, list.Names, n)
	}, patience, 10*time.Millisecond)
}

func TestProclaim(t *testing.T) {
	testenv.Run(t, func(t *testing.T, e *testenv.Env) {
		path := e.Path(t) + "/election"
		el := newElection(t, e.Conn(t), path)
		observer := newElection(t, e.Client(t), path)
		leader := mustLead(t, el, "starting")
		for _, value := range []string{"serving", "", "draining"} {
			require.NoError(t, leader.Proclaim(t.Context(), []byte(value)))
			got, err := observer.Leader(t.Context())
			require.NoError(t, err)
			assert.Equal(t, value, string(got.Value))
			assert.Equal(t, leader.Token(), got.Token, "the term is the same")
		}
		require.NoError(t, leader.Release(t.Context()))
		err := leader.Proclaim(t.Context(), []byte("late"))
		require.ErrorIs(t, err, keeper.ErrNotHeld)
		assert.NotErrorIs(t, err, keeper.ErrHoldLost)
		require.ErrorIs(t, leader.Commit(t.Context()), keeper.ErrNotHeld)
	})
}

// Observe sees every change that lasts: leaders, values, nobody, the directory
// coming and going, and goes on in the next session.
func TestObserve(t *testing.T) {
	testenv.Run(t, func(t *testing.T, e *testenv.Env) {
		path := e.Path(t) + "/election"
		watcher := e.Conn(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		states := observed(newElection(t, watcher, path).Observe(ctx))
		next := func() election.Leader {
			t.Helper()
			s := recv(t, states, "a change")
			require.NoError(t, s.err)
			return s.Leader
		}
		assert.True(t, next().Nobody(), "before there is a directory")

		a := mustLead(t, newElection(t, e.Conn(t), path), "a")
		assert.Equal(t, election.Leader{Value: []byte("a"), Token: a.Token()}, next())
		require.NoError(t, a.Proclaim(t.Context(), []byte("a2")))
		assert.Equal(t, election.Leader{Value: []byte("a2"), Token: a.Token()}, next())

		b := campaign(t.Context(), newElection(t, e.Conn(t), path), "b")
		requireCandidates(t, e, path, 2)
		require.NoError(t, a.Release(t.Context()))
		leaderB := recv(t, b, "b leads")
		require.NoError(t, leaderB.err)
		assert.Equal(t, election.Leader{Value: []byte("b"), Token: leaderB.Token()}, next())

		e.Expire(t, session(t, watcher).ID())
		require.NoError(t, leaderB.Release(t.Context()))
		assert.True(t, next().Nobody())
		s := session(t, e.Client(t))
		if err := s.Do(t.Context(), &keeper.Delete{Path: path, Version: keeper.AnyVersion}); err != nil {
			require.ErrorIs(t, err, keeper.ErrNoNode, "the server has removed the empty container")
		}

		c := mustLead(t, newElection(t, e.Conn(t), path), "c")
		assert.Equal(t, election.Leader{Value: []byte("c"), Token: c.Token()}, next())
		require.NoError(t, c.Release(t.Context()))
		assert.True(t, next().Nobody())

		cancel()
		end := recv(t, states, "the end")
		require.ErrorIs(t, end.err, context.Canceled)
		_, more := <-states
		assert.False(t, more, "the error is the last element")
	})
}

func TestObserveEndsWithItsLoop(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		c := dial(t, srv)
		for l, err := range newElection(t, c, "/election").Observe(t.Context()) {
			require.NoError(t, err)
			assert.True(t, l.Nobody())
			break
		}
		synctest.Wait()
		assert.Zero(t, c.PendingWatches())
	})
}

func TestObserveEndsWithTheConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		c := dial(t, srv)
		states := observed(newElection(t, c, "/election").Observe(t.Context()))
		assert.True(t, (<-states).Nobody())
		require.NoError(t, c.Shutdown(t.Context()))
		require.ErrorIs(t, (<-states).err, keeper.ErrClosed)
		_, more := <-states
		assert.False(t, more)
	})
}

// A refusal is told, not waited out.
func TestObserveEndsWithARefusal(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		c := dial(t, srv)
		_, err := c.Create(t.Context(), "/election", nil, keeper.Persistent,
			keeper.ACL{Perms: keeper.PermCreate, Scheme: "world", ID: "anyone"})
		require.NoError(t, err)
		for _, err := range newElection(t, c, "/election").Observe(t.Context()) {
			require.ErrorIs(t, err, keeper.ErrNoAuth)
		}
		_, err = newElection(t, c, "/election").Leader(t.Context())
		require.ErrorIs(t, err, keeper.ErrNoAuth)
	})
}

// Whatever fault meets whatever request of an observer: in the end it shows the
// truth.
func TestObserveUnderEveryFault(t *testing.T) {
	for _, fault := range []zkserver.Fault{
		zkserver.CutBefore, zkserver.CutAfter, zkserver.ReplyThenCut,
		zkserver.ExpireBefore, zkserver.ExpireAfter, zkserver.Stall, zkserver.Delay,
	} {
		for nth := 1; nth <= 10; nth++ {
			t.Run(fmt.Sprintf("%v at %d", fault, nth), func(t *testing.T) {
				inBubble(t, func(t *testing.T, srv *zktest.Server) {
					watcher, other := dial(t, srv), dial(t, srv)
					srv.Inject(zkserver.Rule{Session: watcher.SessionID(), Nth: nth, Fault: fault, Delay: time.Second})
					ctx, cancel := context.WithCancel(t.Context())
					var last atomic.Pointer[seen]
					var watching sync.WaitGroup
					watching.Go(func() {
						for l, err := range newElection(t, watcher, "/election").Observe(ctx) {
							last.Store(&seen{l, err})
						}
					})
					check := func(want string) {
						t.Helper()
						pass(2 * timeout)
						got := last.Load()
						require.NotNil(t, got)
						require.NoError(t, got.err)
						assert.Equal(t, want, string(got.Value))
					}
					check("")
					e := newElection(t, other, "/election")
					leader := mustLead(t, e, "a")
					check("a")
					require.NoError(t, leader.Proclaim(t.Context(), []byte("b")))
					check("b")
					next := campaign(t.Context(), newElection(t, dial(t, srv), "/election"), "c")
					require.NoError(t, leader.Release(t.Context()))
					leader = <-next
					check("c")
					require.NoError(t, leader.Release(t.Context()))
					check("")
					cancel()
					watching.Wait()
				})
			})
		}
	}
}

// Run leads again and again across lost sessions, and two of its terms never
// overlap.
func TestRunAcrossExpiry(t *testing.T) {
	testenv.Run(t, func(t *testing.T, e *testenv.Env) {
		const terms = 3
		conn := e.Conn(t)
		el := newElection(t, conn, e.Path(t)+"/election", election.WithValue([]byte("me")))
		var (
			running atomic.Int32
			tokens  []int64
		)
		done := errors.New("done")
		err := el.Run(t.Context(), func(ctx context.Context, term *election.Leadership) error {
			assert.EqualValues(t, 1, running.Add(1))
			defer running.Add(-1)
			tokens = append(tokens, term.Token())
			leader, err := newElection(t, e.Client(t), keeper.Parent(term.Node())).Leader(ctx)
			assert.NoError(t, err)
			assert.Equal(t, "me", string(leader.Value))
			if len(tokens) == terms {
				return done
			}
			e.Expire(t, session(t, conn).ID())
			recv(t, ctx.Done(), "the end of the term")
			assert.ErrorIs(t, context.Cause(ctx), keeper.ErrHoldLost)
			return ctx.Err()
		})
		require.ErrorIs(t, err, done)
		require.Len(t, tokens, terms)
		assert.Less(t, tokens[0], tokens[1])
		assert.Less(t, tokens[1], tokens[2])
	})
}

func TestRunEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		c := dial(t, srv)
		e := newElection(t, c, "/election")
		nobody := func() {
			t.Helper()
			_, err := newElection(t, dial(t, srv), "/election").Leader(t.Context())
			require.ErrorIs(t, err, election.ErrNoLeader)
		}
		require.NoError(t, e.Run(t.Context(), func(context.Context, *election.Leadership) error { return nil }), "with fn")
		nobody()

		ctx, cancel := context.WithCancel(t.Context())
		err := e.Run(ctx, func(ctx context.Context, term *election.Leadership) error {
			cancel()
			<-ctx.Done()
			pass(timeout / 2)
			assert.True(t, term.Valid(), "it resigns only when fn has returned")
			return ctx.Err()
		})
		require.ErrorIs(t, err, context.Canceled)
		nobody()

		err = e.Run(ctx, func(context.Context, *election.Leadership) error { panic("it leads") })
		require.ErrorIs(t, err, context.Canceled)

		assert.PanicsWithValue(t, "fn's", func() {
			_ = e.Run(t.Context(), func(context.Context, *election.Leadership) error { panic("fn's") })
		})
		nobody()

		var down sync.WaitGroup
		err = e.Run(t.Context(), func(ctx context.Context, _ *election.Leadership) error {
			down.Go(func() { assert.NoError(t, c.Shutdown(t.Context())) })
			<-ctx.Done()
			return nil
		})
		require.ErrorIs(t, err, keeper.ErrClosed)
		down.Wait()
		nobody()
	})
}

// Candidates of one Election take turns, a lost term included.
func TestTermsOfOneProcessNeverOverlap(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		c := dial(t, srv)
		e := newElection(t, c, "/election")
		first := mustLead(t, e, "first")
		second := campaign(t.Context(), e, "second")
		srv.Expire(c.SessionID())
		<-first.Context().Done()
		pass(timeout)
		require.Empty(t, second)
		require.ErrorIs(t, first.Release(t.Context()), keeper.ErrHoldLost)
		got := <-second
		require.NoError(t, got.err)
		leader, err := e.Leader(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "second", string(leader.Value), "each candidate shows its own value")
		require.NoError(t, got.Release(t.Context()))
	})
}

func TestCost(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		e := newElection(t, dial(t, srv), "/election")
		require.NoError(t, mustLead(t, e, "").Release(t.Context()))
		cost := func() string {
			synctest.Wait()
			c := srv.Counts()
			srv.ResetCounts()
			return fmt.Sprintf("%d requests in %d round trips", c.Total(), c.Bursts)
		}
		cost()
		leader := mustLead(t, e, "")
		assert.Equal(t, "2 requests in 1 round trips", cost(), "campaign")
		_, err := e.Leader(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "3 requests in 2 round trips", cost(), "ask who leads")
		require.NoError(t, leader.Proclaim(t.Context(), []byte("v")))
		assert.Equal(t, "1 requests in 1 round trips", cost(), "proclaim")
		require.NoError(t, leader.Release(t.Context()))
		assert.Equal(t, "1 requests in 1 round trips", cost(), "resign")
	})
}

func TestLayouts(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		c := dial(t, srv)
		latch := mustLead(t, newElection(t, c, "/latch"), "id")
		assert.Regexp(t, `^/latch/_c_[0-9a-f-]{36}-latch-0000000000$`, latch.Node())
		data, _, err := c.Get(t.Context(), latch.Node())
		require.NoError(t, err)
		assert.Equal(t, "id", string(data))
		require.NoError(t, latch.Release(t.Context()))

		selector := newElection(t, c, "/selector", election.WithSelectorLayout())
		leader := mustLead(t, selector, "id")
		assert.Regexp(t, `^/selector/_c_[0-9a-f-]{36}-lock-0000000000$`, leader.Node())
		require.NoError(t, leader.Release(t.Context()))
		other, err := c.Create(t.Context(), "/selector/6ba7b8109dad11d180b400c04fd430c8__lock__", []byte("kazoo"), keeper.EphemeralSequential)
		require.NoError(t, err)
		seen, err := selector.Leader(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "kazoo", string(seen.Value))
		require.NoError(t, c.Delete(t.Context(), other, keeper.AnyVersion))
	})
}

func TestBadInput(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		c := dial(t, srv)
		srv.ResetCounts()
		invalid := func(err error) {
			t.Helper()
			var why *keeper.InvalidError
			require.ErrorAs(t, err, &why)
		}
		for _, path := range []string{"", "a", "/", "/a/", "/a//b", "/..", "/a\x00", "/\U0001F600", "/zookeeper", "/" + strings.Repeat("n", 300)} {
			_, err := election.New(c, path)
			invalid(err)
		}
		_, err := election.New(nil, "/election")
		invalid(err)
		for _, opt := range []election.Option{nil, election.WithACL([]keeper.ACL{}), election.WithACL([]keeper.ACL{{Scheme: "world"}})} {
			_, err := election.New(c, "/election", opt)
			invalid(err)
		}
		e := newElection(t, c, "/election")
		var none context.Context
		_, err = e.Campaign(none, nil)
		invalid(err)
		_, err = e.Leader(none)
		invalid(err)
		invalid(e.Run(none, nil))
		invalid(e.Run(t.Context(), nil))
		for _, err := range e.Observe(none) {
			invalid(err)
		}
		assert.Zero(t, srv.Counts().Total())
		leader := mustLead(t, e, "")
		srv.ResetCounts()
		invalid(leader.Proclaim(none, nil))
		assert.Zero(t, srv.Counts().Total())
		require.NoError(t, leader.Release(t.Context()))
	})
}
