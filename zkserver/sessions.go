package zkserver

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"slices"
	"time"
)

// passwdSize is the length of a session password.
const passwdSize = 16

// session is one client session. It is owned by the server's pipeline lock.
type session struct {
	id       int64
	passwd   [passwdSize]byte
	timeout  time.Duration
	expireAt time.Duration // on the session clock, a multiple of the tick
	conn     *conn         // nil while the client is away
}

// sessionTable is all sessions and the rules by which they end. It is owned by
// the server's pipeline lock. Times are those of the session clock, which counts
// from the server's start and is never set back.
type sessionTable struct {
	tick   time.Duration
	byID   map[int64]*session
	nextID int64
}

// serverID stands in the first byte of session ids.
const serverID = 1

// newSessionTable makes ids as real servers do: the server's number, then five
// bytes of the clock at its start, then two to count with.
func newSessionTable(tick time.Duration, now time.Time) *sessionTable {
	return &sessionTable{
		tick:   tick,
		byID:   make(map[int64]*session),
		nextID: serverID<<56 | int64(uint64(now.UnixMilli())<<24>>8),
	}
}

func (t *sessionTable) create(timeout, now time.Duration) *session {
	s := &session{id: t.nextID, timeout: timeout}
	t.nextID++
	_, _ = rand.Read(s.passwd[:]) // never fails
	t.byID[s.id] = s
	t.touch(s, now)
	return s
}

// touch moves the end of s. Sessions end at ticks only, the last of them after
// the timeout: that is up to one tick later than they have to.
func (t *sessionTable) touch(s *session, now time.Duration) {
	s.expireAt = (now + s.timeout).Truncate(t.tick) + t.tick
}

// due returns the sessions whose time is over, those that ended first in front.
func (t *sessionTable) due(now time.Duration) []*session {
	var over []*session
	for _, s := range t.byID {
		if s.expireAt <= now {
			over = append(over, s)
		}
	}
	slices.SortFunc(over, func(a, b *session) int {
		return cmp.Or(cmp.Compare(a.expireAt, b.expireAt), cmp.Compare(a.id, b.id))
	})
	return over
}

// next is when the first session ends if nothing is heard of it.
func (t *sessionTable) next() (at time.Duration, ok bool) {
	for _, s := range t.byID {
		if !ok || s.expireAt < at {
			at, ok = s.expireAt, true
		}
	}
	return at, ok
}

// sorted returns all sessions by id.
func (t *sessionTable) sorted() []*session {
	all := make([]*session, 0, len(t.byID))
	for _, s := range t.byID {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	return all
}

// admits tells whether passwd is the session's.
func (s *session) admits(passwd []byte) bool {
	return subtle.ConstantTimeCompare(s.passwd[:], passwd) == 1
}
