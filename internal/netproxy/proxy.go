package netproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/conclave-go/conclave/internal/proto"
)

// Direction is one way through the proxy, or both.
type Direction uint8

// The ways bytes take.
const (
	ToServer Direction = 1 << iota
	ToClient
	BothWays = ToServer | ToClient
)

// Proxy forwards TCP connections to one target. Its faults hit all connections
// alike. All methods are safe for concurrent use.
type Proxy struct {
	target   string
	listener net.Listener
	work     sync.WaitGroup // the accepting goroutine and those of all links

	mu       sync.Mutex // guards all below
	links    map[*link]struct{}
	closed   bool
	accepted int
	refuse   bool
	held     Direction
	freed    chan struct{} // closed and replaced when held shrinks
	fault    *fault        // what happens to the server's answers, nil for nothing
}

// New starts a proxy to target on a loopback port. Close ends it.
func New(target string) (*Proxy, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy to %s: %w", target, err)
	}
	p := &Proxy{target: target, listener: l, links: make(map[*link]struct{}), freed: make(chan struct{})}
	p.work.Add(1)
	go p.accept()
	return p, nil
}

// Start is New for the length of a test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close cuts everything and returns when every goroutine of the proxy is done.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.cutLocked()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.work.Wait()
}

// Cut resets all connections, on both sides. New ones are welcome. It returns
// how many there were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cutLocked()
}

func (p *Proxy) cutLocked() int {
	n := len(p.links)
	for l := range p.links {
		l.reset()
	}
	clear(p.links)
	return n
}

// Refuse makes the proxy reset every new connection, until it is called with
// false. Those that exist go on.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Hold keeps back what goes in the given direction, the end of the connection
// included, like a network that loses packets: nobody is told. It adds to what
// is held already. New connections are accepted.
func (p *Proxy) Hold(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held |= d
}

// Resume delivers what was held, in order, and holds nothing more.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = 0
	close(p.freed)
	p.freed = make(chan struct{})
}

// LoseReplies swallows what the server sends from now on and cuts everything as
// soon as n replies have been swallowed: the server has acted on n requests
// whose clients will never hear of it. With ops only the replies to requests of
// these kinds are counted: a client sends others by itself, to keep its session
// or to prove it. The channel is closed after the cut; then the proxy is as
// before. It replaces an earlier LoseReplies or CutAfter that has not come to
// its end, whose channel stays open.
func (p *Proxy) LoseReplies(n int, ops ...proto.OpCode) <-chan struct{} {
	return p.plan(&fault{swallow: true, replies: n, ops: ops})
}

// CutAfter lets n more bytes of what the server sends pass and then cuts
// everything, in the middle of a frame perhaps. Otherwise it is as LoseReplies.
func (p *Proxy) CutAfter(n int) <-chan struct{} {
	return p.plan(&fault{bytes: n})
}

func (p *Proxy) plan(f *fault) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.done = make(chan struct{})
	p.fault = f
	return f.done
}

// Accepted is the number of connections that were accepted so far, refused ones
// included.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

func (p *Proxy) accept() {
	defer p.work.Done()
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of the one connection: gone before it was accepted
		}
		p.admit(conn)
	}
}

func (p *Proxy) admit(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted++
	if p.refuse || p.closed {
		reset(conn)
		return
	}
	l := newLink(p, conn)
	p.links[l] = struct{}{}
	p.work.Add(1)
	go l.run()
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}
