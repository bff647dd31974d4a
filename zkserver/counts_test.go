package zkserver_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

func TestCounts(t *testing.T) {
	srv := start(t, zkserver.Options{})
	p := dial(t, srv).open(10 * time.Second)
	p.mustCreate("/a", keeper.Persistent)
	_, _ = p.get("/a", true)
	_, _ = p.set("/a", -1)
	_, _ = p.children("/a", false)
	p.settle()
	p.settle()
	c := srv.Counts()
	require.Equal(t, map[string]int{"create": 1, "getData": 1, "setData": 1, "getChildren": 1, "ping": 2}, c.Requests)
	require.Equal(t, 4, c.Total())
	require.Equal(t, 4, c.Bursts, "pings are none")
	require.Equal(t, 1, c.Notifications)
	require.Equal(t, 1, c.Connections)
	require.Positive(t, c.BytesRead)
	require.Positive(t, c.BytesWritten)

	c.Requests["create"] = 99 // a copy
	require.Equal(t, 1, srv.Counts().Requests["create"])
	srv.ResetCounts()
	require.Zero(t, srv.Counts().Total())
	require.Zero(t, srv.Counts().Bursts)
	p.mustCreate("/b", keeper.Persistent)
	require.Equal(t, 1, srv.Counts().Bursts)
}

func TestBursts(t *testing.T) {
	for _, network := range []string{"pipe", "tcp"} {
		t.Run(network, func(t *testing.T) {
			srv := start(t, zkserver.Options{})
			var p *peer
			if network == "pipe" {
				p = dial(t, srv)
			} else {
				addr, err := srv.Listen("127.0.0.1:0")
				require.NoError(t, err)
				p = newPeer(t, tcp(t, addr.String()))
			}
			p.open(10 * time.Second)
			get := func() []byte { return p.request(proto.OpGetData, &proto.GetDataRequest{Path: "/"}) }
			ping := frame(&proto.RequestHeader{Xid: proto.XidPing, Op: proto.OpPing})
			big := func(n int) []byte {
				return p.request(proto.OpSetData, &proto.SetDataRequest{Path: "/", Data: make([]byte, n), Version: -1})
			}
			for _, c := range []struct {
				name    string
				write   [][]byte
				replies int
				bursts  int
			}{
				{"one", [][]byte{get()}, 1, 1},
				{"three in one write", [][]byte{get(), get(), get()}, 3, 1},
				{"a ping", [][]byte{ping}, 1, 0},
				{"a ping among others", [][]byte{get(), ping, get()}, 3, 1},
				{"a big one", [][]byte{big(60_000)}, 1, 1},
				{"many", func() (all [][]byte) {
					for range 500 {
						all = append(all, get())
					}
					return all
				}(), 500, 1},
			} {
				srv.ResetCounts()
				var all []byte
				for _, b := range c.write {
					all = append(all, b...)
				}
				p.write(all)
				for range c.replies {
					require.Equal(t, keeper.OK, p.recv().Err, c.name)
				}
				require.Equal(t, c.bursts, srv.Counts().Bursts, c.name)
			}

			// A request counts where it begins, once, however it comes.
			srv.ResetCounts()
			all := append(get(), get()...)
			cut := len(all) - 5
			p.write(all[:cut])
			p.recv()
			p.write(all[cut:])
			p.recv()
			require.Equal(t, 1, srv.Counts().Bursts)
			if network == "pipe" { // TCP may take it apart
				srv.ResetCounts()
				p.write(big(500_000))
				p.recv()
				require.Equal(t, 1, srv.Counts().Bursts)
			}
		})
	}
}
