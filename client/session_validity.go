package client

import (
	"slices"
	"sync"
	"time"
)

// frameTimes remembers when frames were sent on one connection, as far back and
// as finely as validity needs it. The writer adds to it; mu guards ring and n.
type frameTimes struct {
	mu    sync.Mutex
	ring  [32]time.Time
	n     int           // frames recorded so far
	quiet time.Duration // frames closer than this to the one before are left out
	age   time.Duration // how old a frame must be to count
}

// newFrameTimes begins with the handshake. A quarter of the timeout stands for
// half a tick, in which a server passes on to the leader that a session was
// heard of. Leaving frames out makes the result older, never newer, and a ring
// of 32 sixty-fourths spans twice that quarter.
func newFrameTimes(handshake time.Time, timeout time.Duration) *frameTimes {
	f := &frameTimes{quiet: timeout / 64, age: timeout / 4}
	f.sent(handshake)
	return f
}

// sent records a frame whose write began at that time.
func (f *frameTimes) sent(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n > 0 && at.Sub(f.ring[(f.n-1)%len(f.ring)]) < f.quiet {
		return
	}
	f.ring[f.n%len(f.ring)] = at
	f.n++
}

// before returns S′ for a frame sent at s: when the newest frame went out that
// is old enough to have reached the leader before s; the zero time if there is
// none.
func (f *frameTimes) before(s time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := f.n - 1; i >= 0 && i >= f.n-len(f.ring); i-- {
		if at := f.ring[i%len(f.ring)]; s.Sub(at) >= f.age {
			return at
		}
	}
	return time.Time{}
}

// validity is up to when a session is proved to live, and who is to be told
// when that ends. Everything is guarded by mu.
//
// Proof comes from the leader: the handshake, by itself, and every answer that
// needed the leader, for the frame at S′ (see frameTimes): a session lives for
// its timeout from then, and a twentieth of that is kept for the clocks' rates.
type validity struct {
	mu       sync.Mutex
	state    sessionState
	until    time.Time
	timeout  time.Duration       // as granted by the last handshake
	cause    error               // why it is over
	watchers map[*lapse]struct{} // what AfterLapse registered
}

// lapse is one registration of AfterLapse.
type lapse struct{ f func(cause error) }

func newValidity() *validity {
	return &validity{state: sessionLive, watchers: make(map[*lapse]struct{})}
}

// granted takes the timeout that the answer to a handshake sent at that time
// grants, and the handshake as evidence. A shorter timeout than before takes back
// what the longer one had promised: the leader counts by the new one now.
func (v *validity) granted(now, sent time.Time, timeout time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if until := validFrom(sent, timeout); timeout < v.timeout && until.Before(v.until) {
		v.until = until
	}
	v.timeout = timeout
	v.proveLocked(now, sent)
}

// prove takes evidence that the session was alive at the leader at the time
// from, which is the zero time if the evidence is worth nothing.
func (v *validity) prove(now, from time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.proveLocked(now, from)
}

// proveLocked is prove with v.mu held.
func (v *validity) proveLocked(now, from time.Time) {
	if from.IsZero() || v.state.over() {
		return
	}
	// A late answer must not save those whose time was up.
	if !v.until.IsZero() {
		v.tellLapsed(now)
	}
	if until := validFrom(from, v.timeout); until.After(v.until) {
		v.until = until
	}
	if v.state == sessionLapsed && now.Before(v.until) {
		v.enter(sessionLive)
	}
}

// validFrom is how long a session is valid that was alive at the leader at from.
func validFrom(from time.Time, timeout time.Duration) time.Time {
	return from.Add(timeout - timeout/20)
}

func (v *validity) validUntil() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.until
}

// check tells the watchers if ValidUntil has passed.
func (v *validity) check(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tellLapsed(now)
}

// deadline is when check has to be called; false if nobody waits for it.
func (v *validity) deadline() (time.Time, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.until, len(v.watchers) > 0
}

// end is the session's end. It reports false if that has been before.
func (v *validity) end(to sessionState, cause error) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.state.over() {
		return false
	}
	v.enter(to)
	v.cause = cause
	v.tell(cause)
	return true
}

// enter changes the state by the table. v.mu is held.
func (v *validity) enter(to sessionState) {
	if slices.Contains(v.state.next(), to) {
		v.state = to
	}
}
