package l1_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/conclave-go/conclave/internal/l1"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
)

// The victim is shut down while one of its goroutines holds, one waits in the
// process and one in line.
func TestShutdown(t *testing.T) {
	s := l1.Script{
		Name: "while holding and waiting",
		Run: func(ctx context.Context, p *l1.Play) error {
			victim, rival, _, err := lockers(p)
			if err != nil {
				return err
			}
			other, err := mutex(p, p.Victim)
			if err != nil {
				return err
			}
			serve := func(m *lock.Mutex) func() error {
				return func() error {
					held, err := m.Lock(ctx)
					if errors.Is(err, keeper.ErrClosed) {
						return nil
					}
					if err != nil {
						return err
					}
					p.Granted(held)
					<-held.Context().Done()
					cause := context.Cause(held.Context())
					assert.ErrorIs(p.T(), cause, keeper.ErrHoldLost)
					p.Release(p.Always(), held)
					return nil
				}
			}
			var all group
			all.run(serve(victim))
			all.run(serve(victim))
			all.run(serve(other))
			all.run(func() error { return lockWork(p.Always(), p, rival, short) })
			p.Pass(long)
			all.run(func() error { return p.Shutdown(p.Always()) })
			return all.wait()
		},
		// A farewell that got no answer.
		Allow: []error{keeper.ErrConnectionLoss},
	}
	s.Dir, s.Take = dir, takeMutex
	l1.Run(t, s)
}
