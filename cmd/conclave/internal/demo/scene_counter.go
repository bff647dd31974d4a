package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
)

// countUnderLock: eight workers read, add one and write back, outside any
// transaction and without a version check. Only the lock keeps the sum right.
func countUnderLock(ctx context.Context, s *stage) error {
	s.narrator.scene("Eight workers add to one value under a lock")
	value := keeper.Join(s.root, "value")
	if _, err := s.stagehand().Create(ctx, value, []byte("0"), keeper.Persistent); err != nil {
		return fmt.Errorf("make the value: %w", err)
	}
	cast, err := s.cast(ctx, "worker", workers)
	if err != nil {
		return err
	}

	var (
		mu     sync.Mutex
		tokens []int64 // guarded by mu, in the order of the grants
		wg     sync.WaitGroup
		errs   = make([]error, len(cast))
	)
	for i, a := range cast {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = addRepeatedly(ctx, s, a, value, func(token int64) {
				mu.Lock()
				defer mu.Unlock()
				tokens = append(tokens, token)
			})
		}()
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}

	data, _, err := s.stagehand().Get(ctx, value)
	if err != nil {
		return fmt.Errorf("read the value: %w", err)
	}
	want := strconv.Itoa(workers * increments)
	s.narrator.fact(string(data) == want, "no update was lost", "%d workers × %d increments = %s", workers, increments, data)
	s.narrator.fact(len(tokens) == workers*increments && slices.IsSorted(tokens) && len(slices.Compact(tokens)) == workers*increments,
		"fencing tokens strictly increased", "from %d to %d over %s grants", tokens[0], tokens[len(tokens)-1], want)
	return nil
}

func addRepeatedly(ctx context.Context, s *stage, a *actor, value string, granted func(token int64)) error {
	m, err := lock.New(a, keeper.Join(s.root, "lock"))
	if err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	for i := range increments {
		err := m.Do(ctx, func(ctx context.Context, held *lock.Held) error {
			granted(held.Token())
			data, _, err := a.Get(ctx, value)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(data))
			if err != nil {
				return fmt.Errorf("the value is no number: %w", err)
			}
			_, err = a.Set(ctx, value, []byte(strconv.Itoa(n+1)), keeper.AnyVersion)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s, increment %d: %w", a.name, i+1, err)
		}
	}
	s.narrator.say(a.name, "has made its %d increments", increments)
	return nil
}
