package gozk

import (
	"fmt"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// How long a session is known to live
//
// A server expires a session T after the leader last heard of it. A follower
// tells the leader which sessions it has heard of only when it answers the
// leader's ping, every half tick (at most T/4, as T is at least two ticks). So
// a call proves little by being answered, but two do:
//
//	call 1: started S′, answered b
//	call 2: started s ≥ b + T/4, needed the leader (a sync or a write), answered
//
// The follower had call 1 by b and sent its list to the leader between b and s;
// what a follower sends arrives in order, so that list came before call 2, and
// the leader had not expired the session when it came. Hence the session lives
// until S′ + T. If the connection moved to another server in between, that
// server asked the leader, which touches the session, after S′. A deposed leader
// answers its own clients for a while, but a new leader starts every session
// anew. ValidUntil is S′ + T - T/20, the last for the difference of clocks.
//
// The client core takes send times; here they are hidden, so S′ and s are taken
// before go-zookeeper is called, and b after it returned: earlier, earlier and
// later than the truth, each on the safe side.
//
// A handshake needs the leader and touches the session there, so one that is
// known to have begun after h proves h + T - T/20 by itself. When it began is
// hidden too, but not that it had not: see handshake. This gives the first
// proof without delay, if the adapter was there when the session began or was
// resumed. Otherwise the heart makes two calls T/4 apart, at once, and Session
// waits for them.

// validity is the proof of one session; its session's lock guards it.
type validity struct {
	until   time.Time // ValidUntil; zero before the first proof
	calls   []answer  // answered calls of late, in order of start
	leader  time.Time // start of the newest answered call that needed the leader
	lapse   map[int]func(error)
	lastKey int
}

// answer is a call that got one.
type answer struct{ started, answered time.Time }

// maxAnswers times the least distance of two starts (T/50) is more than T.
const maxAnswers = 64

// ValidUntil is the newest proof.
func (s *session) ValidUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proof.until
}

func (s *session) proved() bool { return !s.ValidUntil().IsZero() }

// AfterLapse runs f when ValidUntil has passed or the session is over.
func (s *session) AfterLapse(f func(cause error)) (stop func() bool) {
	if f == nil {
		return func() bool { return true }
	}
	s.mu.Lock()
	cause := s.err
	if cause == nil && !time.Now().Before(s.proof.until) {
		cause = errLapsed
	}
	if cause != nil {
		s.mu.Unlock()
		runLapsed([]func(error){f}, cause)
		return func() bool { return false }
	}
	if s.proof.lapse == nil {
		s.proof.lapse = make(map[int]func(error))
	}
	s.proof.lastKey++
	key := s.proof.lastKey
	s.proof.lapse[key] = f
	s.mu.Unlock()
	s.wake()
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, waiting := s.proof.lapse[key]
		delete(s.proof.lapse, key)
		return waiting
	}
}

// errLapsed is why a function of AfterLapse runs while the session may live on.
var errLapsed = fmt.Errorf("session not proved alive in time: %w", keeper.ErrConnectionLoss)

func (v *validity) takeAll() []func(error) {
	fs := make([]func(error), 0, len(v.lapse))
	for _, f := range v.lapse {
		fs = append(fs, f)
	}
	v.lapse = nil
	return fs
}

// runLapsed starts what AfterLapse was given. Nobody waits for it, so it may
// call Close.
func runLapsed(fs []func(error), cause error) {
	for _, f := range fs {
		go f(cause)
	}
}

// answered records a call of this session that was answered just now; leader
// tells that only the leader can have answered it.
func (s *session) answered(started time.Time, leader bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	v, timeout := &s.proof, s.c.cfg.timeout
	if leader {
		for i := len(v.calls) - 1; i >= 0; i-- {
			if a := v.calls[i]; !a.answered.After(started.Add(-timeout / 4)) {
				s.prove(a.started)
				break
			}
		}
		if started.After(v.leader) {
			v.leader = started
		}
	}
	if n := len(v.calls); n > 0 && started.Sub(v.calls[n-1].started) < timeout/50 {
		return // near enough to one that is there, or older
	}
	if len(v.calls) == maxAnswers {
		v.calls = append(v.calls[:0], v.calls[1:]...)
	}
	v.calls = append(v.calls, answer{started, now})
}

