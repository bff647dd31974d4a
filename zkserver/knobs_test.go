package zkserver_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

func TestExpire(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		victim.mustCreate("/e2", keeper.Ephemeral)
		_, _ = victim.stat("/e", true)
		_, _ = witness.stat("/e", true)
		_, _ = witness.stat("/e2", true)
		zxid := srv.Zxid()
		require.True(t, srv.Expire(victim.session))
		require.Equal(t, zxid+1, srv.Zxid(), "all of it is one transaction")
		require.ElementsMatch(t, []event{ev(keeper.EventDeleted, "/e"), ev(keeper.EventDeleted, "/e2")}, witness.settle())
		victim.ended()
		require.Empty(t, victim.take(), "not a word")
		require.False(t, srv.Expire(victim.session))
		require.False(t, srv.Expire(0))
		require.Equal(t, []int64{witness.session}, srv.Sessions())
	})
}

func TestCut(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		require.True(t, srv.Cut(victim.session))
		victim.ended()
		require.False(t, srv.Cut(victim.session), "it has no connection any more")
		require.False(t, srv.Cut(1))
		require.True(t, witness.present("/e"))
		victim, alive := reattach(t, srv, victim)
		require.True(t, alive)

		srv.CutAll()
		victim.ended()
		witness.ended()
		require.Len(t, srv.Sessions(), 2)
	})
}

func TestRefuse(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, _ *peer) {
		srv.Refuse(true)
		began := time.Now()
		nc, err := srv.Dial(t.Context(), "tcp", "")
		require.NoError(t, err)
		_, err = nc.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, nc.Close())
		require.Zero(t, time.Since(began))
		require.True(t, victim.present("/e"), "those who are in stay")
		srv.Refuse(false)
		dial(t, srv).open(time.Second)
	})
}

func TestFreeze(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Freeze()
		srv.Freeze()
		victim.sendCreate("/a")
		late := dial(t, srv)
		late.write(frame(&proto.ConnectRequest{TimeOut: 5000, Passwd: make([]byte, 16)}))
		pass(5 * time.Second)
		require.Zero(t, srv.Counts().Requests["exists"])
		require.Equal(t, 1, srv.Counts().Requests["create"], "the knobs still work")
		srv.Thaw()
		srv.Thaw()
		require.Equal(t, keeper.OK, victim.recv().Err)
		_, err := late.frames.Next()
		require.NoError(t, err)
		require.True(t, witness.present("/a"))
	})
}

func TestFreezeOutlastsSessions(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		victims := []*peer{victim}
		for range 50 { // enough of them for one to be quicker than the clock
			victims = append(victims, dial(t, srv).open(10*time.Second))
		}
		witness.settle()
		srv.Freeze()
		for _, v := range victims {
			v.sendCreate("/a")
		}
		synctest.Wait()
		pass(12 * time.Second) // the victims' time is over, the witness's is not
		require.Len(t, srv.Sessions(), 52, "nothing happens while it is frozen")
		srv.Thaw()
		for _, v := range victims {
			v.ended()
		}
		require.Equal(t, []int64{witness.session}, srv.Sessions())
		require.False(t, witness.present("/a"), "it comes too late")
	})
}

func TestFrozenServerCanBeCutAndClosed(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Freeze()
		victim.sendCreate("/a")
		require.True(t, srv.Cut(victim.session))
		victim.ended()
		witness.sendCreate("/b")
		require.NoError(t, srv.Close())
		witness.ended()
	})
}

func TestClose(t *testing.T) {
	srv, err := zkserver.New(zkserver.Options{})
	require.NoError(t, err)
	addr, err := srv.Listen("127.0.0.1:0")
	require.NoError(t, err)
	require.Equal(t, addr.String(), srv.Addr())
	a, b := newPeer(t, tcp(t, addr.String())).open(10*time.Second), dial(t, srv).open(10*time.Second)
	require.NoError(t, srv.Close())
	require.NoError(t, srv.Close())
	a.ended()
	b.ended()
	_, err = srv.Listen("127.0.0.1:0")
	require.ErrorIs(t, err, zkserver.ErrServerClosed)
	_, err = srv.Dial(t.Context(), "tcp", "")
	require.ErrorIs(t, err, zkserver.ErrServerClosed)
}

