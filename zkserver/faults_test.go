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

// faultTest runs in a synctest bubble with a server, the victim of the fault,
// and somebody who sees what has become of it.
func faultTest(t *testing.T, f func(t *testing.T, srv *zkserver.Server, victim, witness *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := start(t, zkserver.Options{Tick: time.Second})
		victim, witness := dial(t, srv).open(10*time.Second), dial(t, srv).open(20*time.Second)
		victim.mustCreate("/e", keeper.Ephemeral)
		f(t, srv, victim, witness)
	})
}

// present tells whether there is a node.
func (p *peer) present(path string) bool {
	p.t.Helper()
	_, code := p.stat(path, false)
	return code == keeper.OK
}

func (p *peer) sendCreate(path string) {
	p.t.Helper()
	p.send(proto.OpCreate2, &proto.CreateRequest{Path: path, ACL: keeper.OpenACL()})
}

// reattach opens p's session on a new connection and reports whether the server
// still has it.
func reattach(t *testing.T, srv *zkserver.Server, p *peer) (*peer, bool) {
	t.Helper()
	q := dial(t, srv)
	q.xid = p.xid
	resp, err := q.handshake(proto.ConnectRequest{TimeOut: p.timeout, SessionID: p.session, Passwd: p.passwd, HasReadOnly: true})
	require.NoError(t, err)
	return q, resp.SessionID == p.session
}

func TestCutBefore(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.CutBefore})
		victim.sendCreate("/a")
		victim.ended()
		require.False(t, witness.present("/a"))
		_, alive := reattach(t, srv, victim)
		require.True(t, alive)
	})
}

func TestCutAfter(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		_, _ = victim.stat("/a", true)
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.CutAfter})
		victim.sendCreate("/a")
		victim.ended()
		require.Empty(t, victim.take(), "neither the reply nor what came with it")
		require.True(t, witness.present("/a"))
		_, alive := reattach(t, srv, victim)
		require.True(t, alive)
	})
}

func TestReplyThenCut(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.ReplyThenCut})
		victim.mustCreate("/a", keeper.Persistent)
		victim.ended()
		require.True(t, witness.present("/a"))
	})
}

func TestExpireBefore(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.ExpireBefore})
		victim.sendCreate("/a")
		victim.ended()
		require.False(t, witness.present("/a"))
		require.False(t, witness.present("/e"), "the ephemeral node went with the session")
		_, alive := reattach(t, srv, victim)
		require.False(t, alive)
	})
}

func TestExpireAfter(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.ExpireAfter})
		victim.sendCreate("/a")
		victim.ended()
		require.True(t, witness.present("/a"))
		require.False(t, witness.present("/e"))
		_, alive := reattach(t, srv, victim)
		require.False(t, alive)
	})
}

func TestStall(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.Stall})
		victim.sendCreate("/a")
		victim.sendCreate("/b")
		for range 60 { // it is heard, so it lives
			pass(time.Second)
			victim.write(frame(&proto.RequestHeader{Xid: proto.XidPing, Op: proto.OpPing}))
			witness.settle()
		}
		require.True(t, witness.present("/a"))
		require.True(t, witness.present("/b"))
		require.True(t, witness.present("/e"))
		require.True(t, srv.Cut(victim.session))
		victim.ended()
		require.Empty(t, victim.take())
		next, alive := reattach(t, srv, victim)
		require.True(t, alive)
		require.True(t, next.present("/e"), "a new connection is answered")
	})
}

func TestDelay(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.Delay, Delay: 3 * time.Second})
		began := time.Now()
		victim.sendCreate("/a")
		require.False(t, witness.present("/a"), "others do not wait")
		require.Zero(t, time.Since(began))
		require.Equal(t, keeper.OK, victim.recv().Err)
		require.Equal(t, 3*time.Second, time.Since(began))
		require.True(t, witness.present("/a"))
	})
}

func TestDelayEndsWithTheConnection(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.Delay, Delay: time.Hour})
		began := time.Now()
		victim.sendCreate("/a")
		synctest.Wait()
		require.True(t, srv.Expire(victim.session))
		victim.ended()
		require.False(t, witness.present("/a"))
		require.NoError(t, srv.Close()) // waits for all goroutines
		require.Zero(t, time.Since(began))
	})
}

