package zkserver_test

import (
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

func TestMaxConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := start(t, zkserver.Options{MaxConns: 2})
		a, b := dial(t, srv).open(10*time.Second), dial(t, srv).open(10*time.Second)
		nc, err := srv.Dial(t.Context(), "tcp", "")
		require.NoError(t, err)
		_, err = nc.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, nc.Close())
		b.settle()
		require.NoError(t, a.nc.Close())
		synctest.Wait()
		dial(t, srv).open(10 * time.Second)
	})
}

func TestMaxWatches(t *testing.T) {
	srv := start(t, zkserver.Options{MaxWatches: 10})
	p, q := dial(t, srv).open(10*time.Second), dial(t, srv).open(10*time.Second)
	for i := range 10 {
		_, _ = p.stat(fmt.Sprint("/", i%5), true) // five watches
		_, _ = q.stat(fmt.Sprint("/", i), true)
	}
	p.settle()
	q.settle()
	q.send(proto.OpExists, &proto.ExistsRequest{Path: "/one/too/many", Watch: true})
	q.ended()
	p.settle()
}

// A connection that is cut off for its watches leaves none behind, though the
// list it sent goes on.
func TestMaxWatchesInOneList(t *testing.T) {
	srv := start(t, zkserver.Options{MaxWatches: 10, FourLetterWords: []string{"*"}})
	p, witness := dial(t, srv).open(10*time.Second), dial(t, srv).open(10*time.Second)
	paths := make([]string, 100)
	for i := range paths {
		paths[i] = fmt.Sprint("/", i)
	}
	p.send(proto.OpSetWatches, &proto.SetWatches{DataWatches: []string{}, ExistWatches: paths, ChildWatches: []string{}})
	p.ended()
	witness.settle()
	require.Contains(t, probe(t, dial(t, srv), "wchs"), "Total watches:0\n")
}

func TestMaxFrame(t *testing.T) {
	srv := start(t, zkserver.Options{MaxFrame: 1000})
	p := dial(t, srv).open(10 * time.Second)
	room := 1000 - (len(p.request(proto.OpSetData, &proto.SetDataRequest{Path: "/"})) - 4)
	require.Equal(t, keeper.OK, p.do(proto.OpSetData, &proto.SetDataRequest{Path: "/", Data: make([]byte, room), Version: -1}, nil).Err)
	big := p.request(proto.OpSetData, &proto.SetDataRequest{Path: "/", Data: make([]byte, room+1), Version: -1})
	p.write(big[:100]) // its length alone is enough
	p.ended()
}

// A client that does not read is not served on, costs little memory, and does
// not disturb others. In the end its session expires.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := start(t, zkserver.Options{Tick: time.Second})
		p, other := dial(t, srv).open(5*time.Second), dial(t, srv).open(20*time.Second)
		require.Equal(t, keeper.OK, other.do(proto.OpSetData, &proto.SetDataRequest{Path: "/", Data: make([]byte, 500_000), Version: -1}, nil).Err)
		served := make(chan struct{})
		go func() { // writes until it is blocked for good
			defer close(served)
			for {
				if _, err := p.nc.Write(p.request(proto.OpGetData, &proto.GetDataRequest{Path: "/"})); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		before := srv.Counts().Requests["getData"]
		require.Less(t, before, 10)
		other.settle()
		pass(10 * time.Second)
		<-served
		require.Equal(t, before, srv.Counts().Requests["getData"])
		require.Equal(t, []int64{other.session}, srv.Sessions())
	})
}

// Notifications come without being asked for: who does not take them is cut off
// in the end.
func TestClientThatDoesNotTakeNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := start(t, zkserver.Options{})
		p, other := dial(t, srv).open(40*time.Second), dial(t, srv).open(40*time.Second)
		name := make([]byte, 60_000)
		for i := range name {
			name[i] = 'n'
		}
		path := "/" + string(name)
		other.mustCreate(path, keeper.Persistent)
		p.do(proto.OpAddWatch, &proto.AddWatchRequest{Path: path}, nil)
		sessions := func() int { return srv.Counts().Notifications }
		for range 1000 {
			_, _ = other.set(path, -1)
		}
		require.Less(t, sessions(), 400)
		_, err := io.Copy(io.Discard, p.nc)
		require.NoError(t, err)
		require.Len(t, srv.Sessions(), 2, "the session may come back")
	})
}

