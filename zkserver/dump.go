package zkserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Dump shows the tree, the sessions and the watches, for the eyes of whoever
// debugs a test; the format may change. Data is shown by its length alone.
func (s *Server) Dump() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "zxid %s\nnodes\n", hexID(s.zxid))
	for _, path := range slices.Sorted(maps.Keys(s.tree.nodes)) {
		n := s.tree.nodes[path]
		fmt.Fprintf(&b, "  %q czxid %s mzxid %s version %d children %d data %d",
			path, hexID(n.czxid), hexID(n.mzxid), n.version, len(n.children), len(n.data))
		switch {
		case n.owner != 0:
			fmt.Fprintf(&b, " ephemeral %s", hexID(n.owner))
		case n.container:
			b.WriteString(" container")
		case n.ttl > 0:
			fmt.Fprintf(&b, " ttl %v", n.ttl)
		}
		b.WriteByte('\n')
	}
	b.WriteString("sessions\n")
	for _, ss := range s.sessions.sorted() {
		fmt.Fprintf(&b, "  %s timeout %v ends in %v", hexID(ss.id), ss.timeout, ss.expireAt-s.now())
		if ss.conn != nil {
			fmt.Fprintf(&b, " at %s", ss.conn.remote)
		}
		b.WriteByte('\n')
	}
	for _, t := range [...]struct {
		name  string
		table *watchTable
	}{{"data watches", s.data}, {"child watches", s.child}} {
		fmt.Fprintln(&b, t.name)
		for _, path := range slices.Sorted(maps.Keys(t.table.byPath)) {
			fmt.Fprintf(&b, "  %q", path)
			for _, c := range t.table.connsAt(path) {
				if c.session != nil {
					fmt.Fprintf(&b, " %s", hexID(c.session.id))
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
