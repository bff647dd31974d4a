package keeper

import (
	"context"
	"reflect"
	"slices"
)

// Admit is the first step of every implementation of Session.Do. It clears all
// results and refuses a call that must not be sent on the session with the given
// id: a context that is nil or done, an invalid request, a guard whose hold is
// over. When it returns an error every request has one and is NotApplied.
func Admit(ctx context.Context, session int64, reqs ...Request) error {
	for _, r := range reqs {
		if !isNil(r) {
			r.Reset()
		}
	}
	for i, r := range reqs {
		if isNil(r) {
			err := &OpError{Op: "do", Err: &InvalidError{What: "request", Why: "is nil"}, Outcome: NotApplied}
			refuse(reqs, i, err)
			return err
		}
	}
	if ctx == nil {
		err := &OpError{Op: "do", Err: &InvalidError{What: "context", Why: "is nil"}, Outcome: NotApplied}
		refuse(reqs, 0, err)
		return err
	}
	if cause := ctx.Err(); cause != nil {
		err := &OpError{Op: "do", Err: cause, Outcome: NotApplied}
		if len(reqs) > 0 {
			err.Op, err.Path = reqs[0].Name(), reqs[0].Target()
		}
		refuse(reqs, 0, err)
		return err
	}
	if i, ok := repeated(reqs); ok {
		err := &OpError{
			Op: reqs[i].Name(), Path: reqs[i].Target(), Outcome: NotApplied,
			Err: &InvalidError{What: "request", Why: "stands twice in one call, but has one result"},
		}
		refuse(reqs, i, err)
		return err
	}
	for i, r := range reqs {
		cause := r.Validate()
		if cause == nil {
			cause = admitGuards(r, session)
		}
		if cause != nil {
			err := &OpError{Op: r.Name(), Path: r.Target(), Err: cause, Outcome: NotApplied}
			refuse(reqs, i, err)
			return err
		}
	}
	return nil
}

// repeated finds a request that stands in the call before.
func repeated(reqs []Request) (int, bool) {
	const few = 8 // up to here looking is faster than a map, and allocates nothing
	if len(reqs) <= few {
		for i := range reqs {
			if slices.Contains(reqs[:i], reqs[i]) {
				return i, true
			}
		}
		return 0, false
	}
	seen := make(map[Request]struct{}, len(reqs))
	for i, r := range reqs {
		if _, twice := seen[r]; twice {
			return i, true
		}
		seen[r] = struct{}{}
	}
	return 0, false
}

// admitGuards asks the guards in a Multi whether their hold is still on.
func admitGuards(r Request, session int64) error {
	m, ok := r.(*Multi)
	if !ok {
		return nil
	}
	for _, op := range m.Ops {
		if c, ok := op.(*Check); ok && c.admit != nil {
			if err := c.admit(session); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuse gives the culprit err and every other request ErrNotSent.
func refuse(reqs []Request, culprit int, err error) {
	for i, r := range reqs {
		if isNil(r) {
			continue
		}
		if i == culprit {
			r.Meta().Err = err
		} else {
			r.Meta().Err = &OpError{Op: r.Name(), Path: r.Target(), Err: ErrNotSent, Outcome: NotApplied}
		}
		if m, ok := r.(*Multi); ok {
			for _, op := range m.Ops {
				if !isNil(op) {
					op.Meta().Err = r.Meta().Err
				}
			}
		}
	}
}

// isNil finds both kinds of nil: that of the interface and that in it.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	rv := reflect.ValueOf(v)
	return rv.Kind() == reflect.Pointer && rv.IsNil()
}