// A length is not believed: memory is for bytes that have come.
func TestAnnouncedLengthsCostNothing(t *testing.T) {
	srv := start(t, zkserver.Options{MaxFrame: 1 << 30})
	var peers []*peer
	for range 50 {
		p := dial(t, srv).open(10 * time.Second)
		p.write([]byte{0x3f, 0xff, 0xff, 0xff, 1, 2, 3, 4})
		peers = append(peers, p)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	require.Less(t, m.HeapAlloc, uint64(100<<20))
	for _, p := range peers {
		require.NoError(t, p.nc.Close())
	}
}

// Requests that ruin a real server are refused.
func TestRuinousRequests(t *testing.T) {
	srv := start(t, zkserver.Options{TTLNodes: true})
	for _, c := range []struct {
		op    proto.OpCode
		rec   proto.Record
		code  keeper.Code
		close bool
	}{
		{proto.OpCheck, &proto.CheckVersionRequest{Path: "/", Version: -1}, keeper.ErrUnimplemented, true},
		{proto.OpCheck, &proto.CheckVersionRequest{Path: "/none", Version: -1}, keeper.ErrUnimplemented, true},
		{proto.OpCreateSession, raw{0, 0, 0, 1}, keeper.ErrUnimplemented, true},
		{proto.OpDeleteContainer, &proto.SyncRequest{Path: "/c"}, keeper.ErrBadArguments, false},
		{proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/t", ACL: keeper.OpenACL(), TTL: -1}, keeper.ErrBadArguments, false},
		{proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/t", ACL: keeper.OpenACL(), Flags: 1, TTL: -1}, keeper.ErrBadArguments, false},
		{proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/t", ACL: keeper.OpenACL(), Flags: 5, TTL: -1}, keeper.ErrBadArguments, false},
		{proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/t", ACL: keeper.OpenACL(), Flags: 5, TTL: -1 << 63}, keeper.ErrBadArguments, false},
		{proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/t", ACL: keeper.OpenACL(), Flags: 5, TTL: 1<<63 - 1}, keeper.ErrBadArguments, false},
	} {
		p := dial(t, srv).open(10 * time.Second)
		p.do(proto.OpCreateContainer, &proto.CreateRequest{Path: "/c", ACL: keeper.OpenACL(), Flags: 4}, nil)
		require.Equal(t, c.code, p.do(c.op, c.rec, nil).Err, "%v %+v", c.op, c.rec)
		if c.close {
			p.ended()
		} else {
			require.True(t, p.present("/c"))
			require.False(t, p.present("/t"))
		}
	}
}

func TestTTLNodesNeedPermission(t *testing.T) {
	srv := start(t, zkserver.Options{})
	p := dial(t, srv).open(10 * time.Second)
	rec := &proto.CreateTTLRequest{Path: "/t", ACL: keeper.OpenACL(), Flags: 5, TTL: 5}
	require.Equal(t, keeper.ErrUnimplemented, p.do(proto.OpCreateTTL, rec, nil).Err)
	require.Equal(t, keeper.ErrUnimplemented, p.do(proto.OpCreate, &proto.CreateRequest{Path: "/t", ACL: keeper.OpenACL(), Flags: 6}, nil).Err)
	p.settle()
}

// Every opcode, known or not, is answered or ends the connection.
func TestEveryOpcode(t *testing.T) {
	srv := start(t, zkserver.Options{})
	for code := proto.OpCode(-20); code < 200; code++ {
		p := dial(t, srv).open(10 * time.Second)
		p.send(code, raw(make([]byte, 100)))
		if r, err := p.next(); err == nil {
			require.Equal(t, code.Known() && code != proto.OpCheck && code != proto.OpCreateSession, r.Err != keeper.ErrUnimplemented, "%v", code)
		}
		require.NoError(t, p.nc.Close())
	}
}

// A connection can hold only so much: of identities, of watched paths, of one
// reply.
func TestConnectionIsBounded(t *testing.T) {
	srv := start(t, zkserver.Options{})
	long := make([]byte, 500_000)
	for i := range long {
		long[i] = 'a'
	}
	auth := func(p *peer, user string) {
		p.write(frame(&proto.RequestHeader{Xid: proto.XidAuth, Op: proto.OpAuth}, &proto.AuthPacket{Scheme: "digest", Auth: []byte(user)}))
	}
	p := dial(t, srv).open(10 * time.Second)
	for range 3 { // one identity, thrice
		auth(p, "a"+string(long))
		p.recv()
	}
	auth(p, "b"+string(long))
	p.recv()
	auth(p, "c"+string(long))
	p.ended()

	p = dial(t, srv).open(10 * time.Second)
	for i := range 134 {
		_, _ = p.stat(fmt.Sprint("/", i, string(long)), true)
	}
	p.send(proto.OpExists, &proto.ExistsRequest{Path: "/x" + string(long), Watch: true})
	p.ended()

	p = dial(t, srv).open(10 * time.Second)
	require.Equal(t, keeper.OK, p.do(proto.OpSetData, &proto.SetDataRequest{Path: "/", Data: long, Version: -1}, nil).Err)
	var many proto.MultiRequest
	for range 100 {
		many.Ops = append(many.Ops, op(proto.OpGetData, &proto.GetDataRequest{Path: "/"}))
	}
	require.Equal(t, keeper.OK, p.do(proto.OpMultiRead, &many, nil).Err)
	many.Ops = append(many.Ops, many.Ops...)
	p.send(proto.OpMultiRead, &many)
	p.ended()
}
