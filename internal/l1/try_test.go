package l1_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/conclave-go/conclave/internal/l1"
	"github.com/conclave-go/conclave/keeper"
)

// TryLock tells true, false, or why it cannot know; and false only if there is
// somebody.
func TestTryLock(t *testing.T) {
	for _, s := range []l1.Script{
		{
			Name: "nobody is there",
			Run: func(ctx context.Context, p *l1.Play) error {
				m, err := mutex(p, p.Victim)
				if err != nil {
					return err
				}
				held, ok, err := m.TryLock(ctx)
				if !ok {
					assert.Error(p.T(), err, "false, with nobody in line")
					return err
				}
				p.Granted(held)
				p.Work(held, long)
				p.Release(ctx, held)
				return nil
			},
		},
		{
			Name: "somebody is there",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, _, err := lockers(p)
				if err != nil {
					return err
				}
				held, err := rival.Lock(p.Always())
				if err != nil {
					return err
				}
				p.Granted(held)
				_, ok, err := victim.TryLock(ctx)
				assert.False(p.T(), ok, "true, with another holder")
				p.Work(held, short)
				p.Release(p.Always(), held)
				return err
			},
		},
		{
			// A rival comes between the victim's look and its create.
			Name: "somebody is faster",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, _, err := lockers(p)
				if err != nil {
					return err
				}
				p.Slow("create", 1, short/2)
				var all group
				all.run(func() error {
					held, ok, err := victim.TryLock(ctx)
					if ok {
						p.Granted(held)
						p.Work(held, short)
						p.Release(ctx, held)
					}
					return err
				})
				all.run(func() error { return lockWork(p.Always(), p, rival, short) })
				return all.wait()
			},
		},
	} {
		s.Dir, s.Take = dir, takeMutex
		s.Allow = []error{keeper.ErrConnectionLoss, keeper.ErrSessionExpired}
		l1.Run(t, s)
	}
}

// Commit applies its ops as long as the lock is held, and never later.
func TestCommit(t *testing.T) {
	// Commit may fail after a fault; it must say how.
	commit := func(ctx context.Context, p *l1.Play, held l1.Hold) {
		switch err := p.Commit(ctx, p.Victim, held); {
		case err == nil:
		case errors.Is(err, keeper.ErrNotHeld):
			assert.False(p.T(), held.Valid(), "refused, but still held: %v", err)
		case errors.Is(err, keeper.ErrConnectionLoss), errors.Is(err, keeper.ErrSessionExpired), ctx.Err() != nil && errors.Is(err, ctx.Err()):
		default:
			assert.NoError(p.T(), err)
		}
	}
	s := l1.Script{
		Name: "three commits",
		Run: func(ctx context.Context, p *l1.Play) error {
			victim, rival, _, err := lockers(p)
			if err != nil {
				return err
			}
			var all group
			all.run(func() error {
				held, err := victim.Lock(ctx)
				if err != nil {
					return err
				}
				p.Granted(held)
				commit(ctx, p, held)
				p.Work(held, long)
				commit(ctx, p, held)
				p.Release(ctx, held)
				before := held
				held, err = victim.Lock(ctx)
				if err != nil {
					return err
				}
				p.Granted(held)
				assert.ErrorIs(p.T(), before.Commit(ctx), keeper.ErrNotHeld)
				commit(ctx, p, held)
				p.Release(ctx, held)
				return nil
			})
			all.run(func() error {
				held, err := rival.Lock(p.Always())
				if err != nil {
					return err
				}
				p.Granted(held)
				assert.NoError(p.T(), p.Commit(p.Always(), p.Rival, held))
				p.Work(held, short)
				p.Release(p.Always(), held)
				return nil
			})
			return all.wait()
		},
	}
	s.Dir, s.Take = dir, takeMutex
	l1.Run(t, s)
}
