package gozk

import (
	"errors"
	"sync"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// hub shares go-zookeeper's watches among the handles of a session: one for each
// kind and path, because go-zookeeper keeps a channel for every call that sets
// one, until it fires. It is the keeper.WatchBackend of its handles.
type hub struct {
	s *session

	mu       sync.Mutex
	over     error                    // guarded by mu: why the session is over
	live     map[watchKey]*armed      // guarded by mu
	arming   map[armKey]chan struct{} // guarded by mu: closed when the call that sets it is back
	owner    map[*keeper.Watch]*armed // guarded by mu: of every handle that has not ended
	auditing bool                     // guarded by mu: an audit runs
	again    bool                     // guarded by mu: and another one is due
	rearm    bool                     // guarded by mu: that one must set the watches again
}

// watchKey is what the server tells watches apart by.
type watchKey struct {
	kind keeper.WatchKind
	path string
}

// readKind is the call that reads and may set a watch. Exists sets one of two
// kinds.
type readKind uint8

const (
	readGet readKind = iota
	readExists
	readChildren
)

type armKey struct {
	read readKind
	path string
}

// armed is one watch of go-zookeeper.
type armed struct {
	key     watchKey
	fired   <-chan zk.Event
	handles map[*keeper.Watch]baseline // guarded by hub.mu; nil once it is spent
}

// baseline is the state of the node that a handle's owner has read.
type baseline struct {
	found               bool
	czxid, mzxid, pzxid int64
}

func baselineOf(found bool, stat *zk.Stat) baseline {
	if !found || stat == nil {
		return baseline{}
	}
	return baseline{true, stat.Czxid, stat.Mzxid, stat.Pzxid}
}

// reader is a read with and without setting a watch, and where its results go.
type reader struct {
	plain func() (bool, *zk.Stat, error)
	arm   func() (bool, *zk.Stat, <-chan zk.Event, error)
	found *bool // may be nil
	stat  *keeper.Stat
	watch **keeper.Watch
}

func (r *reader) fill(found bool, stat *zk.Stat) {
	if r.found != nil {
		*r.found = found
	}
	if found {
		*r.stat = fromStat(stat)
	}
}

func (h *hub) init(s *session) {
	h.s = s
	h.live = make(map[watchKey]*armed)
	h.arming = make(map[armKey]chan struct{})
	h.owner = make(map[*keeper.Watch]*armed)
}

// keyOf is the watch that a read of the kind sets.
func keyOf(read readKind, path string, found bool) watchKey {
	switch {
	case read == readChildren:
		return watchKey{keeper.WatchChildren, path}
	case found:
		return watchKey{keeper.WatchData, path}
	default:
		return watchKey{keeper.WatchExist, path}
	}
}

// read reads the node and, if asked to, gets a handle on its watch. It returns
// go-zookeeper's error.
func (h *hub) read(watch bool, kind readKind, path string, r *reader) error {
	if !watch {
		found, stat, err := r.plain()
		if err == nil {
			r.fill(found, stat)
		}
		return err
	}
	for {
		if h.any(kind, path) {
			found, stat, err := r.plain()
			if err != nil {
				return err
			}
			if w := h.join(keyOf(kind, path, found), baselineOf(found, stat)); w != nil {
				r.fill(found, stat)
				*r.watch = w
				return nil
			}
		}
		busy, set := h.claim(armKey{kind, path})
		if busy != nil {
			<-busy
			continue
		}
		found, stat, fired, err := r.arm()
		if err != nil {
			set()
			return err
		}
		r.fill(found, stat)
		*r.watch = h.add(keyOf(kind, path, found), fired, baselineOf(found, stat))
		set()
		return nil
	}
}

// any tells whether a read of the kind may find its watch set already.
func (h *hub) any(kind readKind, path string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live[keyOf(kind, path, true)] != nil || h.live[keyOf(kind, path, false)] != nil
}

// claim makes the caller the one that sets the watch; set ends the claim. If
// somebody else is at it, busy is closed when he is through.
func (h *hub) claim(key armKey) (busy <-chan struct{}, set func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.arming[key]; c != nil {
		return c, nil
	}
	c := make(chan struct{})
	h.arming[key] = c
	return nil, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.arming, key)
		close(c)
	}
}

