package retry_test

import (
	"context"
	"fmt"
	"time"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

func ExampleDo() {
	policy := retry.Policy{
		Initial: time.Millisecond,
		If:      retry.Idempotent, // a read: nothing is lost by asking twice
	}
	attempt := 0
	err := retry.Do(context.Background(), policy, func(context.Context) error {
		attempt++
		if attempt < 3 {
			return &keeper.OpError{Op: "get", Path: "/a", Err: keeper.ErrConnectionLoss, Outcome: keeper.Unknown}
		}
		return nil
	})
	fmt.Println("attempts:", attempt, "error:", err)
	// Output: attempts: 3 error: <nil>
}
