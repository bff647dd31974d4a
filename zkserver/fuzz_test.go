package zkserver_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

// FuzzBytesAfterHandshake feeds a server what a hostile client may send once it
// has a session. The server must not panic, must let go of the connection, and
// must still serve others.
func FuzzBytesAfterHandshake(f *testing.F) {
	p := &peer{}
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	for _, seed := range []struct {
		op  proto.OpCode
		rec proto.Record
	}{
		{proto.OpPing, nil},
		{proto.OpCreate2, &proto.CreateRequest{Path: "/a", Data: []byte("x"), ACL: keeper.OpenACL(), Flags: 3}},
		{proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/a", ACL: keeper.DigestACL(1, "a", "b"), Flags: 5, TTL: 1}},
		{proto.OpCreateContainer, &proto.CreateRequest{Path: "/c", ACL: keeper.OpenACL(), Flags: 4}},
		{proto.OpDelete, &proto.DeleteRequest{Path: "/a", Version: -1}},
		{proto.OpSetData, &proto.SetDataRequest{Path: "/", Version: -1}},
		{proto.OpSetACL, &proto.SetACLRequest{Path: "/", ACL: keeper.ReadACL(), Version: -1}},
		{proto.OpGetData, &proto.GetDataRequest{Path: "/", Watch: true}},
		{proto.OpExists, &proto.ExistsRequest{Path: "/none", Watch: true}},
		{proto.OpGetChildren2, &proto.GetChildrenRequest{Path: "/", Watch: true}},
		{proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
			op(proto.OpCreate, &proto.CreateRequest{Path: "/m", ACL: keeper.OpenACL(), Flags: 2}),
			op(proto.OpCheck, &proto.CheckVersionRequest{Path: "/", Version: 0}),
		}}},
		{proto.OpMultiRead, &proto.MultiRequest{Ops: []proto.MultiOp{op(proto.OpGetData, &proto.GetDataRequest{Path: "/"})}}},
		{proto.OpSetWatches, &proto.SetWatches{DataWatches: []string{"/a"}, ExistWatches: []string{"/b"}, ChildWatches: []string{"/"}}},
		{proto.OpAddWatch, &proto.AddWatchRequest{Path: "/", Mode: 1}},
		{proto.OpRemoveWatches, &proto.RemoveWatchesRequest{Path: "/", Type: 3}},
		{proto.OpAuth, &proto.AuthPacket{Scheme: "digest", Auth: []byte("a:b")}},
		{proto.OpSASL, &proto.GetSASLRequest{Token: []byte("x")}},
		{proto.OpWhoAmI, nil},
		{proto.OpGetEphemerals, &proto.GetEphemeralsRequest{}},
		{proto.OpGetAllChildrenNumber, &proto.GetAllChildrenNumberRequest{Path: "/"}},
		{proto.OpCloseSession, nil},
		{999, nil},
	} {
		f.Add(append(p.request(seed.op, seed.rec), p.request(proto.OpSetData, &proto.SetDataRequest{Path: "/a", Version: -1})...))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		srv, err := zkserver.New(zkserver.Options{TTLNodes: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, srv.Close()) }()
		hostile, other := dial(t, srv).open(10*time.Second), dial(t, srv).open(10*time.Second)
		other.do(proto.OpAddWatch, &proto.AddWatchRequest{Path: "/", Mode: 1}, nil)
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, hostile.nc)
		}()
		_, _ = hostile.nc.Write(input)
		other.settle()
		_ = hostile.nc.Close()
		<-drained
		other.do(proto.OpSync, &proto.SyncRequest{Path: "/"}, nil)
		require.NotEmpty(t, srv.Dump())
	})
}

// FuzzFirstBytes feeds a server what comes before it knows what a client is.
func FuzzFirstBytes(f *testing.F) {
	f.Add(frame(&proto.ConnectRequest{TimeOut: 5000, Passwd: make([]byte, 16), HasReadOnly: true}))
	f.Add(frame(&proto.ConnectRequest{TimeOut: -1, SessionID: 1, LastZxidSeen: 1 << 40}))
	for _, word := range []string{"ruok", "srvr", "stat", "cons", "mntr", "dump", "wchs", "wchc", "wchp", "conf", "envi", "isro", "xxxx"} {
		f.Add([]byte(word))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		srv, err := zkserver.New(zkserver.Options{FourLetterWords: []string{"*"}})
		require.NoError(t, err)
		defer func() { require.NoError(t, srv.Close()) }()
		p := dial(t, srv)
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, p.nc)
		}()
		_, _ = p.nc.Write(input)
		_ = p.nc.Close()
		<-drained
		dial(t, srv).open(time.Second)
	})
}
