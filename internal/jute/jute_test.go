package jute_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/conclave-go/conclave/internal/jute"
)

func Example() {
	b := jute.AppendString(nil, "/a")
	b = jute.AppendBytes(b, nil)
	b = jute.AppendInt32(b, -1)
	fmt.Printf("%x\n", b)

	r := jute.Reader{Src: b}
	path, data, version := r.String(), r.Bytes(), r.Int32()
	fmt.Println(path, data == nil, version, r.Err())

	// A length that the input does not back is an error, not an allocation.
	r = jute.Reader{Src: []byte{0x7f, 0xff, 0xff, 0xff}}
	fmt.Println(r.Bytes() == nil, r.Err())
	// Output:
	// 000000022f61ffffffffffffffff
	// /a true -1 <nil>
	// true malformed at byte 0: length 2147483647, 0 bytes left
}

func TestEncoding(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"true", jute.AppendBool(nil, true), "01"},
		{"false", jute.AppendBool(nil, false), "00"},
		{"int 1", jute.AppendInt32(nil, 1), "00000001"},
		{"int -2", jute.AppendInt32(nil, -2), "fffffffe"},
		{"int min", jute.AppendInt32(nil, math.MinInt32), "80000000"},
		{"long", jute.AppendInt64(nil, 0x0100_0000_0000_0002), "0100000000000002"},
		{"long -1", jute.AppendInt64(nil, -1), "ffffffffffffffff"},
		{"string", jute.AppendString(nil, "/é"), "000000032fc3a9"},
		{"empty string", jute.AppendString(nil, ""), "00000000"},
		{"buffer", jute.AppendBytes(nil, []byte{7}), "0000000107"},
		{"empty buffer", jute.AppendBytes(nil, []byte{}), "00000000"},
		{"null buffer", jute.AppendBytes(nil, nil), "ffffffff"},
		{"vector", jute.AppendStrings(nil, []string{"a", ""}), "00000002000000016100000000"},
		{"empty vector", jute.AppendStrings(nil, []string{}), "00000000"},
		{"nil vector is sent as empty", jute.AppendStrings(nil, nil), "00000000"},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, hex.EncodeToString(c.got)) })
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flag := rapid.Bool().Draw(t, "bool")
		i32, i64 := rapid.Int32().Draw(t, "i32"), rapid.Int64().Draw(t, "i64")
		text := rapid.String().Draw(t, "string")
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		list := rapid.SliceOf(rapid.String()).Draw(t, "list")

		b := jute.AppendBool(nil, flag)
		b = jute.AppendInt64(jute.AppendInt32(b, i32), i64)
		b = jute.AppendBytes(jute.AppendString(b, text), data)
		b = jute.AppendStrings(b, list)

		r := jute.Reader{Src: b}
		require.Equal(t, flag, r.Bool())
		require.Equal(t, i32, r.Int32())
		require.Equal(t, i64, r.Int64())
		require.Equal(t, text, r.String())
		require.Equal(t, data, r.Bytes())
		require.Equal(t, list, r.Strings())
		require.NoError(t, r.Err())
		require.Zero(t, r.Len())
	})
}

func TestNulls(t *testing.T) {
	null := []byte{0xff, 0xff, 0xff, 0xff}
	empty := []byte{0, 0, 0, 0}

	r := jute.Reader{Src: null}
	require.Empty(t, r.String())
	require.NoError(t, r.Err())
	r = jute.Reader{Src: null}
	require.Nil(t, r.Bytes())
	r = jute.Reader{Src: null}
	require.Nil(t, r.View())
	r = jute.Reader{Src: null}
	require.Nil(t, r.Strings())
	require.NoError(t, r.Err())
	r = jute.Reader{Src: null}
	require.Equal(t, -1, r.Count(4))
	require.NoError(t, r.Err())

	r = jute.Reader{Src: empty}
	require.Equal(t, []byte{}, r.Bytes(), "an empty buffer is not a null one")
	r = jute.Reader{Src: empty}
	require.Equal(t, []string{}, r.Strings(), "an empty vector is not a null one")
	require.NoError(t, r.Err())
}

