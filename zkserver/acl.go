package zkserver

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/conclave-go/conclave/keeper"
)

// identity is who a connection is, in one scheme. Every connection is
// ("ip", its address); auth packets add more.
type identity struct {
	scheme, id string
}

// allowed tells whether one of the ids has the permission. An empty list
// protects nothing.
func allowed(acl []keeper.ACL, perm keeper.Perm, ids []identity) bool {
	if len(acl) == 0 {
		return true
	}
	for _, a := range acl {
		if a.Perms&perm == 0 {
			continue
		}
		if a.Scheme == "world" && a.ID == "anyone" {
			return true
		}
		for _, who := range ids {
			if who.scheme == a.Scheme && matches(who, a.ID) {
				return true
			}
		}
	}
	return false
}

func matches(who identity, want string) bool {
	switch who.scheme {
	case "digest":
		return who.id == want
	case "ip":
		return matchesIP(who.id, want)
	}
	return false
}

// fixACL turns the list of a request into the one that is stored: doubles go,
// and "auth" becomes the ids the connection has authenticated as.
func fixACL(acl []keeper.ACL, ids []identity) ([]keeper.ACL, keeper.Code) {
	var fixed []keeper.ACL
	for i, a := range acl {
		if slices.Contains(acl[:i], a) {
			continue
		}
		switch a.Scheme {
		case "world":
			if a.ID != "anyone" {
				return nil, keeper.ErrInvalidACL
			}
			fixed = append(fixed, a)
		case "auth":
			found := false
			for _, who := range ids {
				if who.scheme == "ip" { // an address is no proof of who somebody is
					continue
				}
				found = true
				fixed = append(fixed, keeper.ACL{Perms: a.Perms, Scheme: who.scheme, ID: who.id})
			}
			if !found {
				return nil, keeper.ErrInvalidACL
			}
		case "digest":
			if !validDigestID(a.ID) {
				return nil, keeper.ErrInvalidACL
			}
			fixed = append(fixed, a)
		case "ip":
			if _, _, ok := parseIPMask(a.ID); !ok {
				return nil, keeper.ErrInvalidACL
			}
			fixed = append(fixed, a)
		default:
			return nil, keeper.ErrInvalidACL
		}
	}
	if len(fixed) == 0 {
		return nil, keeper.ErrInvalidACL
	}
	return fixed, keeper.OK
}

// validDigestID wants two parts around a colon. Empty parts at the end do not
// count, so ":b" and "a:b:" pass and "a:" does not, as on real servers.
func validDigestID(id string) bool {
	parts := strings.Split(id, ":")
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return len(parts) == 2
}

// parseIPMask reads "a.b.c.d" or "a.b.c.d/bits". IPv6 is for servers from
// 3.9.4 on.
func parseIPMask(id string) (addr netip.Addr, bits int, ok bool) {
	host, mask, masked := strings.Cut(id, "/")
	addr, err := netip.ParseAddr(host)
	if err != nil || !addr.Is4() {
		return netip.Addr{}, 0, false
	}
	bits = addr.BitLen()
	if masked {
		bits, err = strconv.Atoi(mask)
		if err != nil || bits < 0 || bits > addr.BitLen() {
			return netip.Addr{}, 0, false
		}
	}
	return addr, bits, true
}

func matchesIP(remote, want string) bool {
	addr, bits, ok := parseIPMask(want)
	if !ok {
		return false
	}
	who, err := netip.ParseAddr(remote)
	if err != nil {
		return false
	}
	return netip.PrefixFrom(addr, bits).Masked().Contains(who.Unmap())
}

// maskACL hides the hashes of digest ids from those who may not change the list.
func maskACL(acl []keeper.ACL) []keeper.ACL {
	masked := slices.Clone(acl)
	for i := range masked {
		if masked[i].Scheme == "digest" {
			user, _, _ := strings.Cut(masked[i].ID, ":")
			masked[i].ID = user + ":x"
		}
	}
	return masked
}
