package recipes

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/conclave-go/conclave/keeper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a line on the fake, inside a synctest bubble.
type rig struct {
	*fakeEnsemble
	s    *fakeSession
	line *Line
	log  strings.Builder
}

const dir = "/app/lock"

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{fakeEnsemble: newFakeEnsemble()}
	r.s = r.session()
	r.line = r.newLine(t, r.s)
	t.Cleanup(func() {
		r.s.end(keeper.ErrClosed)
		r.s.work.Wait()
	})
	return r
}

func (r *rig) newLine(t *testing.T, conn keeper.Conn) *Line {
	t.Helper()
	line, err := NewLine(conn, Config{
		Dir:    dir,
		Names:  lockNames(t),
		ACL:    keeper.CreatorAllACL(),
		Logger: slog.New(slog.NewTextHandler(&r.log, nil)),
	})
	require.NoError(t, err)
	return line
}

// makeDir makes the directory before the test starts to count.
func (r *rig) makeDir(t *testing.T) {
	t.Helper()
	require.NoError(t, EnsureDir(t.Context(), r.s, dir, nil))
	r.s.takeSent()
}

// stranger puts a node into the directory, of another session.
func (r *rig) stranger(t *testing.T, prefix string) (path string) {
	t.Helper()
	create := &keeper.Create{Path: keeper.Join(dir, prefix), Mode: keeper.EphemeralSequential}
	other := r.session()
	require.NoError(t, other.Do(t.Context(), create))
	return create.Created
}

func (r *rig) delete(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(path)
}

// answer is what becomes of a request.
type answer uint8

const (
	ok       answer = iota
	lost            // on its way to the server
	lostDone        // on its way back
	unsent          // the connection was lost before
	stayed          // a request in front of it was unsent
	garbled         // applied, and the answer cannot be read
	refused
	throttled
	taken // the node exists
)

func (a answer) to(r keeper.Request) (apply bool, err error) {
	fail := func(err error, outcome keeper.Outcome) error {
		return &keeper.OpError{Op: r.Name(), Path: r.Target(), Err: err, Outcome: outcome}
	}
	switch a {
	case lost:
		return false, fail(keeper.ErrConnectionLoss, keeper.Unknown)
	case lostDone:
		return true, fail(keeper.ErrConnectionLoss, keeper.Unknown)
	case unsent:
		return false, fail(keeper.ErrConnectionLoss, keeper.NotApplied)
	case stayed:
		return false, fail(keeper.ErrNotSent, keeper.NotApplied)
	case garbled:
		return true, fail(keeper.ErrUndecodable, keeper.Applied)
	case refused:
		return false, fail(keeper.ErrNoAuth, 0)
	case throttled:
		return false, fail(keeper.ErrThrottled, 0)
	case taken:
		return false, fail(keeper.ErrNodeExists, 0)
	}
	return true, nil
}

// script has each request of a kind answered by the next of its answers, and ok
// after the last.
func (s *fakeSession) script(answers map[string][]answer) {
	s.on(func(r keeper.Request) (bool, error) {
		next := answers[r.Name()]
		if len(next) == 0 {
			return true, nil
		}
		answers[r.Name()] = next[1:]
		return next[0].to(r)
	})
}

func TestAcquireDecidesByTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		answers map[string][]answer
		sent    string
		err     error
	}{
		"both ok": {
			sent: "create children"},
		"create ok, list lost: list again, do not create": {
			answers: map[string][]answer{"children": {lost}},
			sent:    "create children children"},
		"create unsent, list stayed: again": {
			answers: map[string][]answer{"create": {unsent}, "children": {stayed}},
			sent:    "create children create children"},
		"both lost, create applied: found by its id, owner verified": {
			answers: map[string][]answer{"create": {lostDone}, "children": {lost}},
			sent:    "create children sync children exists"},
		"both lost, create not applied: created again": {
			answers: map[string][]answer{"create": {lost}, "children": {lost}},
			sent:    "create children sync children create children"},
		"lost again while looking": {
			answers: map[string][]answer{"create": {lostDone}, "children": {lost, lost}, "sync": {lost, lost}},
			sent:    "create children sync children sync children exists"},
		"sync unsent, list stayed": {
			answers: map[string][]answer{"create": {lostDone}, "children": {lost, stayed}, "sync": {unsent}},
			sent:    "create children sync children sync children exists"},
		"create lost twice": {
			answers: map[string][]answer{"create": {lost, lostDone}, "children": {lost, ok, lost}},
			sent:    "create children sync children create children sync children exists"},
		"verify lost": {
			answers: map[string][]answer{"create": {lostDone}, "exists": {lost}},
			sent:    "create children sync children exists exists"},
		"answer unreadable: the node is there": {
			answers: map[string][]answer{"create": {garbled}},
			sent:    "create children sync children exists"},
		"server refuses": {
			answers: map[string][]answer{"create": {refused}},
			sent:    "create children",
			err:     keeper.ErrNoAuth},
		"server refuses the list: the node is removed": {
			answers: map[string][]answer{"children": {refused}},
			sent:    "create children delete",
			err:     keeper.ErrNoAuth},
		"throttled": {
			answers: map[string][]answer{"create": {throttled}},
			sent:    "create children create children"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				r.s.script(c.answers)
				h, err := r.line.Acquire(t.Context(), nil)
				synctest.Wait() // background removal
				assert.Equal(t, c.sent, strings.Join(r.s.takeSent(), " "))
				if c.err != nil {
					require.ErrorIs(t, err, c.err)
					assert.Empty(t, r.list(dir))
					return
				}
				require.NoError(t, err)
				require.Equal(t, []string{h.node}, r.list(dir), "one node")
				assert.Equal(t, r.nodes[h.Node()].stat.Czxid, h.Token())
				require.NoError(t, h.Release(t.Context()))
				assert.Empty(t, r.list(dir))
			})
		})
	}
}

// The same faults must never make TryLock say false, nor leave anything behind.
func TestTryAcquireAnswersALostReplyWithAnError(t *testing.T) {
	for name, answers := range map[string]map[string][]answer{
		"list lost":        {"children": {lost}},
		"create lost":      {"create": {lost}},
		"create lost done": {"create": {lostDone}},
		"second list lost": {"children": {ok, lost}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				r.s.script(answers)
				h, ok, err := r.line.TryAcquire(t.Context(), nil)
				require.ErrorIs(t, err, keeper.ErrConnectionLoss)
				assert.False(t, ok)
				assert.Nil(t, h)
				synctest.Wait()
				assert.Empty(t, r.list(dir))

				h, ok, err = r.line.TryAcquire(t.Context(), nil)
				require.NoError(t, err)
				require.True(t, ok)
				require.NoError(t, h.Release(t.Context()))
			})
		})
	}
}

func TestAcquireMakesTheDirectoryAndItsAncestors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, "create children exists exists create create create children", strings.Join(r.s.takeSent(), " "))
		assert.Equal(t, keeper.Container, r.nodes["/app"].mode)
		assert.Nil(t, r.nodes["/app"].acl, "ancestors get the connection's default")
		assert.Equal(t, keeper.Container, r.nodes[dir].mode)
		assert.Equal(t, keeper.CreatorAllACL(), r.nodes[dir].acl)
		assert.Equal(t, keeper.CreatorAllACL(), r.nodes[h.Node()].acl)
		require.NoError(t, h.Release(t.Context()))
	})
}