func TestMalformed(t *testing.T) {
	text := func(r *jute.Reader) { _ = r.String() }
	data := func(r *jute.Reader) { r.Bytes() }
	list := func(r *jute.Reader) { r.Strings() }
	for _, c := range []struct {
		name string
		in   string
		read func(*jute.Reader)
		want string
	}{
		{"no bool", "", func(r *jute.Reader) { r.Bool() }, "byte 0: 1 bytes wanted, 0 left"},
		{"short int", "000000", func(r *jute.Reader) { r.Int32() }, "byte 0: 4 bytes wanted, 3 left"},
		{"short long", "00000000000000", func(r *jute.Reader) { r.Int64() }, "byte 0: 8 bytes wanted, 7 left"},
		{"skip too far", "00", func(r *jute.Reader) { r.Skip(2) }, "byte 0: 2 bytes wanted, 1 left"},
		{"skip back", "00", func(r *jute.Reader) { r.Skip(1); r.Skip(-1) }, "byte 1: -1 bytes wanted, 0 left"},
		{"no length", "", text, "byte 0: 4 bytes wanted, 0 left"},
		{"string length -2", "fffffffe", text, "byte 0: length -2, 0 bytes left"},
		{"string length min", "80000000", text, "byte 0: length -2147483648, 0 bytes left"},
		{"string past the end", "0000000361", text, "byte 0: length 3, 1 bytes left"},
		{"string not UTF-8", "00000001ff", text, "byte 0: string is not valid UTF-8"},
		{"string with a surrogate", "00000003eda080", text, "byte 0: string is not valid UTF-8"},
		{"buffer length -2", "fffffffe", data, "byte 0: length -2, 0 bytes left"},
		{"buffer length max", "7fffffff00", data, "byte 0: length 2147483647, 1 bytes left"},
		{"count -2", "fffffffe", list, "byte 0: vector of -2 items, 0 bytes left"},
		{"count max", "7fffffff00000000", list, "byte 0: vector of 2147483647 items, 4 bytes left"},
		{"count one too many", "0000000200000000", list, "byte 0: vector of 2 items, 4 bytes left"},
		{"item past the end", "000000010000000161", func(r *jute.Reader) { r.Skip(1); list(r) }, ""},
		{"item not UTF-8", "0000000100000001ff", list, "byte 4: string is not valid UTF-8"},
		{"second item length -2", "0000000200000000fffffffe", list, "byte 8: length -2, 0 bytes left"},
		{"Fail", "00", func(r *jute.Reader) { r.Skip(1); r.Fail("no good") }, "byte 1: no good"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, err := hex.DecodeString(c.in)
			require.NoError(t, err)
			r := jute.Reader{Src: in}
			c.read(&r)
			var bad *jute.Error
			require.ErrorAs(t, r.Err(), &bad)
			require.Contains(t, r.Err().Error(), c.want)
			require.Zero(t, r.Len(), "nothing is left to read after an error")
		})
	}
}

func TestSticky(t *testing.T) {
	r := jute.Reader{Src: []byte{0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 1, 'a', 1, 1, 1, 1, 1, 1, 1, 1}}
	require.Empty(t, r.String())
	first := r.Err()
	require.Error(t, first)

	require.False(t, r.Bool())
	require.Zero(t, r.Int32())
	require.Zero(t, r.Int64())
	require.Empty(t, r.String())
	require.Nil(t, r.Bytes())
	require.Nil(t, r.View())
	require.Nil(t, r.Strings())
	require.Zero(t, r.Count(1))
	r.Skip(1)
	r.Fail("later")
	require.Same(t, first, r.Err(), "the first error stands")
}

func TestBoolIsTrueUnlessZero(t *testing.T) {
	r := jute.Reader{Src: []byte{0, 1, 2, 0xff}}
	require.False(t, r.Bool())
	require.True(t, r.Bool())
	require.True(t, r.Bool())
	require.True(t, r.Bool())
}