func TestRuleCountsItsMatches(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.ResetCounts()
		// Not the witness, not another path, not another kind, not a ping.
		srv.Inject(zkserver.Rule{Kind: "create", Path: "/x/", Session: victim.session, Nth: 3, Times: 2, Fault: zkserver.CutAfter})
		witness.mustCreate("/x", keeper.Persistent)
		for range 5 {
			witness.mustCreate("/x/w-", keeper.PersistentSequential)
			victim.mustCreate("/y-", keeper.PersistentSequential)
			_, _ = victim.set("/x/w-0000000000", -1)
			victim.settle()
		}
		victim.mustCreate("/x/1", keeper.Persistent)
		victim.mustCreate("/x/2", keeper.Persistent)
		for _, path := range []string{"/x/3", "/x/4"} {
			victim.sendCreate(path)
			victim.ended()
			require.True(t, witness.present(path))
			victim, _ = reattach(t, srv, victim)
		}
		victim.mustCreate("/x/5", keeper.Persistent)
		require.Equal(t, 2, srv.Counts().Faults)
	})
}

func TestRuleAnyRequest(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, _ *peer) {
		remove := srv.Inject(zkserver.Rule{Nth: 2, Times: -1, Fault: zkserver.CutBefore})
		for range 4 { // pings and handshakes are not meant
			victim.settle()
			dial(t, srv).open(10 * time.Second)
		}
		require.True(t, victim.present("/e"))
		for range 3 {
			victim.send(proto.OpSync, &proto.SyncRequest{Path: "/"})
			victim.ended()
			victim, _ = reattach(t, srv, victim)
		}
		remove()
		require.True(t, victim.present("/e"))
	})
}

func TestRuleMatchesPathsOfMulti(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		srv.Inject(zkserver.Rule{Kind: "multi", Path: "/b", Fault: zkserver.CutAfter})
		multi := func(paths ...string) *proto.MultiRequest {
			var m proto.MultiRequest
			for _, path := range paths {
				m.Ops = append(m.Ops, op(proto.OpCreate, &proto.CreateRequest{Path: path, ACL: keeper.OpenACL()}))
			}
			return &m
		}
		require.Equal(t, keeper.OK, victim.do(proto.OpMulti, multi("/a1", "/a2"), nil).Err)
		victim.send(proto.OpMulti, multi("/a3", "/b"))
		victim.ended()
		require.True(t, witness.present("/a3"))
		require.True(t, witness.present("/b"))
	})
}

func TestRulesTogether(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		// Both are due at once: the first acts, the second at the next match.
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.ReplyThenCut})
		srv.Inject(zkserver.Rule{Kind: "create", Fault: zkserver.CutBefore})
		srv.Inject(zkserver.Rule{Kind: "create"}) // no fault: does nothing
		victim.mustCreate("/a", keeper.Persistent)
		victim.ended()
		victim, _ = reattach(t, srv, victim)
		victim.sendCreate("/b")
		victim.ended()
		require.False(t, witness.present("/b"))
		victim, _ = reattach(t, srv, victim)
		victim.mustCreate("/b", keeper.Persistent)
	})
}

// Faults at the handshake: what becomes of the session.
func TestFaultsAtHandshake(t *testing.T) {
	for _, c := range []struct {
		fault    zkserver.Fault
		reattach bool
		answered bool // the client gets an answer
		alive    bool // the session lives, or a new one was made
	}{
		{fault: zkserver.CutBefore},
		{fault: zkserver.CutAfter, alive: true},
		{fault: zkserver.ReplyThenCut, answered: true, alive: true},
		{fault: zkserver.ExpireBefore, answered: true, alive: true}, // there is none to expire
		{fault: zkserver.ExpireAfter},
		{fault: zkserver.Delay, answered: true, alive: true},
		{fault: zkserver.CutBefore, reattach: true, alive: true},
		{fault: zkserver.CutAfter, reattach: true, alive: true},
		{fault: zkserver.ReplyThenCut, reattach: true, answered: true, alive: true},
		{fault: zkserver.ExpireBefore, reattach: true, answered: true},
		{fault: zkserver.ExpireAfter, reattach: true},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, _ *peer) {
				srv.Inject(zkserver.Rule{Kind: "connect", Fault: c.fault, Delay: time.Second})
				before := len(srv.Sessions())
				req := proto.ConnectRequest{TimeOut: 10_000, HasReadOnly: true}
				if c.reattach {
					req.SessionID, req.Passwd = victim.session, victim.passwd
				}
				p := dial(t, srv)
				_, err := p.handshake(req)
				require.Equal(t, c.answered, err == nil)
				want := before
				switch {
				case c.alive && !c.reattach:
					want++
				case !c.alive && c.reattach:
					want--
				}
				require.Len(t, srv.Sessions(), want)
			})
		})
	}
}

