package zkserver

import (
	"maps"
	"time"
)

// Counts is what clients cost the server.
type Counts struct {
	// Requests counts by kind: "create" (with and without Stat),
	// "createContainer", "createTTL", "delete", "exists", "getData", "setData",
	// "getACL", "setACL", "getChildren" (both), "sync", "multi", "multiRead",
	// "setWatches" (both), "addWatch", "checkWatches", "removeWatches", "auth",
	// "ping", "closeSession" and some rare ones. Handshakes are not requests.
	Requests map[string]int

	// Bursts counts the reads of sockets that brought the start of at least one
	// request that is no ping: what a client writes at once, up to 64 KiB, is
	// one burst, and a client that waits for the replies pays one round trip
	// for it. On TCP, writes that follow each other closely may come as one
	// burst; on a pipe they never do.
	Bursts int

	Notifications int // events sent, those of setWatches included
	Connections   int // accepted
	Faults        int // rules that fired

	BytesRead, BytesWritten int64
}

// Total is the number of requests without pings.
func (c Counts) Total() int {
	total := 0
	for kind, n := range c.Requests {
		if kind != kindPing {
			total += n
		}
	}
	return total
}

// Counts returns what was counted since the start or the last ResetCounts. A
// request is counted before it is answered.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Requests = maps.Clone(c.Requests)
	c.BytesRead, c.BytesWritten = s.bytesRead.Load(), s.bytesWritten.Load()
	return c
}

// ResetCounts starts counting anew.
func (s *Server) ResetCounts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = Counts{Requests: make(map[string]int)}
	s.bytesRead.Store(0)
	s.bytesWritten.Store(0)
}

// count counts a request; read is the number of the read it came with.
func (s *Server) count(q *query, in *input, read int) {
	s.counts.Requests[q.op.kind]++
	if q.op.kind != kindPing && in.last != read {
		in.last = read
		s.counts.Bursts++
	}
	q.c.stats.received++
	q.c.stats.lastOp, q.c.stats.lastXid = q.op.word, q.xid
}

// latency is what the monitoring commands tell of response times, in ms.
type latency struct {
	count, total, last, least, most int64
}

func (l *latency) add(d time.Duration) {
	ms := d.Milliseconds()
	if l.count == 0 || ms < l.least {
		l.least = ms
	}
	l.most = max(l.most, ms)
	l.last = ms
	l.total += ms
	l.count++
}

func (l *latency) average() float64 {
	if l.count == 0 {
		return 0
	}
	return float64(l.total) / float64(l.count)
}
