package client_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zktest"
)

// silence keeps go-zookeeper from logging.
type silence struct{}

func (silence) Printf(string, ...any) {}

// spread runs f b.N times in all on n goroutines.
func spread(b *testing.B, n int, f func() error) {
	b.Helper()
	b.ReportAllocs()
	var all sync.WaitGroup
	b.ResetTimer()
	for w := range n {
		share := b.N / n
		if w < b.N%n {
			share++
		}
		all.Go(func() {
			for range share {
				if err := f(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkGet reads a node of 100 bytes on 1 and on 64 goroutines, with this
// client and with go-zookeeper/zk, on the in-process server and on a real one,
// and prints how many times faster this one is.
func BenchmarkGet(b *testing.B) {
	servers := map[string]string{"zkserver": zktest.Start(b).Addr()}
	if !zkreal.Embedded() {
		servers["real"] = zkreal.Shared(b).Addr()
	}
	for name, addr := range servers {
		b.Run(name, func(b *testing.B) { benchmarkGet(b, addr) })
	}
}

func benchmarkGet(b *testing.B, addr string) {
	b.Helper()
	ctx := context.Background()
	c, err := client.Dial(ctx, addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	peer, _, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogger(silence{}))
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	if _, err := c.Create(ctx, "/bench", make([]byte, 100), keeper.Ephemeral); err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 64} {
		perOp := map[string]float64{}
		for name, get := range map[string]func() error{
			"client":       func() error { _, _, err := c.Get(ctx, "/bench"); return err },
			"go-zookeeper": func() error { _, _, err := peer.Get("/bench"); return err },
		} {
			b.Run(fmt.Sprintf("%s-%d", name, n), func(b *testing.B) {
				spread(b, n, get)
				perOp[name] = float64(b.Elapsed()) / float64(b.N)
			})
		}
		b.Logf("%d goroutines: %.2f times go-zookeeper's throughput", n, perOp["go-zookeeper"]/perOp["client"])
	}
}

// BenchmarkDo is one call of one request, without a server's share: what it
// costs in allocations.
func BenchmarkDo(b *testing.B) {
	ctx := context.Background()
	srv := zktest.Start(b, zktest.PipeOnly())
	c, err := client.Dial(ctx, "pipe", client.WithDialer(srv.Dial))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	s, err := c.Session(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for name, reqs := range map[string][]keeper.Request{
		"exists":   {&keeper.Exists{Path: "/none"}},
		"three":    {&keeper.Exists{Path: "/none"}, &keeper.Exists{Path: "/none"}, &keeper.Exists{Path: "/none"}},
		"set-none": {&keeper.Set{Path: "/none", Version: keeper.AnyVersion}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				_ = s.Do(ctx, reqs...)
			}
		})
	}
}
