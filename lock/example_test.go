package lock_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/lock"
	"github.com/conclave-go/conclave/zkserver"
)

// server stands for an ensemble.
func server() (addr string, stop func()) {
	srv, err := zkserver.New(zkserver.Options{})
	if err != nil {
		panic(err)
	}
	if _, err := srv.Listen("127.0.0.1:0"); err != nil {
		panic(err)
	}
	return srv.Addr(), func() { _ = srv.Close() }
}

func writeReport(_ context.Context, token int64) error {
	fmt.Println("writing the report; token is positive:", token > 0)
	return nil
}

func Example() {
	addr, stop := server()
	defer stop()
	if err := report(context.Background(), addr); err != nil {
		fmt.Println(err)
	}
	// Output: writing the report; token is positive: true
}

func report(ctx context.Context, servers string) error {
	c, err := client.Dial(ctx, servers)
	if err != nil {
		return err
	}
	defer c.Close()

	m, err := lock.New(c, "/app/report/lock")
	if err != nil {
		return err
	}
	held, err := m.Lock(ctx)
	if err != nil {
		return err
	}
	defer held.Release(ctx) //nolint:errcheck // the report is written either way

	return writeReport(held.Context(), held.Token()) // the context ends when the lock may be lost
}

// A write that must not happen without the lock travels with it.
func ExampleHeld_Commit() {
	addr, stop := server()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, addr)
	if err != nil {
		panic(err)
	}
	defer c.Close()
	if _, err := c.Create(ctx, "/balance", []byte("100"), keeper.Persistent); err != nil {
		panic(err)
	}
	m, err := lock.New(c, "/lock")
	if err != nil {
		panic(err)
	}
	held, err := m.Lock(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(held.Commit(ctx, &keeper.Set{Path: "/balance", Data: []byte("90"), Version: keeper.AnyVersion}))
	fmt.Println(held.Release(ctx))

	late := held.Commit(ctx, &keeper.Set{Path: "/balance", Data: []byte("80"), Version: keeper.AnyVersion})
	fmt.Println("refused:", errors.Is(late, keeper.ErrNotHeld), keeper.OutcomeOf(late))
	data, _, _ := c.Get(ctx, "/balance")
	fmt.Println("balance:", string(data))
	// Output:
	// <nil>
	// <nil>
	// refused: true not applied
	// balance: 90
}

func ExampleMutex_TryLock() {
	addr, stop := server()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, addr)
	if err != nil {
		panic(err)
	}
	defer c.Close()
	m, err := lock.New(c, "/nightly")
	if err != nil {
		panic(err)
	}
	for range 2 {
		_, ok, err := m.TryLock(ctx)
		switch {
		case err != nil:
			fmt.Println("not known:", err)
		case ok:
			fmt.Println("mine")
		default:
			fmt.Println("somebody is at it")
		}
	}
	// Output:
	// mine
	// somebody is at it
}
