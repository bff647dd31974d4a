package client

import (
	"sync"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// watchKey names one watch of the server; many handles may share it.
type watchKey struct {
	kind keeper.WatchKind
	path string // as the user gives it, without chroot
}

// watchTable is the handles of one session. Everything is guarded by mu.
type watchTable struct {
	mu      sync.Mutex
	handles map[watchKey]map[*keeper.Watch]struct{}
	count   int

	// expected counts the requests on their way that will set a watch. While
	// there are any, the server's watch must not be removed: the removal would
	// take the new one with it. Kind exist is counted as data.
	expected map[watchKey]*expectation
}

type expectation struct {
	requests int
	skipped  bool // a removal was left out because of them
}

func newWatchTable() *watchTable {
	return &watchTable{
		handles:  make(map[watchKey]map[*keeper.Watch]struct{}),
		expected: make(map[watchKey]*expectation),
	}
}

// wanted tells whether r is to set a watch, and in which of the server's two
// tables.
func wanted(r keeper.Request) (watchKey, bool) {
	switch r := r.(type) {
	case *keeper.Get:
		return watchKey{keeper.WatchData, r.Path}, r.Watch
	case *keeper.Exists:
		return watchKey{keeper.WatchData, r.Path}, r.Watch
	case *keeper.Children:
		return watchKey{keeper.WatchChildren, r.Path}, r.Watch
	}
	return watchKey{}, false
}

// takeWatches takes back the handles that requests were given.
func takeWatches(reqs []keeper.Request) (ws []*keeper.Watch) {
	for _, r := range reqs {
		var w *keeper.Watch
		switch r := r.(type) {
		case *keeper.Get:
			w, r.Watched = r.Watched, nil
		case *keeper.Exists:
			w, r.Watched = r.Watched, nil
		case *keeper.Children:
			w, r.Watched = r.Watched, nil
		}
		if w != nil {
			ws = append(ws, w)
		}
	}
	return ws
}

// setWatch gives a request that succeeded its handle. It runs on the reader.
func (s *session) setWatch(r keeper.Request) {
	switch r := r.(type) {
	case *keeper.Get:
		if r.Watch {
			r.Watched = s.watches.add(s, watchKey{keeper.WatchData, r.Path})
		}
	case *keeper.Exists:
		kind := keeper.WatchExist
		if r.Found {
			kind = keeper.WatchData
		}
		if r.Watch {
			r.Watched = s.watches.add(s, watchKey{kind, r.Path})
		}
	case *keeper.Children:
		if r.Watch {
			r.Watched = s.watches.add(s, watchKey{keeper.WatchChildren, r.Path})
		}
	}
}

func (t *watchTable) add(backend keeper.WatchBackend, key watchKey) *keeper.Watch {
	w := keeper.NewWatch(backend, key.path, key.kind)
	t.mu.Lock()
	defer t.mu.Unlock()
	set := t.handles[key]
	if set == nil {
		set = make(map[*keeper.Watch]struct{}, 1)
		t.handles[key] = set
	}
	set[w] = struct{}{}
	t.count++
	return w
}

// expect and settle enclose the time in which reqs may set watches.
func (t *watchTable) expect(reqs []keeper.Request) {
	for _, r := range reqs {
		key, ok := wanted(r)
		if !ok {
			continue
		}
		t.mu.Lock()
		e := t.expected[key]
		if e == nil {
			e = new(expectation)
			t.expected[key] = e
		}
		e.requests++
		t.mu.Unlock()
	}
}

// disown is for a call that is given up after it was sent: its requests may yet
// set watches at the server that nobody here will know of, so settle is to have
// them removed, unless others share them.
func (t *watchTable) disown(reqs []keeper.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range reqs {
		key, _ := wanted(r)
		if e := t.expected[key]; e != nil {
			e.skipped = true
		}
	}
}

// settle also makes up for removals that were left out meanwhile.
func (s *session) settle(reqs []keeper.Request) {
	t := s.watches
	for _, r := range reqs {
		key, ok := wanted(r)
		if !ok {
			continue
		}
		t.mu.Lock()
		e := t.expected[key]
		if e == nil {
			t.mu.Unlock()
			continue // the caller has changed the path meanwhile
		}
		e.requests--
		if e.requests == 0 {
			delete(t.expected, key)
			if e.skipped {
				s.removeWatch(key)
			}
		}
		t.mu.Unlock()
	}
}

// Unwatch implements keeper.WatchBackend: a handle was closed.
func (s *session) Unwatch(w *keeper.Watch) {
	t := s.watches
	key := watchKey{w.Kind(), w.Path()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.handles[key][w]; !ok {
		return
	}
	delete(t.handles[key], w)
	t.count--
	if len(t.handles[key]) == 0 {
		delete(t.handles, key)
		s.removeWatch(key)
	}
}

// removeWatch asks the server to forget a watch that nobody shares any more. It
// holds the table's lock while it queues the request, so that one that sets the
// watch again comes to stand behind it.
func (s *session) removeWatch(key watchKey) {
	t, typ := s.watches, proto.WatcherChildren
	if key.kind != keeper.WatchChildren {
		// The server keeps data and exist watches in one table.
		key.kind, typ = keeper.WatchData, proto.WatcherData
		if len(t.handles[watchKey{keeper.WatchExist, key.path}]) > 0 {
			return
		}
	}
	if len(t.handles[key]) > 0 {
		return
	}
	if e := t.expected[key]; e != nil {
		e.skipped = true
		return
	}
	s.queue.pushBehind(newInternal(callOrder, 0, proto.OpRemoveWatches,
		&proto.RemoveWatchesRequest{Path: s.c.enc.FullPath(key.path), Type: typ},
		func(proto.ReplyHeader) error { return nil })) // -121: it has fired, and the event is on its way
}

// fire delivers an event to every handle it concerns. It runs on the reader,
// before any later reply is looked at, and never blocks.
func (t *watchTable) fire(ev keeper.Event) {
	var kinds []keeper.WatchKind
	switch ev.Type {
	case keeper.EventCreated, keeper.EventDataChanged:
		kinds = []keeper.WatchKind{keeper.WatchData, keeper.WatchExist}
	case keeper.EventChildrenChanged:
		kinds = []keeper.WatchKind{keeper.WatchChildren}
	case keeper.EventDeleted:
		kinds = []keeper.WatchKind{keeper.WatchData, keeper.WatchExist, keeper.WatchChildren}
	}
	for _, kind := range kinds {
		t.finish(watchKey{kind, ev.Path}, ev)
	}
}

// finish ends all handles of one key with an event.
func (t *watchTable) finish(key watchKey, ev keeper.Event) {
	t.mu.Lock()
	set := t.handles[key]
	delete(t.handles, key)
	t.count -= len(set)
	t.mu.Unlock()
	for w := range set {
		w.Fire(ev)
	}
}

// endAll ends every handle with the session.
func (t *watchTable) endAll(cause error) {
	t.mu.Lock()
	all := t.handles
	t.handles, t.count = make(map[watchKey]map[*keeper.Watch]struct{}), 0
	t.mu.Unlock()
	for key, set := range all {
		for w := range set {
			w.Fire(keeper.Event{Type: keeper.EventSession, Path: key.path, Zxid: -1, Err: cause})
		}
	}
}

func (t *watchTable) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}
