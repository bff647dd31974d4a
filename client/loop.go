package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// loop owns the life of a Client from Start to its end: which session there is,
// which connection it has, and every timer. All fields are its goroutine's; it
// never blocks but in the select of run, and never calls users' code.
type loop struct {
	c     *Client
	hosts *hosts
	timer *time.Timer

	sess  *session  // nil: the next handshake asks for a new one
	heard time.Time // when sess was last heard of before the connection was lost

	// At most one of try and conn is there.
	try  *attempt
	conn *conn

	snubbed time.Time // since when every attempt has ended in a silent close; zero if one has not

	waits    *retry.Delays
	attempts int       // to connect, since a connection was any good
	nextTry  time.Time // not before

	stopping bool      // stop was seen
	byeBy    time.Time // how long to wait for the goodbye, while stopping
	bye      bool      // the goodbye is under way
	failed   error     // terminal: the credentials were refused
	ended    bool

	unanswered []*call // in flight when the connection was lost while stopping
}

func newLoop(c *Client) *loop {
	return &loop{
		c: c, hosts: newHosts(c.addrs, c.cfg.ordered), timer: time.NewTimer(0),
		waits: c.cfg.retry.Delays(),
	}
}

func (l *loop) run() {
	defer l.finish()
	stop := l.c.stop
	for !l.ended {
		l.arm(time.Now())
		select {
		case <-l.timer.C:
		case <-l.c.wake:
		case <-stop:
			stop, l.stopping = nil, true
			if l.sess != nil {
				l.sess.errand.cancel(keeper.ErrClosed)
			}
		case <-l.tryUp():
			l.try.up = nil
			l.enter(Handshaking)
		case g := <-l.tryResult():
			l.greeted(g)
		case <-l.connReady():
			l.connected()
		case <-l.connDead():
			l.lost()
		}
		l.turn(time.Now())
	}
}

// The channels of what may not be there: nil, which blocks for ever, then.

func (l *loop) tryUp() <-chan struct{} {
	if l.try == nil {
		return nil
	}
	return l.try.up
}

func (l *loop) tryResult() <-chan greeting {
	if l.try == nil {
		return nil
	}
	return l.try.result
}

func (l *loop) connReady() <-chan struct{} {
	if l.conn == nil || l.conn.open {
		return nil
	}
	return l.conn.ready
}

func (l *loop) connDead() <-chan struct{} {
	if l.conn == nil {
		return nil
	}
	return l.conn.dead
}

func (l *loop) enter(to State) {
	if !l.c.state.set(to) && !l.closing() {
		st, _ := l.c.state.get()
		l.c.cfg.log.Error(msgNoSuchTransition, "from", st, "to", to)
	}
}

// msgNoSuchTransition reports a bug of ours. Tests fail when they see it.
const msgNoSuchTransition = "a change of state that is not in the table"

// turn does what is due by the clock or was asked for.
func (l *loop) turn(now time.Time) {
	if l.sess != nil {
		l.sess.life.check(now)
	}
	switch {
	case l.stopping:
		l.sayGoodbye(now)
	case l.failed != nil:
	case l.conn != nil:
		l.pulse(now)
	case l.try == nil || l.sess != nil:
		if l.sess != nil && !now.Before(l.selfExpiry()) {
			l.expire("nothing was heard of the servers for too long")
		}
		if l.try == nil && !now.Before(l.nextTry) && !(l.sess == nil && l.closing()) {
			l.dial(now)
		}
	}
}

