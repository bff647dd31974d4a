package retry

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/conclave-go/conclave/keeper"
)

// Defaults of a Policy.
const (
	DefaultInitial    = 50 * time.Millisecond
	DefaultMax        = 5 * time.Second
	DefaultMultiplier = 2.0
	DefaultJitter     = 0.5
)

// Policy says how often and how soon to try again. The zero value is a good
// one: the first wait is about 50 ms, each later one about twice as long up to
// about 5 s, every wait is drawn from ±50 % around that, and only the context
// ends the attempts. A Policy is a value; it may be shared and copied freely.
type Policy struct {
	// Initial is the mean of the first wait; 0 means DefaultInitial.
	Initial time.Duration
	// Max bounds the mean of every wait; 0 means DefaultMax.
	Max time.Duration
	// Multiplier is the growth from one wait to the next; 0 means
	// DefaultMultiplier, 1 means a constant wait.
	Multiplier float64
	// Jitter is the part of the mean by which a wait may be shorter or longer,
	// from 0 to 1; 0 means DefaultJitter. A negative value means none: for tests,
	// as many clients without jitter come back in step.
	Jitter float64
	// Attempts bounds how often fn runs; 0 means no bound but the context.
	Attempts int
	// If reports which errors to try again after; nil means Unapplied.
	If func(error) bool
}

// Validate reports, as *keeper.InvalidError, a field out of its range.
func (p Policy) Validate() error {
	fault := func(what string, value any, why string) error {
		return &keeper.InvalidError{What: "retry policy: " + what, Value: fmt.Sprint(value), Why: why}
	}
	switch p = p.defaults(); {
	case p.Initial < 0:
		return fault("initial wait", p.Initial, "is negative")
	case p.Max < p.Initial:
		return fault("longest wait", p.Max, "is shorter than the first one")
	case !(p.Multiplier >= 1): // also NaN
		return fault("multiplier", p.Multiplier, "is below 1")
	case !(p.Jitter <= 1):
		return fault("jitter", p.Jitter, "is above 1")
	case p.Attempts < 0:
		return fault("attempts", p.Attempts, "is negative")
	}
	return nil
}

// defaults fills in what is zero. A first wait above the default maximum
// raises that maximum.
func (p Policy) defaults() Policy {
	if p.Initial == 0 {
		p.Initial = DefaultInitial
		if p.Max > 0 {
			p.Initial = min(p.Initial, p.Max)
		}
	}
	if p.Max == 0 {
		p.Max = max(DefaultMax, p.Initial)
	}
	if p.Multiplier == 0 {
		p.Multiplier = DefaultMultiplier
	}
	if p.Jitter == 0 {
		p.Jitter = DefaultJitter
	}
	if p.If == nil {
		p.If = Unapplied
	}
	return p
}

// Delays is a run of waits by a policy, for those who do the waiting
// themselves. One goroutine owns it.
type Delays struct{ b *backoff.ExponentialBackOff }

// Delays starts a new run of waits. Attempts and If play no part in it.
func (p Policy) Delays() *Delays {
	p = p.defaults()
	return &Delays{backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(p.Initial),
		backoff.WithMaxInterval(p.Max),
		backoff.WithMultiplier(p.Multiplier),
		backoff.WithRandomizationFactor(max(p.Jitter, 0)),
		backoff.WithMaxElapsedTime(0),
	)}
}

// Next returns how long to wait before the next attempt.
func (d *Delays) Next() time.Duration { return d.b.NextBackOff() }

// Reset makes the next wait the first one again, after a success.
func (d *Delays) Reset() { d.b.Reset() }

// Wait waits for the next delay to pass, or returns ctx's error when ctx ends
// first.
func (d *Delays) Wait(ctx context.Context) error {
	timer := time.NewTimer(d.Next())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Do runs fn until it succeeds, fails with an error that policy.If does not
// report, has run policy.Attempts times, or ctx ends. fn runs at least once
// and is given ctx.
//
// The error is fn's last one; when ctx ended a wait it wraps ctx's error as
// well. keeper.OutcomeOf of it covers all attempts: it is Unknown when any
// attempt's was and the last one failed.
func Do(ctx context.Context, policy Policy, fn func(ctx context.Context) error) error {
	if ctx == nil {
		return &keeper.InvalidError{What: "context", Why: "is nil"}
	}
	if err := policy.Validate(); err != nil {
		return err
	}
	policy = policy.defaults()
	delays := policy.Delays()
	unsure := false
	for attempt := 1; ; attempt++ {
		err := fn(ctx)
		if err == nil {
			return nil
		}
		again := policy.If(err) && attempt != policy.Attempts
		if again {
			unsure = unsure || keeper.OutcomeOf(err) == keeper.Unknown
			if cause := delays.Wait(ctx); cause != nil {
				err, again = fmt.Errorf("%w, after: %w", cause, err), false
			}
		}
		if !again {
			return withDoubt(err, unsure)
		}
	}
}

// withDoubt makes the outcome of err Unknown where an earlier attempt's was:
// the last attempt's answer says nothing about that one.
func withDoubt(err error, unsure bool) error {
	if !unsure || keeper.OutcomeOf(err) == keeper.Unknown {
		return err
	}
	return &keeper.OpError{Op: "retry", Err: err, Outcome: keeper.Unknown}
}
