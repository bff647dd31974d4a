package zkserver

import (
	"cmp"
	"slices"

	"github.com/conclave-go/conclave/keeper"
)

// watchMode says how long a watch lasts and what it covers.
type watchMode uint8

const (
	oneShot    watchMode = iota // fires once, on its path
	persistent                  // fires for ever, on its path
	recursive                   // fires for ever, on its path and below, never for lists of children
)

// watchTable knows who watches what. A connection has one mode per path: the
// last one set, which is how servers of 3.6 to 3.8 lose a persistent watch to a
// one-shot. Owned by the server's pipeline lock.
type watchTable struct {
	byPath    map[string]map[*conn]watchMode
	byConn    map[*conn]*watchSet
	recursive int // recursive watches there are; 0 saves the walk to the root
}

// watchSet is what one connection watches.
type watchSet struct {
	paths map[string]struct{}
	bytes int // length of all paths
}

func newWatchTable() *watchTable {
	return &watchTable{
		byPath: make(map[string]map[*conn]watchMode),
		byConn: make(map[*conn]*watchSet),
	}
}

func (w *watchTable) add(path string, c *conn, mode watchMode) {
	w.remove(path, c)
	at := w.byPath[path]
	if at == nil {
		at = make(map[*conn]watchMode)
		w.byPath[path] = at
	}
	at[c] = mode
	if mode == recursive {
		w.recursive++
	}
	of := w.byConn[c]
	if of == nil {
		of = &watchSet{paths: make(map[string]struct{})}
		w.byConn[c] = of
	}
	of.paths[path] = struct{}{}
	of.bytes += len(path)
}

// remove reports whether there was a watch.
func (w *watchTable) remove(path string, c *conn) bool {
	mode, ok := w.byPath[path][c]
	if !ok {
		return false
	}
	if mode == recursive {
		w.recursive--
	}
	delete(w.byPath[path], c)
	if len(w.byPath[path]) == 0 {
		delete(w.byPath, path)
	}
	of := w.byConn[c]
	delete(of.paths, path)
	of.bytes -= len(path)
	if len(of.paths) == 0 {
		delete(w.byConn, c)
	}
	return true
}

func (w *watchTable) removeConn(c *conn) {
	if of := w.byConn[c]; of != nil {
		for path := range of.paths {
			w.remove(path, c)
		}
	}
}

// of is how many watches a connection has, and the length of their paths.
func (w *watchTable) of(c *conn) (watches, bytes int) {
	if of := w.byConn[c]; of != nil {
		return len(of.paths), of.bytes
	}
	return 0, 0
}

// fire takes the one-shots at path off the table and returns all connections
// that event concerns, each once, in the order they came in.
func (w *watchTable) fire(path string, event keeper.EventType) []*conn {
	var told []*conn
	for c, mode := range w.byPath[path] {
		if mode == recursive && event == keeper.EventChildrenChanged {
			continue
		}
		told = append(told, c)
	}
	for _, c := range told {
		if w.byPath[path][c] == oneShot {
			w.remove(path, c)
		}
	}
	if w.recursive > 0 && event != keeper.EventChildrenChanged {
		for up := path; up != "/"; {
			up = keeper.Parent(up)
			for c, mode := range w.byPath[up] {
				if mode == recursive && !slices.Contains(told, c) {
					told = append(told, c)
				}
			}
		}
	}
	slices.SortFunc(told, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return told
}

// size counts the watches.
func (w *watchTable) size() int {
	total := 0
	for _, at := range w.byPath {
		total += len(at)
	}
	return total
}

// connsAt returns who watches path, in the order they came in.
func (w *watchTable) connsAt(path string) []*conn {
	conns := make([]*conn, 0, len(w.byPath[path]))
	for c := range w.byPath[path] {
		conns = append(conns, c)
	}
	slices.SortFunc(conns, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return conns
}