// join returns a handle on the watch that is set, or nil if that has fired by
// now. go-zookeeper fills and closes the channels of an event before it hands
// out the next reply, so one that is empty and open at this point was still set
// when the read before was answered.
func (h *hub) join(key watchKey, base baseline) *keeper.Watch {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.live[key]
	if a == nil {
		return nil
	}
	select {
	case ev, open := <-a.fired:
		if open {
			h.spendLocked(a, eventOf(a.key, ev, open))
		} // else drain has taken the event and waits for the lock
		return nil
	default:
		return h.handleLocked(a, base)
	}
}

// add takes over a watch that was set just now and returns a handle on it.
func (h *hub) add(key watchKey, fired <-chan zk.Event, base baseline) *keeper.Watch {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.handleLocked(h.addLocked(key, fired), base)
}

func (h *hub) addLocked(key watchKey, fired <-chan zk.Event) *armed {
	a := &armed{key: key, fired: fired, handles: make(map[*keeper.Watch]baseline)}
	h.live[key] = a
	h.s.c.all.run(func() { h.drain(a) })
	return a
}

func (h *hub) handleLocked(a *armed, base baseline) *keeper.Watch {
	w := keeper.NewWatch(h, a.key.path, a.key.kind)
	if h.over != nil {
		w.Fire(lost(a.key, keeper.EventSession, h.over))
		return w
	}
	a.handles[w] = base
	h.owner[w] = a
	return w
}

// drain waits for one watch of go-zookeeper: for the event, the end of the
// session or of the adapter.
func (h *hub) drain(a *armed) {
	select {
	case ev, open := <-a.fired:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.spendLocked(a, eventOf(a.key, ev, open))
	case <-h.s.c.quit:
	}
}

// spendLocked ends a watch with ev; only the first call does something.
func (h *hub) spendLocked(a *armed, ev keeper.Event) {
	if h.live[a.key] == a {
		delete(h.live, a.key)
	}
	for w := range a.handles {
		h.fireLocked(w, ev)
	}
	a.handles = nil
}

func (h *hub) fireLocked(w *keeper.Watch, ev keeper.Event) {
	if a := h.owner[w]; a != nil {
		delete(a.handles, w)
		delete(h.owner, w)
	}
	w.Fire(ev)
}

// Unwatch forgets a handle. The watch behind it stays until it fires, because
// go-zookeeper cannot remove one; the next handle shares it.
func (h *hub) Unwatch(w *keeper.Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.owner[w]; a != nil {
		delete(a.handles, w)
		delete(h.owner, w)
	}
}

// end ends every handle.
func (h *hub) end(cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = cause
	for w, a := range h.owner {
		h.fireLocked(w, lost(a.key, keeper.EventSession, cause))
	}
	clear(h.live)
}

// eventOf translates what go-zookeeper's channel delivered.
func eventOf(key watchKey, ev zk.Event, open bool) keeper.Event {
	switch {
	case !open:
		return lost(key, keeper.EventNotWatching, keeper.ErrConnectionLoss)
	case errors.Is(ev.Err, zk.ErrClosing):
		return lost(key, keeper.EventSession, keeper.ErrClosed)
	case errors.Is(ev.Err, zk.ErrSessionExpired):
		return lost(key, keeper.EventSession, keeper.ErrSessionExpired)
	case ev.Err != nil:
		return lost(key, keeper.EventNotWatching, translate(ev.Err).cause)
	case ev.Type < zk.EventNodeCreated || ev.Type > zk.EventNodeChildrenChanged:
		return lost(key, keeper.EventNotWatching, keeper.ErrConnectionLoss)
	}
	return keeper.Event{Type: keeper.EventType(ev.Type), Path: key.path, Zxid: -1}
}

func lost(key watchKey, t keeper.EventType, cause error) keeper.Event {
	return keeper.Event{Type: t, Path: key.path, Zxid: -1, Err: cause}
}
