package recipes

import (
	"context"
	"time"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// stay makes a shutdown of the connection wait for the contender and the hold it
// becomes: for its node to be removed, or to be released. It starts one goroutine
// in the session's Go, which ends with the session at the latest.
func (c *contender) stay() {
	if c.gone != nil {
		return
	}
	gone, granted := make(chan struct{}), make(chan *Hold, 1)
	c.gone, c.granted = gone, granted
	// Go fails only when the session is over, and then nothing is granted.
	_ = c.s.Go(func(ctx context.Context) {
		select {
		case <-gone:
		case h := <-granted:
			h.tend(ctx)
		case <-ctx.Done():
		}
	})
}

// tend runs from the grant to the end of Release. It ends the hold when a
// shutdown begins, and has the node watched once the hold is older than a tenth
// of the timeout: most holds are over by then and cost nothing.
func (h *Hold) tend(ctx context.Context) {
	young := time.NewTimer(h.s.Timeout() / 10)
	defer young.Stop()
	closing := h.s.Closing()
	for {
		select {
		case <-h.released:
			return
		case <-ctx.Done():
			// The session is over, or the shutdown waits no longer.
			_ = h.state()
			return
		case <-closing:
			_ = h.state()
			closing = nil
		case <-young.C:
			// It fails only when the session is over.
			_ = h.s.Go(h.watchNode)
		}
	}
}

// watchNode ends the hold when somebody deletes its node.
func (h *Hold) watchNode(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()

	delays := retry.Policy{Max: max(h.s.Timeout()/10, retry.DefaultInitial)}.Delays()
	for ctx.Err() == nil {
		look := &keeper.Exists{Path: h.Node(), Watch: true}
		if err := h.s.Do(ctx, look); err != nil {
			_ = delays.Wait(ctx) // the loop asks ctx
			continue
		}
		if !look.Found || look.Stat.Czxid != h.token {
			look.Watched.Close()
			h.end(errDeleted)
			return
		}
		// Any event asks for another look. When the hold ends first the watch
		// stays: the node's removal fires it.
		if _, err := look.Watched.Wait(ctx); err != nil {
			_ = delays.Wait(ctx)
		}
	}
}
