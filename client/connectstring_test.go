package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestParseConnectString(t *testing.T) {
	for _, c := range []struct {
		in     string
		addrs  []string
		chroot string
	}{
		{"a", []string{"a:2181"}, ""},
		{"a:1", []string{"a:1"}, ""},
		{"a:65535,b", []string{"a:65535", "b:2181"}, ""},
		{"a/", []string{"a:2181"}, ""},
		{"a:1,b:2/app/x", []string{"a:1", "b:2"}, "/app/x"},
		{"127.0.0.1:1", []string{"127.0.0.1:1"}, ""},
		{"::1", []string{"[::1]:2181"}, ""},
		{"[::1]", []string{"[::1]:2181"}, ""},
		{"[::1]:99/c", []string{"[::1]:99"}, "/c"},
		{"fe80::1%eth0,[2001:db8::1]:1", []string{"[fe80::1%eth0]:2181", "[2001:db8::1]:1"}, ""},
		{"zk-1.example.org:2181", []string{"zk-1.example.org:2181"}, ""},
	} {
		addrs, chroot, err := parseConnectString(c.in)
		require.NoError(t, err, c.in)
		require.Equal(t, c.addrs, addrs, c.in)
		require.Equal(t, c.chroot, chroot, c.in)
	}
}

func TestBadConnectStrings(t *testing.T) {
	for _, in := range []string{
		"", "/", "/app", ",", "a,", ",a", "a,,b",
		"a:", "a:0", "a:65536", "a:-1", "a:+1", "a:x", "a:1 ", ":2181", ":",
		" a", "a b", "a, b", "a\t", "a\x00", "a\n:1",
		"a,a", "a:2181,a", "::1,[::1]:2181",
		"[::1", "::1]", "[a]:1", "[::1]x", "[::1]:", "[127.0.0.1]:1", "1:2:3", "::1:99999",
		"user@a:1", "a\\b",
		"a//", "a/b/", "a/b/../c", "a/./b", "a/b//c", "a/\x00", "a/\xff", "a\xff", "a/\u0085", "a/\ufff0", "a/😀", "a/\ue000",
	} {
		_, err := New(in)
		var bad *keeper.InvalidError
		require.ErrorAs(t, err, &bad, "%q", in)
		require.NotEmpty(t, bad.Why)
	}
}

func FuzzParseConnectString(f *testing.F) {
	for _, s := range []string{"a", "a:1,b:2/x", "[::1]:1", "::1", "a/../b", "a:0", "a,,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addrs, chroot, err := parseConnectString(s)
		if err != nil {
			require.ErrorIs(t, err, keeper.ErrInvalid)
			return
		}
		require.NotEmpty(t, addrs)
		if chroot != "" {
			require.NoError(t, keeper.ValidatePath(chroot))
		}
		// What was understood means the same when it is written out.
		again := ""
		for i, a := range addrs {
			if i > 0 {
				again += ","
			}
			again += a
		}
		addrs2, chroot2, err := parseConnectString(again + chroot)
		require.NoError(t, err)
		require.Equal(t, addrs, addrs2)
		require.Equal(t, chroot, chroot2)
	})
}
