package l1

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// Timeout is the session timeout of every client in a play, and Tick the grain
// of session expiry.
const (
	Timeout = 10 * time.Second
	Tick    = 50 * time.Millisecond
)

// Grace bounds how long a client may take to hear that its session was ended by
// force.
const Grace = 100 * time.Millisecond

// Hold is what scripts are about: a lock or a leadership.
type Hold interface {
	Context() context.Context
	Valid() bool
	Token() int64
	Node() string
	Commit(ctx context.Context, ops ...keeper.Op) error
	Release(ctx context.Context) error
}

// Script is a use of the library that is to survive every fault.
type Script struct {
	Name string
	// Dir is the directory of the lock or election.
	Dir string
	// Take takes the lock, waiting for it.
	Take func(ctx context.Context, conn keeper.Conn) (Hold, error)
	// Run plays the script and ends by itself, holding nothing and with all its
	// goroutines. What the victim does it does with ctx, which some faults cancel;
	// the rivals use p.Always.
	Run func(ctx context.Context, p *Play) error
	// Allow lists what Run may return if there was a fault. After a fault that
	// cancels, ctx's error is always allowed, and without a fault nothing is.
	Allow []error
}

// allows tells whether err may come out of a play.
func (s Script) allows(err error, pt point) bool {
	if err == nil {
		return true
	}
	if pt.cancels && errors.Is(err, context.Canceled) {
		return true
	}
	for _, may := range s.Allow {
		if pt.kind != "" && errors.Is(err, may) {
			return true
		}
	}
	return false
}

// Run plays the script undisturbed and then once per frame and fault.
func Run(t *testing.T, s Script) {
	t.Helper()
	t.Run(s.Name, func(t *testing.T) {
		begin, played := time.Now(), 0
		clean := perform(t, s, point{}, 6*Timeout)
		if t.Failed() {
			return
		}
		bound := clean.took + 2*Timeout
		for _, pt := range clean.points() {
			t.Run(pt.frame(), func(t *testing.T) {
				for _, pt.Fault = range Faults() {
					if !pt.meets(pt.kind) {
						continue
					}
					played++
					t.Run(pt.name, func(t *testing.T) { perform(t, s, pt, bound) })
				}
			})
		}
		t.Logf("L1 %s: %d frames, %d faults, %d points in %v; undisturbed the script takes %v of virtual time",
			s.Name, len(clean.points()), len(Faults()), played, time.Since(begin).Round(time.Millisecond), clean.took)
	})
}

// points lists what the victim sent, each with no fault yet.
func (p *Play) points() []point {
	all, seen := []point{{kind: handshake, nth: 1}}, map[string]int{}
	for _, kind := range p.frames {
		seen[kind]++
		all = append(all, point{kind: kind, nth: seen[kind]})
	}
	if p.left {
		return all // the farewell is among them
	}
	return append(all, point{kind: farewell, nth: 1})
}

// perform plays the script in a bubble of its own.
func perform(t *testing.T, s Script, pt point, bound time.Duration) (p *Play) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p = newPlay(t, s, pt)
		defer p.report()
		p.script(bound)
		p.aftermath()
		p.shutdown()
		p.oracle()
	})
	return p
}
