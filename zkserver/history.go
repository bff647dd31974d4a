package zkserver

import (
	"slices"
	"strings"

	"github.com/conclave-go/conclave/keeper"
)

// Txn is one entry of the history: a transaction that took a zxid, whether it
// succeeded or not.
type Txn struct {
	Zxid    int64
	Time    int64 // wall clock, ms
	Session int64 // 0 for what the server does of its own
	Xid     int32 // number of the request in its session, 0 if there was none
	// Op is the kind of request, as in Counts, or "createSession",
	// "deleteContainer" for a node that was reaped, or "check" in a multi.
	Op   string
	Path string // of the node made, changed or deleted; as requested if Err is set
	Err  keeper.Code
	Ops  []Txn // what a multi or a closeSession did: Op and Path only
}

// History returns the newest transactions, oldest first; see
// Options.HistoryLimit. The caller owns the slice, but not its Ops.
func (s *Server) History() []Txn {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.history
	if limit := s.opts.HistoryLimit; limit >= 0 && len(h) > limit {
		h = h[len(h)-limit:]
	}
	return slices.Clone(h)
}

// maxHistoryPath bounds what the history keeps of a path; no honest one is
// longer.
const maxHistoryPath = 4 << 10

// record appends to the history. The oldest entries are dropped in bulk.
func (s *Server) record(t Txn) {
	t.Path = shorten(t.Path)
	for i := range t.Ops {
		t.Ops[i].Path = shorten(t.Ops[i].Path)
	}
	s.history = append(s.history, t)
	if limit := s.opts.HistoryLimit; limit >= 0 && len(s.history) >= 2*limit {
		s.history = slices.Clone(s.history[len(s.history)-limit:])
	}
}

func shorten(path string) string {
	if len(path) > maxHistoryPath {
		return strings.Clone(path[:maxHistoryPath]) + "…"
	}
	return path
}