// handshake says that the *zk.Conn was seen without a handshake under way at
// down, and connected in this session later. Who calls it must have taken down
// before reading State() != StateHasSession (or in go-zookeeper's callback for
// such a state, which it makes before it sends the next handshake), and have
// read first State() == StateHasSession and then this id. Then some handshake
// began after down and gave or confirmed this id.
func (s *session) handshake(down time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.prove(down)
	}
}

// prove moves ValidUntil to that of a session which the leader heard of at or
// after heard. The lock is held.
func (s *session) prove(heard time.Time) {
	timeout := s.c.cfg.timeout
	until := heard.Add(timeout - timeout/20)
	if !until.After(s.proof.until) {
		return
	}
	first := s.proof.until.IsZero()
	s.proof.until = until
	if first {
		s.c.wake() // the session can be given out
	}
}

// heart runs for as long as the session: it keeps the proof coming while it is
// needed and calls off what depends on it when it has not come.
func (s *session) heart() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var (
		beating bool // a beat is under way
		beaten  = make(chan struct{}, 1)
		began   time.Time // of the last beat
	)
	for {
		next, leader := s.nextBeat(began)
		wake := next
		if beating {
			wake = time.Time{}
		}
		if lapse := s.lapseAt(); !lapse.IsZero() && (wake.IsZero() || lapse.Before(wake)) {
			wake = lapse
		}
		if wake.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(wake))
		}
		select {
		case <-s.done:
			return
		case <-s.kick:
		case <-timer.C:
		case <-beaten:
			beating = false
		}
		s.callOff()
		if next, leader = s.nextBeat(began); !beating && !time.Now().Before(next) {
			began = time.Now()
			if ok, _ := s.c.linked(s); !ok {
				s.c.wake()
				began = began.Add(s.c.fast() - s.c.cfg.timeout/10) // soon again
				continue
			}
			beating = true
			s.inside.add()
			s.c.all.run(func() {
				defer s.inside.done()
				s.beat(leader)
				beaten <- struct{}{}
			})
		}
	}
}

// nextBeat says when a heartbeat is due and whether the leader must answer it.
// Calls of users serve as well.
//
//   - Before the first proof: at once, and again T/4 after the answer.
//   - While something waits for the lapse: a sync T/10 after the last one.
//   - Otherwise, T/4 after the last call, a read: go-zookeeper's own pings are
//     hidden, and without a call of late the first write would prove nothing.
func (s *session) nextBeat(began time.Time) (at time.Time, leader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, timeout := &s.proof, s.c.cfg.timeout
	tenth := timeout / 10
	switch {
	case v.until.IsZero():
		if len(v.calls) > 0 {
			at = v.calls[0].answered.Add(timeout / 4)
		}
		leader = true
	case len(v.lapse) > 0:
		at, leader = v.leader.Add(tenth), true
	case len(v.calls) > 0:
		at = v.calls[len(v.calls)-1].started.Add(timeout / 4)
	}
	if soonest := began.Add(tenth); at.Before(soonest) {
		at = soonest // whatever became of the last one
	}
	return at, leader
}

// beat is a call of the adapter's own.
func (s *session) beat(leader bool) {
	zk := s.c.zk
	started := time.Now()
	if zk.SessionID() != s.id {
		s.c.wake()
		return
	}
	var err error
	if leader {
		_, err = zk.Sync("/")
	} else {
		_, _, err = zk.Exists(sentinelPath)
	}
	switch {
	case err != nil || zk.SessionID() != s.id:
		s.c.wake()
	default:
		s.answered(started, leader)
	}
}

// lapseAt is when callOff has something to do, or zero.
func (s *session) lapseAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.proof.lapse) == 0 {
		return time.Time{}
	}
	return s.proof.until
}

// callOff runs the functions of AfterLapse if ValidUntil has passed.
func (s *session) callOff() {
	s.mu.Lock()
	if s.err != nil || len(s.proof.lapse) == 0 || time.Now().Before(s.proof.until) {
		s.mu.Unlock()
		return
	}
	lapsed := s.proof.takeAll()
	s.mu.Unlock()
	s.c.cfg.logger.Warn("session not proved alive in time", "functions", len(lapsed))
	runLapsed(lapsed, errLapsed)
}
