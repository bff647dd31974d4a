package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
)

// fenceLateWrite: a holder is cut off. It learns that its hold is over before
// anyone else can get the lock, and what it writes afterwards is refused twice:
// at the door, and by the server had it been on its way.
func fenceLateWrite(ctx context.Context, s *stage) error {
	s.narrator.scene("A holder is cut off from its servers and writes too late")
	path, ledger := keeper.Join(s.root, "fenced"), keeper.Join(s.root, "ledger")
	if _, err := s.stagehand().Create(ctx, ledger, nil, keeper.Persistent); err != nil {
		return fmt.Errorf("make the ledger: %w", err)
	}
	old, err := s.enter(ctx, "old-holder")
	if err != nil {
		return err
	}
	heir, err := s.enter(ctx, "new-holder")
	if err != nil {
		return err
	}
	held, err := acquire(ctx, old, path)
	if err != nil {
		return err
	}
	s.narrator.say(old.name, "holds the lock, with fencing token %d", held.Token())
	if err := held.Commit(ctx, &keeper.Set{Path: ledger, Data: []byte("in time"), Version: keeper.AnyVersion}); err != nil {
		return fmt.Errorf("%s writes in time: %w", old.name, err)
	}
	s.narrator.say(old.name, "makes a guarded write: accepted")

	// One goroutine notes when the old holder learns of its loss; the grant to
	// the heir is noted here. Both are readings of one clock.
	learned := make(chan time.Time, 1)
	stop := context.AfterFunc(held.Context(), func() {
		learned <- time.Now()
		s.narrator.say(old.name, "learns from its own clock: %v", context.Cause(held.Context()))
	})
	defer stop()
	// Whoever comes later must wait for the servers to expire the old session.
	s.narrator.say(old.name, "is cut off; it goes on working, not knowing")
	old.link.Sever()

	next, err := acquire(ctx, heir, path)
	if err != nil {
		return err
	}
	granted := time.Now()
	s.narrator.say(heir.name, "holds the lock, with fencing token %d", next.Token())

	select {
	case at := <-learned:
		s.narrator.fact(at.Before(granted), "the holder learned of its loss before anyone got the lock",
			"%v earlier", granted.Sub(at).Round(time.Millisecond))
	default:
		s.narrator.fact(false, "the holder learned of its loss before anyone got the lock", "it still believes")
	}

	guard := held.Guard()
	err = held.Commit(ctx, &keeper.Set{Path: ledger, Data: []byte("too late"), Version: keeper.AnyVersion})
	s.narrator.fact(errors.Is(err, keeper.ErrNotHeld) && keeper.OutcomeOf(err) == keeper.NotApplied,
		"its late guarded write is refused at the door", "%s, %v", keeper.OutcomeOf(err), keeper.ErrNotHeld)

	// The same write as it would arrive had it been under way all the time: by
	// another session, past the door.
	delayed := &keeper.Multi{Ops: []keeper.Op{
		&keeper.Check{Path: guard.Target(), Version: keeper.AnyVersion},
		&keeper.Set{Path: ledger, Data: []byte("too late"), Version: keeper.AnyVersion},
	}}
	session, err := s.stagehand().session(ctx)
	if err != nil {
		return err
	}
	err = session.Do(ctx, delayed)
	s.narrator.fact(errors.Is(err, keeper.ErrNoNode), "and refused by the server, had it been under way",
		"its guard fails: %v", keeper.ErrNoNode)

	if err := next.Commit(ctx, &keeper.Set{Path: ledger, Data: []byte("by the heir"), Version: keeper.AnyVersion}); err != nil {
		return fmt.Errorf("%s writes: %w", heir.name, err)
	}
	data, stat, err := s.stagehand().Get(ctx, ledger)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	s.narrator.fact(string(data) == "by the heir" && stat.Version == 2 && next.Token() > held.Token(),
		"the new holder's write is the last one", "ledger says %q after %d writes", data, stat.Version)

	old.link.Heal()
	s.narrator.say(old.name, "is back on the network, and releases")
	s.narrator.fact(errors.Is(held.Release(ctx), keeper.ErrHoldLost), "and the old holder is told so on release", "%v", keeper.ErrHoldLost)
	if err := next.Release(ctx); err != nil {
		return fmt.Errorf("%s releases: %w", heir.name, err)
	}
	return nil
}

func acquire(ctx context.Context, a *actor, path string) (*lock.Held, error) {
	m, err := lock.New(a, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.name, err)
	}
	held, err := m.Lock(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s locks %s: %w", a.name, path, err)
	}
	return held, nil
}

// leaveNothing: every client but the stagehand leaves; no contender remains.
func leaveNothing(ctx context.Context, s *stage) error {
	s.narrator.scene("Everybody leaves")
	for _, a := range s.actors[1:] {
		if err := a.Shutdown(ctx); err != nil {
			return fmt.Errorf("%s leaves: %w", a.name, err)
		}
	}
	left := 0
	for _, dir := range []string{"election", "lock", "fenced"} {
		names, _, err := s.stagehand().Children(ctx, keeper.Join(s.root, dir))
		if errors.Is(err, keeper.ErrNoNode) {
			continue // the server has reaped the empty container
		}
		if err != nil {
			return fmt.Errorf("list what is left: %w", err)
		}
		left += len(names)
	}
	s.narrator.fact(left == 0, "no contender was left behind", "%d nodes in the three directories", left)
	return s.clean(ctx)
}

// clean removes the demo's nodes from an ensemble that outlives it.
func (s *stage) clean(ctx context.Context) error {
	for _, p := range []string{"election", "lock", "fenced", "value", "ledger", ""} {
		path := s.root
		if p != "" {
			path = keeper.Join(s.root, p)
		}
		err := s.stagehand().Delete(ctx, path, keeper.AnyVersion)
		if err != nil && !errors.Is(err, keeper.ErrNoNode) {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	return nil
}
