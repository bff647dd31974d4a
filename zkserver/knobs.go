package zkserver

// Expire ends a session now, as its timeout would: its ephemeral nodes are
// deleted in one transaction, and its connection is closed without a word. It
// reports whether there was such a session.
func (s *Server) Expire(session int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss := s.sessions.byID[session]
	s.expire(ss)
	return ss != nil
}

// Cut closes the connection of a session at once, replies that wait included.
// The session lives on. It reports whether there was a connection.
func (s *Server) Cut(session int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss := s.sessions.byID[session]
	if ss == nil || ss.conn == nil {
		return false
	}
	s.abort(ss.conn)
	return true
}

// CutAll closes all connections at once.
func (s *Server) CutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		s.abort(c)
	}
}

// Refuse closes new connections as soon as they are accepted, until it is
// called with false. Existing ones go on.
func (s *Server) Refuse(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing = on
}

// Freeze stops the server as SIGSTOP would: it reads, answers and ends nothing,
// but accepts connections, and time goes on. What it had answered before may
// still arrive. Expire and Cut work nevertheless.
//
// A frozen server takes in what arrives as far as the network buffers it: on an
// in-memory pipe that is one write per connection, and the next one blocks.
func (s *Server) Freeze() { s.freeze(true) }

// Thaw undoes Freeze. Sessions whose time ran out meanwhile end first; what
// their clients sent is not looked at. Then requests that have waited are
// served.
func (s *Server) Thaw() { s.freeze(false) }

func (s *Server) freeze(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen == on {
		return
	}
	if !on {
		s.expireDue()
	}
	s.frozen = on
	for c := range s.conns {
		c.out.hold(on)
	}
	s.thawed.Broadcast()
	s.poke()
}

// Sessions returns the ids of the live sessions, sorted.
func (s *Server) Sessions() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]int64, 0, len(s.sessions.byID))
	for _, ss := range s.sessions.sorted() {
		ids = append(ids, ss.id)
	}
	return ids
}

// Zxid is the zxid of the last transaction.
func (s *Server) Zxid() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.zxid
}
