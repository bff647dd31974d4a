package recipes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// fakeEnsemble is a tree of nodes in memory, for tests that want to say exactly
// what happens to which request. The real protocol is tested where the recipes are.
type fakeEnsemble struct {
	mu       sync.Mutex
	zxid     int64
	sessions int64
	nodes    map[string]*fakeNode
	watches  map[string][]fakeWatch // by path; any kind
}

type fakeWatch struct {
	*keeper.Watch
	s *fakeSession
}

type fakeNode struct {
	stat    keeper.Stat
	data    []byte
	acl     []keeper.ACL
	mode    keeper.Mode
	created int32 // children ever made
}

func newFakeEnsemble() *fakeEnsemble {
	return &fakeEnsemble{
		nodes:   map[string]*fakeNode{"/": {}},
		watches: map[string][]fakeWatch{},
	}
}

// fakeSession is a keeper.Session over the ensemble. Fields before the mutexes
// are set before use.
type fakeSession struct {
	e       *fakeEnsemble
	id      int64
	timeout time.Duration
	hang    bool   // Do waits for ctx, as without a connection
	atLapse func() // runs under mu when an AfterLapse is registered

	done, closing chan struct{}
	work          sync.WaitGroup
	stopWork      context.CancelFunc
	workCtx       context.Context //nolint:containedctx // that of Go's work

	faults sync.Mutex
	before func(r keeper.Request) (apply bool, err error) // guarded by faults; see on

	mu       sync.Mutex
	err      error
	valid    time.Time
	unproved bool // ValidUntil stands still
	lapses   []func(error)
	sent     []string // what was sent, "create /a"
}

func (e *fakeEnsemble) session() *fakeSession {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions++
	s := &fakeSession{
		e: e, id: e.sessions, timeout: 10 * time.Second, valid: time.Now().Add(9500 * time.Millisecond),
		done: make(chan struct{}), closing: make(chan struct{}),
	}
	s.workCtx, s.stopWork = context.WithCancel(context.Background())
	return s
}

// Session makes one session a Conn that has no other.
func (s *fakeSession) Session(ctx context.Context) (keeper.Session, error) {
	if closed(s.closing) {
		return nil, keeper.ErrClosed
	}
	return s, ctx.Err()
}

// on installs what may answer a request in the server's stead: by an error the
// request then has, applied or not.
func (s *fakeSession) on(before func(r keeper.Request) (apply bool, err error)) {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.before = before
}

func (s *fakeSession) fault(r keeper.Request) (apply bool, err error) {
	s.faults.Lock()
	defer s.faults.Unlock()
	if s.before == nil {
		return true, nil
	}
	return s.before(r)
}

func (s *fakeSession) ID() int64                    { return s.id }
func (s *fakeSession) Timeout() time.Duration       { return s.timeout }
func (s *fakeSession) Done() <-chan struct{}        { return s.done }
func (s *fakeSession) Closing() <-chan struct{}     { return s.closing }
func (s *fakeSession) Supports(keeper.Feature) bool { return true }

func (s *fakeSession) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *fakeSession) ValidUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.unproved && s.err == nil && slices.ContainsFunc(s.lapses, func(f func(error)) bool { return f != nil }) {
		s.prove() // by the heartbeat
	}
	return s.valid
}

// prove moves valid on; mu is held.
func (s *fakeSession) prove() { s.valid = time.Now().Add(s.timeout * 19 / 20) }

func (s *fakeSession) AfterLapse(f func(error)) func() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.atLapse != nil {
		s.atLapse()
	}
	i := len(s.lapses)
	s.lapses = append(s.lapses, f)
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		was := s.lapses[i] != nil
		s.lapses[i] = nil
		return was
	}
}

func (s *fakeSession) Go(f func(context.Context)) error {
	if s.Err() != nil {
		return keeper.ErrClosed
	}
	s.work.Go(func() { f(s.workCtx) })
	return nil
}

