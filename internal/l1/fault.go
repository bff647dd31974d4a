package l1

import (
	"fmt"
	"time"

	"github.com/conclave-go/conclave/zkserver"
)

// Fault is what happens at one frame of the victim.
//
// A move to a member that lags belongs here too, as soon as the server has
// members.
type Fault struct {
	name    string
	server  zkserver.Fault
	delay   time.Duration
	cancels bool // the script's context ends when the frame arrives
}

// Faults lists all faults. A cancelled call loses the race against its answer:
// that comes late, or with stalls never.
func Faults() []Fault {
	return []Fault{
		{name: "cut-before", server: zkserver.CutBefore},
		{name: "cut-after", server: zkserver.CutAfter},
		{name: "reply-then-cut", server: zkserver.ReplyThenCut},
		{name: "expire-before", server: zkserver.ExpireBefore},
		{name: "expire-after", server: zkserver.ExpireAfter},
		{name: "stall", server: zkserver.Stall},
		{name: "cancel", server: zkserver.Delay, delay: time.Millisecond, cancels: true},
		{name: "cancel-stall", server: zkserver.Stall, cancels: true},
	}
}

// String returns the fault's name, such as "cut-after".
func (f Fault) String() string { return f.name }

// expires tells whether the victim's session ends by force.
func (f Fault) expires() bool {
	return f.server == zkserver.ExpireBefore || f.server == zkserver.ExpireAfter
}

// Kinds of frames with a place of their own in every play: the first and the
// last one.
const (
	handshake = "connect"
	farewell  = "closeSession"
)

// meets tells whether the fault makes sense at such a frame.
func (f Fault) meets(kind string) bool {
	switch kind {
	case handshake:
		return f.server != zkserver.ExpireBefore // there is no session yet
	case farewell:
		return !f.cancels // the script is over
	}
	return true
}

// point is one fault at one frame. The zero point is no fault at all.
//
// A frame is named by its kind and its number among those: requests of different
// kinds that are due at the same moment may come in any order.
type point struct {
	kind string
	nth  int // from 1
	Fault
}

func (p point) String() string {
	if p.kind == "" {
		return "undisturbed"
	}
	return p.frame() + "/" + p.name
}

func (p point) frame() string { return fmt.Sprintf("%s-%d", p.kind, p.nth) }

// rule is the point as the server understands it. hit is called when it acts.
func (p point) rule(session int64, hit func(kind string)) zkserver.Rule {
	return zkserver.Rule{
		Session: session,
		Kind:    p.kind,
		Nth:     p.nth,
		Fault:   p.server,
		Delay:   p.delay,
		Notify:  hit,
	}
}
