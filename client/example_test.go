package client_test

import (
	"context"
	"fmt"
	"time"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

func Example() {
	srv, err := zkserver.New(zkserver.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, "in-process", client.WithDialer(srv.Dial))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	path, err := c.Create(ctx, "/greeting", []byte("hello"), keeper.Persistent)
	if err != nil {
		fmt.Println(err)
		return
	}
	data, _, watch, err := c.GetW(ctx, path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s is %q\n", path, data)

	if _, err := c.Set(ctx, path, []byte("bye"), keeper.AnyVersion); err != nil {
		fmt.Println(err)
		return
	}
	event, err := watch.Wait(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event)
	// Output:
	// /greeting is "hello"
	// data-changed /greeting
}

// Several requests in one round trip.
func ExampleClient_Session() {
	srv, err := zkserver.New(zkserver.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, "in-process", client.WithDialer(srv.Dial))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	s, err := c.Session(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	srv.ResetCounts()
	me := &keeper.Create{Path: "/lock-", Mode: keeper.EphemeralSequential}
	peers := &keeper.Children{Path: "/"}
	if err := s.Do(ctx, me, peers); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(me.Created, len(peers.Names), "children")
	fmt.Println(srv.Counts().Total(), "requests,", srv.Counts().Bursts, "round trip")
	// Output:
	// /lock-0000000000 2 children
	// 2 requests, 1 round trip
}