// What was answered before arrives, also where TCP would throw it away because
// of requests that were never read.
func TestRepliesBeforeAFaultArrive(t *testing.T) {
	for _, fault := range []zkserver.Fault{
		zkserver.CutBefore, zkserver.CutAfter, zkserver.ReplyThenCut, zkserver.ExpireBefore, zkserver.ExpireAfter, zkserver.Stall,
	} {
		for _, network := range []string{"pipe", "tcp"} {
			t.Run(fault.String()+" "+network, func(t *testing.T) {
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
				const nth = 50
				srv.Inject(zkserver.Rule{Nth: nth, Fault: fault})
				var all []byte
				for range nth {
					all = append(all, p.request(proto.OpExists, &proto.ExistsRequest{Path: "/"})...)
				}
				all = append(all, make([]byte, 3<<20)...) // does not matter any more
				if fault == zkserver.Stall {
					all = all[:len(all)-3<<20]
				}
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					_, _ = p.nc.Write(all)
				}()
				want := nth - 1
				if fault == zkserver.ReplyThenCut {
					want = nth
				}
				for i := range want {
					require.EqualValues(t, i+1, p.recv().Xid)
				}
				if fault == zkserver.Stall {
					<-sent
					require.True(t, srv.Cut(p.session))
				}
				_, err := p.next()
				require.ErrorIs(t, err, io.EOF)
				require.NoError(t, p.nc.Close())
				<-sent
			})
		}
	}
}

// A client that stays although it was told to go does not keep its place.
func TestClientThatStaysIsLetGo(t *testing.T) {
	srv := start(t, zkserver.Options{MaxConns: 1})
	addr, err := srv.Listen("127.0.0.1:0")
	require.NoError(t, err)
	p := newPeer(t, tcp(t, addr.String())).open(10 * time.Second)
	srv.Inject(zkserver.Rule{Kind: "sync", Fault: zkserver.CutBefore})
	p.send(proto.OpSync, &proto.SyncRequest{Path: "/"})
	p.ended()
	require.Eventually(t, func() bool {
		q := newPeer(t, tcp(t, addr.String()))
		_, err := q.nc.Write(frame(&proto.ConnectRequest{TimeOut: 5000, Passwd: make([]byte, 16)}))
		if err == nil {
			_, err = q.frames.Next()
		}
		_ = q.nc.Close()
		return err == nil
	}, 20*time.Second, 50*time.Millisecond)
}

// A watching rule hears of every match and leaves the faults to others.
func TestNotify(t *testing.T) {
	faultTest(t, func(t *testing.T, srv *zkserver.Server, victim, witness *peer) {
		var heard, hit []string
		note := func(to *[]string) func(string) { return func(kind string) { *to = append(*to, kind) } }
		srv.Inject(zkserver.Rule{Session: victim.session, Times: -1, Notify: note(&heard)})
		srv.Inject(zkserver.Rule{Session: victim.session, Nth: 2, Fault: zkserver.CutBefore, Notify: note(&hit)})
		_, _ = witness.stat("/a", false)
		_, _ = victim.stat("/a", false)
		victim.sendCreate("/a")
		victim.ended()
		require.False(t, witness.present("/a"))
		require.Equal(t, []string{"exists", "create"}, heard)
		require.Equal(t, []string{"create"}, hit)
		require.Equal(t, 1, srv.Counts().Faults)
	})
}
