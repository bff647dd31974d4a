package keeper

import (
	"context"
	"strconv"
	"sync"
)

// WatchKind is the server's table a one-shot watch stands in.
type WatchKind uint8

// Kinds of one-shot watches.
const (
	WatchData     WatchKind = iota + 1 // by Get, and by Exists of a node that exists
	WatchExist                         // by Exists of a node that does not
	WatchChildren                      // by Children
)

// String returns "data", "exist" or "children".
func (k WatchKind) String() string {
	switch k {
	case WatchData:
		return "data"
	case WatchExist:
		return "exist"
	case WatchChildren:
		return "children"
	}
	return "watch(" + strconv.Itoa(int(k)) + ")"
}

// WatchBackend is what stands behind a Watch: the connection that set it.
type WatchBackend interface {
	// Unwatch is called at most once, when the owner closes a watch that has
	// not fired. It must not block.
	Unwatch(w *Watch)
}

// Watch is one watch on one node. It delivers exactly one Event and ends: a
// change, or an Event with Err set when the watch was lost, closed, or outlived
// its session. It survives reconnects within its session. A Watch nobody reads
// blocks nobody. All methods are safe for concurrent use.
type Watch struct {
	path    string
	kind    WatchKind
	backend WatchBackend
	c       chan Event // capacity 1: Fire never blocks

	mu   sync.Mutex
	done bool // guarded by mu: the event has been delivered
}

// NewWatch is for implementations of Session: it makes the handle for a watch
// that the server has set. backend may be nil where nothing needs undoing.
func NewWatch(backend WatchBackend, path string, kind WatchKind) *Watch {
	return &Watch{path: path, kind: kind, backend: backend, c: make(chan Event, 1)}
}

// Path is the watched path, as the caller gave it.
func (w *Watch) Path() string { return w.path }

// Kind is the kind of watch.
func (w *Watch) Kind() WatchKind { return w.kind }

// C delivers the one event and is then closed. Either C or Wait should be
// used, by one goroutine.
func (w *Watch) C() <-chan Event { return w.c }

// Wait returns the event, or its Err as error. When ctx ends first it returns
// an error wrapping ctx.Err(), and the watch goes on: call Close to end it.
func (w *Watch) Wait(ctx context.Context) (Event, error) {
	select {
	case ev, open := <-w.c:
		return w.received(ev, open)
	default:
	}
	if ctx == nil {
		return Event{}, &OpError{Op: "wait for watch", Path: w.path, Outcome: NotApplied,
			Err: &InvalidError{What: "context", Why: "is nil"}}
	}
	select {
	case ev, open := <-w.c:
		return w.received(ev, open)
	case <-ctx.Done():
		return Event{}, &OpError{Op: "wait for watch", Path: w.path, Err: ctx.Err(), Outcome: NotApplied}
	}
}

// received makes an event of what came out of c.
func (w *Watch) received(ev Event, open bool) (Event, error) {
	if !open {
		ev = Event{Type: EventNotWatching, Path: w.path, Zxid: -1, Err: ErrWatchClosed}
	}
	return ev, ev.Err
}

// Close ends the watch. One that has not fired delivers ErrWatchClosed, and the
// server's watch is removed where the server can do that and nobody else shares
// it. Close never blocks; calls after the first do nothing.
func (w *Watch) Close() {
	fired := w.Fire(Event{Type: EventNotWatching, Path: w.path, Zxid: -1, Err: ErrWatchClosed})
	if fired && w.backend != nil {
		w.backend.Unwatch(w)
	}
}

// Fire is for implementations of Session: it delivers the event and ends the
// watch, and reports false when the watch had ended before. It never blocks.
func (w *Watch) Fire(ev Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return false
	}
	w.done = true
	w.c <- ev
	close(w.c)
	return true
}
