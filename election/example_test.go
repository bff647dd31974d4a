package election_test

import (
	"context"
	"fmt"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/election"
	"github.com/conclave-go/conclave/zkserver"
)

// dialServer stands for client.Dial to an ensemble.
func dialServer(ctx context.Context) (*client.Client, func()) {
	srv, err := zkserver.New(zkserver.Options{})
	if err != nil {
		panic(err)
	}
	if _, err := srv.Listen("127.0.0.1:0"); err != nil {
		panic(err)
	}
	c, err := client.Dial(ctx, srv.Addr())
	if err != nil {
		panic(err)
	}
	return c, func() {
		_ = c.Close()
		_ = srv.Close()
	}
}

// A service leads, serves, and leads again when it has lost a term.
func ExampleElection_Run() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c, closeAll := dialServer(ctx)
	defer closeAll()

	e, err := election.New(c, "/app/leader", election.WithValue([]byte("node-1")))
	if err != nil {
		panic(err)
	}
	err = e.Run(ctx, func(ctx context.Context, term *election.Leadership) error {
		leader, err := e.Leader(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("%s leads: %v\n", leader.Value, leader.Token == term.Token())
		stop()       // the service ends …
		<-ctx.Done() // … as it would when the term is lost
		return ctx.Err()
	})
	fmt.Println(err)
	// Output:
	// node-1 leads: true
	// context canceled
}

func ExampleElection_Observe() {
	ctx := context.Background()
	c, closeAll := dialServer(ctx)
	defer closeAll()
	e, err := election.New(c, "/app/leader")
	if err != nil {
		panic(err)
	}
	leadership, err := e.Campaign(ctx, []byte("node-1"))
	if err != nil {
		panic(err)
	}
	for leader, err := range e.Observe(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if leader.Nobody() {
			fmt.Println("nobody leads")
			return
		}
		fmt.Printf("%s leads\n", leader.Value)
		if err := leadership.Release(ctx); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// node-1 leads
	// nobody leads
}
