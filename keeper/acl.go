package keeper

import (
	"crypto/sha1" //nolint:gosec // the digest scheme of ZooKeeper is SHA-1
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Perm is a set of permissions.
type Perm int32

// Permissions. CREATE and DELETE are checked on the parent of the node that is
// created or deleted.
const (
	PermRead Perm = 1 << iota
	PermWrite
	PermCreate
	PermDelete
	PermAdmin

	PermAll = PermRead | PermWrite | PermCreate | PermDelete | PermAdmin
)

// String shows the set as letters, as zkCli does: "crwda".
func (p Perm) String() string {
	var b strings.Builder
	for _, l := range [...]struct {
		bit    Perm
		letter byte
	}{{PermCreate, 'c'}, {PermDelete, 'd'}, {PermRead, 'r'}, {PermWrite, 'w'}, {PermAdmin, 'a'}} {
		if p&l.bit != 0 {
			b.WriteByte(l.letter)
		}
	}
	if rest := p &^ PermAll; rest != 0 {
		b.WriteString("+" + strconv.Itoa(int(rest)))
	}
	return b.String()
}

// ACL is one entry of a node's access control list. Lists are not inherited.
type ACL struct {
	Perms  Perm
	Scheme string // "world", "auth", "digest", "ip", "x509", "sasl"
	ID     string
}

// String reads "digest:joe:…=:crwda". The digest is a password hash: treat it
// with care.
func (a ACL) String() string { return a.Scheme + ":" + a.ID + ":" + a.Perms.String() }

// OpenACL lets anyone do anything. It is the default of a connection.
func OpenACL() []ACL { return []ACL{{PermAll, "world", "anyone"}} }

// ReadACL lets anyone read.
func ReadACL() []ACL { return []ACL{{PermRead, "world", "anyone"}} }

// CreatorAllACL gives everything to the identities the session has
// authenticated as; without any the server answers ErrInvalidACL.
func CreatorAllACL() []ACL { return []ACL{{PermAll, "auth", ""}} }

// DigestACL gives perms to whoever authenticates as user with password.
func DigestACL(perms Perm, user, password string) []ACL {
	return []ACL{{perms, "digest", DigestID(user, password)}}
}

// DigestID is the id that the digest scheme stores for user and password:
// user:base64(SHA-1(user:password)).
func DigestID(user, password string) string {
	sum := sha1.Sum([]byte(user + ":" + password)) //nolint:gosec // see import
	return user + ":" + base64.StdEncoding.EncodeToString(sum[:])
}

// ValidateACL reports, as *InvalidError, a list that servers refuse. A nil list
// stands for the connection's default and is fine; an empty one is not.
func ValidateACL(acl []ACL) error {
	if acl == nil {
		return nil
	}
	if len(acl) == 0 {
		return &InvalidError{What: "ACL", Why: "is empty (nil stands for the default)"}
	}
	for i, a := range acl {
		if why := a.fault(); why != "" {
			// The id may be a password hash, so only the scheme is shown.
			return &InvalidError{What: "ACL entry " + strconv.Itoa(i), Value: a.Scheme, Why: why}
		}
	}
	return nil
}

func (a ACL) fault() string {
	if a.Perms <= 0 || a.Perms&^PermAll != 0 {
		return "permissions must be a non-empty set of the five known ones"
	}
	if !utf8.ValidString(a.Scheme) || !utf8.ValidString(a.ID) {
		return "scheme and id must be valid UTF-8"
	}
	switch a.Scheme {
	case "":
		return "has no scheme"
	case "world":
		if a.ID != "anyone" {
			return `the id of scheme world must be "anyone"`
		}
	case "digest":
		user, hash, found := strings.Cut(a.ID, ":")
		if !found || user == "" || hash == "" || strings.Contains(hash, ":") {
			return "the id must be user:base64(SHA-1(user:password))"
		}
	case "ip":
		if !validIPMask(a.ID) {
			return "the id must be an address or address/bits"
		}
	}
	return ""
}

func validIPMask(id string) bool {
	if strings.Contains(id, "/") {
		_, err := netip.ParsePrefix(id)
		return err == nil
	}
	_, err := netip.ParseAddr(id)
	return err == nil
}

// EqualACL tells whether two lists hold the same entries, in any order.
func EqualACL(a, b []ACL) bool {
	if len(a) != len(b) {
		return false
	}
	order := func(x, y ACL) int {
		return strings.Compare(x.Scheme+"\x00"+x.ID+"\x00"+strconv.Itoa(int(x.Perms)),
			y.Scheme+"\x00"+y.ID+"\x00"+strconv.Itoa(int(y.Perms)))
	}
	as, bs := slices.Clone(a), slices.Clone(b)
	slices.SortFunc(as, order)
	slices.SortFunc(bs, order)
	return slices.Equal(as, bs)
}