func TestOwnership(t *testing.T) {
	src := jute.AppendBytes(nil, []byte("data"))
	src = jute.AppendBytes(src, []byte("view"))
	src = jute.AppendString(src, "text")
	src = jute.AppendStrings(src, []string{"one", "two"})
	r := jute.Reader{Src: src}
	data, view, text, list := r.Bytes(), r.View(), r.String(), r.Strings()
	require.NoError(t, r.Err())

	for i := range src {
		src[i] = 'x'
	}
	require.Equal(t, "data", string(data))
	require.Equal(t, "text", text)
	require.Equal(t, []string{"one", "two"}, list)
	require.Equal(t, "xxxx", string(view), "View is a part of Src")
	require.Equal(t, len(view), cap(view), "appending to a View must not write into Src")
}

func TestAppendAllocatesNothingWhenThereIsRoom(t *testing.T) {
	b := make([]byte, 0, 256)
	list := []string{"a", "b"}
	data := []byte("data")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c := jute.AppendBool(b, true)
		c = jute.AppendInt64(jute.AppendInt32(c, 1), 2)
		c = jute.AppendBytes(jute.AppendString(c, "/a"), data)
		_ = jute.AppendStrings(c, list)
	}))
}

func TestStringsTakesTwoAllocations(t *testing.T) {
	b := jute.AppendStrings(nil, strings.Split(strings.Repeat("name-0000000001,", 1000), ","))
	require.LessOrEqual(t, testing.AllocsPerRun(20, func() {
		r := jute.Reader{Src: b}
		_ = r.Strings()
	}), 2.0)
}

// allocated is the least number of bytes that f allocates in a few runs: other
// goroutines can only add to it.
func allocated(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

func TestMemoryIsBoundedByTheInput(t *testing.T) {
	const items = 1 << 18
	for name, in := range map[string][]byte{
		"empty strings":     append(jute.AppendCount(nil, items), make([]byte, 4*items)...),
		"strings of a byte": append(jute.AppendCount(nil, items), bytes.Repeat([]byte{0, 0, 0, 1, 'a'}, items)...),
		"bad at the end":    append(jute.AppendCount(nil, items), append(make([]byte, 4*items-4), 0xff, 0xff, 0xff, 0xfe)...),
		"huge count":        append(jute.AppendInt32(nil, math.MaxInt32), make([]byte, 4096)...),
		"one long string":   jute.AppendStrings(nil, []string{strings.Repeat("a", 4*items)}),
	} {
		t.Run(name, func(t *testing.T) {
			got := allocated(func() {
				r := jute.Reader{Src: in}
				_ = r.Strings()
			})
			require.LessOrEqual(t, got, uint64(4*len(in)+64<<10))
		})
	}
	huge := jute.AppendInt32(nil, math.MaxInt32)
	require.Less(t, allocated(func() {
		r := jute.Reader{Src: huge}
		_ = r.Bytes()
		r = jute.Reader{Src: huge}
		_ = r.String()
	}), uint64(64<<10))
}

// FuzzReader runs a program of reads over an input: nothing panics, nothing
// reads past the end, and an error stays.
func FuzzReader(f *testing.F) {
	f.Add([]byte{3, 4, 5}, []byte("\x00\x00\x00\x01a\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Add([]byte{6}, []byte("\xff\xff\xff\xff"))
	f.Add([]byte{6, 6}, []byte("\xff\xff\xff\xfe"))
	f.Add([]byte{6}, []byte("\x7f\xff\xff\xff\x00\x00\x00\x00"))
	f.Add([]byte{0, 1, 2, 7, 8}, bytes.Repeat([]byte{0, 0, 0, 2}, 8))
	f.Fuzz(func(t *testing.T, program, in []byte) {
		r := jute.Reader{Src: in}
		for _, op := range program {
			before, failed := r.Len(), r.Err()
			switch op % 9 {
			case 0:
				r.Bool()
			case 1:
				r.Int32()
			case 2:
				r.Int64()
			case 3:
				_ = r.String()
			case 4:
				r.Bytes()
			case 5:
				r.View()
			case 6:
				r.Strings()
			case 7:
				if n := r.Count(8); n > 0 {
					require.LessOrEqual(t, 8*n, r.Len())
				}
			case 8:
				r.Skip(int(op))
			}
			require.LessOrEqual(t, r.Len(), before)
			if failed != nil {
				require.Same(t, failed, r.Err())
			}
		}
	})
}
