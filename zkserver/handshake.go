package zkserver

import (
	"strconv"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
)

// connect serves the first frame of a connection. It returns false when the
// connection is at its end.
func (s *Server) connect(c *conn, frame []byte) (bool, error) {
	var req proto.ConnectRequest
	if err := req.ReadFrom(frame); err != nil {
		return false, err
	}
	j := &job{c: c, kind: kindConnect, session: req.SessionID, run: func() { s.attach(c, &req) }}
	return s.do(j), nil
}

// attach gives the connection its session, new or old. The caller holds s.mu.
func (s *Server) attach(c *conn, req *proto.ConnectRequest) {
	c.stats.received++
	c.stats.lastOp = "SESS"
	if req.LastZxidSeen > s.zxid {
		// The client must not see time go back here; it is to try another server.
		s.log.Info("client has seen a later state", "from", c.remote, "zxid", hexID(req.LastZxidSeen))
		s.finish(c)
		return
	}
	timeout := min(max(time.Duration(req.TimeOut)*time.Millisecond, s.opts.MinSessionTimeout), s.opts.MaxSessionTimeout)
	ss := s.session(req, timeout)
	resp := &proto.ConnectResponse{Passwd: make([]byte, passwdSize), HasReadOnly: req.HasReadOnly}
	if ss != nil {
		resp.TimeOut = int32(timeout.Milliseconds())
		resp.SessionID = ss.id
		copy(resp.Passwd, ss.passwd[:])
	}
	c.out.add(resp.AppendTo, mustAdd)
	if ss == nil {
		s.log.Info("session is gone", "session", hexID(req.SessionID), "from", c.remote)
		s.finish(c)
		return
	}
	c.session, ss.conn = ss, c
	c.stats.lastZxid = s.zxid
	_ = c.nc.SetReadDeadline(time.Time{}) // with s.mu held: finish sets another one after us
	s.log.Debug("session attached", "session", hexID(ss.id), "from", c.remote, "timeout", timeout)
	s.poke()
}

// session finds or makes the session a client asks for; nil if it is gone. An
// older connection of the session is closed before the password is looked at,
// as real servers do.
func (s *Server) session(req *proto.ConnectRequest, timeout time.Duration) *session {
	if req.SessionID == 0 {
		ss := s.sessions.create(timeout, s.now())
		tx := s.begin(nil)
		s.commit(tx, Txn{Zxid: tx.zxid, Time: tx.time, Session: ss.id, Op: "createSession"})
		return ss
	}
	ss := s.sessions.byID[req.SessionID]
	if ss == nil {
		return nil
	}
	if ss.conn != nil {
		s.finish(ss.conn)
	}
	if !ss.admits(req.Passwd) {
		return nil
	}
	ss.timeout = timeout
	s.sessions.touch(ss, s.now())
	return ss
}

// hexID shows session ids and zxids as ZooKeeper does.
func hexID(id int64) string { return "0x" + strconv.FormatUint(uint64(id), 16) }