func TestListenFails(t *testing.T) {
	srv := start(t, zkserver.Options{})
	addr, err := srv.Listen("127.0.0.1:0")
	require.NoError(t, err)
	_, err = srv.Listen(addr.String())
	require.Error(t, err)
	second, err := srv.Listen("127.0.0.1:0")
	require.NoError(t, err)
	require.NotEqual(t, addr, second)
	newPeer(t, tcp(t, second.String())).open(time.Second)
}

func TestDialHonoursContext(t *testing.T) {
	srv := start(t, zkserver.Options{})
	ctx, cancel := contextCancelled(t)
	defer cancel()
	_, err := srv.Dial(ctx, "tcp", "")
	require.ErrorIs(t, err, ctx.Err())
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]zkserver.Options{
		"tick":            {Tick: -time.Second},
		"short tick":      {Tick: time.Microsecond},
		"minimum":         {MinSessionTimeout: -1},
		"maximum":         {MaxSessionTimeout: 1 << 60},
		"crossed":         {MinSessionTimeout: time.Minute, MaxSessionTimeout: time.Second},
		"frame":           {MaxFrame: -1},
		"connections":     {MaxConns: -1},
		"watches":         {MaxWatches: -1},
		"handshake":       {HandshakeTimeout: -1},
		"containers":      {ContainerCheckInterval: 1},
		"history":         {HistoryLimit: -2},
		"version":         {Version: "3.4"},
		"four letters":    {FourLetterWords: []string{"ruok", "xxxx"}},
		"too few letters": {FourLetterWords: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := zkserver.New(o)
			require.ErrorIs(t, err, keeper.ErrInvalid)
			var invalid *keeper.InvalidError
			require.ErrorAs(t, err, &invalid)
		})
	}
}

func TestDumpAndHistory(t *testing.T) {
	srv := start(t, zkserver.Options{HistoryLimit: 4})
	p := dial(t, srv).open(10 * time.Second)
	p.mustCreate("/a", keeper.Persistent)
	p.mustCreate("/a/e-", keeper.EphemeralSequential)
	_, _, _ = p.create("/a", keeper.Persistent)
	p.do(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
		op(proto.OpCheck, &proto.CheckVersionRequest{Path: "/a", Version: 0}),
		op(proto.OpSetData, &proto.SetDataRequest{Path: "/a", Data: []byte("secret"), Version: 0}),
	}}, nil)
	p.do(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
		op(proto.OpSetData, &proto.SetDataRequest{Path: "/a", Version: -1}),
		op(proto.OpDelete, &proto.DeleteRequest{Path: "/none", Version: 0}),
	}}, nil)
	_, _ = p.get("/a", true)
	_, _ = p.children("/a", true)

	history := srv.History()
	for i := range history {
		require.NotZero(t, history[i].Time)
		history[i].Time = 0
	}
	require.Equal(t, []zkserver.Txn{
		{Zxid: 3, Session: p.session, Xid: 2, Op: "create", Path: "/a/e-0000000000"},
		{Zxid: 4, Session: p.session, Xid: 3, Op: "create", Path: "/a", Err: keeper.ErrNodeExists},
		{Zxid: 5, Session: p.session, Xid: 4, Op: "multi", Ops: []zkserver.Txn{{Op: "check", Path: "/a"}, {Op: "setData", Path: "/a"}}},
		{Zxid: 6, Session: p.session, Xid: 5, Op: "multi", Path: "/a", Err: keeper.ErrNoNode},
	}, history)

	dump := srv.Dump()
	for _, want := range []string{"/a/e-0000000000", "ephemeral 0x1", "zxid 0x6", "data watches", "child watches", "timeout 10s"} {
		require.Contains(t, dump, want)
	}
	require.NotContains(t, dump, "secret")

	session := p.session
	p.close()
	history = srv.History()
	last := history[len(history)-1]
	require.Equal(t, "closeSession", last.Op)
	require.Equal(t, session, last.Session)
	require.Equal(t, []zkserver.Txn{{Op: "delete", Path: "/a/e-0000000000"}}, last.Ops)

	p = dial(t, srv).open(10 * time.Second)
	for range 20 {
		p.mustCreate("/n-", keeper.PersistentSequential)
		require.Len(t, srv.History(), 4)
		require.Equal(t, srv.Zxid(), srv.History()[3].Zxid)
	}
}

