package zkserver

import (
	"strings"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// maxWatchBytes bounds the paths a connection watches, all together.
const maxWatchBytes = 64 << 20

// watch enters a watch. The empty path reads as the root, but is watched under
// its own name, where nothing ever happens.
func (q *query) watch(table *watchTable, path string, mode watchMode) {
	s := q.s
	if q.c.detached {
		return // cut off by the watch before: nobody would ever remove this one
	}
	table.add(strings.Clone(path), q.c, mode) // the path may share memory with a whole list
	dataWatches, dataBytes := s.data.of(q.c)
	childWatches, childBytes := s.child.of(q.c)
	if dataWatches+childWatches > s.opts.MaxWatches || dataBytes+childBytes > maxWatchBytes {
		s.log.Warn("connection has too many watches", "from", q.c.remote)
		s.abort(q.c)
	}
}

func setWatches(q *query, r *proto.SetWatches) (proto.Record, keeper.Code) {
	return nil, q.rearm(&proto.SetWatches2{
		RelativeZxid: r.RelativeZxid,
		DataWatches:  r.DataWatches, ExistWatches: r.ExistWatches, ChildWatches: r.ChildWatches,
		PersistentWatches: []string{}, PersistentRecursiveWatches: []string{},
	})
}

func setWatches2(q *query, r *proto.SetWatches2) (proto.Record, keeper.Code) { return nil, q.rearm(r) }

// rearm enters the watches a client had on an earlier connection. Those that
// would have fired since fire now, before the reply, whoever may read the node.
func (q *query) rearm(r *proto.SetWatches2) keeper.Code {
	for _, list := range [...][]string{
		r.DataWatches, r.ExistWatches, r.ChildWatches, r.PersistentWatches, r.PersistentRecursiveWatches,
	} {
		if list == nil {
			return keeper.ErrMarshalling
		}
	}
	s, c := q.s, q.c
	for _, path := range r.DataWatches {
		switch n := s.tree.get(path); {
		case n == nil:
			s.notify(c, keeper.EventDeleted, path)
		case n.mzxid > r.RelativeZxid:
			s.notify(c, keeper.EventDataChanged, path)
		default:
			q.watch(s.data, path, oneShot)
		}
	}
	for _, path := range r.ExistWatches {
		if s.tree.get(path) != nil {
			s.notify(c, keeper.EventCreated, path)
		} else {
			q.watch(s.data, path, oneShot)
		}
	}
	for _, path := range r.ChildWatches {
		switch n := s.tree.get(path); {
		case n == nil:
			s.notify(c, keeper.EventDeleted, path)
		case n.pzxid > r.RelativeZxid:
			s.notify(c, keeper.EventChildrenChanged, path)
		default:
			q.watch(s.child, path, oneShot)
		}
	}
	for _, path := range r.PersistentWatches {
		q.watch(s.data, path, persistent)
		q.watch(s.child, path, persistent)
	}
	for _, path := range r.PersistentRecursiveWatches {
		q.watch(s.data, path, recursive)
		q.watch(s.child, path, recursive)
	}
	return keeper.OK
}

// addWatch checks neither path nor node nor permissions.
func addWatch(q *query, r *proto.AddWatchRequest) (proto.Record, keeper.Code) {
	mode := persistent
	switch r.Mode {
	case proto.WatchPersistent:
	case proto.WatchRecursive:
		mode = recursive
	default:
		return nil, keeper.ErrMarshalling
	}
	q.watch(q.s.data, r.Path, mode)
	q.watch(q.s.child, r.Path, mode)
	return &proto.ErrorResponse{}, keeper.OK
}

// checkWatches is satisfied with a watch of any connection, as servers before
// 3.9 are.
func checkWatches(q *query, r *proto.CheckWatchesRequest) (proto.Record, keeper.Code) {
	tables, code := q.tables(r.Type)
	for _, t := range tables {
		if len(t.byPath[r.Path]) > 0 {
			return nil, keeper.OK
		}
	}
	if code == keeper.OK {
		code = keeper.ErrNoWatcher
	}
	return nil, code
}

// removeWatches sends no event: the client knows what it gave up.
func removeWatches(q *query, r *proto.RemoveWatchesRequest) (proto.Record, keeper.Code) {
	tables, code := q.tables(r.Type)
	removed := false
	for _, t := range tables {
		removed = t.remove(r.Path, q.c) || removed
	}
	if code == keeper.OK && !removed {
		code = keeper.ErrNoWatcher
	}
	return nil, code
}

// tables are those a watcher type speaks of. The types of persistent watches are
// not known before 3.9.
func (q *query) tables(kind int32) ([]*watchTable, keeper.Code) {
	switch kind {
	case proto.WatcherChildren:
		return []*watchTable{q.s.child}, keeper.OK
	case proto.WatcherData:
		return []*watchTable{q.s.data}, keeper.OK
	case proto.WatcherAny:
		return []*watchTable{q.s.child, q.s.data}, keeper.OK
	}
	return nil, keeper.ErrMarshalling
}

// without returns the conns of a that are not in b.
func without(a, b []*conn) []*conn {
	var rest []*conn
	for _, c := range a {
		found := false
		for _, d := range b {
			found = found || c == d
		}
		if !found {
			rest = append(rest, c)
		}
	}
	return rest
}
