package recipes_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/recipes"
	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

const timeout = 10 * time.Second // of every session here

// desk is a journal on a server in the process, in virtual time. What it applies
// makes items, so that they can be counted.
type desk struct {
	*zktest.Server
	t       *testing.T
	c       *client.Client
	journal *recipes.Journal
}

func atDesk(t *testing.T, f func(t *testing.T, d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{Server: zktest.Start(t, zktest.PipeOnly()), t: t}
		d.c = d.client()
		require.NoError(t, d.c.EnsurePath(t.Context(), "/items/keep"))
		d.journal = d.newJournal(d.c)
		f(t, d)
	})
}

func (d *desk) client() *client.Client {
	d.t.Helper()
	c, err := client.Dial(d.t.Context(), d.Addr(), client.WithSessionTimeout(timeout), client.WithDialer(d.Dial))
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (d *desk) newJournal(conn keeper.Conn) *recipes.Journal {
	d.t.Helper()
	j, err := recipes.NewJournal(conn, recipes.JournalConfig{Path: "/counter"})
	require.NoError(d.t, err)
	return j
}

func item() *keeper.Create {
	return &keeper.Create{Path: "/items/i-", Mode: keeper.PersistentSequential}
}

func (d *desk) items() int {
	d.t.Helper()
	c := d.client()
	defer c.Close()
	names, _, err := c.Children(d.t.Context(), "/items")
	require.NoError(d.t, err)
	return len(names) - 1
}

func (d *desk) journals() []string {
	d.t.Helper()
	c := d.client()
	defer c.Close()
	names, _, err := c.Children(d.t.Context(), "/counter.journal")
	if err != nil {
		require.ErrorIs(d.t, err, keeper.ErrNoNode)
	}
	return names
}

func allFaults() []zkserver.Fault {
	return []zkserver.Fault{
		zkserver.CutBefore, zkserver.CutAfter, zkserver.ReplyThenCut,
		zkserver.ExpireBefore, zkserver.ExpireAfter, zkserver.Stall, zkserver.Delay,
	}
}

// Whatever fault meets whatever request: three operations make three items.
func TestJournalAppliesOnceUnderEveryFault(t *testing.T) {
	for _, fault := range allFaults() {
		for nth := 1; nth <= 10; nth++ {
			t.Run(fmt.Sprintf("%v at %d", fault, nth), func(t *testing.T) {
				atDesk(t, func(t *testing.T, d *desk) {
					d.Inject(zkserver.Rule{Session: d.c.SessionID(), Nth: nth, Fault: fault, Delay: time.Second})
					for n := 1; n <= 3; n++ {
						require.NoError(t, d.journal.Do(t.Context(), item()))
						assert.Equal(t, n, d.items())
						synctest.Wait() // the fault may meet what is done in the background
					}
					require.NoError(t, d.journal.Do(t.Context()))
					require.NoError(t, d.c.Shutdown(t.Context()))
					assert.Empty(t, d.journals(), "removed at the shutdown")
				})
			})
		}
	}
}

// Two faults in a row at the operation itself.
func TestJournalAppliesOnceUnderPairsOfFaults(t *testing.T) {
	for _, one := range allFaults() {
		for _, two := range allFaults() {
			t.Run(fmt.Sprintf("%v, %v", one, two), func(t *testing.T) {
				atDesk(t, func(t *testing.T, d *desk) {
					require.NoError(t, d.journal.Do(t.Context(), item()))
					d.Inject(zkserver.Rule{Kind: "multi", Fault: one, Delay: time.Second})
					d.Inject(zkserver.Rule{Kind: "multi", Nth: 2, Fault: two, Delay: time.Second})
					for n := 2; n <= 4; n++ {
						require.NoError(t, d.journal.Do(t.Context(), item()))
						assert.Equal(t, n, d.items())
					}
				})
			})
		}
	}
}

// A consuming delete whose answer is lost is not "somebody else was faster".
func TestJournalTellsItsOwnDeleteFromAnothers(t *testing.T) {
	for _, fault := range []zkserver.Fault{zkserver.CutAfter, zkserver.CutBefore, zkserver.ExpireAfter} {
		atDesk(t, func(t *testing.T, d *desk) {
			require.NoError(t, d.journal.Do(t.Context()))
			d.Inject(zkserver.Rule{Kind: "multi", Fault: fault})
			require.NoError(t, d.journal.Do(t.Context(), &keeper.Delete{Path: "/items/keep", Version: keeper.AnyVersion}))

			d.Inject(zkserver.Rule{Kind: "multi", Fault: fault})
			again := &keeper.Delete{Path: "/items/keep", Version: keeper.AnyVersion}
			err := d.journal.Do(t.Context(), again)
			require.ErrorIs(t, err, keeper.ErrNoNode)
			require.ErrorIs(t, again.Err, keeper.ErrNoNode)
			assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
			require.NoError(t, d.journal.Do(t.Context(), item()), "and goes on")
		})
	}
}

func TestJournalGivesTheResultsOfOps(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		made := item()
		require.NoError(t, d.journal.Do(t.Context(), made))
		assert.Equal(t, "/items/i-0000000001", made.Created)
		d.Inject(zkserver.Rule{Kind: "multi", Fault: zkserver.CutAfter})
		made = item()
		require.NoError(t, d.journal.Do(t.Context(), made))
		require.NoError(t, made.Err)
		assert.Empty(t, made.Created, "applied, but the answer is lost for good")
	})
}

