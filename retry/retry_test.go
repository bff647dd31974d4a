package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func opError(err error, outcome keeper.Outcome) error {
	return &keeper.OpError{Op: "delete", Path: "/a", Err: err, Outcome: outcome}
}

func TestClassification(t *testing.T) {
	for _, c := range []struct {
		err                   error
		unapplied, idempotent bool
	}{
		{opError(keeper.ErrConnectionLoss, keeper.NotApplied), true, true},
		{opError(keeper.ErrConnectionLoss, keeper.Unknown), false, true},
		{keeper.ErrConnectionLoss, false, true},
		{opError(keeper.ErrOperationTimeout, keeper.Unknown), false, true},
		{opError(keeper.ErrRequestTimeout, keeper.Unknown), false, true},
		{opError(keeper.ErrThrottled, 0), true, true},
		{opError(keeper.ErrSessionMoved, 0), true, true},
		{opError(keeper.ErrNotReadOnly, 0), true, true},
		{opError(keeper.ErrNoNode, 0), false, false},
		{opError(keeper.ErrBadVersion, 0), false, false},
		{opError(keeper.ErrNoAuth, 0), false, false},
		{opError(keeper.ErrUndecodable, keeper.Applied), false, false},
		{opError(keeper.ErrTooLarge, keeper.NotApplied), false, false},
		{opError(keeper.ErrSessionExpired, keeper.NotApplied), false, false},
		{opError(keeper.ErrSessionExpired, keeper.Unknown), false, false},
		{opError(keeper.ErrAuthFailed, keeper.NotApplied), false, false},
		{opError(keeper.ErrClosed, keeper.NotApplied), false, false},
		{opError(context.Canceled, keeper.Unknown), false, false},
		{opError(context.DeadlineExceeded, keeper.NotApplied), false, false},
		{fmt.Errorf("%w: %w", keeper.ErrClosed, keeper.ErrConnectionLoss), false, false},
		{opError(keeper.ErrNotHeld, 0), false, false},
		{keeper.ErrNotSent, false, false},
		{&keeper.InvalidError{What: "path", Why: "is empty"}, false, false},
		{errors.New("something else"), false, false},
		{nil, false, false},
	} {
		t.Run(fmt.Sprint(c.err), func(t *testing.T) {
			assert.Equal(t, c.unapplied, retry.Unapplied(c.err), "Unapplied")
			assert.Equal(t, c.idempotent, retry.Idempotent(c.err), "Idempotent")
		})
	}
}

func TestDoRetriesUntilSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		require.NoError(t, retry.Do(t.Context(), retry.Policy{}, func(context.Context) error {
			runs++
			if runs < 4 {
				return opError(keeper.ErrThrottled, 0)
			}
			return nil
		}))
		assert.Equal(t, 4, runs)
	})
}

func TestDoStopsAtWhatIsPermanent(t *testing.T) {
	for _, err := range []error{
		opError(keeper.ErrNoNode, 0),
		opError(keeper.ErrConnectionLoss, keeper.Unknown), // by the default policy
	} {
		runs := 0
		got := retry.Do(t.Context(), retry.Policy{}, func(context.Context) error { runs++; return err })
		assert.Same(t, err, got, "an error of the first attempt comes through as it is")
		assert.Equal(t, 1, runs)
	}
}

func TestDoIsBoundedByAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		err := retry.Do(t.Context(), retry.Policy{Attempts: 3}, func(context.Context) error {
			runs++
			return opError(keeper.ErrThrottled, 0)
		})
		require.ErrorIs(t, err, keeper.ErrThrottled)
		assert.Equal(t, 3, runs)
	})
}

func TestDoIsBoundedByTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		err := retry.Do(ctx, retry.Policy{}, func(context.Context) error { return opError(keeper.ErrThrottled, 0) })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, keeper.ErrThrottled, "the reason of the last attempt is kept")
		assert.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
		assert.Equal(t, time.Hour, time.Since(start))
	})
}

func TestDoRunsOnceWithAContextThatIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	runs := 0
	require.NoError(t, retry.Do(ctx, retry.Policy{}, func(context.Context) error { runs++; return nil }))
	assert.Equal(t, 1, runs)
}

// A delete whose first answer was lost and whose second says "no node" may have
// deleted the node itself.
func TestOutcomeCoversAllAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []error{opError(keeper.ErrConnectionLoss, keeper.Unknown), opError(keeper.ErrNoNode, 0)}
		err := retry.Do(t.Context(), retry.Policy{If: retry.Idempotent}, func(context.Context) error {
			err := answers[0]
			answers = answers[1:]
			return err
		})
		require.ErrorIs(t, err, keeper.ErrNoNode)
		assert.Equal(t, keeper.Unknown, keeper.OutcomeOf(err))
		assert.EqualError(t, err, "retry: delete /a: node does not exist (outcome unknown)")
	})
}

func TestDelaysGrowWithinBounds(t *testing.T) {
	exact := retry.Policy{Initial: 10 * time.Millisecond, Max: 60 * time.Millisecond, Jitter: -1}.Delays()
	for _, want := range []int64{10, 20, 40, 60, 60} {
		assert.Equal(t, want, exact.Next().Milliseconds())
	}
	exact.Reset()
	assert.Equal(t, 10*time.Millisecond, exact.Next())

	byDefault := retry.Policy{}.Delays()
	mean := retry.DefaultInitial
	for range 50 {
		d := byDefault.Next()
		assert.GreaterOrEqual(t, d, mean/2)
		assert.LessOrEqual(t, d, mean*3/2+1)
		mean = min(2*mean, retry.DefaultMax)
	}
}

func TestBadInputIsRefused(t *testing.T) {
	never := func(context.Context) error { t.Error("fn ran"); return nil }
	for _, p := range []retry.Policy{
		{Initial: -1},
		{Max: -1},
		{Initial: 2 * time.Second, Max: time.Second},
		{Multiplier: 0.5},
		{Multiplier: math.NaN()},
		{Jitter: 1.5},
		{Jitter: math.NaN()},
		{Attempts: -1},
	} {
		err := retry.Do(t.Context(), p, never)
		require.ErrorIs(t, err, keeper.ErrInvalid, "%+v", p)
		var invalid *keeper.InvalidError
		require.ErrorAs(t, err, &invalid)
	}
	//nolint:staticcheck // a nil context is the point
	require.ErrorIs(t, retry.Do(nil, retry.Policy{}, never), keeper.ErrInvalid)
	require.NoError(t, retry.Policy{Max: time.Millisecond}.Validate(), "a short maximum shortens the first wait")
	require.NoError(t, retry.Policy{Initial: time.Minute}.Validate(), "a long first wait raises the maximum")
}
