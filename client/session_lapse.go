package client

import (
	"fmt"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// errLapsed is the cause AfterLapse gives while the session may still exist.
var errLapsed = fmt.Errorf("the session was not proved alive in time: %w", keeper.ErrConnectionLoss)

// AfterLapse implements keeper.Session. What it starts is not waited for by
// Close, which f may call.
//
// A session on which nothing was registered for a while is not kept proved, so
// its ValidUntil may have passed although it is well; any write proves it anew.
func (s *session) AfterLapse(f func(cause error)) (stop func() bool) {
	if f == nil {
		return func() bool { return true }
	}
	l := &lapse{f: f}
	first, fired := s.life.register(l, time.Now())
	if first && !fired {
		s.c.poke() // the loop begins with its heartbeats
	}
	return func() bool { return s.life.unregister(l) }
}

// register adds a watcher, or runs it if it is too late for that.
func (v *validity) register(l *lapse, now time.Time) (first, fired bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tellLapsed(now)
	switch {
	case v.state.over():
		go l.f(v.cause)
		return false, true
	case v.state == sessionLapsed:
		go l.f(errLapsed)
		return false, true
	}
	v.watchers[l] = struct{}{}
	return len(v.watchers) == 1, false
}

// unregister reports whether l was still waiting, and so will never run.
func (v *validity) unregister(l *lapse) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, waiting := v.watchers[l]
	delete(v.watchers, l)
	return waiting
}

// tellLapsed enters the lapsed state if the time is up. v.mu is held.
func (v *validity) tellLapsed(now time.Time) {
	if v.state != sessionLive || now.Before(v.until) {
		return
	}
	v.enter(sessionLapsed)
	v.tell(errLapsed)
}

// tell runs and forgets every watcher. v.mu is held.
func (v *validity) tell(cause error) {
	for l := range v.watchers {
		go l.f(cause)
	}
	clear(v.watchers)
}
