package gozk

import (
	"errors"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// perform hands job i to go-zookeeper, waits for it as long as that takes, and
// finishes the job. It returns the job's error.
func (s *session) perform(k *call, i int, own keeper.Request) error {
	conn := s.c.zk
	started := time.Now()
	if conn.SessionID() != s.id {
		s.c.wake()
		return k.finish(i, own, fail(own, failure{keeper.ErrSessionExpired, keeper.NotApplied}))
	}
	err, raw := s.run(own)
	if id := conn.SessionID(); id != s.id {
		// go-zookeeper may have run it in the next session.
		s.c.wake()
		left := straysOf(own, raw)
		err = k.finish(i, own, crossed(own, raw))
		s.c.removeStrays(left, id)
		return err
	}
	if byServer(raw) {
		s.answered(started, needsLeader(own) && byLeader(raw))
	}
	if c, ok := own.(*keeper.Create); ok && err == nil {
		return s.finishCreate(k, i, c)
	}
	return k.finish(i, own, err)
}

// needsLeader tells the requests that a server cannot answer by itself.
func needsLeader(r keeper.Request) bool {
	switch r.(type) {
	case *keeper.Create, *keeper.Delete, *keeper.Set, *keeper.SetACL, *keeper.Sync, *keeper.Multi:
		return true
	}
	return false
}

// crossed is the error of a request during which the session changed. An answer
// with a code says that it was not applied, in whichever session.
func crossed(own keeper.Request, raw error) error {
	w := watched(own)
	own.Reset()
	if w != nil {
		w.Close()
	}
	f := failure{keeper.ErrSessionExpired, keeper.Unknown}
	if refused(raw) {
		f.outcome = keeper.NotApplied
	}
	return fail(own, f)
}

// run calls go-zookeeper and fills in the results. It returns the request's
// error and, as raw, what go-zookeeper said.
func (s *session) run(own keeper.Request) (err, raw error) {
	conn := s.c.zk
	switch r := own.(type) {
	case *keeper.Create:
		r.Created, raw = s.create(r)
		if raw == nil && !strings.HasPrefix(r.Created, r.Path) {
			r.Created = ""
			return failure{keeper.ErrUndecodable, keeper.Applied}.opError(r), nil
		}
	case *keeper.Delete:
		raw = conn.Delete(r.Path, r.Version)
	case *keeper.Get:
		raw = s.watches.read(r.Watch, readGet, r.Path, &reader{
			plain: func() (bool, *zk.Stat, error) {
				data, stat, err := conn.Get(r.Path)
				if err == nil {
					r.Data = data
				}
				return true, stat, err
			},
			arm: func() (bool, *zk.Stat, <-chan zk.Event, error) {
				data, stat, fired, err := conn.GetW(r.Path)
				r.Data = data
				return true, stat, fired, err
			},
			stat: &r.Stat, watch: &r.Watched,
		})
	case *keeper.Set:
		var stat *zk.Stat
		if stat, raw = conn.Set(r.Path, r.Data, r.Version); raw == nil {
			r.Stat = fromStat(stat)
		}
	case *keeper.Exists:
		raw = s.watches.read(r.Watch, readExists, r.Path, &reader{
			plain: func() (bool, *zk.Stat, error) { return conn.Exists(r.Path) },
			arm:   func() (bool, *zk.Stat, <-chan zk.Event, error) { return conn.ExistsW(r.Path) },
			found: &r.Found, stat: &r.Stat, watch: &r.Watched,
		})
	case *keeper.Children:
		raw = s.watches.read(r.Watch, readChildren, r.Path, &reader{
			plain: func() (bool, *zk.Stat, error) {
				names, stat, err := conn.Children(r.Path)
				if err == nil {
					r.Names = names
				}
				return true, stat, err
			},
			arm: func() (bool, *zk.Stat, <-chan zk.Event, error) {
				names, stat, fired, err := conn.ChildrenW(r.Path)
				r.Names = names
				return true, stat, fired, err
			},
			stat: &r.Stat, watch: &r.Watched,
		})
	case *keeper.GetACL:
		acl, stat, err := conn.GetACL(r.Path)
		if raw = err; raw == nil {
			r.ACL, r.Stat = fromACL(acl), fromStat(stat)
		}
	case *keeper.SetACL:
		var stat *zk.Stat
		if stat, raw = conn.SetACL(r.Path, s.c.toACL(r.ACL), r.Version); raw == nil {
			r.Stat = fromStat(stat)
		}
	case *keeper.Sync:
		_, raw = conn.Sync(r.Path)
	case *keeper.Multi:
		return s.multi(r)
	}
	if raw != nil {
		return translate(raw).opError(own), raw
	}
	return nil, nil
}

func (s *session) create(r *keeper.Create) (string, error) {
	conn, acl, flags := s.c.zk, s.c.toACL(r.ACL), int32(r.Mode)
	switch {
	case r.Mode == keeper.Container:
		return conn.CreateContainer(r.Path, r.Data, flags, acl)
	case r.Mode.HasTTL():
		return conn.CreateTTL(r.Path, r.Data, flags, acl, r.TTL)
	default:
		return conn.Create(r.Path, r.Data, flags, acl)
	}
}

// finishCreate reads the Stat of a node that was made. While the session lives
// and the Do waits it tries again after a loss of the connection. If the Stat
// cannot be had the request fails with an error whose Outcome is Applied, and
// Created is filled in.
func (s *session) finishCreate(k *call, i int, r *keeper.Create) error {
	failed := func(cause error) error {
		return k.finish(i, r, failure{cause, keeper.Applied}.opError(r))
	}
	if !k.advanceCreated(i, r.Created) {
		return nil // the Do has given up; the outcome it saw is Unknown
	}
	for {
		if cause := s.c.awaitLink(s, k.gone); cause != nil {
			return failed(cause)
		}
		started := time.Now()
		found, stat, raw := s.c.zk.Exists(r.Created)
		switch {
		case s.c.zk.SessionID() != s.id:
			s.c.wake()
			return failed(keeper.ErrSessionExpired)
		case raw == nil && (!found || r.Mode.IsEphemeral() && stat.EphemeralOwner != s.id):
			s.answered(started, false)
			return failed(errGone)
		case raw == nil:
			s.answered(started, false)
			r.Stat = fromStat(stat)
			return k.finish(i, r, nil)
		case byServer(raw), errors.Is(raw, zk.ErrClosing):
			return failed(translate(raw).cause)
		}
		if !s.c.sleep(k.gone, s.done) {
			return failed(errAbandoned) // or over: the Do knows
		}
	}
}