// closing tells whether a shutdown has begun: no new session is opened then.
func (l *loop) closing() bool { return closed(l.c.closing) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// selfExpiry is when a session counts as expired without a server saying so.
func (l *loop) selfExpiry() time.Time { return l.heard.Add(l.sess.Timeout() * 4 / 3) }

// dial begins the next attempt.
func (l *loop) dial(now time.Time) {
	hello := proto.ConnectRequest{
		LastZxidSeen: l.c.lastZxid.Load(),
		// The timeout asked for, not the one negotiated: another server may
		// grant more.
		TimeOut:     int32(l.c.cfg.timeout.Milliseconds()),
		Passwd:      make([]byte, 16),
		HasReadOnly: true,
	}
	timeout := l.c.cfg.timeout
	if l.sess != nil {
		hello.SessionID, hello.Passwd = l.sess.id, l.sess.passwd
		timeout = l.sess.Timeout()
	}
	limit := max(timeout/time.Duration(l.hosts.len()), time.Second)
	l.attempts++
	l.nextTry = now.Add(l.pause())
	l.try = startAttempt(l.c.cfg, l.hosts.pick(), limit, hello)
	l.enter(Connecting)
	l.c.cfg.log.Debug("connecting", "server", l.try.addr, "attempt", l.attempts)
}

// sessionID is what an attempt asks for now, 0 for a new session.
func (l *loop) sessionID() int64 {
	if l.sess == nil {
		return 0
	}
	return l.sess.id
}

// A server that grants absurdly short timeouts must not make us dial without end.
const (
	minPause = 10 * time.Millisecond  // between attempts, once they fail
	minGood  = 100 * time.Millisecond // a connection that lasted less does not count as good
)

// pause is how long to wait from one attempt to the next.
func (l *loop) pause() time.Duration {
	d := l.waits.Next()
	if l.sess != nil {
		d = min(d, max(l.sess.Timeout()/6, minPause))
	}
	return d
}

// greeted deals with the outcome of an attempt.
func (l *loop) greeted(g greeting) {
	// Both channels may have been ready, and the result was drawn first: without
	// this state the table of transitions would refuse all that follow.
	if closed(l.tryUp()) {
		l.enter(Handshaking)
	}
	addr, stale := l.try.addr, l.try.asked != l.sessionID()
	l.try = nil
	if g.err == nil && (l.stopping || stale) {
		// Stale: the session it asked for was given up while it was under way.
		_ = g.nc.Close()
		g.err = errOvertaken
	}
	if g.err != nil {
		l.c.cfg.log.Info("could not connect", "server", addr, "error", g.err)
		l.c.setTrouble(fmt.Errorf("%s: %w", addr, l.suspect(g.err)))
		if errors.Is(g.err, errReadOnly) {
			l.enter(ReadOnly)
		} else {
			l.enter(Disconnected)
		}
		return
	}
	asked := l.sess != nil
	timeout := time.Duration(g.hi.TimeOut) * time.Millisecond
	gone := timeout <= 0 || g.hi.SessionID == 0
	if gone || asked && g.hi.SessionID != l.sess.id {
		_ = g.nc.Close()
		l.enter(Disconnected)
		if !asked {
			l.c.cfg.log.Warn("the server gave no session", "server", addr)
			return
		}
		why := "the server says so"
		if !gone {
			why = "the server gave another one"
		}
		l.expire(why)
		l.nextTry = time.Time{} // an honest answer is no failed attempt
		return
	}
	if !asked {
		l.sess = newSession(l.c, g.hi.SessionID, g.hi.Passwd)
	}
	l.sess.timeout.Store(int64(timeout))
	l.sess.life.granted(time.Now(), g.sent, timeout)
	l.conn = newConn(l.sess, addr, g)
	l.enter(Authenticating)
	l.c.setServer(addr)
	l.c.cfg.log.Debug("session attached", "server", addr, "session", l.sess.id, "timeout", timeout, "new", !asked)
	l.conn.start()
}

// connected opens the gate: credentials and watches are in place.
func (l *loop) connected() {
	l.conn.open = true
	l.sess.queue.openGate()
	l.c.publish(l.sess)
	l.enter(Connected)
	l.snubbed = time.Time{}
	l.c.setTrouble(nil)
	l.c.cfg.log.Info("connected", "server", l.conn.addr)
}

// lost deals with the end of the connection.
func (l *loop) lost() {
	c := l.conn
	c.join()
	l.conn = nil
	l.c.setServer("")
	l.heard = c.heardAt()
	now := time.Now()
	var refused *authError
	switch {
	case c.goodbye.Load():
		l.endSession(sessionClosed, keeper.ErrClosed, c.flight.drain())
		return
	case errors.As(c.err, &refused):
		l.c.cfg.log.Error("giving up", "server", c.addr, "error", c.err)
		l.failed = keeper.ErrAuthFailed
		l.enter(AuthFailed)
		l.endSession(sessionClosed, keeper.ErrAuthFailed, c.flight.drain())
		return
	}
	l.c.cfg.log.Warn("connection lost", "server", c.addr, "error", c.err)
	l.enter(Disconnected)
	if now.Sub(c.born) >= max(c.timeout/3, minGood) {
		// It was good: the next attempt is the first of a new row. One that came
		// and went goes on in the row, or two servers could keep us spinning.
		l.attempts = 0
		l.waits.Reset()
		l.nextTry = time.Time{}
	}
	if l.stopping {
		l.unanswered = c.flight.drain() // they end with the session
		return
	}
	for _, call := range c.flight.drain() {
		if call.kind == callUser {
			call.fail(keeper.ErrConnectionLoss, keeper.Unknown)
		}
	}
	l.sess.queue.detach(keeper.ErrConnectionLoss)
}

// expire ends the session; a new one will be asked for.
func (l *loop) expire(why string) {
	if l.try != nil {
		l.try.cancel()
	}
	l.c.cfg.log.Warn("session expired", "reason", why)
	l.endSession(sessionExpired, keeper.ErrSessionExpired, nil)
}

// endSession ends the session with the calls that were in flight.
func (l *loop) endSession(to sessionState, cause error, sent []*call) {
	s := l.sess
	l.sess = nil
	l.c.publish(nil)
	s.end(to, cause, sent)
}
