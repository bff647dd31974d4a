package keeper_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/conclave-go/conclave/keeper"
)

// After a failure there is one question: did it happen?
func ExampleOutcomeOf() {
	for _, err := range []error{
		nil,
		&keeper.OpError{Op: "create", Path: "/a", Err: keeper.ErrNodeExists},
		&keeper.OpError{Op: "create", Path: "/a", Err: keeper.ErrConnectionLoss},
		&keeper.OpError{Op: "create", Path: "/a", Err: context.Canceled, Outcome: keeper.NotApplied},
	} {
		fmt.Printf("%v: %v\n", err, keeper.OutcomeOf(err))
	}
	// Output:
	// <nil>: applied
	// create /a: node exists: not applied
	// create /a: connection lost: unknown
	// create /a: context canceled: not applied
}

// Bad input is refused before anything is sent, by every implementation of
// Session alike.
func Example() {
	good := &keeper.Get{Path: "/config"}
	bad := &keeper.Set{Path: "/config/"}
	err := keeper.Admit(context.Background(), 1, good, bad)
	fmt.Println(err)
	fmt.Println(errors.Is(err, keeper.ErrInvalid), keeper.OutcomeOf(err))
	fmt.Println(good.Err)
	// Output:
	// set /config/: invalid path "/config/": ends with '/'
	// true not applied
	// get /config: not sent: another request of the same call failed first
}
