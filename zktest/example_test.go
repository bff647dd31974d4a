package zktest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/zktest"
)

// In a test t is the test's own; testing.Benchmark lends one to the example.
func ExampleStart() {
	testing.Benchmark(func(t *testing.B) {
		if t.N > 1 {
			return
		}
		srv := zktest.Start(t)
		conn, _, err := zk.Connect([]string{srv.Addr()}, 10*time.Second, zk.WithLogInfo(false))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		path, err := conn.Create("/hello", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
		fmt.Println(path, err)
		fmt.Println("requests:", srv.Counts().Total(), "round trips:", srv.Counts().Bursts)
	})
	// Output:
	// /hello <nil>
	// requests: 1 round trips: 1
}
