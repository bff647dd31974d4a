package recipes

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func lockNames(t testing.TB) Names {
	t.Helper()
	names, err := NewNames("lock-", "__lock__")
	require.NoError(t, err)
	return names
}

func TestParse(t *testing.T) {
	names := lockNames(t)
	for name, want := range map[string]Place{
		// ours and Curator's
		"_c_6ba7b810-9dad-11d1-80b4-00c04fd430c8-lock-0000000007": {Marker: "lock-", Seq: 7},
		// go-zookeeper's: 32 hex digits
		"_c_6ba7b8109dad11d180b400c04fd430c8-lock-0000000012": {Marker: "lock-", Seq: 12},
		// Curator without protection
		"lock-0000000000": {Marker: "lock-", Seq: 0},
		// Kazoo's
		"6ba7b8109dad11d180b400c04fd430c8__lock__0000000003": {Marker: "__lock__", Seq: 3},
		// the ends of the sequence, as servers print them
		"x-lock-2147483647":  {Marker: "lock-", Seq: math.MaxInt32},
		"x-lock--2147483648": {Marker: "lock-", Seq: math.MinInt32},
		"x-lock--000000005":  {Marker: "lock-", Seq: -5},
	} {
		got, ok := names.Parse(name)
		want.Name = name
		assert.True(t, ok, name)
		assert.Equal(t, want, got)
	}
	for _, name := range []string{
		"", "lock-", "lock-1", "0000000001", "_c_foo", "_c_", "lock-000000000a",
		"x-lock-00000000001", "x-lock-9999999999", "x-lock-+000000001", "x-lock--9999999999", "x-lock-+0000000001",
		"x-latch-0000000001", "x__rlock__0000000001", "lock-0000000001-x", "lock-0000000001 ", "lock-٠٠٠٠٠",
		"x-lock-0_00000001",
		"x-lock--000000000", "x-lock--0000000005", "x-lock-0x00000001",
	} {
		_, ok := names.Parse(name)
		assert.False(t, ok, name)
	}
}

func TestSortIsNumericAndSigned(t *testing.T) {
	line, others := lockNames(t).Sort([]string{
		"z-lock-0000000010", "ready", "a-lock-2147483647", "f__lock__0000000002", "_c_foo", "b-lock--2147483648", "y-lock-0000000010",
	})
	var got []string
	for _, p := range line {
		got = append(got, p.Name)
	}
	assert.Equal(t, []string{
		"b-lock--2147483648", "f__lock__0000000002", "y-lock-0000000010", "z-lock-0000000010", "a-lock-2147483647",
	}, got)
	assert.Equal(t, 2, others)
}

func TestOwnNamesAreWhatCuratorWrites(t *testing.T) {
	names := lockNames(t)
	id := newID()
	assert.NotEqual(t, id, newID())
	name := names.prefix(id) + "0000000042"
	assert.Regexp(t, `^_c_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-lock-0000000042$`, name)
	place, ok := names.Parse(name)
	require.True(t, ok)
	assert.EqualValues(t, 42, place.Seq)
	assert.True(t, hasID(name, id))
}

func TestMarkersAreChecked(t *testing.T) {
	for _, marker := range []string{"", "/", "a/b", "..", ".", "lock-7", "\x00", "\U0001F600", strings.Repeat("m", 65), string([]byte{0xff})} {
		_, err := NewNames(marker)
		require.ErrorIs(t, err, keeper.ErrInvalid, "%q as the own marker", marker)
		_, err = NewNames("lock-", marker)
		require.ErrorIs(t, err, keeper.ErrInvalid, "%q as another marker", marker)
	}
	names, err := NewNames(strings.Repeat("m", 64))
	require.NoError(t, err)
	assert.LessOrEqual(t, len(names.prefix(newID())+"-2147483648"), keeper.MaxName)
}

func TestTheZeroNamesRecogniseNothing(t *testing.T) {
	_, ok := Names{}.Parse("x-lock-0000000001")
	assert.False(t, ok)
}

// FuzzParse holds the parser against a regular expression that says the same in
// another way, and against what servers print.
func FuzzParse(f *testing.F) {
	for _, name := range []string{
		"_c_6ba7b810-9dad-11d1-80b4-00c04fd430c8-lock-0000000007", "x__lock__0000000001", "lock--2147483648",
		"lock--00000005", "lock-2147483648", "lock-", "", "_c_foo", "lock-lock-0000000001", "\xff\xfe-lock-0000000001",
	} {
		f.Add(name, int32(7))
	}
	f.Add("", int32(math.MinInt32))
	f.Add("", int32(-5))
	names := lockNames(f)
	model := regexp.MustCompile(`(?s)^.*?(lock-|__lock__)([0-9]{10}|-[0-9]{9,10})$`)
	f.Fuzz(func(t *testing.T, name string, seq int32) {
		place, ok := names.Parse(name)
		if m := model.FindStringSubmatch(name); m != nil {
			n, err := strconv.ParseInt(m[2], 10, 32)
			assert.Equal(t, err == nil && fmt.Sprintf("%010d", n) == m[2], ok, "%q", name)
		} else {
			assert.False(t, ok, "%q", name)
		}
		if ok {
			assert.Equal(t, name, place.Name)
			assert.True(t, strings.HasSuffix(name, fmt.Sprintf("%s%010d", place.Marker, place.Seq)), "%q read as %+v", name, place)
		}
		// What a server appends to any prefix is read back.
		printed := name + "lock-" + fmt.Sprintf("%010d", seq)
		place, ok = names.Parse(printed)
		assert.True(t, ok, "%q", printed)
		assert.Equal(t, seq, place.Seq)
	})
}
