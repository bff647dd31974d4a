package l1_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/conclave-go/conclave/election"
	"github.com/conclave-go/conclave/internal/l1"
	"github.com/conclave-go/conclave/keeper"
)

const seat = "/app/leader"

func elections(p *l1.Play) (victim, rival *election.Election, err error) {
	victim, err1 := election.New(p.Victim, seat, election.WithRetryPolicy(p.Retry()))
	rival, err2 := election.New(p.Rival, seat, election.WithRetryPolicy(p.Retry()))
	return victim, rival, errors.Join(err1, err2)
}

func takeSeat(ctx context.Context, conn keeper.Conn) (l1.Hold, error) {
	e, err := election.New(conn, seat)
	if err != nil {
		return nil, err
	}
	term, err := e.Campaign(ctx, nil)
	if err != nil {
		return nil, err
	}
	return term, nil
}

// lead campaigns, works, proclaims and resigns. asked is somebody else, who must
// see what was proclaimed.
func lead(ctx context.Context, p *l1.Play, e, asked *election.Election, name string) error {
	term, err := e.Campaign(ctx, []byte(name))
	if err != nil {
		return err
	}
	p.Granted(term)
	p.Work(term, long/2)
	switch err := term.Proclaim(ctx, []byte(name+" at work")); {
	case err == nil:
		leader, err := asked.Leader(p.Always())
		p.Pass(l1.Grace)
		if term.Valid() && assert.NoError(p.T(), err) {
			assert.Equal(p.T(), name+" at work", string(leader.Value))
			assert.Equal(p.T(), term.Token(), leader.Token)
		}
	case errors.Is(err, keeper.ErrNotHeld), errors.Is(err, keeper.ErrSessionExpired):
		p.Pass(l1.Grace)
		assert.False(p.T(), term.Valid(), "refused, but still leading: %v", err)
	default:
		assert.ErrorIs(p.T(), err, context.Canceled)
		assert.Error(p.T(), ctx.Err())
	}
	p.Work(term, long/2)
	p.Release(ctx, term)
	return nil
}

func TestElection(t *testing.T) {
	for _, s := range []l1.Script{
		{
			Name: "leads first",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, err := elections(p)
				if err != nil {
					return err
				}
				var all group
				all.run(func() error { return lead(ctx, p, victim, rival, "victim") })
				all.run(func() error { return lead(p.Always(), p, rival, rival, "rival") })
				return all.wait()
			},
		},
		{
			Name: "leads second",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, err := elections(p)
				if err != nil {
					return err
				}
				var all group
				all.run(func() error { return lead(p.Always(), p, rival, rival, "rival") })
				all.run(func() error { return lead(ctx, p, victim, rival, "victim") })
				return all.wait()
			},
		},
		{
			// The victim's Run ends only once its function has seen a whole term.
			Name: "runs",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, err := elections(p)
				if err != nil {
					return err
				}
				served, serving := 0, 0
				serve := func(ctx context.Context, term *election.Leadership) error {
					serving++
					defer func() { serving-- }()
					assert.Equal(p.T(), 1, serving, "Run calls again before its function has returned")
					p.Granted(term)
					p.Work(term, long)
					if ctx.Err() == nil && term.Valid() {
						served++
					}
					return ctx.Err()
				}
				var all group
				all.run(func() error {
					err := victim.Run(ctx, serve)
					if ctx.Err() == nil {
						assert.Equal(p.T(), 1, served, "whole terms of the victim; Run: %v", err)
					}
					return err
				})
				all.run(func() error { return lead(p.Always(), p, rival, rival, "rival") })
				return all.wait()
			},
			// A term whose release finds its node gone.
			Allow: []error{keeper.ErrHoldLost},
		},
		{
			Name: "observes",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, err := elections(p)
				if err != nil {
					return err
				}
				// The directory is there for a while before its first candidate.
				p.Slow("create", 2, short)
				var all group
				seen := make(chan struct{})
				all.run(func() error {
					defer close(seen)
					for leader, err := range victim.Observe(ctx) {
						if err != nil || string(leader.Value) == "last" {
							return err
						}
					}
					return errors.New("the observer ends without a reason")
				})
				all.run(func() error {
					if err := lead(p.Always(), p, rival, rival, "first"); err != nil {
						return err
					}
					p.Pass(short)
					// What stays is seen, whatever has been missed.
					term, err := rival.Campaign(p.Always(), []byte("last"))
					if err != nil {
						return err
					}
					p.Granted(term)
					<-seen
					p.Release(p.Always(), term)
					return nil
				})
				return all.wait()
			},
		},
	} {
		s.Dir, s.Take = seat, takeSeat
		l1.Run(t, s)
	}
}
