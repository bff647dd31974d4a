package demo_test

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/conclave-go/conclave/cmd/conclave/internal/demo"
)

func Example() {
	report, err := demo.Run(context.Background(), demo.Config{
		SessionTimeout: 2 * time.Second,
		Out:            io.Discard,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range report.Facts {
		fmt.Println(f.Holds, f.Claim)
	}
	// Output:
	// true one of five candidates leads
	// true the dead leader had stopped believing by then
	// true another took over with a greater token
	// true no update was lost
	// true fencing tokens strictly increased
	// true the holder learned of its loss before anyone got the lock
	// true its late guarded write is refused at the door
	// true and refused by the server, had it been under way
	// true the new holder's write is the last one
	// true and the old holder is told so on release
	// true no contender was left behind
}
