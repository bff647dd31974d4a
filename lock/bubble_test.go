package lock_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

// bubble is a server in the process and clients on in-memory pipes, in virtual
// time: sessions expire in no time and everything that is due has happened when
// synctest.Wait returns.
type bubble struct {
	*zktest.Server
	t *testing.T
}

const timeout = 10 * time.Second // of every session in a bubble

func inBubble(t *testing.T, f func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, &bubble{zktest.Start(t, zktest.PipeOnly()), t})
	})
}

// client dials; with a dialer of its own it can be cut off.
func (b *bubble) client(opts ...client.Option) *client.Client {
	b.t.Helper()
	opts = append([]client.Option{client.WithSessionTimeout(timeout), client.WithDialer(b.Dial)}, opts...)
	c, err := client.Dial(b.t.Context(), b.Addr(), opts...)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

// pass lets virtual time pass, and what is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// grants notes who was granted the lock, and fails the test when two believe at
// once or tokens do not grow.
type grants struct {
	t    *testing.T
	mu   sync.Mutex
	all  []int64
	last *lock.Held
}

func (g *grants) add(held *lock.Held) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last != nil {
		assert.False(g.t, g.last.Valid(), "two believe at once: %s and %s", g.last.Node(), held.Node())
		assert.Greater(g.t, held.Token(), g.last.Token(), "tokens grow")
	}
	assert.True(g.t, held.Valid())
	g.all, g.last = append(g.all, held.Token()), held
}

// script is something a process does with a lock while faults happen to it. It
// must end by itself, holding nothing.
type script struct {
	name string
	run  func(ctx context.Context, t *testing.T, w *stage)
}

// stage is what a script plays on.
type stage struct {
	*bubble
	grants  *grants
	path    string
	conn    *client.Client // whose requests are met by faults
	witness *client.Client // never met by faults
}

func (w *stage) lockUnlock(ctx context.Context, m *lock.Mutex) error {
	held, err := m.Lock(ctx)
	if err != nil {
		return err
	}
	w.grants.add(held)
	if err := held.Release(context.WithoutCancel(ctx)); err != nil {
		assert.ErrorIs(w.t, err, keeper.ErrHoldLost)
	}
	return nil
}

func scripts() []script {
	return []script{
		{"lock and release", func(ctx context.Context, t *testing.T, w *stage) {
			checkCancelled(ctx, t, w.lockUnlock(ctx, newMutex(t, w.conn, w.path)))
		}},
		{"wait in line", func(ctx context.Context, t *testing.T, w *stage) {
			held, err := newMutex(t, w.witness, w.path).Lock(t.Context())
			require.NoError(t, err)
			w.grants.add(held)
			var all sync.WaitGroup
			all.Go(func() { checkCancelled(ctx, t, w.lockUnlock(ctx, newMutex(t, w.conn, w.path))) })
			pass(timeout / 20)
			assert.NoError(t, held.Release(t.Context()))
			all.Wait()
		}},
		{"hand over in the process", func(ctx context.Context, t *testing.T, w *stage) {
			m := newMutex(t, w.conn, w.path)
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() { checkCancelled(ctx, t, w.lockUnlock(ctx, m)) })
				synctest.Wait()
			}
			all.Wait()
		}},
		{"hold for long and commit", func(ctx context.Context, t *testing.T, w *stage) {
			held, err := newMutex(t, w.conn, w.path).Lock(ctx)
			if checkCancelled(ctx, t, err); err != nil {
				return
			}
			w.grants.add(held)
			pass(timeout / 4)
			if err := held.Commit(ctx); err != nil && ctx.Err() == nil && keeper.OutcomeOf(err) == keeper.NotApplied {
				assert.ErrorIs(t, err, keeper.ErrHoldLost)
			}
			if err := held.Release(context.WithoutCancel(ctx)); err != nil {
				assert.ErrorIs(t, err, keeper.ErrHoldLost)
			}
		}},
		{"try", func(ctx context.Context, t *testing.T, w *stage) {
			held, ok, err := newMutex(t, w.conn, w.path).TryLock(ctx)
			switch {
			case ok:
				w.grants.add(held)
				_ = held.Release(context.WithoutCancel(ctx))
			case err == nil:
				assert.Fail(t, "false, with nobody in line")
			}
		}},
	}
}

