package keeper_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/conclave-go/conclave/keeper"
)

// validUnits is the reference: what a server written in Java accepts, which sees
// UTF-16 units. It is made of a list of what a path must not contain.
func validUnits(path string) bool {
	if path == "/" {
		return true
	}
	if !utf8.ValidString(path) || !strings.HasPrefix(path, "/") {
		return false
	}
	for _, u := range utf16.Encode([]rune(path)) {
		if u < 0x20 || u > 0x7e && u < 0xa0 || u > 0xd7ff && u < 0xf900 || u > 0xffef {
			return false
		}
	}
	for _, bad := range []string{"//", "/./", "/../"} {
		if strings.Contains(path+"/", bad) {
			return false
		}
	}
	return true
}

// requireReference compares every function that judges paths with the reference.
func requireReference(t require.TestingT, path string) {
	requireVerdict(t, validUnits(path), keeper.ValidatePath(path), path)

	sequential := keeper.Create{Path: path, Mode: keeper.EphemeralSequential}
	requireVerdict(t, validUnits(path+"0000000000"), sequential.Validate(), path)

	isName := path != "" && !strings.Contains(path, "/") && len(path) <= keeper.MaxName
	requireVerdict(t, isName && validUnits("/"+path), keeper.ValidateName("name", path), path)
}

func requireVerdict(t require.TestingT, valid bool, err error, path string) {
	if valid {
		require.NoError(t, err, "%q", path)
		return
	}
	var bad *keeper.InvalidError
	require.ErrorAs(t, err, &bad, "%q", path)
	require.NotEmpty(t, bad.Why)
	require.Equal(t, path, bad.Value)
	require.ErrorIs(t, err, keeper.ErrInvalid)
	require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
	require.True(t, utf8.ValidString(err.Error()), "%q", err)
	require.Less(t, len(err.Error()), 1000)
}

func pathSeeds() []string {
	return []string{
		"", "/", "a", "/a", "/a/b", "/a/", "//", "/a//b", "/./x", "/.", "/..", "/../x", "/a/..", "/a/.b", "/...", "/a..", "/ a",
		"/\x00", "/a\x00b", "/\x01", "/\x1f", "/\x20", "/\x7e", "/\x7f", "/\u0085", "/\u009f", "/\u00a0", "/é/ü",
		"/\ud7ff", "/\xed\xa0\x80", "/\ue000", "/\uf8ff", "/\uf900", "/\uffef", "/\ufff0", "/\ufffd", "/\uffff", "/\U0001F600",
		"/\xff", "/a\xc3", "\xff", "/a/\x80/b", strings.Repeat("/a", 1<<19),
	}
}

func TestPathsAgainstTheReference(t *testing.T) {
	for _, path := range pathSeeds() {
		requireReference(t, path)
		requireReference(t, strings.TrimPrefix(path, "/"))
	}
	piece := rapid.SampledFrom([]string{
		"/", "/", "/", ".", "..", "a", "lock-", " ", "\x00", "\x1f", "\x7e", "\x7f", "\u009f", "\u00a0",
		"\ud7ff", "\ue000", "\uf8ff", "\uf900", "\uffef", "\ufff0", "\ufffd", "\U0001F600", "\xff", "\xed\xa0\x80",
	})
	rapid.Check(t, func(t *rapid.T) {
		requireReference(t, "/"+strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "pieces"), ""))
		requireReference(t, rapid.String().Draw(t, "any"))
	})
}

func FuzzValidatePath(f *testing.F) {
	for _, path := range pathSeeds() {
		if len(path) < 1000 { // a long one would only slow the mutations down
			f.Add(path)
		}
	}
	f.Fuzz(func(t *testing.T, path string) { requireReference(t, path) })
}

func TestPathFaultsAreNamed(t *testing.T) {
	for path, why := range map[string]string{
		"":          "is empty",
		"a":         "does not start with '/'",
		"/a/":       "ends with '/'",
		"/a//b":     "has an empty component",
		"/a/../b":   "has a relative component",
		"/a\x01":    "has a forbidden character",
		"/a/\xff/b": "is not valid UTF-8",
		"/a/\ufffd": "has a forbidden character",
	} {
		err := keeper.ValidatePath(path)
		require.ErrorContains(t, err, why, "%q", path)
		require.ErrorContains(t, err, "invalid path")
	}
	require.ErrorContains(t, keeper.ValidateName("lock name", "a/b"), `invalid lock name "a/b": contains '/'`)
	require.ErrorContains(t, keeper.ValidateName("lock name", strings.Repeat("x", 256)), "longer than 255 bytes")
	require.NoError(t, keeper.ValidateName("lock name", strings.Repeat("x", 255)))
}

func TestValidPathsCostNoAllocation(t *testing.T) {
	sequential := &keeper.Create{Path: "/conclave/locks/orders/_c_lock-", Mode: keeper.EphemeralSequential}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		err := errors.Join(
			keeper.ValidatePath("/conclave/locks/orders/é"),
			keeper.ValidateName("name", "orders"),
			sequential.Validate(),
		)
		if err != nil {
			t.Error(err)
		}
	}))
}

func BenchmarkValidatePath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := keeper.ValidatePath("/conclave/locks/orders/_c_0b8a4b1e-lock-0000000042"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestParentBaseJoin(t *testing.T) {
	for _, c := range []struct{ path, parent, base string }{
		{"/", "/", ""}, {"/a", "/", "a"}, {"/a/b", "/a", "b"}, {"/a/b/c", "/a/b", "c"},
	} {
		require.Equal(t, c.parent, keeper.Parent(c.path))
		require.Equal(t, c.base, keeper.Base(c.path))
		if c.base != "" {
			require.Equal(t, c.path, keeper.Join(c.parent, c.base))
		}
	}
}
