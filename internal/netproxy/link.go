package netproxy

import (
	"context"
	"net"
	"sync"

	"github.com/conclave-go/conclave/internal/proto"
)

// link is one connection through the proxy.
type link struct {
	proxy  *Proxy
	client net.Conn

	requests frames                 // guarded by proxy.mu
	replies  frames                 // guarded by proxy.mu
	asked    map[int32]proto.OpCode // guarded by proxy.mu: requests not yet answered

	ctx    context.Context //nolint:containedctx // the link's life: its dial ends with it
	cancel context.CancelFunc

	mu     sync.Mutex
	server net.Conn // guarded by mu; nil until dialled
}

func newLink(p *Proxy, client net.Conn) *link {
	l := &link{
		proxy: p, client: client, asked: make(map[int32]proto.OpCode),
		requests: frames{head: make([]byte, 12)}, // and the opcode
		replies:  frames{head: make([]byte, 8)},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// run dials the server and copies in both directions until both have ended.
func (l *link) run() {
	defer l.proxy.work.Done()
	defer l.proxy.forget(l)
	defer l.cancel()
	server, err := new(net.Dialer).DialContext(l.ctx, "tcp", l.proxy.target)
	if err != nil {
		l.reset()
		return
	}
	if !l.attach(server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.copy(server, l.client, ToServer) })
	both.Go(func() { l.copy(l.client, server, ToClient) })
	both.Wait()
	_ = l.client.Close()
	_ = server.Close()
}

func (l *link) attach(server net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		reset(server)
		return false
	}
	l.server = server
	return true
}

// reset ends the link with a TCP reset on both sides.
func (l *link) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	reset(l.client)
	if l.server != nil {
		reset(l.server)
	}
}

// copy forwards one direction, and its end: the other direction goes on.
func (l *link) copy(to, from net.Conn, d Direction) {
	const chunk = 32 << 10
	buf := make([]byte, chunk)
	for {
		n, err := from.Read(buf)
		if !l.wait(d) {
			return
		}
		pass, due := buf[:n], (*fault)(nil)
		if d == ToClient {
			pass, due = l.proxy.damage(l, pass)
		} else {
			l.proxy.note(l, pass)
		}
		if _, werr := to.Write(pass); err == nil {
			err = werr
		}
		if due != nil {
			l.proxy.Cut()
			close(due.done)
			return
		}
		if err != nil {
			if tcp, ok := to.(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
			return
		}
	}
}

// wait returns when the direction is open, with false if the link has ended.
func (l *link) wait(d Direction) bool {
	for {
		l.proxy.mu.Lock()
		held, freed := l.proxy.held&d != 0, l.proxy.freed
		l.proxy.mu.Unlock()
		if !held {
			return l.ctx.Err() == nil
		}
		select {
		case <-l.ctx.Done():
			return false
		case <-freed:
		}
	}
}

// reset closes a connection so that its peer gets an error and not the end of
// the stream.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
