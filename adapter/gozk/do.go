package gozk

import (
	"context"
	"sync"

	"github.com/conclave-go/conclave/keeper"
)

// call is one Do. Its worker runs the requests on private copies, one after the
// other, and goes on after the Do has given up, until go-zookeeper returns.
type call struct {
	s    *session
	done chan struct{} // closed when the worker is through
	gone chan struct{} // closed when the Do has given up

	mu   sync.Mutex
	over bool  // guarded by mu: gone is closed
	jobs []job // stage is guarded by mu; own belongs to the worker until answered
}

// job is one request of a call.
type job struct {
	request keeper.Request // the caller's; only Do touches it
	own     keeper.Request // private copy
	hand    func()         // copies the results from own to request
	created string         // guarded by mu: path, in stage created
	stage   stage
}

// stage is how far a request has come.
type stage uint8

const (
	waiting  stage = iota // not handed to go-zookeeper, and if the Do gives up now it never will
	handed                // go-zookeeper has it
	created               // a Create that was applied and whose path is known, but not its Stat
	answered              // its results are in own
)

// Do runs the requests in order, one round trip each; a Create takes two,
// because go-zookeeper's create tells no Stat. A request that a server refused
// does not keep the next ones from being sent; a failure of the connection does.
func (s *session) Do(ctx context.Context, reqs ...keeper.Request) error {
	if err := keeper.Admit(ctx, s.id, reqs...); err != nil {
		return err
	}
	if len(reqs) == 0 {
		return nil
	}
	if cause := s.Err(); cause != nil {
		return failAll(reqs, cause)
	}
	k := &call{s: s, done: make(chan struct{}), gone: make(chan struct{}), jobs: make([]job, len(reqs))}
	for i, r := range reqs {
		if cause := s.c.refuse(r); cause != nil {
			return failOne(reqs, i, cause)
		}
		own, hand := private(r)
		k.jobs[i] = job{request: r, own: own, hand: hand}
	}
	s.inside.add()
	s.c.all.run(func() { //nolint:contextcheck // the worker goes on when ctx has ended
		defer func() {
			s.inside.done()
			if s.Err() != nil {
				s.c.wake() // the next session may wait for this
			}
		}()
		k.work()
	})

	var cause error
	select {
	case <-k.done:
	case <-ctx.Done():
		cause = ctx.Err()
	case <-s.done:
		cause = s.Err()
	}
	return k.settle(cause)
}

// work runs the jobs until one fails for a reason that will fail the next ones.
func (k *call) work() {
	defer close(k.done)
	for i := range k.jobs {
		own := k.jobs[i].own
		if cause := k.s.c.awaitLink(k.s, k.gone); cause != nil {
			// A Do that gave up does not ask for this.
			_ = k.finish(i, own, fail(own, failure{cause, keeper.NotApplied}))
			return
		}
		if !k.advance(i, handed) {
			return
		}
		if err := k.s.perform(k, i, own); keeper.IsConnectionError(err) {
			return
		}
	}
}

// advance moves job i to a stage, unless the Do has given up.
func (k *call) advance(i int, to stage) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return false
	}
	k.jobs[i].stage = to
	return true
}

// advanceCreated is advance for a Create that was applied. Its path is kept
// apart, because own is the worker's until the Stat is in it.
func (k *call) advanceCreated(i int, path string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return false
	}
	k.jobs[i].stage, k.jobs[i].created = created, path
	return true
}

// finish gives job i its error, or nil, and hands it over. A watch that nobody
// will ever see is closed.
func (k *call) finish(i int, own keeper.Request, err error) error {
	w := watched(own)
	k.mu.Lock()
	over := k.over
	if !over {
		own.Meta().Err = err
		k.jobs[i].stage = answered
	}
	k.mu.Unlock()
	if over && w != nil {
		w.Close()
	}
	return err
}

// settle fills the caller's requests and returns the first error. cause is why
// the Do gives up, or nil if the worker is through.
func (k *call) settle(cause error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	close(k.gone)
	var first error
	for i := range k.jobs {
		j := &k.jobs[i]
		var err error
		switch {
		case j.stage == answered:
			j.hand()
			err = j.request.Meta().Err
		case j.stage == created:
			if c, ok := j.request.(*keeper.Create); ok {
				c.Created = j.created
			}
			err = fail(j.request, failure{cause, keeper.Applied})
		case j.stage == handed:
			err = fail(j.request, failure{cause, keeper.Unknown})
		case cause != nil:
			err = fail(j.request, failure{cause, keeper.NotApplied})
		default:
			err = fail(j.request, failure{keeper.ErrNotSent, keeper.NotApplied})
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// fail gives a request, and the ops in it, the same failure, and returns it.
func fail(r keeper.Request, f failure) error {
	err := f.opError(r)
	r.Meta().Err = err
	if m, ok := r.(*keeper.Multi); ok {
		for _, op := range m.Ops {
			op.Meta().Err = err
		}
	}
	return err
}

// failAll refuses a whole call.
func failAll(reqs []keeper.Request, cause error) error {
	for _, r := range reqs {
		_ = fail(r, failure{cause, keeper.NotApplied})
	}
	return reqs[0].Meta().Err
}

// failOne refuses a whole call for the fault of one request.
func failOne(reqs []keeper.Request, culprit int, cause error) error {
	for i, r := range reqs {
		if i != culprit {
			_ = fail(r, failure{keeper.ErrNotSent, keeper.NotApplied})
		}
	}
	return fail(reqs[culprit], failure{cause, keeper.NotApplied})
}
