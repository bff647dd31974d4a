package client

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/conclave-go/conclave/keeper"
)

const defaultPort = "2181"

// parseConnectString takes "host:port,host:port/chroot" apart. Ports default to
// 2181; an IPv6 address may stand in brackets, and must when a port follows. A
// chroot of "/" is none. Names are not resolved here.
func parseConnectString(s string) (addrs []string, chroot string, err error) {
	invalid := func(value, why string) error {
		return &keeper.InvalidError{What: "connect string", Value: value, Why: why}
	}
	if !utf8.ValidString(s) {
		return nil, "", invalid(s, "is not valid UTF-8")
	}
	list := s
	if i := strings.IndexByte(s, '/'); i >= 0 {
		list, chroot = s[:i], s[i:]
	}
	if chroot == "/" {
		chroot = ""
	}
	if chroot != "" {
		if err := keeper.ValidatePath(chroot); err != nil {
			return nil, "", fmt.Errorf("chroot: %w", err)
		}
	}
	if list == "" {
		return nil, "", invalid(s, "names no server")
	}
	seen := make(map[string]bool)
	for item := range strings.SplitSeq(list, ",") {
		addr, fault := parseHost(item)
		if fault != "" {
			return nil, "", invalid(item, fault)
		}
		if seen[addr] {
			return nil, "", invalid(item, "is named twice")
		}
		seen[addr] = true
		addrs = append(addrs, addr)
	}
	return addrs, chroot, nil
}

// parseHost returns "host:port" for a dialer, or what is wrong.
func parseHost(item string) (addr, fault string) {
	if item == "" {
		return "", "has an empty server name"
	}
	if strings.ContainsFunc(item, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "", "contains a space or control character"
	}
	host, port := item, defaultPort
	switch {
	case item[0] == '[':
		end := strings.IndexByte(item, ']')
		if end < 0 {
			return "", "has a bracket that is not closed"
		}
		host = item[1:end]
		if !isIPv6(host) {
			return "", "has brackets around something else than an IPv6 address"
		}
		if rest := item[end+1:]; rest != "" {
			if rest[0] != ':' {
				return "", "has something else than a port after the bracket"
			}
			port = rest[1:]
		}
	case strings.Count(item, ":") > 1:
		// Without brackets nobody could say which colon begins the port.
		if !isIPv6(item) {
			return "", "has too many colons: an IPv6 address with a port needs brackets"
		}
	default:
		if before, after, found := strings.Cut(item, ":"); found {
			host, port = before, after
		}
		if host == "" {
			return "", "has no host"
		}
		if strings.ContainsAny(host, "[]@\\") {
			return "", "has a forbidden character"
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '+' {
		return "", "has no port from 1 to 65535"
	}
	return net.JoinHostPort(host, port), ""
}

func isIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6()
}
