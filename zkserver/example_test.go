package zkserver_test

import (
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/zkserver"
)

// Any ZooKeeper client can use the server. Here the reply to a create is lost
// after it was applied: the client cannot know, the server's history does.
func Example() {
	srv, err := zkserver.New(zkserver.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = srv.Close() }()
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	conn, _, err := zk.Connect([]string{addr.String()}, 10*time.Second, zk.WithLogInfo(false), zk.WithLogger(quiet{}))
	if err != nil {
		panic(err)
	}
	defer conn.Close()

	srv.Inject(zkserver.Rule{Kind: "create", Path: "/job", Fault: zkserver.CutAfter})
	_, err = conn.Create("/job", nil, 0, zk.WorldACL(zk.PermAll))
	fmt.Println("client:", err)
	for _, txn := range srv.History() {
		fmt.Println("server:", txn.Op, txn.Path, txn.Err)
	}
	// Output:
	// client: zk: connection closed
	// server: createSession  ok
	// server: create /job ok
}