// A node that somebody deletes while we wait, or right after we made it, is
// made anew, under another name.
func TestAcquireCreatesAnewWhenItsNodeIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		var first string
		r.s.on(func(q keeper.Request) (bool, error) {
			if q, list := q.(*keeper.Children); list && first == "" {
				first = r.list(q.Path)[0]
				r.delete(keeper.Join(dir, first))
			}
			return true, nil
		})
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		assert.NotEqual(t, first, h.node)
		assert.NotEqual(t, first[:len(first)-10], h.node[:len(h.node)-10], "another id")
		require.NoError(t, h.Release(t.Context()))
	})
}

// A create whose answer was lost, and which a lagging server did not show after
// the sync, turns up later: the lower of our two nodes counts, the other goes.
func TestDoublesOfOneIdentityKeepTheLowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		lists := 0
		r.s.on(func(q keeper.Request) (bool, error) {
			switch q.(type) {
			case *keeper.Create:
				if lists == 0 {
					return lostDone.to(q)
				}
			case *keeper.Children:
				lists++
				if lists == 1 {
					return lost.to(q)
				}
				if lists == 2 {
					return false, nil // a list as of earlier: empty
				}
			}
			return true, nil
		})
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, []string{h.node}, r.list(dir))
		assert.True(t, strings.HasSuffix(h.node, "0000000000"), h.node)
		assert.Equal(t, r.nodes[h.Node()].stat.Czxid, h.Token(), "the token is that of the node that won")
		require.NoError(t, h.Release(t.Context()))
	})
}

// A node that carries our id but belongs to another session (an older one, which
// is about to be reaped) is never granted on. It goes, and we stand with another.
func TestANodeOfAnotherSessionIsNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		var ghost string
		r.s.on(func(q keeper.Request) (bool, error) {
			if create, is := q.(*keeper.Create); is && ghost == "" {
				ghost = r.stranger(t, keeper.Base(create.Path))
				return lost.to(q)
			}
			return true, nil
		})
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		assert.NotEqual(t, ghost, h.Node())
		assert.Equal(t, r.s.id, r.nodes[h.Node()].stat.EphemeralOwner)
		assert.Equal(t, []string{h.node}, r.list(dir))
		require.NoError(t, h.Release(t.Context()))
	})
}

// L3 of the list of peers' bugs: past 2^31 the numbers turn negative, and a
// newcomer holds beside the holder. Long before that everybody is refused.
func TestPeerBug_L3(t *testing.T) {
	for _, c := range []struct {
		next int32
		err  error
	}{{lastSequence, nil}, {lastSequence + 1, ErrSequenceExhausted}, {1<<31 - 1, ErrSequenceExhausted}, {-1 << 31, ErrSequenceExhausted}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.makeDir(t)
			r.nodes[dir].created = c.next
			h, err := r.line.Acquire(t.Context(), nil)
			if c.err == nil {
				require.NoError(t, err)
				require.NoError(t, h.Release(t.Context()))
				return
			}
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
			synctest.Wait()
			assert.Empty(t, r.list(dir), "the node is removed")
			_, ok, err := r.line.TryAcquire(t.Context(), nil)
			require.ErrorIs(t, err, c.err)
			assert.False(t, ok)
			synctest.Wait()
			assert.Empty(t, r.list(dir))
		})
	}
}

// Past the end servers repeat the last number, so a create that is repeated
// with its id meets its own node.
func TestNodeExistsMeansExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.script(map[string][]answer{"create": {taken}})
		_, err := r.line.Acquire(t.Context(), nil)
		require.ErrorIs(t, err, ErrSequenceExhausted)
	})
}

func TestForeignNamesAreIgnoredAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		for _, name := range []string{"ready", "_c_foo", "x__rlock__"} {
			r.stranger(t, name)
		}
		for range 3 {
			h, err := r.line.Acquire(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, h.Release(t.Context()))
			h, ok, err := r.line.TryAcquire(t.Context(), nil)
			require.NoError(t, err)
			require.True(t, ok)
			require.NoError(t, h.Release(t.Context()))
		}
		assert.Equal(t, 1, strings.Count(r.log.String(), "foreign names"), r.log.String())
	})
}

