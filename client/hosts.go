package client

import "math/rand/v2"

// hosts hands out the servers to try, round and round. Names are resolved at
// each dial. The loop owns it.
type hosts struct {
	addrs []string
	next  int
}

// newHosts shuffles the list once, so that clients spread over the servers,
// unless it is to be kept in order.
func newHosts(addrs []string, ordered bool) *hosts {
	addrs = append([]string(nil), addrs...)
	if !ordered {
		//nolint:gosec // spreads load, guards nothing
		rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	}
	return &hosts{addrs: addrs}
}

func (h *hosts) pick() string {
	addr := h.addrs[h.next]
	h.next = (h.next + 1) % len(h.addrs)
	return addr
}

func (h *hosts) len() int { return len(h.addrs) }
