package l1

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

// oracle compares what the clients were told with what the server committed.
func (p *Play) oracle() {
	if p.t.Failed() {
		return
	}
	line := replay(p.s.Dir, p.server.History())
	at := 0
	for _, g := range p.granted {
		i := slices.Index(line.fronts[at:], g)
		if !assert.GreaterOrEqual(p.t, i, 0, "%v was granted, but came to the front in another order: %v", g, line.fronts) {
			return
		}
		at += i + 1
	}
	assert.Empty(p.t, line.twice, "a contender has two nodes, although its server knew of the first")
	assert.LessOrEqual(p.t, p.unfenced.acked, p.unfenced.value, "unfenced changes are lost: %+v", p.unfenced)
	assert.LessOrEqual(p.t, p.unfenced.value, p.unfenced.acked+p.unfenced.unknown, "%+v", p.unfenced)

	assert.Equal(p.t, line.commits, p.fenced.value, "fenced changes are lost: %+v", p.fenced)
	assert.LessOrEqual(p.t, p.fenced.acked, line.commits, "%+v", p.fenced)
	assert.LessOrEqual(p.t, line.commits, p.fenced.acked+p.fenced.unknown, "%+v", p.fenced)
}

// history of a line, as its server saw it.
type history struct {
	fronts  []grant  // nodes that were first in line, in that order
	twice   []string // names that were made more than once, without their numbers
	commits int      // changes of the fenced counter
}

// replay follows who was first in line. It shares no code with the recipes.
func replay(dir string, txns []zkserver.Txn) history {
	var h history
	before := map[string]bool{}
	made := map[string]int64{} // the nodes in line, each with its czxid
	for _, t := range txns {
		if t.Err != keeper.OK {
			continue
		}
		steps := t.Ops
		if len(steps) == 0 {
			steps = []zkserver.Txn{t}
		}
		for _, step := range steps {
			inLine := strings.HasPrefix(step.Path, dir+"/")
			switch {
			case step.Path == counterPath && step.Op == "setData":
				h.commits++
			case inLine && step.Op == "create":
				made[step.Path] = t.Zxid
				name := strings.TrimRight(step.Path, "0123456789")
				if before[name] {
					h.twice = append(h.twice, name)
				}
				before[name] = true
			case inLine && step.Op == "delete":
				delete(made, step.Path)
			}
		}
		if front, ok := lowest(made); ok && (len(h.fronts) == 0 || h.fronts[len(h.fronts)-1] != front) {
			h.fronts = append(h.fronts, front)
		}
	}
	return h
}

func lowest(made map[string]int64) (front grant, ok bool) {
	first := -1
	for path, czxid := range made {
		if len(path) < 10 {
			continue
		}
		if seq, err := strconv.Atoi(path[len(path)-10:]); err == nil && (first < 0 || seq < first) {
			first, front = seq, grant{czxid, path}
		}
	}
	return front, first >= 0
}
