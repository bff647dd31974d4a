package recipes

import (
	"context"
	"errors"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// remove ends a contender that is not needed any more and sees to it that
// nothing of it stays behind. It returns at once.
func (c *contender) remove() {
	c.sweep()
	c.settle()
}

// sweep removes what nodes the contender's id has, in the background.
func (c *contender) sweep() {
	switch {
	case c.node != "" && !c.unsure:
		c.line.removeLater(c.s, c.node)
	case c.unsure:
		id := c.id
		c.line.later(c.s, func(ctx context.Context) error { return c.line.removeByID(ctx, c.s, id) })
	}
}

// settle ends a contender that has no node.
func (c *contender) settle() {
	if c.gone != nil {
		close(c.gone)
		c.gone = nil
	}
}

// removeLater removes the node called name in the background.
func (l *Line) removeLater(s keeper.Session, name string) {
	l.later(s, func(ctx context.Context) error { return l.removeNodes(ctx, s, name) })
}

// later runs do in the session's Go until it succeeds or the session has ended.
// Whatever do fails with is tried again: a connection that is lost comes back,
// and a refusal is the best reason to go on, as a node that stays blocks others.
// Somebody has to hear of it, though: of the first one, as the rest say the same.
func (l *Line) later(s keeper.Session, do func(ctx context.Context) error) {
	again := l.retry
	again.Attempts = 0
	warned := false
	again.If = func(err error) bool {
		if keeper.IsAPIError(err) && !retry.Idempotent(err) && !warned {
			warned = true
			l.log.Warn("the server refuses to remove a node, which keeps others out", "dir", l.dir, "error", err)
		}
		return s.Err() == nil
	}
	// Go fails only when the session is over, and its nodes with it.
	_ = s.Go(func(ctx context.Context) {
		if err := retry.Do(ctx, again, do); err != nil && s.Err() == nil {
			l.log.Warn("a node may stay until its session ends", "dir", l.dir, "error", err)
		}
	})
}

// removeByID removes every node whose name holds id. The delete of a name that
// never existed is a write: its refusal has gone through the quorum, so the list
// behind it shows every create of this session, which a sync would not promise.
func (l *Line) removeByID(ctx context.Context, s keeper.Session, id string) error {
	barrier := &keeper.Delete{Path: keeper.Join(l.dir, idPrefix(id)+"none"), Version: keeper.AnyVersion}
	list := &keeper.Children{Path: l.dir}
	err := s.Do(ctx, barrier, list)
	switch {
	case barrier.Err != nil && !errors.Is(barrier.Err, keeper.ErrNoNode) && !errors.Is(barrier.Err, keeper.ErrNoAuth):
		return err // it has not gone through the quorum, so the list says nothing
	case errors.Is(list.Err, keeper.ErrNoNode):
		return nil
	case list.Err != nil:
		return list.Err
	}
	var own []string
	for _, name := range list.Names {
		if hasID(name, id) {
			own = append(own, name)
		}
	}
	return l.removeNodes(ctx, s, own...)
}

// removeNodes deletes nodes with unique names: that one is gone is success, and
// doing it twice harmless.
func (l *Line) removeNodes(ctx context.Context, s keeper.Session, names ...string) error {
	deletes := make([]keeper.Request, len(names))
	for i, name := range names {
		deletes[i] = &keeper.Delete{Path: keeper.Join(l.dir, name), Version: keeper.AnyVersion}
	}
	_ = s.Do(ctx, deletes...)
	for _, r := range deletes {
		if err := r.Meta().Err; err != nil && !errors.Is(err, keeper.ErrNoNode) {
			return err
		}
	}
	return nil
}
