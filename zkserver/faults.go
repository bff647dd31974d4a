package zkserver

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is what a Rule does to the request it matches.
type Fault uint8

// Faults. Where a connection is closed, the replies to earlier requests are
// still delivered; where a reply is lost, so are the notifications that the
// request causes on its own connection, and everything after them.
const (
	// CutBefore closes the connection; the request is not applied.
	CutBefore Fault = iota + 1
	// CutAfter applies the request, loses the reply and closes the connection.
	CutAfter
	// ReplyThenCut applies the request, replies and closes the connection.
	ReplyThenCut
	// ExpireBefore ends the session, and with it the connection; the request is
	// not applied.
	ExpireBefore
	// ExpireAfter applies the request, loses the reply and ends the session.
	ExpireAfter
	// Stall applies this request and those that follow on the connection, pings
	// too, but sends nothing any more. The session lives while the client
	// sends.
	Stall
	// Delay waits for Rule.Delay before the request is applied; those behind it
	// on the same connection wait too, others do not.
	Delay
)

// String returns a name such as "cut-after".
func (f Fault) String() string {
	switch f {
	case CutBefore:
		return "cut-before"
	case CutAfter:
		return "cut-after"
	case ReplyThenCut:
		return "reply-then-cut"
	case ExpireBefore:
		return "expire-before"
	case ExpireAfter:
		return "expire-after"
	case Stall:
		return "stall"
	case Delay:
		return "delay"
	}
	return "fault(" + strconv.Itoa(int(f)) + ")"
}

// Rule makes a fault happen at certain requests. The zero value of each field
// but Fault matches or means the simplest.
type Rule struct {
	// Kind is a kind of request as in Counts.Requests, or "connect" for the
	// handshake. "" is any request but pings and handshakes.
	Kind string
	// Path is a prefix of the path, or of one of the paths of a multi. ""
	// matches all requests, also those without a path.
	Path string
	// Session is the session that asks; 0 is any. At a handshake it is the
	// session that is asked for.
	Session int64

	Nth   int // the first match to act on, from 1, which is the default
	Times int // how many matches to act on from there: default 1, -1 for all
	Fault Fault
	Delay time.Duration // for Delay

	// Notify is called when the rule acts, with the kind of the request, before
	// anything else happens to it. The server waits for it meanwhile: it must not
	// call the server, nor block. A rule with Notify and no Fault watches only, and
	// keeps no other rule from acting.
	Notify func(kind string)
}

// rule is an installed Rule. Owned by the server's pipeline lock.
type rule struct {
	Rule
	seen  int // matches
	fired int
}

// Inject installs a rule, and remove takes it away. Each rule counts its own
// matches; when several are due at one request, the one installed first acts and
// the others stay due. A rule with an unknown Fault, or with neither Fault nor
// Notify, never acts.
func (s *Server) Inject(r Rule) (remove func()) {
	r.Nth = max(r.Nth, 1)
	if r.Times == 0 {
		r.Times = 1
	}
	installed := &rule{Rule: r}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Fault <= Delay && (r.Fault != 0 || r.Notify != nil) {
		s.rules = append(s.rules, installed)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rules = slices.DeleteFunc(s.rules, func(x *rule) bool { return x == installed })
	}
}

// match finds the rule that acts on a job; the zero Rule if none does.
func (s *Server) match(j *job) Rule {
	var acts *rule
	for _, r := range s.rules {
		if !r.matches(j) {
			continue
		}
		r.seen++
		switch {
		case !r.due():
		case r.Fault == 0:
			r.act(j)
		case acts == nil:
			acts = r
		}
	}
	if acts == nil {
		return Rule{}
	}
	acts.act(j)
	s.counts.Faults++
	s.log.Info("fault", "fault", acts.Fault.String(), "kind", j.kind, "from", j.c.remote)
	return acts.Rule
}

func (r *rule) act(j *job) {
	r.fired++
	if r.Notify != nil {
		r.Notify(j.kind)
	}
}

func (r *rule) due() bool {
	return r.seen >= r.Nth && (r.Times < 0 || r.fired < r.Times)
}

func (r *rule) matches(j *job) bool {
	if r.Kind != j.kind && (r.Kind != "" || j.kind == kindPing || j.kind == kindConnect) {
		return false
	}
	if r.Session != 0 && r.Session != j.session {
		return false
	}
	if r.Path == "" {
		return true
	}
	return slices.ContainsFunc(targets(j.request), func(path string) bool { return strings.HasPrefix(path, r.Path) })
}