// In virtual time.

func TestSessionExpiresAtTheTick(t *testing.T) {
	for _, timeout := range []time.Duration{2 * time.Second, 2500 * time.Millisecond, 3 * time.Second, 7700 * time.Millisecond} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const tick = time.Second
				srv := start(t, zkserver.Options{Tick: tick})
				began := time.Now()
				pass(300 * time.Millisecond)
				victim, witness := dial(t, srv).open(timeout), dial(t, srv).open(20*time.Second)
				victim.mustCreate("/e", keeper.Ephemeral)
				_, _ = witness.stat("/e", true)
				pass(1900 * time.Millisecond)
				victim.settle() // a ping counts
				heard := time.Since(began)
				_, err := victim.frames.Next() // silence, then the end
				require.ErrorIs(t, err, io.EOF)
				ended := time.Since(began)
				require.Equal(t, (heard+timeout).Truncate(tick)+tick, ended)
				require.Greater(t, ended, heard+timeout)
				require.Equal(t, []event{ev(keeper.EventDeleted, "/e")}, witness.settle())
			})
		})
	}
}

func TestSessionLivesWhileAway(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, _ *peer) {
		require.NoError(t, victim.nc.Close())
		pass(9 * time.Second)
		victim, alive := reattach(t, srv, victim)
		require.True(t, alive)
		pass(9 * time.Second)
		require.True(t, victim.present("/e"))
	})
}

func TestReattachSetsTheTimeout(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, _ *peer) {
		victim.timeout = 3000
		victim, alive := reattach(t, srv, victim)
		require.True(t, alive)
		require.EqualValues(t, 3000, victim.timeout)
		pass(4 * time.Second)
		synctest.Wait()
		require.Len(t, srv.Sessions(), 1)
	})
}

func TestHandshakeDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := start(t, zkserver.Options{})
		began := time.Now()
		for _, sent := range [][]byte{nil, {0}, {0, 0, 0, 45}, {0, 0, 0, 45, 0, 0}} {
			p := dial(t, srv)
			require.NoError(t, p.nc.SetDeadline(time.Time{}))
			if sent != nil {
				p.write(sent)
			}
			p.ended()
		}
		require.Equal(t, 4*10*time.Second, time.Since(began))
		p := dial(t, srv)
		require.NoError(t, p.nc.SetDeadline(time.Time{}))
		p.open(40 * time.Second)
		pass(39 * time.Second)
		p.settle() // it is only for the handshake
	})
}

func TestContainersInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := start(t, zkserver.Options{Tick: 10 * time.Second, TTLNodes: true})
		p := dial(t, srv)
		require.NoError(t, p.nc.SetDeadline(time.Time{}))
		p.open(200 * time.Second)
		pass(70 * time.Second) // the server looks at 120 s and at 180 s
		for _, path := range []string{"/c", "/unused"} {
			p.do(proto.OpCreateContainer, &proto.CreateRequest{Path: path, ACL: keeper.OpenACL(), Flags: 4}, nil)
		}
		p.mustCreate("/c/x", keeper.Persistent)
		p.do(proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/t", ACL: keeper.OpenACL(), Flags: 5, TTL: 90_000}, nil)
		pass(51 * time.Second)
		require.True(t, p.present("/c"), "it has a child")
		_ = p.delete("/c/x")
		pass(58 * time.Second)
		require.True(t, p.present("/c"), "nobody has looked yet")
		require.True(t, p.present("/t"))
		pass(2 * time.Second)
		require.False(t, p.present("/c"))
		require.False(t, p.present("/t"))
		require.True(t, p.present("/unused"))
		history := srv.History()
		require.Equal(t, "deleteContainer", history[len(history)-1].Op)
	})
}
