package gozk

import (
	"errors"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// After a reconnect go-zookeeper asks the server to set its watches again, but
// behind the requests that wait: a change can fall through when one of these
// moves the zxid that it asks from. If the server refuses, it only logs that.
// Either way a watch would never fire. So the hub sets the watches again itself
// and compares what it reads with what each handle's owner has read.

// audit checks every watch that has handles, on a goroutine. After a reconnect
// rearm must be set; a check without it costs a read for each watch and finds
// what changed, but leaves a watch that the server has lost as it is.
func (h *hub) audit(rearm bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if rearm {
		for key, a := range h.live {
			if len(a.handles) == 0 {
				delete(h.live, key) // it may be lost: nobody may join it
			}
		}
	}
	if h.over != nil || len(h.owner) == 0 {
		return
	}
	if h.auditing {
		h.again, h.rearm = true, h.rearm || rearm
		return
	}
	h.auditing = true
	h.s.inside.add()
	h.s.c.all.run(func() {
		defer h.s.inside.done()
		h.runAudit(rearm)
	})
}

func (h *hub) runAudit(rearm bool) {
	for {
		for _, key := range h.keys() {
			if !h.check(key, rearm) {
				break // the connection is gone: the next one brings an audit
			}
		}
		h.mu.Lock()
		if !h.again {
			h.auditing = false
			h.mu.Unlock()
			return
		}
		rearm = h.rearm
		h.again, h.rearm = false, false
		h.mu.Unlock()
	}
}

// keys lists the watches that have handles.
func (h *hub) keys() []watchKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := make([]watchKey, 0, len(h.live))
	for key, a := range h.live {
		if len(a.handles) > 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

// check reads the node behind one watch and ends the handles that missed a
// change. It reports false when the connection failed.
func (h *hub) check(key watchKey, rearm bool) bool {
	conn := h.s.c.zk
	if h.s.c.awaitLink(h.s, h.s.c.quit) != nil {
		return false
	}
	var (
		found = true
		stat  *zk.Stat
		fired <-chan zk.Event
		err   error
	)
	switch {
	case !rearm:
		found, stat, err = conn.Exists(key.path)
	case key.kind == keeper.WatchChildren:
		_, stat, fired, err = conn.ChildrenW(key.path)
		if errors.Is(err, zk.ErrNoNode) {
			found, err = false, nil
		}
	default:
		found, stat, fired, err = conn.ExistsW(key.path)
	}
	if conn.SessionID() != h.s.id {
		return false
	}
	if err != nil && !byServer(err) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.live[key]
	if err != nil {
		if a != nil {
			h.s.c.cfg.logger.Warn("watch could not be set again", "kind", key.kind.String(), "path", key.path, "error", err)
			h.spendLocked(a, lost(key, keeper.EventNotWatching, translate(err).cause))
		}
		return true
	}
	var fresh *armed
	if fired != nil {
		kind := key.kind
		if kind != keeper.WatchChildren {
			kind = keyOf(readExists, key.path, found).kind
		}
		fresh = h.addLocked(watchKey{kind, key.path}, fired)
	}
	if a == nil {
		return true
	}
	now := baselineOf(found, stat)
	for w, base := range a.handles {
		if t := change(key.kind, base, now); t != keeper.EventClosed {
			h.fireLocked(w, keeper.Event{Type: t, Path: key.path, Zxid: -1})
		} else if fresh != nil && fresh.key == key {
			delete(a.handles, w)
			fresh.handles[w] = base
			h.owner[w] = fresh
		}
	}
	return true
}

// change is the event that leads from one state of a node to another, or
// EventClosed if a watch of the kind does not fire on it. A node that was
// deleted and made again was deleted.
func change(kind keeper.WatchKind, from, to baseline) keeper.EventType {
	switch {
	case !from.found && to.found:
		return keeper.EventCreated
	case from.found && (!to.found || to.czxid > from.czxid):
		return keeper.EventDeleted
	case kind == keeper.WatchData && to.mzxid > from.mzxid:
		return keeper.EventDataChanged
	case kind == keeper.WatchChildren && to.pzxid > from.pzxid:
		return keeper.EventChildrenChanged
	}
	return keeper.EventClosed
}
