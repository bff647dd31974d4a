package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/conclave-go/conclave/election"
	"github.com/conclave-go/conclave/keeper"
)

// term is one candidate's time as leader.
type term struct {
	who        *actor
	leadership *election.Leadership
}

// electLeader: five candidates, one leader; the leader vanishes without a word
// and another takes over with a greater token.
func electLeader(ctx context.Context, s *stage) error {
	s.narrator.scene("Five candidates elect a leader, and the leader dies")
	path := keeper.Join(s.root, "election")
	cast, err := s.cast(ctx, "candidate", candidates)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	terms := make(chan term)
	gaveUp := make(chan error, candidates)
	var campaigns sync.WaitGroup
	for _, a := range cast {
		campaigns.Go(func() {
			if err := campaign(ctx, a, path, terms); err != nil {
				gaveUp <- err
			}
		})
	}
	// Whatever happens below, nobody is left campaigning.
	defer campaigns.Wait()
	defer cancel()

	next := func() (term, error) {
		select {
		case t := <-terms:
			return t, nil
		case err := <-gaveUp:
			return term{}, err
		case <-ctx.Done():
			return term{}, fmt.Errorf("waiting for a leader: %w", ctx.Err())
		}
	}
	first, err := next()
	if err != nil {
		return err
	}
	s.narrator.say(first.who.name, "leads, with fencing token %d", first.leadership.Token())
	observer, err := election.New(s.stagehand(), path)
	if err != nil {
		return fmt.Errorf("observe %s: %w", path, err)
	}
	seen, err := observer.Leader(ctx)
	if err != nil {
		return fmt.Errorf("ask who leads: %w", err)
	}
	alone := true
	select {
	case other := <-terms:
		alone = false
		s.narrator.say(other.who.name, "leads as well")
	default:
	}
	s.narrator.fact(alone && string(seen.Value) == first.who.name && seen.Token == first.leadership.Token(),
		"one of five candidates leads", "an outsider sees %s with token %d", seen.Value, seen.Token)

	stop := context.AfterFunc(first.leadership.Context(), func() {
		s.narrator.say(first.who.name, "knows that its term is over: %v", context.Cause(first.leadership.Context()))
	})
	defer stop()
	s.narrator.say(first.who.name, "vanishes: its link is severed, nobody is told")
	first.who.link.Sever()
	second, err := next()
	if err != nil {
		return err
	}
	s.narrator.say(second.who.name, "leads, with fencing token %d", second.leadership.Token())
	s.narrator.fact(!first.leadership.Valid(), "the dead leader had stopped believing by then",
		"its term ended as %v", keeper.ErrHoldLost)
	s.narrator.fact(second.who != first.who && second.leadership.Token() > first.leadership.Token(),
		"another took over with a greater token", "%d after %d", second.leadership.Token(), first.leadership.Token())
	first.who.link.Heal()
	if err := second.leadership.Release(ctx); err != nil {
		return fmt.Errorf("%s resigns: %w", second.who.name, err)
	}
	s.narrator.say(second.who.name, "resigns")
	return nil
}

// campaign runs for leader once and hands the term over.
func campaign(ctx context.Context, a *actor, path string, terms chan<- term) error {
	e, err := election.New(a, path)
	if err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	l, err := e.Campaign(ctx, []byte(a.name))
	if err != nil {
		return fmt.Errorf("%s campaigns: %w", a.name, err)
	}
	select {
	case terms <- term{a, l}:
		<-ctx.Done() // stay until the scene is over
	case <-ctx.Done():
	}
	// The scene's context is over; its error would hide the answer.
	if err := l.Release(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, keeper.ErrHoldLost) {
		return fmt.Errorf("%s resigns: %w", a.name, err)
	}
	return nil
}
