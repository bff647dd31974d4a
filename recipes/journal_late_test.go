package recipes_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

// delayed is a connection whose first session gives itself up while a Multi is on
// its way: it holds the Multi back, says that the session is over, and goes on in
// the session of next.
type delayed struct {
	first keeper.Session
	next  keeper.Conn
	held  *keeper.Multi // nil until there is one
	// fence is what the next session does with its first lone Set.
	fence func(ctx context.Context, s keeper.Session, set *keeper.Set, rest []keeper.Request) error
}

func (d *delayed) Session(ctx context.Context) (keeper.Session, error) {
	if d.held == nil {
		return givesUp{d.first, d}, nil
	}
	s, err := d.next.Session(ctx)
	return fences{s, d}, err
}

type givesUp struct {
	keeper.Session
	d *delayed
}

func (s givesUp) Err() error {
	if s.d.held != nil {
		return keeper.ErrSessionExpired
	}
	return nil
}

func (s givesUp) Do(ctx context.Context, reqs ...keeper.Request) error {
	m, is := reqs[0].(*keeper.Multi)
	if !is {
		return s.Session.Do(ctx, reqs...)
	}
	set, create := *m.Ops[0].(*keeper.Set), *m.Ops[1].(*keeper.Create)
	s.d.held = &keeper.Multi{Ops: []keeper.Op{&set, &create}}
	m.Err = &keeper.OpError{Op: "multi", Err: keeper.ErrSessionExpired, Outcome: keeper.Unknown}
	return m.Err
}

type fences struct {
	keeper.Session
	d *delayed
}

func (s fences) Do(ctx context.Context, reqs ...keeper.Request) error {
	if set, is := reqs[0].(*keeper.Set); is && s.d.fence != nil {
		f := s.d.fence
		s.d.fence = nil
		return f(ctx, s.Session, set, reqs[1:])
	}
	return s.Session.Do(ctx, reqs...)
}

// A client may give its session up before the servers do, with an operation on
// its way. That the next session is refused says nothing about it.
func TestJournalFencesWhatAnEarlierSessionSent(t *testing.T) {
	lose := func(before bool) func(context.Context, keeper.Session, *keeper.Set, []keeper.Request) error {
		return func(ctx context.Context, s keeper.Session, set *keeper.Set, rest []keeper.Request) error {
			if !before {
				if err := s.Do(ctx, set); err != nil {
					return err
				}
			}
			err := &keeper.OpError{Op: "set", Path: set.Path, Err: keeper.ErrConnectionLoss, Outcome: keeper.Unknown}
			set.Err = err
			for _, r := range rest {
				r.Meta().Err = err
			}
			return err
		}
	}
	for name, fence := range map[string]func(context.Context, keeper.Session, *keeper.Set, []keeper.Request) error{
		"plain":                    nil,
		"the fence is lost before": lose(true),
		"the fence is lost after":  lose(false),
		"lost again":               nil,
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(t *testing.T, d *desk) {
				require.NoError(t, d.c.EnsurePath(t.Context(), "/items/taken"))
				first, err := d.client().Session(t.Context())
				require.NoError(t, err)
				conn := &delayed{first: first, next: d.c, fence: fence}
				j := d.newJournal(conn)
				if name == "lost again" {
					d.Inject(zkserver.Rule{Kind: "multi", Session: d.c.SessionID(), Fault: zkserver.CutBefore})
				}

				err = j.Do(t.Context(), &keeper.Create{Path: "/items/taken"})
				require.ErrorIs(t, err, keeper.ErrNodeExists)
				require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err), "and never will be")

				require.NoError(t, d.c.Delete(t.Context(), "/items/taken", keeper.AnyVersion))
				require.Error(t, first.Do(t.Context(), conn.held), "it arrives late")
				assert.Zero(t, d.items())

				require.NoError(t, j.Do(t.Context(), item()))
				assert.Equal(t, 1, d.items())
			})
		})
	}
}

// The late operation arrives just before the fence: then it was applied.
func TestJournalFindsWhatAnEarlierSessionSent(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		require.NoError(t, d.c.EnsurePath(t.Context(), "/items/taken"))
		first, err := d.client().Session(t.Context())
		require.NoError(t, err)
		conn := &delayed{first: first, next: d.c}
		conn.fence = func(ctx context.Context, s keeper.Session, set *keeper.Set, rest []keeper.Request) error {
			require.NoError(t, d.c.Delete(ctx, "/items/taken", keeper.AnyVersion))
			require.NoError(t, first.Do(ctx, conn.held))
			return s.Do(ctx, append([]keeper.Request{set}, rest...)...)
		}
		j := d.newJournal(conn)
		require.NoError(t, j.Do(t.Context(), &keeper.Create{Path: "/items/taken"}))
		require.NoError(t, j.Do(t.Context(), item()))
		assert.Equal(t, 2, d.items())
	})
}
