package recipes

import (
	"context"
	"errors"
	"time"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// sweepAge is how long a journal rests before it counts as that of a process that
// crashed. Sweeping one that is alive does no harm unless an outcome is open.
const sweepAge = 7 * 24 * time.Hour

// start makes the journal's node. Its name is unique and kept until it is made, so
// that a lost answer is asked for by creating it again.
func (j *Journal) start(ctx context.Context, s keeper.Session) error {
	if j.node == "" {
		j.node = keeper.Join(j.dir, newID())
	}
	create := &keeper.Create{Path: j.node, ACL: j.acl}
	again := j.retry
	again.Attempts = 0
	again.If = retry.Idempotent
	err := retry.Do(ctx, again, func(ctx context.Context) error {
		err := s.Do(ctx, create)
		if errors.Is(err, keeper.ErrNoNode) {
			if err := EnsureDir(ctx, s, j.dir, j.acl); err != nil {
				return err
			}
			err = s.Do(ctx, create)
		}
		return err
	})
	if err != nil && !errors.Is(err, keeper.ErrNodeExists) {
		return err
	}
	j.made, j.version, j.open = true, 0, false
	node := j.node
	// It fails only when the session is over; the next journal sweeps then.
	_ = s.Go(func(ctx context.Context) { j.sweep(ctx, s, node) })
	return nil
}

// forget gives up a node that is no use any more.
func (j *Journal) forget() { j.node, j.made, j.open = "", false, false }

// tend has the node removed when the connection is shut down.
func (j *Journal) tend(s keeper.Session) {
	if j.tending == s {
		return
	}
	j.tending = s
	// It fails only when the session is over, and then nothing is applied in it.
	_ = s.Go(func(ctx context.Context) {
		select {
		case <-ctx.Done():
			return
		case <-s.Closing():
		}
		select {
		case <-ctx.Done():
			return
		case j.turn <- struct{}{}:
		}
		defer func() { <-j.turn }()
		if j.node == "" {
			return
		}
		again := j.retry
		again.Attempts = 0
		again.If = retry.Idempotent
		remove := &keeper.Delete{Path: j.node, Version: keeper.AnyVersion}
		err := retry.Do(ctx, again, func(ctx context.Context) error { return s.Do(ctx, remove) })
		if err != nil && !errors.Is(err, keeper.ErrNoNode) {
			j.log.Warn("a journal stays behind", "node", j.node, "error", err)
		}
		j.forget()
	})
}

// sweep removes journals that nobody has written to for sweepAge, by the clock of
// the servers. It is tried once: the next process tries again.
func (j *Journal) sweep(ctx context.Context, s keeper.Session, own string) {
	now := &keeper.Exists{Path: own}
	list := &keeper.Children{Path: j.dir}
	if err := s.Do(ctx, now, list); err != nil || !now.Found {
		return
	}
	for _, name := range list.Names {
		look := &keeper.Exists{Path: keeper.Join(j.dir, name)}
		if err := s.Do(ctx, look); err != nil {
			return
		}
		if look.Found && now.Stat.Created().Sub(look.Stat.Modified()) > sweepAge {
			// At the version that was seen: one that is written to meanwhile lives.
			_ = s.Do(ctx, &keeper.Delete{Path: look.Path, Version: look.Stat.Version})
		}
	}
}
