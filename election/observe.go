package election

import (
	"bytes"
	"context"
	"errors"
	"iter"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// ErrNoLeader says that there is no candidate.
var ErrNoLeader = errors.New("nobody leads")

// Leader says who leads: the first candidate in line. It may not have heard of
// its election yet, and it may be dead until its session expires.
type Leader struct {
	Value []byte // what it campaigned with, or last proclaimed
	Token int64  // its fencing token; 0 for nobody
}

// Nobody tells whether there is no leader.
func (l Leader) Nobody() bool { return l.Token == 0 }

func (l Leader) equal(other Leader) bool {
	return l.Token == other.Token && bytes.Equal(l.Value, other.Value)
}

// Leader returns who leads, no older than the call, or ErrNoLeader. It rides out
// lost connections and sessions until ctx ends.
func (e *Election) Leader(ctx context.Context) (Leader, error) {
	if ctx == nil {
		return Leader{}, nilContext()
	}
	again := e.retry
	again.If = passes
	var leader Leader
	err := retry.Do(ctx, again, func(ctx context.Context) error {
		s, err := e.conn.Session(ctx)
		if err != nil {
			return err
		}
		list, err := e.listNow(ctx, s)
		if err != nil {
			return err
		}
		leader, _, err = e.read(ctx, s, list, false)
		return err
	})
	if err == nil && leader.Nobody() {
		err = ErrNoLeader
	}
	return leader, err
}

// listNow lists the candidates no older than the call: a sync in front brings the
// server up to now. Whoever leaves after it makes read look again.
func (e *Election) listNow(ctx context.Context, s keeper.Session) (*keeper.Children, error) {
	sync, list := &keeper.Sync{Path: e.dir}, &keeper.Children{Path: e.dir}
	err := s.Do(ctx, sync, list)
	if sync.Err == nil && errors.Is(list.Err, keeper.ErrNoNode) {
		return list, nil // no directory, no candidates
	}
	return list, err
}

// passes tells failures after which another look makes sense, if need be in the
// next session.
func passes(err error) bool {
	return retry.Idempotent(err) || errors.Is(err, keeper.ErrSessionExpired)
}

// Observe yields who leads, now and after every change: another leader, another
// value, or nobody. Changes that follow one another quickly may be seen as one; the
// last one is always seen. It goes on across lost connections and sessions, and is
// silent while it can know nothing.
//
// It ends when the loop does, or with an error as its last element: that of ctx,
// keeper.ErrClosed, or what a server refused.
func (e *Election) Observe(ctx context.Context) iter.Seq2[Leader, error] {
	return func(yield func(Leader, error) bool) {
		if ctx == nil {
			yield(Leader{}, nilContext())
			return
		}
		last, first := Leader{}, true
		changed := func(l Leader) bool {
			if !first && l.equal(last) {
				return true
			}
			last, first = l, false
			return yield(l, nil)
		}
		for delays := e.retry.Delays(); ; {
			err := e.follow(ctx, delays, changed)
			if err == nil {
				return
			}
			if passes(err) {
				if err = delays.Wait(ctx); err == nil {
					continue
				}
			}
			yield(Leader{}, err)
			return
		}
	}
}

// follow reports every state of the election in one session. It returns nil when
// report does not want more, else the error that ended it.
func (e *Election) follow(ctx context.Context, delays *retry.Delays, report func(Leader) bool) error {
	s, err := e.conn.Session(ctx)
	if err != nil {
		return err
	}
	// A new session may begin on a server that lags behind what the last one has
	// shown. Within a session no server does.
	list, err := e.listNow(ctx, s)
	for ; err == nil; list, err = e.list(ctx, s) {
		leader, watch, err := e.read(ctx, s, list, true)
		if err != nil {
			return err
		}
		delays.Reset()
		if !show(leader, watch, report) {
			return nil
		}
		if err := await(ctx, s, watch, delays); err != nil {
			return err
		}
	}
	return err
}

// show reports a state. A loop body that goes no further, also by a panic, leaves
// no watch.
func show(leader Leader, watch *keeper.Watch, report func(Leader) bool) (more bool) {
	defer func() {
		if !more {
			watch.Close()
		}
	}()
	return report(leader)
}

// list lists the candidates as the session's server knows them.
func (e *Election) list(ctx context.Context, s keeper.Session) (*keeper.Children, error) {
	list := &keeper.Children{Path: e.dir}
	err := s.Do(ctx, list)
	if errors.Is(err, keeper.ErrNoNode) {
		err = nil // no directory, no candidates
	}
	return list, err
}

// await waits for the watch, and closes it. A watch that was lost in a session
// that lives asks for another look, like one that fired, but not at once.
func await(ctx context.Context, s keeper.Session, watch *keeper.Watch, delays *retry.Delays) error {
	defer watch.Close()
	select {
	case ev := <-watch.C():
		if ev.Err == nil {
			return nil
		}
		if err := s.Err(); err != nil {
			return err
		}
		return delays.Wait(ctx)
	case <-ctx.Done():
		return ctx.Err()
	case <-s.Closing():
		return keeper.ErrClosed
	}
}

// read turns a list of the candidates into who leads, and, if asked, a watch on
// whatever must change before somebody else does: the leader's node, or, with
// nobody there, the directory.
func (e *Election) read(ctx context.Context, s keeper.Session, list *keeper.Children, watch bool) (Leader, *keeper.Watch, error) {
	for {
		candidates, _ := e.names.Sort(list.Names)
		if len(candidates) > 0 {
			get := &keeper.Get{Path: keeper.Join(e.dir, candidates[0].Name), Watch: watch}
			err := s.Do(ctx, get)
			if err == nil {
				return Leader{get.Data, get.Stat.Czxid}, get.Watched, nil
			}
			if !errors.Is(err, keeper.ErrNoNode) {
				return Leader{}, nil, err
			}
			// It has just left.
			*list = keeper.Children{Path: e.dir}
			if err := s.Do(ctx, list); err != nil && !errors.Is(err, keeper.ErrNoNode) {
				return Leader{}, nil, err
			}
			continue
		}
		if !watch {
			return Leader{}, nil, nil
		}
		watched, err := e.watchEmpty(ctx, s, list)
		if watched != nil || err != nil {
			return Leader{}, watched, err
		}
	}
}

// watchEmpty watches the directory for its first candidate, or, while it does not
// exist, for itself. Without a watch or an error, list shows who came meanwhile.
func (e *Election) watchEmpty(ctx context.Context, s keeper.Session, list *keeper.Children) (*keeper.Watch, error) {
	*list = keeper.Children{Path: e.dir, Watch: true}
	err := s.Do(ctx, list)
	if err == nil {
		if candidates, _ := e.names.Sort(list.Names); len(candidates) == 0 {
			return list.Watched, nil
		}
		list.Watched.Close()
		return nil, nil
	}
	if !errors.Is(err, keeper.ErrNoNode) {
		return nil, err
	}
	look := &keeper.Exists{Path: e.dir, Watch: true}
	if err := s.Do(ctx, look); err != nil {
		return nil, err
	}
	if !look.Found {
		return look.Watched, nil
	}
	look.Watched.Close()
	return nil, nil // list is empty; another look at the directory
}

func nilContext() error { return &keeper.InvalidError{What: "context", Why: "is nil"} }
