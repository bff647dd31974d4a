package zkserver_test

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

// probe sends a monitoring command and returns the whole answer.
func probe(t *testing.T, p *peer, word string) string {
	t.Helper()
	p.write([]byte(word))
	b, err := io.ReadAll(p.nc)
	require.NoError(t, err)
	return string(b)
}

// masks hide what differs from run to run and from build to build.
//
//nolint:gochecknoglobals // a table, never written
var masks = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`Zookeeper version: .*`), "Zookeeper version: V"},
	{regexp.MustCompile(`expire at .*:`), "expire at T:"},
	{regexp.MustCompile(`lop=[A-Z]+`), "lop=OP"},
	{regexp.MustCompile(`0x[0-9a-f]+`), "X"},
	{regexp.MustCompile(`[0-9]+(\.[0-9]+)?`), "N"},
}

func masked(text string) string {
	for _, m := range masks {
		text = m.re.ReplaceAllString(text, m.to)
	}
	return text
}

func TestParityFourLetterWords(t *testing.T) {
	runScript(t, func(s *script) {
		a := s.actor("a")
		a.create2(a.at("/e"), keeper.Ephemeral)
		a.watchData(a.at("/e"))
		a.watchChildren(s.root)
		for _, word := range []string{"ruok", "isro", "srvr", "stat", "wchs", "wchc", "wchp", "cons", "dump", "gtmk", "dirs", "srst", "crst"} {
			text := masked(probe(s.T, newPeer(s.T, s.connect()), word))
			if word == "stat" || word == "cons" || word == "dump" {
				// The connections in any order, and which of them share a tick.
				seen := make(map[string]bool)
				var lines []string
				for _, line := range strings.Split(text, "\n") {
					if !seen[line] {
						lines = append(lines, line)
					}
					seen[line] = true
				}
				if word != "dump" {
					slices.Sort(lines)
				}
				text = strings.Join(lines, "\n")
			}
			s.say("%s: %s", word, text)
		}
		mntr := probe(s.T, newPeer(s.T, s.connect()), "mntr")
		require.True(s, strings.HasPrefix(mntr, "zk_version\t3.8"), mntr)
		for _, key := range []string{
			"zk_server_state\tstandalone", "zk_ephemerals_count\t", "zk_num_alive_connections\t", "zk_avg_latency\t", "zk_outstanding_requests\t",
			"zk_znode_count\t", "zk_global_sessions\t", "zk_watch_count\t2\n", "zk_packets_received\t", "zk_packets_sent\t", "zk_approximate_data_size\t",
		} {
			require.Contains(s, mntr, "\n"+key)
		}
	})
}

func TestFourLetterWhitelist(t *testing.T) {
	srv := start(t, zkserver.Options{})
	require.Contains(t, probe(t, dial(t, srv), "srvr"), "Mode: standalone\nNode count: 5\n")
	require.Equal(t, "ruok is not executed because it is not in the whitelist.\n", probe(t, dial(t, srv), "ruok"))

	_, err := zkserver.New(zkserver.Options{FourLetterWords: []string{"nope"}})
	require.ErrorIs(t, err, keeper.ErrInvalid)
}

func TestFourLetterWordsAsOthersReadThem(t *testing.T) {
	srv := zktest.Start(t)
	p := newPeer(t, tcp(t, srv.Addr())).open(10 * time.Second)
	p.mustCreate("/a", keeper.Persistent)
	p.do(proto.OpGetChildren, &proto.GetChildrenRequest{Path: "/"}, nil)

	require.Equal(t, []bool{true}, zk.FLWRuok([]string{srv.Addr()}, time.Second))
	stats, ok := zk.FLWSrvr([]string{srv.Addr()}, time.Second)
	require.True(t, ok)
	require.NoError(t, stats[0].Error)
	require.EqualValues(t, 6, stats[0].NodeCount)
	require.EqualValues(t, 2, stats[0].Counter)
	clients, _ := zk.FLWCons([]string{srv.Addr()}, time.Second) // it cannot read the line of its own connection
	require.Equal(t, p.session, clients[0].Clients[0].SessionID)
	require.Equal(t, "GETC", clients[0].Clients[0].LastOperation)
}
