package zkserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// words are the monitoring commands: what a client may send, as four bytes,
// instead of asking for a session.
//
//nolint:gochecknoglobals // a table, never written
var words = map[string]func(s *Server, b *strings.Builder, asking *conn){
	"ruok": func(_ *Server, b *strings.Builder, _ *conn) { b.WriteString("imok") },
	"isro": func(_ *Server, b *strings.Builder, _ *conn) { b.WriteString("rw") },
	"srvr": wordSrvr,
	"stat": wordStat,
	"cons": wordCons,
	"mntr": wordMntr,
	"dump": wordDump,
	"wchs": wordWchs,
	"wchc": wordWchc,
	"wchp": wordWchp,
	"conf": wordConf,
	"envi": wordEnvi,
	"dirs": func(_ *Server, b *strings.Builder, _ *conn) { b.WriteString("datadir_size: 0\nlogdir_size: 0\n") },
	"gtmk": func(_ *Server, b *strings.Builder, _ *conn) { b.WriteString("306") }, // the default trace mask
	"srst": wordSrst,
	"crst": wordCrst,
}

func knownWord(word string) bool { return words[word] != nil }

// probe answers a monitoring command and ends the connection.
func (s *Server) probe(c *conn, word string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.enter(c) {
		return
	}
	c.stats.received++
	if !slices.Contains(s.opts.FourLetterWords, word) && !slices.Contains(s.opts.FourLetterWords, "*") {
		c.out.addText(word + " is not executed because it is not in the whitelist.\n")
		return
	}
	var b strings.Builder
	words[word](s, &b, c)
	c.out.addText(b.String())
}

// versionLine has a date because clients look for one; it is nobody's build.
func (s *Server) versionLine() string {
	return s.version.full + ", built on 01/01/1970 00:00 UTC"
}

func wordSrvr(s *Server, b *strings.Builder, _ *conn) {
	fmt.Fprintf(b, "Zookeeper version: %s\n", s.versionLine())
	s.writeTotals(b)
}

func (s *Server) writeTotals(b *strings.Builder) {
	t := s.totals()
	fmt.Fprintf(b, "Latency min/avg/max: %d/%s/%d\nReceived: %d\nSent: %d\nConnections: %d\nOutstanding: %d\n",
		s.latency.least, averageText(s.latency.average()), s.latency.most, t.received, t.sent, len(s.conns), t.queued)
	fmt.Fprintf(b, "Zxid: %s\nMode: standalone\nNode count: %d\n", hexID(s.zxid), s.nodeCount())
}

// nodeCount counts the root twice, as servers do that know it by two names.
func (s *Server) nodeCount() int { return len(s.tree.nodes) + 1 }

// averageText has a decimal point and at most four decimals.
func averageText(ms float64) string {
	text := strings.TrimRight(fmt.Sprintf("%.4f", ms), "0")
	if strings.HasSuffix(text, ".") {
		text += "0"
	}
	return text
}

type totals struct{ received, sent, queued int }

// totals sums over the connections there are, without those that have ended:
// nobody should build on more.
func (s *Server) totals() (t totals) {
	for c := range s.conns {
		waiting, sent := c.out.queued()
		t.received += c.stats.received
		t.sent += sent
		t.queued += waiting
	}
	return t
}

func wordStat(s *Server, b *strings.Builder, asking *conn) {
	fmt.Fprintf(b, "Zookeeper version: %s\nClients:\n", s.versionLine())
	for _, c := range s.connsInOrder() {
		waiting, sent := c.out.queued()
		fmt.Fprintf(b, " /%s[%d](queued=%d,recved=%d,sent=%d)\n", c.remote, interest(c, asking), waiting, c.stats.received, sent)
	}
	b.WriteByte('\n')
	s.writeTotals(b)
}

// interest is 1 for a connection that is read from and 0 for the probe itself.
func interest(c, asking *conn) int {
	if c == asking {
		return 0
	}
	return 1
}

func (s *Server) connsInOrder() []*conn {
	return slices.SortedFunc(maps.Keys(s.conns), func(a, b *conn) int { return int(a.id - b.id) })
}

func wordCons(s *Server, b *strings.Builder, asking *conn) {
	for _, c := range s.connsInOrder() {
		waiting, sent := c.out.queued()
		fmt.Fprintf(b, " /%s[%d](queued=%d,recved=%d,sent=%d", c.remote, interest(c, asking), waiting, c.stats.received, sent)
		if ss := c.session; ss != nil {
			l := c.stats.latency
			fmt.Fprintf(b, ",sid=%s,lop=%s,est=%d,to=%d,lcxid=0x%x,lzxid=%s,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d",
				hexID(ss.id), c.stats.lastOp, c.since.UnixMilli(), ss.timeout.Milliseconds(),
				uint32(c.stats.lastXid), hexID(c.stats.lastZxid),
				time.Now().UnixMilli(), l.last, l.least, int64(l.average()), l.most)
		}
		b.WriteString(")\n")
	}
	b.WriteByte('\n')
}

