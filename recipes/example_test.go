package recipes_test

import (
	"context"
	"fmt"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/recipes"
	"github.com/conclave-go/conclave/zkserver"
)

// A recipe of one's own: whoever is first in line owns the migration, and says in
// its node how far it is.
func ExampleLine() {
	srv, err := zkserver.New(zkserver.Options{}) // stands for an ensemble
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	if _, err := srv.Listen("127.0.0.1:0"); err != nil {
		panic(err)
	}
	ctx := context.Background()
	c, err := client.Dial(ctx, srv.Addr())
	if err != nil {
		panic(err)
	}
	defer c.Close()

	names, err := recipes.NewNames("migration-")
	if err != nil {
		panic(err)
	}
	line, err := recipes.NewLine(c, recipes.Config{Dir: "/app/migration", Names: names})
	if err != nil {
		panic(err)
	}
	hold, err := line.Acquire(ctx, []byte("0 %"))
	if err != nil {
		panic(err)
	}
	err = hold.Do(ctx, func(ctx context.Context) error {
		data, _, err := c.Get(ctx, hold.Node())
		fmt.Printf("migrating, at %s\n", data)
		return err
	})
	fmt.Println("done:", err)
	// Output:
	// migrating, at 0 %
	// done: <nil>
}
