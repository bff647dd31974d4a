package zkserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ErrServerClosed is returned by a Server after Close.
var ErrServerClosed = errors.New("zkserver: server closed")

// Server is a ZooKeeper server. All methods are safe for concurrent use.
//
// Goroutines: one per listener, one for the clock (sessions that expire, nodes
// that are reaped), and a reader and a writer per connection. Close joins them.
type Server struct {
	opts    Options
	version behaviour
	log     *slog.Logger
	start   time.Time     // the session clock counts from here
	closed  chan struct{} // closed by Close
	poked   chan struct{} // capacity 1: the clock looks again
	wg      sync.WaitGroup

	bytesRead, bytesWritten atomic.Int64

	// mu is the pipeline: a request is checked, applied and answered, and the
	// watches it fires are told, in one critical section. That makes the server
	// linearizable, and puts the notification of a change before every reply that
	// could show it. Nothing blocks on a peer while mu is held. An outbox's own
	// lock comes after mu.
	//
	// mu guards everything below.
	mu        sync.Mutex
	thawed    sync.Cond // the end of a freeze, or of the server
	frozen    bool
	closing   bool
	refusing  bool
	listeners []net.Listener
	conns     map[*conn]struct{}
	nextConn  int64
	zxid      int64 // of the last transaction
	tree      *tree
	sessions  *sessionTable
	data      *watchTable // watches on data and existence
	child     *watchTable // watches on lists of children
	rules     []*rule
	counts    Counts
	history   []Txn
	reaped    time.Duration // session clock at the last look for empty containers
	latency   latency
}

// New makes a server that serves nobody yet: call Listen, Dial or ServeConn. It
// fails on options that make no sense, with an error that is a
// keeper.ErrInvalid. The server must be closed.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	s := &Server{
		opts:     opts,
		version:  versions[opts.Version],
		log:      opts.Logger,
		start:    now,
		closed:   make(chan struct{}),
		poked:    make(chan struct{}, 1),
		conns:    make(map[*conn]struct{}),
		tree:     newTree(),
		sessions: newSessionTable(opts.Tick, now),
		data:     newWatchTable(),
		child:    newWatchTable(),
		counts:   Counts{Requests: make(map[string]int)},
	}
	s.thawed.L = &s.mu
	s.wg.Go(s.clock)
	return s, nil
}

// Listen serves on a TCP address; "127.0.0.1:0" picks a free port. It returns
// the address that was bound, and may be called more than once.
func (s *Server) Listen(addr string) (net.Addr, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		_ = l.Close()
		return nil, ErrServerClosed
	}
	s.listeners = append(s.listeners, l)
	s.wg.Go(func() { s.accept(l) })
	return l.Addr(), nil
}

// pipeAddr is the Addr of a server that listens nowhere. The name does not
// resolve: only Dial leads to the server.
const pipeAddr = "pipe.invalid:2181"

// Addr is the address of the first listener, as host:port. Without a listener
// it is a name to hand to a client that dials with Dial.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) == 0 {
		return pipeAddr
	}
	return s.listeners[0].Addr().String()
}

// Dial connects to the server through an in-memory pipe; it has the signature
// of net.Dialer.DialContext and ignores network and addr. A write on the pipe
// waits until the server reads it.
func (s *Server) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: pipeEnd{}, Err: err}
	}
	near, far := net.Pipe()
	if !s.serve(far) {
		_ = near.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Addr: pipeEnd{}, Err: ErrServerClosed}
	}
	return near, nil
}

// pipeEnd is the address of a pipe.
type pipeEnd struct{}

func (pipeEnd) Network() string { return "pipe" }
func (pipeEnd) String() string  { return pipeAddr }

// ServeConn takes over nc and serves it until it ends; it does not wait for
// that. Once the server is closed it closes nc.
func (s *Server) ServeConn(nc net.Conn) { s.serve(nc) }

// accept runs until the listener is closed.
func (s *Server) accept(l net.Listener) {
	wait := time.Millisecond
	for {
		nc, err := l.Accept()
		if err == nil {
			wait = time.Millisecond
			s.serve(nc)
			continue
		}
		// Too many open files, say: the next one may work.
		if !errors.Is(err, net.ErrClosed) {
			s.log.Warn("accept failed", "addr", l.Addr().String(), "err", err)
		}
		select {
		case <-s.closed:
			return
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		}
	}
}

// serve starts the goroutines of a connection. It reports false when the server
// is closed.
func (s *Server) serve(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		_ = nc.Close()
		return false
	}
	if s.refusing || len(s.conns) >= s.opts.MaxConns {
		s.log.Debug("connection refused", "from", nc.RemoteAddr().String(), "connections", len(s.conns))
		_ = nc.Close()
		return true
	}
	c := newConn(s, nc, s.nextConn)
	s.nextConn++
	s.conns[c] = struct{}{}
	s.counts.Connections++
	c.out.hold(s.frozen)
	s.wg.Go(c.read)
	s.wg.Go(c.write)
	return true
}

// Close ends every connection without a word, as a crash would, and returns
// when all goroutines of the server have ended. Further calls do nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		close(s.closed)
		for _, l := range s.listeners {
			_ = l.Close()
		}
		for c := range s.conns {
			s.abort(c)
		}
		s.thawed.Broadcast()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// now is the session clock.
func (s *Server) now() time.Duration { return time.Since(s.start) }
