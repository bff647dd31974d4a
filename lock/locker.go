package lock

import (
	"context"
	"runtime"
	"sync"
)

// Locker shows the mutex as a sync.Locker, for code that takes one, such as
// sync.Cond. Prefer Lock or Do where there is a choice: a sync.Locker has no
// way to say that a lock cannot be had or was lost.
//
// Lock waits until it has the lock. When Mutex.Lock fails, because ctx has ended,
// the connection was closed, a server refused it, or for any other of its reasons,
// Lock never returns: it ends the calling goroutine with runtime.Goexit, which runs
// its deferred calls. Going on without the lock would be worse. The error is lost,
// so whoever must know it uses Mutex.Lock. Unlock of a Locker that is not locked does
// nothing.
func (m *Mutex) Locker(ctx context.Context) sync.Locker {
	return &locker{m: m, ctx: ctx}
}

type locker struct {
	m   *Mutex
	ctx context.Context //nolint:containedctx // Lock and Unlock of a sync.Locker take none

	mu   sync.Mutex
	held *Held // nil while not locked; guarded by mu
}

func (l *locker) Lock() {
	held, err := l.m.Lock(l.ctx)
	if err != nil {
		runtime.Goexit()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
}

func (l *locker) Unlock() {
	l.mu.Lock()
	held := l.held
	l.held = nil
	l.mu.Unlock()
	if held != nil {
		// A lost lock cannot be reported here; a node that stays is removed later.
		_ = held.Release(context.WithoutCancel(l.ctx))
	}
}
