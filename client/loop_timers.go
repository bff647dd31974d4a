package client

import (
	"errors"
	"time"
)

// The reasons for which the loop gives a connection up.
var (
	errNoHeartbeat = errors.New("a heartbeat was not answered in time")
	errOvertaken   = errors.New("overtaken by the end of the session")
	errNoGoodbye   = errors.New("the server did not close the session in time")
	errSetupStalls = errors.New("the server did not take credentials and watches in time")
)

// minBeat keeps a server that grants absurdly short timeouts from making us
// send without end.
const minBeat = time.Millisecond

// pulse keeps the connection alive and finds out when it is not: pings while
// nobody relies on the session, syncs, which the leader answers, while somebody
// does.
func (l *loop) pulse(now time.Time) {
	c := l.conn
	if !c.open && now.Sub(c.born) >= c.silence() {
		c.fail(errSetupStalls)
		return
	}
	added := l.c.creds.from(c.authSent)
	c.warnOfClearText(added)
	for _, cred := range added {
		c.authSent++
		c.mu.Lock()
		c.setup++
		c.mu.Unlock()
		l.sess.queue.pushUrgent(c.authCall(cred))
	}
	until, held := l.sess.life.deadline()
	if !held {
		c.nextBeat = time.Time{}
		if now.Sub(c.sentAt()) >= c.pingEvery() {
			c.ping()
			c.lastSent.Store(int64(now.Sub(c.born))) // do not ask again before it is out
		}
		return
	}
	if oldest, ok := c.oldestBeat(); ok && now.Sub(oldest) >= c.timeout/4 {
		c.fail(errNoHeartbeat)
		return
	}
	if c.nextBeat.IsZero() {
		c.nextBeat = now
		if c.beatCanWait(now, until) {
			c.nextBeat = now.Add(c.beatEvery())
		}
	}
	if !now.Before(c.nextBeat) {
		c.beat(now)
		c.nextBeat = now.Add(c.beatEvery())
	}
}

// beatCanWait tells whether the first heartbeat for somebody new may go out a
// tenth of the timeout from now, so that whoever lets go before costs nothing.
// The session must last until then, and, by what that heartbeat will prove,
// until the next ones can prove something by the first: that takes three more.
func (c *conn) beatCanWait(now, until time.Time) bool {
	if until.Sub(now) < c.timeout/5 {
		return false
	}
	if proof := c.frames.before(now.Add(c.beatEvery())); !proof.IsZero() {
		if later := validFrom(proof, c.timeout); later.After(until) {
			until = later
		}
	}
	return until.Sub(now) >= c.timeout*9/20
}

func (c *conn) beatEvery() time.Duration { return max(c.timeout/10, minBeat) }
func (c *conn) pingEvery() time.Duration { return max(c.timeout/3, minBeat) }

// arm sets the timer to when the next turn is due by the clock.
func (l *loop) arm(now time.Time) {
	next := now.Add(time.Hour)
	due := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if l.sess != nil {
		if until, held := l.sess.life.deadline(); held {
			due(until)
		}
	}
	switch {
	case l.stopping:
		if l.bye {
			due(l.byeBy)
		}
	case l.failed != nil:
	case l.conn != nil:
		l.armPulse(due)
	default:
		if l.try == nil && !(l.sess == nil && l.closing()) {
			due(l.nextTry)
		}
		if l.sess != nil {
			due(l.selfExpiry())
		}
	}
	l.timer.Reset(max(next.Sub(now), 0))
}

func (l *loop) armPulse(due func(time.Time)) {
	c := l.conn
	if !c.open {
		due(c.born.Add(c.silence()))
	}
	if _, held := l.sess.life.deadline(); !held {
		due(c.sentAt().Add(c.pingEvery()))
		return
	}
	due(c.nextBeat)
	if oldest, ok := c.oldestBeat(); ok {
		due(oldest.Add(c.timeout / 4))
	}
}