// checkCancelled accepts only the end of the script's own context as an error.
func checkCancelled(ctx context.Context, t *testing.T, err error) {
	t.Helper()
	if err != nil && assert.Error(t, ctx.Err(), "%v", err) {
		assert.ErrorIs(t, err, ctx.Err())
	}
}

// play runs a script and checks what must hold after any fault: the lock can be
// had by anybody at once, and nothing is left in the directory.
func play(t *testing.T, s script, ctxOf func(w *stage) (context.Context, context.CancelFunc)) (counts zkserver.Counts) {
	t.Helper()
	inBubble(t, func(t *testing.T, b *bubble) {
		w := &stage{bubble: b, grants: &grants{t: t}, path: "/app/lock", conn: b.client(), witness: b.client()}
		ctx, cancel := ctxOf(w)
		defer cancel()
		b.ResetCounts()
		s.run(ctx, t, w)
		counts = b.Counts()

		// The faulty process is alive and its session too: what it leaves behind
		// it removes itself, soon; what its last session had goes with that.
		ctx, cancel = context.WithTimeout(t.Context(), 2*timeout)
		defer cancel()
		require.NoError(t, w.lockUnlock(ctx, newMutex(t, w.witness, w.path)), b.Dump())
		pass(2 * timeout)
		names, _, err := w.witness.Children(t.Context(), w.path)
		if err != nil {
			require.ErrorIs(t, err, keeper.ErrNoNode)
		}
		assert.Empty(t, names, "left behind")
		ctx, cancel = context.WithTimeout(t.Context(), 2*timeout)
		defer cancel()
		require.NoError(t, w.lockUnlock(ctx, newMutex(t, w.conn, w.path)), "the process can go on")
	})
	return counts
}

func untilTheEnd(w *stage) (context.Context, context.CancelFunc) {
	return context.WithCancel(w.t.Context())
}

// F3, F4, F6, F8: every fault at every request of every script.
func TestEveryFaultAtEveryRequest(t *testing.T) {
	faults := []zkserver.Fault{
		zkserver.CutBefore, zkserver.CutAfter, zkserver.ReplyThenCut,
		zkserver.ExpireBefore, zkserver.ExpireAfter, zkserver.Stall, zkserver.Delay,
	}
	for _, s := range scripts() {
		t.Run(s.name, func(t *testing.T) {
			requests, met := play(t, s, untilTheEnd).Total(), 0
			require.NotZero(t, requests)
			for _, fault := range faults {
				for nth := 1; nth <= requests+2; nth++ { // recovery asks for more
					t.Run(fmt.Sprintf("%v at %d", fault, nth), func(t *testing.T) {
						met += play(t, s, func(w *stage) (context.Context, context.CancelFunc) {
							w.Inject(zkserver.Rule{Session: w.conn.SessionID(), Nth: nth, Fault: fault, Delay: timeout / 10})
							return untilTheEnd(w)
						}).Faults
					})
				}
			}
			// Some of the requests are the witness's, some come only after a fault.
			assert.GreaterOrEqual(t, met, len(faults)*3, "faults that happened")
		})
	}
}

// F7: the context ends at every await: while any of the requests is under way,
// or with the connection cut at that moment.
func TestCancelAtEveryAwait(t *testing.T) {
	for _, s := range scripts() {
		t.Run(s.name, func(t *testing.T) {
			requests, met := play(t, s, untilTheEnd).Total(), 0
			for nth := 1; nth <= requests; nth++ {
				for _, cut := range []zkserver.Fault{0, zkserver.CutBefore, zkserver.CutAfter, zkserver.Stall} {
					t.Run(fmt.Sprintf("request %d, then %v", nth, cut), func(t *testing.T) {
						met += play(t, s, func(w *stage) (context.Context, context.CancelFunc) {
							id := w.conn.SessionID()
							if cut != 0 {
								w.Inject(zkserver.Rule{Session: id, Nth: nth + 1, Fault: cut})
							}
							w.Inject(zkserver.Rule{Session: id, Nth: nth, Fault: zkserver.Delay, Delay: timeout / 50})
							return cancelAtFault(w)
						}).Faults
					})
				}
			}
			assert.GreaterOrEqual(t, met, 4*3, "requests that were met")
		})
	}
}

// cancelAtFault returns a context that ends as soon as a fault is at work.
func cancelAtFault(w *stage) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for w.Counts().Faults == 0 && ctx.Err() == nil {
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
		}
		cancel()
	})
	w.t.Cleanup(watching.Wait)
	return ctx, cancel
}
