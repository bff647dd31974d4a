package recipes

import (
	"context"
	"errors"

	"github.com/conclave-go/conclave/keeper"
)

// entry is the one write that makes a contender's node and lists the line.
type entry struct {
	create keeper.Create
	list   keeper.Children
}

func (e *entry) requests() []keeper.Request { return []keeper.Request{&e.create, &e.list} }

// enter prepares the entry; entered must be given it after the Do.
func (c *contender) enter() *entry {
	c.stay()
	return &entry{
		create: keeper.Create{
			Path: c.path(c.line.names.prefix(c.id)),
			Data: c.data,
			ACL:  c.line.acl,
			Mode: keeper.EphemeralSequential,
		},
		list: keeper.Children{Path: c.line.dir},
	}
}

// entered is the decision table of the create:
//
//	create        list          then
//	ok            ok, own in    decide
//	ok            ok, own out   our node was deleted: create anew
//	ok            lost          list again; do not create
//	no directory  anything      make it, create again
//	other answer  anything      give up
//	unsent        –             create again
//	unknown       anything      find out
//
// It does no I/O, so that an entry sent by one goroutine can be taken in for
// another.
func (c *contender) entered(e *entry) error {
	err := e.create.Err
	switch {
	case err == nil:
		c.node, c.czxid, c.remade = keeper.Base(e.create.Created), e.create.Stat.Czxid, false
		return c.listed(&e.list)
	case errors.Is(err, keeper.ErrNoNode):
		c.step = stepParents
		return nil
	case errors.Is(err, keeper.ErrNodeExists):
		// Only a number given out before can make the name of an id exist: at
		// the end of the sequence servers repeat the last one.
		return &keeper.OpError{Op: "create", Path: e.create.Path, Err: ErrSequenceExhausted, Outcome: keeper.NotApplied}
	case errors.Is(err, keeper.ErrNotSent):
		return nil // kept back by a request in front of it
	case keeper.OutcomeOf(err) == keeper.NotApplied:
		return err // toFront knows which of these pass
	default:
		c.unsure, c.step = true, stepFind
		if keeper.OutcomeOf(err) == keeper.Applied {
			return nil // the answer could not be read: the node is there
		}
		return err
	}
}

// makeParents makes the directory, in one attempt: advance's caller decides about
// another. The second time in a row it waits first: somebody removes it as fast
// as we make it.
func (c *contender) makeParents(ctx context.Context) error {
	err := ensureDir(ctx, c.s, c.line.dir, c.line.acl)
	if errors.Is(err, errVanished) {
		c.slow = true
		return nil
	}
	if err != nil {
		return err
	}
	c.slow, c.remade = c.remade, true
	c.step = stepEnter
	return nil
}

// found looks for the node of a create whose answer was lost, in a list made
// after a sync. If it is not there the create is sent again with the same id:
// a sync is no quorum operation, so the node may still turn up, and decide, which
// sees every later list, must know both for ours.
func (c *contender) found(list *keeper.Children) error {
	if errors.Is(list.Err, keeper.ErrNoNode) {
		c.step = stepParents
		return nil
	}
	if list.Err != nil {
		return list.Err
	}
	for _, name := range list.Names {
		if hasID(name, c.id) {
			return c.decide(list.Names)
		}
	}
	c.step = stepEnter
	return nil
}

// verify asks for the czxid of a node that was found by its id, and whose it
// is: a node of another session is about to vanish, whoever made it.
func (c *contender) verify(ctx context.Context) error {
	look := &keeper.Exists{Path: c.path(c.node)}
	if err := c.s.Do(ctx, look); err != nil {
		return err
	}
	switch {
	case !look.Found:
		c.step = stepLook
	case look.Stat.EphemeralOwner != c.s.ID():
		c.renew()
		c.slow = true
	default:
		c.czxid = look.Stat.Czxid
		c.step = stepProve
	}
	return nil
}