// The session's proof has run out when the contender gets to the front: a sync
// goes with the list, a quarter of the timeout apart, until it is proved.
func TestNoGrantWithoutProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.unproved, r.s.valid = true, time.Now().Add(-time.Second)
		start := time.Now()
		r.s.on(func(keeper.Request) (bool, error) {
			if time.Since(start) > r.s.timeout/2 {
				r.s.mu.Lock()
				r.s.unproved = false
				r.s.mu.Unlock()
			}
			return true, nil
		})
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, "create children sync children sync children sync children", strings.Join(r.s.takeSent(), " "))
		assert.True(t, h.Valid())
		require.NoError(t, h.Release(t.Context()))
	})
}

func TestProofThatNeverComesEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.s.unproved, r.s.valid = true, time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := r.line.Acquire(ctx, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		assert.Empty(t, r.list(dir))
	})
}

// A list after a wake-up is no proof: when less than a quarter of the timeout is
// left a sync goes with it, else not.
func TestAListIsProvedWhenItHasToBe(t *testing.T) {
	for left, want := range map[time.Duration]string{
		2 * time.Second: "create children get sync children",
		3 * time.Second: "create children get children",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.makeDir(t)
			ahead := r.stranger(t, "x-lock-")
			got := make(chan *Hold)
			go func() {
				h, err := r.line.Acquire(t.Context(), nil)
				assert.NoError(t, err)
				got <- h
			}()
			synctest.Wait()
			r.s.mu.Lock()
			r.s.unproved, r.s.valid = true, time.Now().Add(left)
			r.s.mu.Unlock()
			r.delete(ahead)
			h := <-got
			assert.Equal(t, want, strings.Join(r.s.takeSent(), " "))
			require.NoError(t, h.Release(t.Context()))
		})
	}
}

// Whatever is lost or refused on the way, a removal goes on until the node is
// gone.
func TestRemovalGoesOn(t *testing.T) {
	for name, answers := range map[string]map[string][]answer{
		"by name":  {"children": {lost}, "delete": {lost, unsent, refused, refused, lostDone}},
		"by id":    {"create": {lostDone}, "children": {lost, lost, refused}, "delete": {lost, unsent, unsent, ok, refused}},
		"by id, 2": {"create": {lost}, "delete": {lost}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.makeDir(t)
				r.s.script(answers)
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				_, err := r.line.Acquire(ctx, nil) // it meets a lost answer, and then its context ends
				require.ErrorIs(t, err, context.DeadlineExceeded)
				r.s.work.Wait()
				assert.Empty(t, r.list(dir))
				assert.Empty(t, answers["delete"], "every fault was met")
			})
		})
	}
}

func TestRetryAttemptsBoundTheLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		r.line.retry.Attempts = 3
		r.s.script(map[string][]answer{"create": {unsent, unsent, unsent}})
		_, err := r.line.Acquire(t.Context(), nil)
		require.ErrorIs(t, err, keeper.ErrConnectionLoss)
		assert.Equal(t, 3, strings.Count(strings.Join(r.s.takeSent(), " "), "create"))
		h, err := r.line.Acquire(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, h.Release(t.Context()))
	})
}

func TestEnsureDirRidesOutRaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		vanish := 2
		r.s.on(func(q keeper.Request) (bool, error) {
			// The ancestor is reaped between its create and that of its child.
			if create, is := q.(*keeper.Create); is && create.Path == dir && vanish > 0 {
				vanish--
				r.delete("/app")
			}
			return true, nil
		})
		require.NoError(t, EnsureDir(t.Context(), r.s, dir, nil))
		assert.Contains(t, r.nodes, dir)
		require.NoError(t, EnsureDir(t.Context(), r.s, "/", nil))
		require.ErrorIs(t, EnsureDir(t.Context(), r.s, "a", nil), keeper.ErrInvalid)
		require.ErrorIs(t, EnsureDir(t.Context(), r.s, "/a", []keeper.ACL{}), keeper.ErrInvalid)
	})
}

