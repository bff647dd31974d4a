package gozk_test

import (
	"context"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/adapter/gozk"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

// quiet keeps go-zookeeper from writing to the standard logger.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// A service that has a *zk.Conn gets sessions, outcomes and holds with it.
func Example() {
	server, err := zkserver.New(zkserver.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	addr, err := server.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}

	// The service's own connection, with the feed as its callback.
	const timeout = 10 * time.Second
	var feed gozk.Feed
	conn, _, err := zk.Connect([]string{addr.String()}, timeout,
		zk.WithEventCallback(feed.Callback), zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	c, err := gozk.New(conn, nil, gozk.WithFeed(&feed), gozk.WithSessionTimeout(timeout))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	ctx := context.Background()
	s, err := c.Session(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	me := &keeper.Create{Path: "/member-", Mode: keeper.EphemeralSequential}
	missing := &keeper.Get{Path: "/nowhere"}
	err = s.Do(ctx, me, missing)
	fmt.Println(me.Created, me.Stat.EphemeralOwner == conn.SessionID())
	fmt.Println(err, "·", keeper.OutcomeOf(missing.Err))
	fmt.Println(time.Until(s.ValidUntil()) > timeout/2)
	// Output:
	// /member-0000000000 true
	// get /nowhere: node does not exist · not applied
	// true
}
