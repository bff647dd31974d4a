package zkserver

import (
	"slices"
	"time"
)

// clock is the goroutine that ends sessions and reaps nodes. It has a timer
// only while there is something to wait for, so that a test in a synctest
// bubble in which nothing can happen any more is seen to hang.
func (s *Server) clock() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		var ring <-chan time.Time
		if wait, ok := s.tick(); ok {
			timer.Reset(wait)
			ring = timer.C
		}
		select {
		case <-ring:
		case <-s.poked:
		case <-s.closed:
			timer.Stop()
			return
		}
	}
}

// poke makes the clock look again: something has been added that may be due
// before what it waits for.
func (s *Server) poke() {
	select {
	case s.poked <- struct{}{}:
	default:
	}
}

// tick does what is due and returns how long to wait for the next.
func (s *Server) tick() (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen || s.closing {
		return 0, false
	}
	s.expireDue()
	s.reapDue()
	at, ok := s.sessions.next()
	if len(s.tree.reapable) > 0 {
		if reap := s.reaped + s.opts.ContainerCheckInterval; !ok || reap < at {
			at, ok = reap, true
		}
	}
	return max(0, at-s.now()), ok
}

func (s *Server) expireDue() {
	for _, ss := range s.sessions.due(s.now()) {
		s.expire(ss)
	}
}

// reapDue deletes the containers and TTL nodes whose time has come, each in a
// transaction of its own. It looks at multiples of the interval.
func (s *Server) reapDue() {
	now := s.now()
	if now < s.reaped+s.opts.ContainerCheckInterval {
		return
	}
	s.reaped = now.Truncate(s.opts.ContainerCheckInterval)
	var paths []string
	wall := time.Now().UnixMilli()
	for path := range s.tree.reapable {
		if s.tree.get(path).expired(wall) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		tx := s.begin(nil)
		tx.drop(path, s.tree.get(path))
		s.commit(tx, Txn{Zxid: tx.zxid, Time: tx.time, Op: "deleteContainer"})
	}
}
