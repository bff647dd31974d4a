package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestValidateACL(t *testing.T) {
	one := func(perms keeper.Perm, scheme, id string) []keeper.ACL {
		return []keeper.ACL{{Perms: perms, Scheme: scheme, ID: id}}
	}
	all := keeper.PermAll
	for name, acl := range map[string][]keeper.ACL{
		"nil stands for the default": nil,
		"open":                       keeper.OpenACL(),
		"read":                       keeper.ReadACL(),
		"creator":                    keeper.CreatorAllACL(),
		"digest":                     keeper.DigestACL(keeper.PermRead, "u", "p"),
		"address":                    one(all, "ip", "10.0.0.1"),
		"network":                    one(all, "ip", "10.0.0.0/8"),
		"address v6":                 one(all, "ip", "::1"),
		"network v6":                 one(all, "ip", "fd00::/8"),
		"other scheme":               one(all, "x509", "CN=a"),
		"two":                        append(keeper.OpenACL(), keeper.ReadACL()...),
	} {
		require.NoError(t, keeper.ValidateACL(acl), name)
	}
	for name, acl := range map[string][]keeper.ACL{
		"empty":                 {},
		"no permissions":        one(0, "world", "anyone"),
		"negative permissions":  one(-1, "world", "anyone"),
		"unknown permission":    one(32, "world", "anyone"),
		"no scheme":             one(all, "", "x"),
		"world is anyone":       one(all, "world", "joe"),
		"digest without colon":  one(all, "digest", "a"),
		"digest without hash":   one(all, "digest", "a:"),
		"digest without user":   one(all, "digest", ":a"),
		"digest of three":       one(all, "digest", "a:b:c"),
		"ip without address":    one(all, "ip", ""),
		"ip of a name":          one(all, "ip", "localhost"),
		"ip with too many bits": one(all, "ip", "10.0.0.1/33"),
		"ip without bits":       one(all, "ip", "10.0.0.1/"),
		"scheme not UTF-8":      one(all, "\xff", ""),
		"id not UTF-8":          one(all, "x509", "CN=\xff"),
		"second is bad":         append(keeper.OpenACL(), keeper.ACL{}),
	} {
		err := keeper.ValidateACL(acl)
		require.ErrorIs(t, err, keeper.ErrInvalid, name)
		require.NotContains(t, err.Error(), "a:b:c", "an id may hold a password's hash")
	}
	require.ErrorContains(t, keeper.ValidateACL(append(keeper.OpenACL(), keeper.ACL{})), "ACL entry 1")
}

func TestDigestID(t *testing.T) {
	require.Equal(t, "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=", keeper.DigestID("u", "p"))
	require.NotContains(t, keeper.DigestID("u", "hunter2"), "hunter2")
}

func TestPermString(t *testing.T) {
	require.Equal(t, "cdrwa", keeper.PermAll.String())
	require.Equal(t, "r", keeper.PermRead.String())
	require.Empty(t, keeper.Perm(0).String())
	require.Equal(t, "w+32", (keeper.PermWrite | 32).String())
	require.Equal(t, "world:anyone:r", keeper.ReadACL()[0].String())
}

func TestEqualACL(t *testing.T) {
	a := append(keeper.OpenACL(), keeper.ReadACL()...)
	b := append(keeper.ReadACL(), keeper.OpenACL()...)
	require.True(t, keeper.EqualACL(a, b))
	require.True(t, keeper.EqualACL(nil, []keeper.ACL{}))
	require.False(t, keeper.EqualACL(a, a[:1]))
	require.False(t, keeper.EqualACL(a, append(keeper.OpenACL(), keeper.OpenACL()...)))
	require.Equal(t, append(keeper.OpenACL(), keeper.ReadACL()...), a, "the lists are left as they were")
}

// Every call gives a list of its own: one caller cannot spoil it for another.
func TestACLsAreFresh(t *testing.T) {
	keeper.OpenACL()[0].Perms = 0
	require.Equal(t, keeper.PermAll, keeper.OpenACL()[0].Perms)
}
