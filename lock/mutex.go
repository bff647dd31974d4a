package lock

import (
	"context"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/recipes"
)

// Mutex is a lock that one goroutine at a time can hold, among all processes that
// use the same path. It is not re-entrant: whoever holds it and locks again waits
// for itself.
//
// A Mutex has no goroutine and needs no closing. All methods are safe for
// concurrent use; goroutines that share a Mutex get the lock in order of arrival.
type Mutex struct {
	line *recipes.Line
	data []byte
}

// New returns the mutex at path, a directory that holds nothing else and is made
// when it is needed. Nothing is sent. Bad input is reported as
// *keeper.InvalidError.
func New(conn keeper.Conn, path string, opts ...Option) (*Mutex, error) {
	c, err := newConfig(path, opts)
	if err != nil {
		return nil, err
	}
	line, err := recipes.NewLine(conn, c.line)
	if err != nil {
		return nil, err
	}
	return &Mutex{line: line, data: c.data}, nil
}

// Lock waits for the lock. It rides out lost connections and stands in line again
// in the next session when its session expires, until ctx ends. It fails with
// ctx's error, with keeper.ErrClosed when the connection's owner shuts it down,
// with recipes.ErrSequenceExhausted, or with what a server refused (such as
// keeper.ErrNoAuth).
//
// A Lock that failed holds nothing, and its node is removed in the background.
func (m *Mutex) Lock(ctx context.Context) (*Held, error) {
	hold, err := m.line.Acquire(ctx, m.data)
	if err != nil {
		return nil, err
	}
	return &Held{hold}, nil
}

// TryLock takes the lock only if nobody holds it or waits for it, in this process
// or another, and reports whether it did. It returns false only if there is
// somebody, or was until just now: its first look is at the server it is connected
// to, which may lag behind a release through another one by as much as the
// servers' syncLimit allows. When it cannot know, because an answer was lost, it
// returns an error.
//
// A false costs one request and writes nothing, or none at all if the somebody is
// in this process.
func (m *Mutex) TryLock(ctx context.Context) (*Held, bool, error) {
	hold, ok, err := m.line.TryAcquire(ctx, m.data)
	if !ok {
		return nil, false, err
	}
	return &Held{hold}, true, nil
}

// Do locks, runs fn and releases, also when fn panics. fn's context ends when ctx
// does or when the lock may be lost. The error is Lock's, or fn's joined with
// Release's: keeper.ErrHoldLost in it means that fn may have run in part without
// the lock.
func (m *Mutex) Do(ctx context.Context, fn func(ctx context.Context, held *Held) error) error {
	if fn == nil {
		return &keeper.InvalidError{What: "function", Why: "is nil"}
	}
	held, err := m.Lock(ctx)
	if err != nil {
		return err
	}
	return held.Hold.Do(ctx, func(ctx context.Context) error { return fn(ctx, held) })
}

// Held is the lock while it is held. Its methods are those of recipes.Hold:
//
//	Context() context.Context         // ends when the lock is released or may be lost
//	Valid() bool                      // asked of the clock: right before something irreversible
//	Token() int64                     // fencing token, greater for each later holder
//	Guard() keeper.Op                 // for a Multi of your own
//	Commit(ctx, ops...) error         // writes only while the lock is held
//	Release(ctx) error                // nil, or keeper.ErrHoldLost if it was lost before
//
// A Held that was lost must be released as well: it keeps the goroutines of its
// own process out until then, so that two of them never believe at once.
type Held struct {
	*recipes.Hold
}