// end is the end of the session: its nodes go, its holders hear.
func (s *fakeSession) end(cause error) {
	s.mu.Lock()
	s.err = cause
	lapses := slices.Clone(s.lapses)
	clear(s.lapses)
	s.mu.Unlock()
	close(s.done)
	s.stopWork()
	for _, f := range lapses {
		if f != nil {
			s.work.Go(func() { f(cause) })
		}
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	for path, watches := range s.e.watches {
		for _, w := range watches {
			if w.s == s {
				w.Fire(keeper.Event{Type: keeper.EventSession, Path: path, Err: cause})
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(s.e.nodes)) {
		if s.e.nodes[path].stat.EphemeralOwner == s.id {
			s.e.remove(path)
		}
	}
}

func (s *fakeSession) Do(ctx context.Context, reqs ...keeper.Request) error {
	if err := keeper.Admit(ctx, s.id, reqs...); err != nil {
		return err
	}
	if s.hang {
		<-ctx.Done()
		for _, r := range reqs {
			r.Meta().Err = &keeper.OpError{Op: r.Name(), Path: r.Target(), Err: ctx.Err(), Outcome: keeper.NotApplied}
		}
		return reqs[0].Meta().Err
	}
	var first error
	for _, r := range reqs {
		apply, err := s.fault(r)
		if cause := s.Err(); cause != nil {
			apply, err = false, &keeper.OpError{Op: r.Name(), Path: r.Target(), Err: cause, Outcome: keeper.NotApplied}
		}
		s.mu.Lock()
		s.sent = append(s.sent, r.Name())
		if !s.unproved {
			s.prove()
		}
		s.mu.Unlock()
		if apply {
			s.e.mu.Lock()
			if code := s.e.apply(s, r); code != keeper.OK && err == nil {
				err = &keeper.OpError{Op: r.Name(), Path: r.Target(), Err: code}
			}
			s.e.mu.Unlock()
		}
		if r.Meta().Err = err; first == nil {
			first = err
		}
	}
	return first
}

// takeSent returns what was sent since the last call.
func (s *fakeSession) takeSent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

// apply executes one request. e.mu is held here and below.
func (e *fakeEnsemble) apply(s *fakeSession, r keeper.Request) keeper.Code {
	switch r := r.(type) {
	case *keeper.Create:
		return e.create(s, r)
	case *keeper.Delete:
		return e.delete(r)
	case *keeper.Exists:
		if n := e.nodes[r.Path]; n != nil {
			r.Found, r.Stat = true, n.stat
		}
		r.Watched = e.watch(s, r.Watch, r.Path)
	case *keeper.Get:
		n := e.nodes[r.Path]
		if n == nil {
			return keeper.ErrNoNode
		}
		r.Data, r.Stat, r.Watched = n.data, n.stat, e.watch(s, r.Watch, r.Path)
	case *keeper.Children:
		if e.nodes[r.Path] == nil {
			return keeper.ErrNoNode
		}
		r.Names = e.children(r.Path)
	case *keeper.Multi:
		return e.multi(r)
	case *keeper.Sync:
	default:
		return keeper.ErrUnimplemented
	}
	return keeper.OK
}

func (e *fakeEnsemble) create(s *fakeSession, r *keeper.Create) keeper.Code {
	parent := e.nodes[keeper.Parent(r.Path)]
	if parent == nil {
		return keeper.ErrNoNode
	}
	r.Created = r.Path
	if r.Mode.IsSequential() {
		r.Created += fmt.Sprintf("%010d", parent.created)
	}
	if e.nodes[r.Created] != nil {
		return keeper.ErrNodeExists
	}
	parent.created++
	e.zxid++
	n := &fakeNode{data: r.Data, acl: r.ACL, mode: r.Mode, stat: keeper.Stat{Czxid: e.zxid, Mzxid: e.zxid}}
	if r.Mode.IsEphemeral() {
		n.stat.EphemeralOwner = s.id
	}
	e.nodes[r.Created] = n
	r.Stat = n.stat
	e.fire(r.Created, keeper.EventCreated)
	return keeper.OK
}

func (e *fakeEnsemble) delete(r *keeper.Delete) keeper.Code {
	if e.nodes[r.Path] == nil {
		return keeper.ErrNoNode
	}
	if len(e.children(r.Path)) > 0 {
		return keeper.ErrNotEmpty
	}
	e.remove(r.Path)
	return keeper.OK
}

func (e *fakeEnsemble) multi(r *keeper.Multi) keeper.Code {
	for i, op := range r.Ops {
		if e.nodes[op.Target()] == nil {
			for _, other := range r.Ops {
				other.Meta().Err = keeper.ErrRuntimeInconsistency
			}
			r.Ops[i].Meta().Err = keeper.ErrNoNode
			return keeper.ErrNoNode
		}
	}
	for _, op := range r.Ops {
		if set, ok := op.(*keeper.Set); ok {
			e.nodes[set.Path].data = set.Data
		}
	}
	return keeper.OK
}

func (e *fakeEnsemble) children(dir string) []string {
	var names []string
	for path := range e.nodes {
		if path != "/" && keeper.Parent(path) == dir {
			names = append(names, keeper.Base(path))
		}
	}
	return names
}

func (e *fakeEnsemble) watch(s *fakeSession, wanted bool, path string) *keeper.Watch {
	if !wanted {
		return nil
	}
	w := keeper.NewWatch(nil, path, keeper.WatchData)
	e.watches[path] = append(e.watches[path], fakeWatch{w, s})
	return w
}

func (e *fakeEnsemble) fire(path string, what keeper.EventType) {
	for _, w := range e.watches[path] {
		w.Fire(keeper.Event{Type: what, Path: path})
	}
	delete(e.watches, path)
}

func (e *fakeEnsemble) remove(path string) {
	e.zxid++
	delete(e.nodes, path)
	e.fire(path, keeper.EventDeleted)
}

// list is a look at the tree from outside.
func (e *fakeEnsemble) list(dir string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := e.children(dir)
	slices.Sort(names)
	return names
}
