package recipes

import (
	"context"
	"errors"
	"time"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// contender is one place in a line: one ephemeral node, in one session. It is
// a state machine: each step is at most one Do, or the few that make the
// directory, and after each Do a context may end, so that nothing depends on one
// being followed by another.
//
// Whoever has the line's turn owns every field. A contender passes from
// goroutine to goroutine with the turn.
type contender struct {
	line *Line
	s    keeper.Session
	data []byte // of the node
	id   string // in the node's name; see Names
	step step

	node  string // own node's name; "" while it is not known to exist
	czxid int64  // of node; 0 until known
	ahead string // name of the node to wait for, in stepWait

	unsure bool // creates of this id may have been applied that we know nothing of
	remade bool // the directory was made since the last create
	slow   bool // the next step waits first: somebody undoes what we do

	// Both are made by stay. gone is closed when the contender ends without a
	// hold, granted brings the hold it became.
	gone    chan struct{}
	granted chan *Hold
}

// step is what a contender does next.
type step uint8

const (
	stepEnter   step = iota // create the node and list, in one write
	stepParents             // the directory is missing: make it
	stepFind                // a create's answer was lost: was it applied?
	stepLook                // list: is anybody ahead?
	stepWait                // somebody is: watch their node
	stepVerify              // first in line; the node was found by its id: is it this session's?
	stepProve               // first in line: has the session been proved to live?
	stepFront               // first in line, in a session that lives
)

func (l *Line) newContender(s keeper.Session, data []byte) *contender {
	return &contender{line: l, s: s, data: data, id: newID()}
}

func (c *contender) path(name string) string { return keeper.Join(c.line.dir, name) }

// toFront advances until the contender is first in line. It rides out lost
// connections. When it fails, the contender may be removed, or advanced later,
// also by another goroutine.
func (c *contender) toFront(ctx context.Context) error {
	delays := c.line.retry.Delays()
	for failures := 0; c.step != stepFront; {
		if closed(c.s.Closing()) {
			return closingError(c.line.dir)
		}
		err := c.advance(ctx)
		switch {
		case err == nil && !c.slow:
			delays.Reset()
			failures = 0
			continue
		case err == nil: // and slow
		case !retry.Idempotent(err):
			return err
		default:
			// Each step knows what a lost answer means for it.
			if failures++; failures == c.line.retry.Attempts {
				return err
			}
		}
		c.slow = false
		if err := c.pause(ctx, delays.Next()); err != nil {
			return err
		}
	}
	return nil
}

// advance makes one step.
func (c *contender) advance(ctx context.Context) error {
	switch c.step {
	case stepParents:
		return c.makeParents(ctx)
	case stepEnter:
		e := c.enter()
		_ = c.s.Do(ctx, e.requests()...)
		return c.entered(e)
	case stepFind:
		return c.found(c.list(ctx, true))
	case stepLook:
		// A list proves nothing about the session: it may come from a follower
		// that has lost its leader. So where the proof runs out, a sync goes along.
		return c.listed(c.list(ctx, time.Until(c.s.ValidUntil()) < c.s.Timeout()/4))
	case stepWait:
		return c.wait(ctx)
	case stepVerify:
		return c.verify(ctx)
	case stepProve:
		return c.prove(ctx)
	}
	return nil
}

// list lists the line, if asked behind a sync in the same write.
func (c *contender) list(ctx context.Context, synced bool) *keeper.Children {
	list := &keeper.Children{Path: c.line.dir}
	if !synced {
		_ = c.s.Do(ctx, list)
		return list
	}
	sync := &keeper.Sync{Path: c.line.dir}
	err := c.s.Do(ctx, sync, list)
	if sync.Err != nil && (list.Err != nil || keeper.OutcomeOf(sync.Err) == keeper.NotApplied) {
		// It was refused by itself, say throttled: a list that was answered all the
		// same is an old one. A sync that was lost took the list with it.
		list.Err = err
	}
	return list
}

// listed takes in a list that was made while node existed.
func (c *contender) listed(list *keeper.Children) error {
	if errors.Is(list.Err, keeper.ErrNoNode) {
		c.renew()
		c.step = stepParents
		return nil
	}
	if list.Err != nil {
		c.step = stepLook
		return list.Err
	}
	return c.decide(list.Names)
}

// decide finds the own node in the list, and whoever is ahead of it.
func (c *contender) decide(names []string) error {
	line, others := c.line.names.Sort(names)
	if others > 0 {
		c.line.noteOthers(names, others)
	}
	own := -1
	for i, place := range line {
		switch {
		case !hasID(place.Name, c.id):
		case own < 0:
			own = i
		default:
			// A second create of this id, sent when the first one's answer was
			// lost and its node not seen: the earlier place counts.
			c.line.removeLater(c.s, place.Name)
		}
	}
	if own < 0 {
		// Somebody has deleted our node.
		c.renew()
		c.slow = true
		return nil
	}
	if name := line[own].Name; name != c.node {
		c.node, c.czxid = name, 0
	}
	switch {
	case line[own].Seq < 0 || line[own].Seq > lastSequence:
		c.step = stepLook // whoever goes on finds the same
		return &keeper.OpError{Op: "create", Path: c.path(c.node), Err: ErrSequenceExhausted, Outcome: keeper.NotApplied}
	case own > 0:
		c.step, c.ahead = stepWait, line[own-1].Name
	case c.czxid == 0:
		c.step = stepVerify
	default:
		c.step = stepProve
	}
	return nil
}

// renew starts over with a new id: the old node is gone.
func (c *contender) renew() {
	if c.unsure {
		c.sweep() // a second node of the old id, if there is one
	}
	c.id, c.step = newID(), stepEnter
	c.node, c.czxid, c.unsure = "", 0, false
}

// wait watches the contender ahead, and nobody else, until anything happens to
// it. Reading the node sets no watch if it is gone; exists would leave one on
// a name that never comes back.
func (c *contender) wait(ctx context.Context) error {
	get := &keeper.Get{Path: c.path(c.ahead), Watch: true}
	err := c.s.Do(ctx, get)
	if errors.Is(err, keeper.ErrNoNode) {
		c.step = stepLook
		return nil
	}
	if err != nil {
		return err
	}
	defer get.Watched.Close()
	c.step = stepLook // whatever ends the wait: the list decides
	select {
	case ev := <-get.Watched.C():
		c.slow = ev.Err != nil // lost, perhaps with its session, and not fired
		return nil
	case <-ctx.Done():
		return waitError(c.line.dir, ctx.Err())
	case <-c.s.Closing():
		return closingError(c.line.dir)
	}
}

// prove lets the contender pass once the session has been proved to live. The
// answer to the create or to a sync is a proof only together with a frame sent
// a quarter of the timeout earlier; a connection that had been idle may not have
// one.
func (c *contender) prove(ctx context.Context) error {
	if time.Until(c.s.ValidUntil()) > 0 {
		c.step = stepFront
		return nil
	}
	if err := c.pause(ctx, c.s.Timeout()/4); err != nil {
		return err
	}
	c.step = stepLook
	return nil
}

// pause waits for d, or for whatever makes going on pointless.
func (c *contender) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return waitError(c.line.dir, ctx.Err())
	case <-c.s.Closing():
		return closingError(c.line.dir)
	case <-c.s.Done():
		return waitError(c.line.dir, c.s.Err())
	}
}

// waitError says that a contender gave up. It holds nothing then: its node is
// passed on or removed.
func waitError(dir string, cause error) error {
	return &keeper.OpError{Op: "wait in line", Path: dir, Err: cause, Outcome: keeper.NotApplied}
}

func closingError(dir string) error { return waitError(dir, keeper.ErrClosed) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
