package proto

import (
	"encoding/hex"
	"math"
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// frame is the encoding of the records in one frame.
func frame(recs ...Record) []byte {
	b, mark := BeginFrame(nil)
	for _, rec := range recs {
		b = rec.AppendTo(b)
	}
	return EndFrame(b, mark)
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(tb, err)
	return b
}

// fresh is an empty record of rec's type.
func fresh(rec Record) Record {
	return as[Record](reflect.New(reflect.TypeOf(rec).Elem()).Interface())
}

// as is v as a T; a test that is wrong about that fails on the zero T.
func as[T any](v any) T {
	t, _ := v.(T)
	return t
}

// allocated is the least number of bytes that f allocates in a few runs: other
// goroutines can only add to it. It stops early at a figure that is good enough.
func allocated(enough uint64, f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= enough {
			break
		}
	}
	return least
}

// memoryBound is what decoding an input of n bytes may allocate. The race
// detector does without the allocator's packing of tiny strings.
func memoryBound(n int) uint64 {
	if raceDetector {
		n *= 2
	}
	return uint64(4*n + 64<<10)
}

// requireBounded runs f, which decodes n bytes of input, and requires that it
// stays within the bound.
func requireBounded(tb testing.TB, n int, f func()) {
	tb.Helper()
	require.LessOrEqual(tb, allocated(memoryBound(n), f), memoryBound(n), "memory for an input of %d bytes", n)
}