// An operation that is given up says Unknown; those that follow are not mistaken
// for it, nor it for them.
func TestJournalGoesOnAfterAnOperationThatWasGivenUp(t *testing.T) {
	for _, fault := range []zkserver.Fault{zkserver.CutBefore, zkserver.CutAfter, zkserver.Stall, zkserver.Delay} {
		for _, second := range append(allFaults(), 0) {
			t.Run(fmt.Sprintf("%v, %v", fault, second), func(t *testing.T) {
				atDesk(t, func(t *testing.T, d *desk) {
					require.NoError(t, d.journal.Do(t.Context(), item()))
					d.Inject(zkserver.Rule{Kind: "multi", Fault: fault, Delay: time.Second})
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					defer cancel()
					err := d.journal.Do(ctx, item())
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.Equal(t, keeper.Unknown, keeper.OutcomeOf(err))

					if second != 0 {
						d.Inject(zkserver.Rule{Kind: "setData", Fault: second, Delay: time.Second})
						d.Inject(zkserver.Rule{Kind: "multi", Fault: second, Delay: time.Second})
					}
					require.NoError(t, d.journal.Do(t.Context(), item()))
					require.NoError(t, d.journal.Do(t.Context(), item()))
					want := 3
					if fault != zkserver.CutBefore {
						want++ // the one given up had been applied, or was on its way
					}
					assert.Equal(t, want, d.items())
				})
			})
		}
	}
}

func TestJournalThatIsDeleted(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		other := d.client()
		remove := func() {
			t.Helper()
			require.NoError(t, other.Delete(t.Context(), "/counter.journal/"+d.journals()[0], keeper.AnyVersion))
		}
		require.NoError(t, d.journal.Do(t.Context(), item()))
		remove()
		require.NoError(t, d.journal.Do(t.Context(), item()), "nothing was open: a new one is made")
		assert.Equal(t, 2, d.items())

		d.Inject(zkserver.Rule{Kind: "multi", Fault: zkserver.CutAfter})
		d.Inject(zkserver.Rule{Kind: "connect", Fault: zkserver.Delay, Delay: time.Second})
		answer := make(chan error, 1)
		go func() { answer <- d.journal.Do(t.Context(), item()) }()
		<-time.After(time.Second / 2)
		remove()
		err := <-answer
		require.ErrorIs(t, err, keeper.ErrUnknownOutcome)
		assert.Equal(t, keeper.Unknown, keeper.OutcomeOf(err))
		require.NoError(t, d.journal.Do(t.Context(), item()))
		assert.Equal(t, 4, d.items())
	})
}

// Somebody else writes into our node: it is not used any more.
func TestJournalThatIsWrittenByOthers(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		require.NoError(t, d.journal.Do(t.Context(), item()))
		_, err := d.client().Set(t.Context(), "/counter.journal/"+d.journals()[0], nil, keeper.AnyVersion)
		require.NoError(t, err)
		require.NoError(t, d.journal.Do(t.Context(), item()))
		assert.Equal(t, 2, d.items())
	})
}

// The hold is lost with its session while the outcome is open. The guard keeps the
// operation from being sent again, and the journal finds out.
func TestJournalWithAGuard(t *testing.T) {
	for fault, applied := range map[zkserver.Fault]bool{zkserver.ExpireBefore: false, zkserver.ExpireAfter: true} {
		atDesk(t, func(t *testing.T, d *desk) {
			names, err := recipes.NewNames("lock-")
			require.NoError(t, err)
			line, err := recipes.NewLine(d.c, recipes.Config{Dir: "/lock", Names: names})
			require.NoError(t, err)
			hold, err := line.Acquire(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, d.journal.Do(t.Context(), hold.Guard(), item()))

			d.Inject(zkserver.Rule{Kind: "multi", Fault: fault})
			err = d.journal.Do(t.Context(), hold.Guard(), item())
			if applied {
				require.NoError(t, err)
				assert.Equal(t, 2, d.items())
			} else {
				require.ErrorIs(t, err, keeper.ErrNotHeld)
				assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
				assert.Equal(t, 1, d.items())
			}
			require.ErrorIs(t, hold.Release(t.Context()), keeper.ErrHoldLost)
			require.NoError(t, d.journal.Do(t.Context(), item()))
		})
	}
}

