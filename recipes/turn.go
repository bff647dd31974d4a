package recipes

import (
	"context"
	"slices"

	"github.com/conclave-go/conclave/keeper"
)

// takeTurn waits until the goroutine is the one of its process that contends.
// With the turn may come the contender of the goroutine that had it before.
func (l *Line) takeTurn(ctx context.Context, data []byte) (*contender, error) {
	l.mu.Lock()
	if !l.busy {
		l.busy = true
		l.mu.Unlock()
		return nil, nil
	}
	w := &waiter{data: data, turn: make(chan *contender, 1)}
	l.waiters = append(l.waiters, w)
	l.mu.Unlock()

	c, err := l.awaitTurn(ctx, w)
	if err == nil {
		return c, nil
	}
	l.mu.Lock()
	i := slices.Index(l.waiters, w)
	if i >= 0 {
		l.waiters = slices.Delete(l.waiters, i, i+1)
	}
	l.mu.Unlock()
	if i < 0 {
		l.passTurn(<-w.turn) // it came at the same moment
	}
	return nil, err
}

// awaitTurn waits for the turn, ctx, or the end of the connection. It does not
// wait for the holder's session: a hold that was lost still keeps the other
// goroutines of its process out until it is released, so that two of them never
// believe at the same time.
func (l *Line) awaitTurn(ctx context.Context, w *waiter) (*contender, error) {
	for {
		s, err := l.session(ctx)
		if err != nil {
			return nil, err
		}
		select {
		case c := <-w.turn:
			return c, nil
		case <-ctx.Done():
			return nil, waitError(l.dir, ctx.Err())
		case <-s.Closing():
			return nil, closingError(l.dir)
		case <-s.Done():
		}
	}
}

// passTurn gives the turn to the goroutine that has waited longest, and with it
// the place in line if c is not nil. With nobody waiting the place is given up.
func (l *Line) passTurn(c *contender) {
	l.mu.Lock()
	if len(l.waiters) > 0 {
		w := l.waiters[0]
		l.waiters[0] = nil
		l.waiters = l.waiters[1:]
		w.turn <- c
		l.mu.Unlock()
		return
	}
	l.busy, l.waiters = false, nil
	l.mu.Unlock()
	if c != nil {
		c.remove()
	}
}

// nextData tells what the goroutine that has waited longest wants in its node.
func (l *Line) nextData() ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiters) == 0 {
		return nil, false
	}
	return l.waiters[0].data, true
}

// handOver deletes the node of a hold that was released and, if another goroutine
// waits, makes that one's node in the same write. Every grant gets a node of its
// own, at the end of the line, so tokens grow and other processes get their turn.
// It returns the error of the delete.
func (l *Line) handOver(ctx context.Context, s keeper.Session, node string) error {
	del := &keeper.Delete{Path: keeper.Join(l.dir, node), Version: keeper.AnyVersion}
	data, more := l.nextData()
	if !more {
		err := s.Do(ctx, del)
		l.passTurn(nil)
		return err
	}
	next := l.newContender(s, data)
	e := next.enter()
	_ = s.Do(ctx, append([]keeper.Request{del}, e.requests()...)...)
	// Its error is none of ours: whoever gets the place goes on from its step.
	_ = next.entered(e)
	l.passTurn(next)
	return del.Err
}