// A server before 3.5 knows no containers, and not every connection knows that.
func TestEnsureDirFallsBackToPersistentNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.s.on(func(q keeper.Request) (bool, error) {
			if create, is := q.(*keeper.Create); is && create.Mode == keeper.Container {
				return false, &keeper.OpError{Op: "create", Path: create.Path, Err: keeper.ErrUnimplemented}
			}
			return true, nil
		})
		require.NoError(t, EnsureDir(t.Context(), r.s, dir, keeper.CreatorAllACL()))
		assert.Equal(t, keeper.Persistent, r.nodes[dir].mode)
		assert.Equal(t, keeper.CreatorAllACL(), r.nodes[dir].acl)
	})
}

// Where the connection's chroot is missing nothing below it can be made, and
// waiting does not help.
func TestEnsureDirWithoutAChroot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		delete(r.nodes, "/")
		require.ErrorIs(t, EnsureDir(t.Context(), r.s, dir, nil), keeper.ErrNoNode)
	})
}

func TestEnsureDirStopsAtARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.s.script(map[string][]answer{"create": {refused}})
		err := EnsureDir(t.Context(), r.s, dir, nil)
		require.ErrorIs(t, err, keeper.ErrNoAuth)
		assert.NotErrorIs(t, err, errVanished)
	})
}

func TestNewLineRefusesBadInput(t *testing.T) {
	good := Config{Dir: dir, Names: lockNames(t)}
	for name, change := range map[string]func(*Config){
		"empty path":      func(c *Config) { c.Dir = "" },
		"relative path":   func(c *Config) { c.Dir = "a/b" },
		"dots":            func(c *Config) { c.Dir = "/a/.." },
		"the root":        func(c *Config) { c.Dir = "/" },
		"trailing slash":  func(c *Config) { c.Dir = "/a/" },
		"empty component": func(c *Config) { c.Dir = "/a//b" },
		"long name":       func(c *Config) { c.Dir = "/" + strings.Repeat("n", 300) },
		"emoji":           func(c *Config) { c.Dir = "/\U0001F512" },
		"NUL":             func(c *Config) { c.Dir = "/a\x00" },
		"not UTF-8":       func(c *Config) { c.Dir = "/a\xff" },
		"the server's":    func(c *Config) { c.Dir = "/zookeeper/lock" },
		"no names":        func(c *Config) { c.Names = Names{} },
		"empty ACL":       func(c *Config) { c.ACL = []keeper.ACL{} },
		"odd ACL":         func(c *Config) { c.ACL = []keeper.ACL{{Perms: keeper.PermAll, Scheme: "digest", ID: "a"}} },
		"retry policy":    func(c *Config) { c.Retry.Attempts = -1 },
	} {
		cfg := good
		change(&cfg)
		_, err := NewLine(newFakeEnsemble().session(), cfg)
		var invalid *keeper.InvalidError
		require.ErrorAs(t, err, &invalid, name)
	}
	_, err := NewLine(nil, good)
	require.ErrorIs(t, err, keeper.ErrInvalid)
}

func TestNilAndDoneContextsSendNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.makeDir(t)
		//nolint:staticcheck // a nil context is the point
		_, err := r.line.Acquire(nil, nil)
		require.ErrorIs(t, err, keeper.ErrInvalid)
		//nolint:staticcheck // a nil context is the point
		_, _, err = r.line.TryAcquire(nil, nil)
		require.ErrorIs(t, err, keeper.ErrInvalid)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.line.Acquire(ctx, nil)
		require.ErrorIs(t, err, context.Canceled)
		_, ok, err := r.line.TryAcquire(ctx, nil)
		require.ErrorIs(t, err, context.Canceled)
		assert.False(t, ok)
		synctest.Wait()
		assert.Empty(t, r.s.takeSent())
	})
}
