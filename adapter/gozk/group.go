package gozk

import (
	"context"
	"sync"
)

// group counts goroutines so that a shutdown can wait for them, with a bound:
// a call that go-zookeeper does not answer cannot be taken back.
type group struct {
	mu   sync.Mutex
	n    int           // guarded by mu
	idle chan struct{} // guarded by mu: nil, or closed when n gets to 0
}

// run starts f on a goroutine of the group.
func (g *group) run(f func()) {
	g.add()
	go func() {
		defer g.done()
		f()
	}()
}

func (g *group) add() {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
}

func (g *group) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// size is the number of goroutines that have not ended.
func (g *group) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// wait returns nil once no goroutine is left, else ctx's error.
func (g *group) wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
