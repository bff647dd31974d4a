package zkserver

import (
	"net"
	"net/netip"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// conn is one connection. Its reader goroutine reads frames and takes each
// through the pipeline; its writer goroutine writes what the outbox holds. The
// reader outlives the writer and takes the connection out of the server.
type conn struct {
	s       *Server
	nc      net.Conn
	id      int64     // counts connections
	remote  string    // for logs and monitoring commands
	since   time.Time // when it came
	out     outbox
	gone    chan struct{} // closed by detach
	written chan struct{} // closed when the writer has ended

	// The server's pipeline lock guards the rest.
	detached bool
	session  *session   // nil before the handshake, and after detach
	ids      []identity // who the client is; starts with its address
	stats    connStats
}

// connStats is what the monitoring commands tell of a connection.
type connStats struct {
	received int
	lastOp   string
	lastXid  int32
	lastZxid int64
	latency  latency
}

func newConn(s *Server, nc net.Conn, id int64) *conn {
	c := &conn{
		s: s, nc: nc, id: id,
		remote:  nc.RemoteAddr().String(),
		since:   time.Now(),
		gone:    make(chan struct{}),
		written: make(chan struct{}),
	}
	c.out.init()
	c.ids = []identity{{"ip", hostOf(nc.RemoteAddr())}}
	c.stats.lastOp = "NA"
	return c
}

// hostOf is the address alone. Whoever is at the other end of a pipe is here.
func hostOf(addr net.Addr) string {
	if ap, err := netip.ParseAddrPort(addr.String()); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	return "127.0.0.1"
}

// linger bounds how long a connection that the server ends may take to accept
// what had been answered before.
const linger = time.Second

// detach takes c out of everything that could send to it. The caller holds
// s.mu and then ends the connection one way or the other.
func (s *Server) detach(c *conn) {
	if c.detached {
		return
	}
	c.detached = true
	close(c.gone)
	s.data.removeConn(c)
	s.child.removeConn(c)
	if c.session != nil {
		c.session.conn = nil
		c.session = nil
	}
}

// finish ends a connection once what its outbox holds is written. The caller
// holds s.mu.
func (s *Server) finish(c *conn) {
	s.detach(c)
	// The writer may be stuck with a client that does not read.
	_ = c.nc.SetWriteDeadline(time.Now().Add(linger))
	c.out.seal()
}

// abort ends a connection at once. The caller holds s.mu.
func (s *Server) abort(c *conn) {
	s.detach(c)
	c.out.kill()
	_ = c.nc.Close()
}

// remove forgets a connection whose writer has ended.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detach(c)
	delete(s.conns, c)
}

// notify tells c of an event. A filtered event is lost without a trace: the
// watch is spent. The caller holds s.mu.
func (s *Server) notify(c *conn, event keeper.EventType, path string) {
	s.counts.Notifications++
	if !c.out.add(notification(event, path), mayDrop) {
		s.log.Warn("connection does not take its notifications", "from", c.remote)
		s.abort(c)
	}
}
