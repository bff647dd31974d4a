package lock_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/zktest"
)

// One goroutine: a Lock and a Release, a round trip each.
func BenchmarkLockRelease(b *testing.B) { benchmark(b, 1) }

// Many goroutines of one process: one round trip for both.
func BenchmarkLockRelease64Goroutines(b *testing.B) { benchmark(b, 64) }

func benchmark(b *testing.B, goroutines int) {
	b.Helper()
	srv := zktest.Start(b)
	c, err := client.Dial(b.Context(), srv.Addr(), client.WithSessionTimeout(30*time.Second))
	require.NoError(b, err)
	defer c.Close()
	m := newMutex(b, c, "/lock")
	require.NoError(b, mustLock(b, m).Release(b.Context()))
	b.ReportAllocs()
	b.ResetTimer()
	srv.ResetCounts()
	var all sync.WaitGroup
	turns := make(chan struct{})
	for range goroutines {
		all.Go(func() {
			for range turns {
				held, err := m.Lock(b.Context())
				if err != nil {
					b.Error(err)
					return
				}
				if err := held.Release(b.Context()); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		turns <- struct{}{}
	}
	close(turns)
	all.Wait()
	counts := srv.Counts()
	b.ReportMetric(float64(counts.Total())/float64(b.N), "requests/op")
	b.ReportMetric(float64(counts.Bursts)/float64(b.N), "roundtrips/op")
}
