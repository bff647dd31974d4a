package l1_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-go/conclave/internal/l1"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
)

const (
	dir   = "/app/lock"
	short = l1.Timeout / 50
	// long lets the session's heartbeat and the watch on the own node begin.
	long = l1.Timeout / 4
)

func mutex(p *l1.Play, conn keeper.Conn) (*lock.Mutex, error) {
	return lock.New(conn, dir, lock.WithRetryPolicy(p.Retry()))
}

func takeMutex(ctx context.Context, conn keeper.Conn) (l1.Hold, error) {
	m, err := lock.New(conn, dir)
	if err != nil {
		return nil, err
	}
	return hold(m.Lock(ctx))
}

// hold keeps a nil *lock.Held from becoming a Hold.
func hold(held *lock.Held, err error) (l1.Hold, error) {
	if err != nil {
		return nil, err
	}
	return held, nil
}

// lockWork locks, works and releases.
func lockWork(ctx context.Context, p *l1.Play, m *lock.Mutex, d time.Duration) error {
	held, err := m.Lock(ctx)
	if err != nil {
		return err
	}
	p.Granted(held)
	p.Work(held, d)
	p.Release(ctx, held)
	return nil
}

// group runs functions side by side and joins their errors.
type group struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func (g *group) run(f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.errs = append(g.errs, err)
		}
	})
	// Whoever comes next comes later.
	synctest.Wait()
}

func (g *group) wait() error {
	g.wg.Wait()
	return errors.Join(g.errs...)
}

// lockers returns a mutex per process.
func lockers(p *l1.Play) (victim, rival, third *lock.Mutex, err error) {
	victim, err1 := mutex(p, p.Victim)
	rival, err2 := mutex(p, p.Rival)
	third, err3 := mutex(p, p.Third)
	return victim, rival, third, errors.Join(err1, err2, err3)
}

func TestMutex(t *testing.T) {
	for _, s := range []l1.Script{
		{
			// The first in a directory that does not exist; another waits.
			Name: "holds",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, _, err := lockers(p)
				if err != nil {
					return err
				}
				var all group
				all.run(func() error { return lockWork(ctx, p, victim, long) })
				all.run(func() error { return lockWork(p.Always(), p, rival, short) })
				return all.wait()
			},
		},
		{
			// The directory is made by another while the victim makes it.
			Name: "comes at once",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, _, err := lockers(p)
				if err != nil {
					return err
				}
				p.Slow("createContainer", 1, short/2)
				var all group
				all.run(func() error { return lockWork(ctx, p, victim, short) })
				all.run(func() error { return lockWork(p.Always(), p, rival, short) })
				return all.wait()
			},
		},
		{
			// Waits behind one and in front of another.
			Name: "waits",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, third, err := lockers(p)
				if err != nil {
					return err
				}
				var all group
				all.run(func() error { return lockWork(p.Always(), p, rival, long) })
				all.run(func() error { return lockWork(ctx, p, victim, short) })
				all.run(func() error { return lockWork(p.Always(), p, third, short) })
				return all.wait()
			},
		},
		{
			// Two goroutines of one process, another process between their turns.
			Name: "hands over",
			Run: func(ctx context.Context, p *l1.Play) error {
				victim, rival, _, err := lockers(p)
				if err != nil {
					return err
				}
				var all group
				all.run(func() error { return lockWork(ctx, p, victim, short) })
				all.run(func() error { return lockWork(ctx, p, victim, short) })
				all.run(func() error { return lockWork(p.Always(), p, rival, short) })
				all.run(func() error { return lockWork(ctx, p, victim, short) })
				return all.wait()
			},
		},
	} {
		s.Dir, s.Take = dir, takeMutex
		l1.Run(t, s)
	}
}