func TestJournalIsSharedByGoroutines(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		require.NoError(t, d.journal.Do(t.Context()))
		synctest.Wait()
		d.ResetCounts()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { assert.NoError(t, d.journal.Do(t.Context(), item())) })
		}
		all.Wait()
		assert.Equal(t, 10, d.Counts().Total(), "one request each")
		assert.Equal(t, 10, d.items())
		assert.Len(t, d.journals(), 1)
	})
}

// A shutdown begins while an operation is under way: that is brought to its end,
// and only then the journal is removed.
func TestJournalIsRemovedAfterItsLastOperation(t *testing.T) {
	for _, fault := range allFaults() {
		if fault == zkserver.ExpireBefore || fault == zkserver.ExpireAfter {
			continue // a shutdown opens no other session to find out in
		}
		t.Run(fault.String(), func(t *testing.T) {
			atDesk(t, func(t *testing.T, d *desk) {
				require.NoError(t, d.journal.Do(t.Context(), item()))
				synctest.Wait()
				d.Inject(zkserver.Rule{Kind: "multi", Fault: fault, Delay: time.Second})
				d.Inject(zkserver.Rule{Kind: "connect", Fault: zkserver.Delay, Delay: time.Second})
				answer := make(chan error, 1)
				go func() { answer <- d.journal.Do(t.Context(), item()) }()
				synctest.Wait()
				down := make(chan error, 1)
				go func() { down <- d.c.Shutdown(t.Context()) }()
				require.NoError(t, <-answer)
				require.NoError(t, <-down)
				assert.Equal(t, 2, d.items())
				assert.Empty(t, d.journals())
			})
		})
	}
}

// A process that crashed leaves its journal; whoever comes a week later removes it,
// and none that is younger.
func TestJournalsOfCrashedProcessesAreSwept(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		c := d.client()
		require.NoError(t, c.EnsurePath(t.Context(), "/counter.journal/old"))
		require.NoError(t, c.Close())
		require.NoError(t, d.c.Close())
		<-time.After(7*24*time.Hour - time.Minute)
		c = d.client()
		require.NoError(t, c.EnsurePath(t.Context(), "/counter.journal/young"))
		require.NoError(t, d.newJournal(c).Do(t.Context(), item()))
		synctest.Wait()
		assert.Len(t, d.journals(), 3)
		require.NoError(t, c.Shutdown(t.Context()))

		<-time.After(2 * time.Minute)
		require.NoError(t, d.newJournal(d.client()).Do(t.Context(), item()))
		synctest.Wait()
		left := strings.Join(d.journals(), " ")
		assert.NotContains(t, left, "old")
		assert.Contains(t, left, "young")
	})
}

func TestJournalRefusesBadInput(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		d.ResetCounts()
		for _, cfg := range []recipes.JournalConfig{
			{}, {Path: "/"}, {Path: "a"}, {Path: "/zookeeper"}, {Path: "/" + strings.Repeat("n", 250)},
			{Path: "/a", ACL: []keeper.ACL{}},
		} {
			_, err := recipes.NewJournal(d.c, cfg)
			require.ErrorIs(t, err, keeper.ErrInvalid)
		}
		_, err := recipes.NewJournal(nil, recipes.JournalConfig{Path: "/a"})
		require.ErrorIs(t, err, keeper.ErrInvalid)
		var none context.Context
		require.ErrorIs(t, d.journal.Do(none, item()), keeper.ErrInvalid)
		require.ErrorIs(t, d.journal.Do(t.Context(), nil), keeper.ErrInvalid)
		require.ErrorIs(t, d.journal.Do(t.Context(), &keeper.Create{Path: "a"}), keeper.ErrInvalid)
		assert.Zero(t, d.Counts().Total(), "nothing was sent, not even for a journal")

		require.NoError(t, d.journal.Do(t.Context(), item()), "and goes on")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, d.journal.Do(ended, item()), context.Canceled)
		assert.Equal(t, 1, d.items())
		require.NoError(t, d.c.Shutdown(t.Context()))
		require.ErrorIs(t, d.journal.Do(t.Context(), item()), keeper.ErrClosed)
	})
}
