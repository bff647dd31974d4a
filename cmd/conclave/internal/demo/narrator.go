package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Fact is one claim the demo has checked.
type Fact struct {
	Claim  string `json:"claim"`
	Holds  bool   `json:"holds"`
	Detail string `json:"detail"`
}

// Report is what a run has found.
type Report struct {
	Facts   []Fact        `json:"facts"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// OK tells whether every fact holds, and that there are facts at all.
func (r Report) OK() bool {
	for _, f := range r.Facts {
		if !f.Holds {
			return false
		}
	}
	return len(r.Facts) > 0
}

// narrator tells what happens as it happens, as lines for people or as JSON
// objects for machines, and collects the facts. Safe for concurrent use.
type narrator struct {
	start  time.Time
	asJSON bool // JSON lines

	mu    sync.Mutex
	out   io.Writer // guarded by mu
	err   error     // guarded by mu: first failure of out
	facts []Fact    // guarded by mu
}

func newNarrator(out io.Writer, asJSON bool) *narrator {
	return &narrator{start: time.Now(), asJSON: asJSON, out: out}
}

type jsonLine struct {
	Millis  int64   `json:"ms"`
	Kind    string  `json:"kind"` // "scene", "event", "fact", "summary"
	Who     string  `json:"who,omitempty"`
	Text    string  `json:"text,omitempty"`
	Fact    *Fact   `json:"fact,omitempty"`
	Summary *Report `json:"summary,omitempty"`
}

// scene opens a chapter.
func (n *narrator) scene(title string) {
	n.write(jsonLine{Kind: "scene", Text: title}, "\n"+title+"\n")
}

// say tells one event.
func (n *narrator) say(who, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	n.write(jsonLine{Kind: "event", Who: who, Text: text},
		fmt.Sprintf("  %6.2fs  %-11s %s\n", time.Since(n.start).Seconds(), who, text))
}

// fact records a claim and whether it holds.
func (n *narrator) fact(holds bool, claim, format string, args ...any) {
	f := Fact{Claim: claim, Holds: holds, Detail: fmt.Sprintf(format, args...)}
	n.mu.Lock()
	n.facts = append(n.facts, f)
	n.mu.Unlock()
	n.write(jsonLine{Kind: "fact", Fact: &f}, fmt.Sprintf("  %6.2fs  %-11s %s: %s\n",
		time.Since(n.start).Seconds(), mark(holds), claim, f.Detail))
}

func mark(holds bool) string {
	if holds {
		return "ok"
	}
	return "FAILED"
}

// summary closes the story and returns the report.
func (n *narrator) summary() (Report, error) {
	n.mu.Lock()
	r := Report{Facts: n.facts, Elapsed: time.Since(n.start)}
	n.mu.Unlock()

	width := 0
	for _, f := range r.Facts {
		width = max(width, len(f.Claim))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nWhat was checked\n")
	good := 0
	for _, f := range r.Facts {
		fmt.Fprintf(&b, "  %-6s  %-*s  %s\n", mark(f.Holds), width, f.Claim, f.Detail)
		if f.Holds {
			good++
		}
	}
	fmt.Fprintf(&b, "\n%d of %d facts hold, in %.1f s\n", good, len(r.Facts), r.Elapsed.Seconds())
	n.write(jsonLine{Kind: "summary", Summary: &r}, b.String())

	n.mu.Lock()
	defer n.mu.Unlock()
	return r, n.err
}

func (n *narrator) write(j jsonLine, text string) {
	line := text
	if n.asJSON {
		j.Millis = time.Since(n.start).Milliseconds()
		data, err := json.Marshal(j)
		if err != nil { // only types above are marshalled
			data = []byte(`{"kind":"error"}`)
		}
		line = string(data) + "\n"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := io.WriteString(n.out, line); err != nil && n.err == nil {
		n.err = fmt.Errorf("write narration: %w", err)
	}
}