func wordMntr(s *Server, b *strings.Builder, _ *conn) {
	t := s.totals()
	ephemerals := 0
	for _, paths := range s.tree.ephemerals {
		ephemerals += len(paths)
	}
	for _, line := range [...]struct {
		key   string
		value any
	}{
		{"zk_version", s.versionLine()},
		{"zk_server_state", "standalone"},
		{"zk_ephemerals_count", ephemerals},
		{"zk_num_alive_connections", len(s.conns)},
		{"zk_avg_latency", averageText(s.latency.average())},
		{"zk_min_latency", s.latency.least},
		{"zk_max_latency", s.latency.most},
		{"zk_outstanding_requests", t.queued},
		{"zk_znode_count", s.nodeCount()},
		{"zk_global_sessions", len(s.sessions.byID)},
		{"zk_local_sessions", 0},
		{"zk_watch_count", s.data.size() + s.child.size()},
		{"zk_packets_received", t.received},
		{"zk_packets_sent", t.sent},
		{"zk_approximate_data_size", s.tree.dataSize()},
		{"zk_uptime", s.now().Milliseconds()},
	} {
		fmt.Fprintf(b, "%s\t%v\n", line.key, line.value)
	}
}

// javaDate is how Java prints a time by default.
const javaDate = "Mon Jan 02 15:04:05 MST 2006"

func wordDump(s *Server, b *strings.Builder, _ *conn) {
	at := func(end time.Duration) string { return s.start.Add(end).UTC().Format(javaDate) }
	sets := make(map[time.Duration][]*session)
	connected := make(map[time.Duration][]*session)
	owners := 0
	for _, ss := range s.sessions.sorted() {
		sets[ss.expireAt] = append(sets[ss.expireAt], ss)
		if ss.conn != nil {
			connected[ss.expireAt] = append(connected[ss.expireAt], ss)
		}
		owners += min(1, len(s.tree.ephemerals[ss.id]))
	}
	fmt.Fprintf(b, "SessionTracker dump:\nSession Sets (%d)/(%d):\n", len(sets), len(s.sessions.byID))
	for _, end := range slices.Sorted(maps.Keys(sets)) {
		fmt.Fprintf(b, "%d expire at %s:\n", len(sets[end]), at(end))
		for _, ss := range sets[end] {
			fmt.Fprintf(b, "\t%s\n", hexID(ss.id))
		}
	}
	fmt.Fprintf(b, "ephemeral nodes dump:\nSessions with Ephemerals (%d):\n", owners)
	for _, ss := range s.sessions.sorted() {
		if paths := s.tree.ephemerals[ss.id]; len(paths) > 0 {
			fmt.Fprintf(b, "%s:\n", hexID(ss.id))
			for _, path := range slices.Sorted(maps.Keys(paths)) {
				fmt.Fprintf(b, "\t%s\n", path)
			}
		}
	}
	total := 0
	for _, list := range connected {
		total += len(list)
	}
	fmt.Fprintf(b, "Connections dump:\nConnections Sets (%d)/(%d):\n", len(connected), total)
	for _, end := range slices.Sorted(maps.Keys(connected)) {
		fmt.Fprintf(b, "%d expire at %s:\n", len(connected[end]), at(end))
		for _, ss := range connected[end] {
			fmt.Fprintf(b, "\tip: /%s sessionId: %s\n", ss.conn.remote, hexID(ss.id))
		}
	}
}

// The wch commands tell of watches on data only, as real servers do.

func wordWchs(s *Server, b *strings.Builder, _ *conn) {
	fmt.Fprintf(b, "%d connections watching %d paths\nTotal watches:%d\n",
		len(s.data.byConn), len(s.data.byPath), s.data.size())
}

func wordWchc(s *Server, b *strings.Builder, _ *conn) {
	for _, c := range s.connsInOrder() {
		if of := s.data.byConn[c]; of != nil && c.session != nil {
			fmt.Fprintln(b, hexID(c.session.id))
			for _, path := range slices.Sorted(maps.Keys(of.paths)) {
				fmt.Fprintf(b, "\t%s\n", path)
			}
		}
	}
	b.WriteByte('\n')
}

func wordWchp(s *Server, b *strings.Builder, _ *conn) {
	for _, path := range slices.Sorted(maps.Keys(s.data.byPath)) {
		fmt.Fprintln(b, path)
		for _, c := range s.data.connsAt(path) {
			if c.session != nil {
				fmt.Fprintf(b, "\t%s\n", hexID(c.session.id))
			}
		}
	}
	b.WriteByte('\n')
}

func wordConf(s *Server, b *strings.Builder, _ *conn) {
	port := "0"
	if len(s.listeners) > 0 {
		addr := s.listeners[0].Addr().String()
		port = addr[strings.LastIndexByte(addr, ':')+1:]
	}
	fmt.Fprintf(b, "clientPort=%s\nsecureClientPort=-1\ntickTime=%d\nmaxClientCnxns=0\nminSessionTimeout=%d\nmaxSessionTimeout=%d\nserverId=0\n",
		port, s.opts.Tick.Milliseconds(), s.opts.MinSessionTimeout.Milliseconds(), s.opts.MaxSessionTimeout.Milliseconds())
}

func wordEnvi(s *Server, b *strings.Builder, _ *conn) {
	fmt.Fprintf(b, "Environment:\nzookeeper.version=%s\n", s.versionLine())
}

func wordSrst(s *Server, b *strings.Builder, _ *conn) {
	s.latency = latency{}
	b.WriteString("Server stats reset.\n")
}

func wordCrst(s *Server, b *strings.Builder, _ *conn) {
	for c := range s.conns {
		c.stats.latency, c.stats.received = latency{}, 0
	}
	b.WriteString("Connection stats reset.\n")
}
