package zkserver_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Scripts of handshakes, sessions, identities and access control.

func TestParitySessions(t *testing.T) {
	for name, f := range map[string]func(s *script){
		"timeouts are clamped":        seedClamp,
		"read-only byte":              seedReadOnlyByte,
		"zxid ahead":                  seedZxidAhead,
		"wrong password":              seedWrongPassword,
		"reattach":                    seedReattach,
		"reattach kicks":              seedReattachKicks,
		"session closed":              seedSessionClosed,
		"expiry":                      seedExpiry,
		"bad first frames":            seedBadFirstFrames,
		"unknown opcodes":             seedUnknownOpcodes,
		"frame limit":                 seedFrameLimit,
		"pings, pipelined":            seedPings,
		"authentication":              seedAuth,
		"access control":              seedACL,
		"bad ACLs":                    seedBadACL,
		"pipelined behind a close":    seedPipelinedClose,
		"pipelined with a handshake":  seedPipelinedHandshake,
		"requests that only exist so": seedOddRequests,
	} {
		t.Run(name, func(t *testing.T) { runScript(t, f) })
	}
}

func (a *actor) authAs(scheme, auth string) reply {
	a.t.Helper()
	a.peer.write(frame(&proto.RequestHeader{Xid: proto.XidAuth, Op: proto.OpAuth}, &proto.AuthPacket{Scheme: scheme, Auth: []byte(auth)}))
	a.s.say("%s is %s %q", a.name, scheme, auth)
	r, _ := a.answer(proto.OpAuth)
	return r
}

func seedClamp(s *script) {
	for _, ms := range []int32{-1, 0, 1, 399, 400, 401, 59_999, 60_000, 60_001, 1_000_000_000, 1<<31 - 1, -1 << 31} {
		a := s.stranger("a")
		resp := a.connect(proto.ConnectRequest{TimeOut: ms, HasReadOnly: true})
		require.Equal(s, min(max(ms, 400), 60_000), resp.TimeOut)
		a.ask(proto.OpCloseSession, nil)
	}
}

func seedReadOnlyByte(s *script) {
	for _, req := range []proto.ConnectRequest{
		{TimeOut: 5000}, {TimeOut: 5000, HasReadOnly: true}, {TimeOut: 5000, HasReadOnly: true, ReadOnly: true},
		{TimeOut: 5000, ProtocolVersion: 7}, {TimeOut: 5000, Passwd: []byte{}}, {TimeOut: 5000, Passwd: make([]byte, 40)},
	} {
		a := s.stranger("a")
		require.NotZero(s, a.connect(req).SessionID)
		a.look(s.root)
		a.ask(proto.OpCloseSession, nil)
	}
}

func seedZxidAhead(s *script) {
	a := s.actor("a")
	r, _ := a.ask(proto.OpSync, &proto.SyncRequest{Path: "/"})
	for _, ahead := range []int64{0, 1, 1000, 1 << 40} {
		b := s.stranger("b")
		b.connect(proto.ConnectRequest{TimeOut: 5000, LastZxidSeen: r.Zxid + ahead, HasReadOnly: true})
		if ahead > 0 {
			b.closed()
		} else {
			b.ask(proto.OpCloseSession, nil)
			r.Zxid += 2 // the session that began and ended
		}
	}
	// The check comes before anybody is kicked.
	b := s.stranger("b")
	b.connect(proto.ConnectRequest{TimeOut: 5000, LastZxidSeen: r.Zxid + 1000, SessionID: a.session, Passwd: a.passwd, HasReadOnly: true})
	b.closed()
	a.look(s.root)
}

func seedWrongPassword(s *script) {
	a := s.actor("a")
	a.create2(a.at("/e"), keeper.Ephemeral)
	b := s.stranger("b")
	resp := b.connect(proto.ConnectRequest{TimeOut: 5000, SessionID: a.session, Passwd: make([]byte, 16), HasReadOnly: true})
	require.Zero(s, resp.TimeOut)
	require.Zero(s, resp.SessionID)
	require.Equal(s, make([]byte, 16), resp.Passwd)
	b.closed()
	a.closed() // kicked, but the session lives on
	c := s.stranger("c")
	c.connect(proto.ConnectRequest{TimeOut: 5000, SessionID: a.session, Passwd: a.passwd, HasReadOnly: true})
	c.look(s.root + "/e")
	for _, req := range []proto.ConnectRequest{
		{TimeOut: 5000, SessionID: 0x1234}, {TimeOut: 5000, SessionID: -1, HasReadOnly: true},
		{TimeOut: 5000, SessionID: a.session, Passwd: a.passwd[:15]}, {TimeOut: 5000, SessionID: a.session, Passwd: []byte{}},
	} {
		d := s.stranger("d")
		d.connect(req)
		d.closed()
	}
}

func seedReattach(s *script) {
	a := s.actor("a")
	r, _ := a.create2(a.at("/e"), keeper.Ephemeral)
	a.watchData(a.at("/e"))
	require.NoError(s, a.nc.Close())
	b := s.stranger("b")
	resp := b.connect(proto.ConnectRequest{TimeOut: 7000, LastZxidSeen: r.Zxid, SessionID: a.session, Passwd: a.passwd, HasReadOnly: true})
	require.Equal(s, a.session, resp.SessionID)
	require.EqualValues(s, 7000, resp.TimeOut)
	sync, _ := b.ask(proto.OpSync, &proto.SyncRequest{Path: "/"})
	require.Equal(s, r.Zxid, sync.Zxid, "a reattach takes no zxid")
	b.write(s.root+"/e", -1)
	require.Empty(s, b.hear(), "the watch went with the connection")
	b.ask(proto.OpGetEphemerals, &proto.GetEphemeralsRequest{})
}

func seedReattachKicks(s *script) {
	a := s.actor("a")
	b := s.stranger("b")
	b.connect(proto.ConnectRequest{TimeOut: 5000, SessionID: a.session, Passwd: a.passwd, HasReadOnly: true})
	a.closed()
	b.look(s.root)
}

func seedSessionClosed(s *script) {
	a := s.actor("a")
	a.create2(a.at("/e"), keeper.Ephemeral)
	a.ask(proto.OpCloseSession, nil)
	a.closed()
	b := s.stranger("b")
	b.connect(proto.ConnectRequest{TimeOut: 5000, SessionID: a.session, Passwd: a.passwd, HasReadOnly: true})
	b.closed()
}

func seedExpiry(s *script) {
	a, b := s.stranger("a"), s.actor("b")
	a.connect(proto.ConnectRequest{TimeOut: 600, HasReadOnly: true})
	a.create2(a.at("/e"), keeper.Ephemeral)
	a.watchData(a.at("/e"))
	b.watchChildren(s.root)
	b.watchData(a.at("/e"))
	b.wait()
	b.hear()
	// Not a word before the close. A real server that is quick may still tell
	// the connection of the end of its own node; ours does not.
	_, err := a.next()
	require.Error(s, err)
	c := s.stranger("c")
	c.connect(proto.ConnectRequest{TimeOut: 5000, SessionID: a.session, Passwd: a.passwd, HasReadOnly: true})
	c.closed()
	b.look(s.root)
}

func seedBadFirstFrames(s *script) {
	for _, b := range [][]byte{
		{0, 0, 0, 0},
		{0, 0, 0, 4, 1, 2, 3, 4},
		{0xff, 0xff, 0xff, 0xff},
		{0x80, 0, 0, 0},
		{0, 0x10, 0, 0},
		{0x7f, 0xff, 0xff, 0xff},
		[]byte("GET / HTTP/1.1\r\n\r\n"),
		frame(&proto.RequestHeader{Xid: 1, Op: proto.OpGetData}, &proto.GetDataRequest{Path: "/"}),
		append([]byte{0, 0, 0, 40}, make([]byte, 40)[:24]...)[:28],
	} {
		a := s.stranger("a")
		a.peer.write(b)
		if len(b) == 28 {
			// A frame that does not end: nothing happens until it does.
			require.NoError(s, a.nc.Close())
			continue
		}
		a.closed()
	}
}

func seedUnknownOpcodes(s *script) {
	for _, op := range []proto.OpCode{999, 0, -1, -2, 10, 23, 99, 108} {
		a := s.actor("a")
		a.create2(a.at("/n"), keeper.EphemeralSequential)
		r, _ := a.ask(op, raw{0, 0, 0, 1, '/'})
		require.Equal(s, keeper.ErrUnimplemented, r.Err)
		require.EqualValues(s, -1, r.Zxid)
		a.closed()
		b := s.stranger("b")
		resp := b.connect(proto.ConnectRequest{TimeOut: 5000, SessionID: a.session, Passwd: a.passwd, HasReadOnly: true})
		require.Equal(s, a.session, resp.SessionID, "the session lives")
		b.ask(proto.OpCloseSession, nil)
	}
}

func seedFrameLimit(s *script) {
	const limit = 0xfffff
	for _, n := range []int{limit, limit + 1} {
		a := s.actor("a")
		overhead := len(a.request(proto.OpSetData, &proto.SetDataRequest{Path: s.root, Version: -1})) - 4
		a.send(proto.OpSetData, &proto.SetDataRequest{Path: s.root, Data: make([]byte, n-overhead), Version: -1})
		if n > limit {
			a.closed()
			continue
		}
		a.answer(proto.OpSetData)
		_, resp := a.ask(proto.OpExists, &proto.ExistsRequest{Path: s.root})
		require.EqualValues(s, n-overhead, resp.(*proto.ExistsResponse).Stat.DataLength)
	}
	for _, b := range [][]byte{{0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7}, []byte("ruok")} {
		a := s.actor("a")
		a.peer.write(b)
		a.closed()
	}
}

func seedPings(s *script) {
	a := s.actor("a")
	r, _ := a.ask(proto.OpPing, nil)
	require.Equal(s, proto.XidPing, r.Xid)
	r, _ = a.ask(proto.OpPing, raw{1, 2, 3})
	require.Equal(s, proto.XidPing, r.Xid)
	var all []byte
	for i := range 100 {
		if i%10 == 3 {
			all = append(all, frame(&proto.RequestHeader{Xid: proto.XidPing, Op: proto.OpPing})...)
		}
		all = append(all, a.request(proto.OpSetData, &proto.SetDataRequest{Path: s.root, Version: int32(i)})...)
		all = append(all, a.request(proto.OpExists, &proto.ExistsRequest{Path: s.root})...)
	}
	a.peer.write(all)
	for i := range 100 {
		if i%10 == 3 {
			r, _ := a.answer(proto.OpPing)
			require.Equal(s, proto.XidPing, r.Xid)
		}
		a.answer(proto.OpSetData)
		a.answer(proto.OpExists)
	}
}

func seedAuth(s *script) {
	a := s.actor("a")
	who := func() { a.ask(proto.OpWhoAmI, nil) }
	who()
	for _, auth := range []string{"u:p", "u:p", "u:other", "bare", "", ":", "a:b:c"} {
		a.authAs("digest", auth)
		who()
	}
	a.authAs("ip", "10.0.0.1")
	who()
	for _, scheme := range []string{"world", "auth", "x509", "sasl", "nonsense", ""} {
		b := s.actor("b")
		b.create2(a.at("/e-"), keeper.EphemeralSequential)
		r := b.authAs(scheme, "anyone")
		require.Equal(s, keeper.ErrAuthFailed, r.Err)
		b.closed()
	}
	// A body that is none closes at once.
	b := s.actor("b")
	b.peer.write(frame(&proto.RequestHeader{Xid: proto.XidAuth, Op: proto.OpAuth}, raw{0, 0, 0}))
	b.closed()
}

func seedACL(s *script) {
	a, b, c := s.actor("a"), s.actor("b"), s.actor("c")
	a.authAs("digest", "u:p")
	a.authAs("digest", "v:p")
	b.authAs("digest", "u:p")
	for i, acl := range [][]keeper.ACL{
		keeper.OpenACL(), keeper.ReadACL(), keeper.CreatorAllACL(),
		keeper.DigestACL(keeper.PermAll, "u", "p"),
		append(keeper.DigestACL(keeper.PermAll, "u", "p"), keeper.ReadACL()...),
		append(keeper.DigestACL(keeper.PermRead|keeper.PermWrite, "u", "p"), keeper.ACL{Perms: keeper.PermAdmin, Scheme: "world", ID: "anyone"}),
		{{Perms: keeper.PermAll, Scheme: "ip", ID: "127.0.0.1"}},
		{{Perms: keeper.PermAll, Scheme: "ip", ID: "127.0.0.0/8"}},
		{{Perms: keeper.PermAll, Scheme: "ip", ID: "10.0.0.0/8"}, {Perms: keeper.PermAdmin | keeper.PermDelete, Scheme: "world", ID: "anyone"}},
		{{Perms: keeper.PermAll, Scheme: "ip", ID: "0.0.0.0/0"}},
		{{Perms: keeper.PermCreate | keeper.PermRead, Scheme: "world", ID: "anyone"}, {Perms: keeper.PermCreate | keeper.PermRead, Scheme: "world", ID: "anyone"}},
		{{Perms: 0, Scheme: "world", ID: "anyone"}, {Perms: keeper.PermAdmin, Scheme: "auth", ID: "ignored"}},
		{{Perms: 64 | keeper.PermRead, Scheme: "world", ID: "anyone"}, {Perms: keeper.PermAdmin, Scheme: "digest", ID: ":b"}, {Perms: 1, Scheme: "digest", ID: "a:b:"}},
	} {
		path := a.at("/n" + string(rune('a'+i)))
		a.ask(proto.OpCreate2, &proto.CreateRequest{Path: path, ACL: acl})
		for _, x := range []*actor{a, b, c} {
			x.ask(proto.OpGetACL, &proto.GetACLRequest{Path: path})
			x.ask(proto.OpGetData, &proto.GetDataRequest{Path: path})
			x.ask(proto.OpGetChildren, &proto.GetChildrenRequest{Path: path})
			x.ask(proto.OpExists, &proto.ExistsRequest{Path: path})
			x.ask(proto.OpGetAllChildrenNumber, &proto.GetAllChildrenNumberRequest{Path: path})
			x.ask(proto.OpSync, &proto.SyncRequest{Path: path})
			x.write(path, -1)
			x.write(path, 77)
			x.create2(path+"/c", keeper.Persistent)
			x.remove(path + "/c")
			x.remove(path + "/none")
			x.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{op(proto.OpCheck, &proto.CheckVersionRequest{Path: path, Version: 77})}})
			x.ask(proto.OpSetACL, &proto.SetACLRequest{Path: path, ACL: acl, Version: 77})
		}
		a.remove(path + "/c")
		a.remove(path)
	}
}

func seedBadACL(s *script) {
	a := s.actor("a")
	for _, acl := range [][]keeper.ACL{
		{}, {{Perms: 31, Scheme: "auth"}}, {{Perms: 31, Scheme: "world", ID: "everyone"}}, {{Perms: 31, Scheme: "nonsense", ID: "x"}},
		{{Perms: 31, Scheme: "", ID: "x"}}, {{Perms: 31, Scheme: "digest", ID: "a"}}, {{Perms: 31, Scheme: "digest", ID: "a:"}}, {{Perms: 31, Scheme: "digest", ID: "a:b:c"}},
		{{Perms: 31, Scheme: "digest", ID: ""}}, {{Perms: 31, Scheme: "digest", ID: ":"}}, {{Perms: 31, Scheme: "digest", ID: "::"}}, {{Perms: 31, Scheme: "digest", ID: "a::b"}},
		{{Perms: 31, Scheme: "ip", ID: ""}}, {{Perms: 31, Scheme: "ip", ID: "1.2.3"}}, {{Perms: 31, Scheme: "ip", ID: "1.2.3.4/33"}}, {{Perms: 31, Scheme: "ip", ID: "1.2.3.4/-1"}},
		{{Perms: 31, Scheme: "ip", ID: "1.2.3.4/x"}}, {{Perms: 31, Scheme: "ip", ID: "1.2.3.4/"}}, {{Perms: 31, Scheme: "ip", ID: "256.2.3.4"}}, {{Perms: 31, Scheme: "ip", ID: "::1"}},
		{{Perms: 31, Scheme: "x509", ID: "CN=x"}}, {{Perms: 31, Scheme: "sasl", ID: "x"}}, {{Perms: 31, Scheme: "super", ID: "x"}},
		{{Perms: 31, Scheme: "world", ID: "anyone"}, {Perms: 31, Scheme: "nonsense", ID: "x"}},
	} {
		a.ask(proto.OpCreate2, &proto.CreateRequest{Path: a.at("/n"), ACL: acl})
		a.remove(a.at("/n"))
		a.ask(proto.OpSetACL, &proto.SetACLRequest{Path: a.at("/none"), ACL: acl, Version: -1})
		a.ask(proto.OpCreate2, &proto.CreateRequest{Path: a.at("/none/n"), ACL: acl})
		a.ask(proto.OpCreate2, &proto.CreateRequest{Path: a.at("/n"), ACL: acl, Flags: 9})
		a.ask(proto.OpCreate2, &proto.CreateRequest{Path: "n", ACL: acl})
	}
}

func seedPipelinedClose(s *script) {
	a := s.actor("a")
	var all []byte
	all = append(all, a.request(proto.OpSetData, &proto.SetDataRequest{Path: s.root, Version: -1})...)
	all = append(all, a.request(proto.OpCloseSession, nil)...)
	a.peer.write(all)
	a.answer(proto.OpSetData)
	a.answer(proto.OpCloseSession)
	a.closed()
}

func seedPipelinedHandshake(s *script) {
	a := s.stranger("a")
	all := frame(&proto.ConnectRequest{TimeOut: 5000, Passwd: make([]byte, 16), HasReadOnly: true})
	all = append(all, a.request(proto.OpExists, &proto.ExistsRequest{Path: s.root})...)
	all = append(all, a.request(proto.OpSync, &proto.SyncRequest{Path: s.root})...)
	a.peer.write(all)
	b, err := a.frames.Next()
	require.NoError(s, err)
	require.Len(s, b, 37)
	a.answer(proto.OpExists)
	a.answer(proto.OpSync)
	a.ask(proto.OpCloseSession, nil)
}

func seedOddRequests(s *script) {
	a := s.actor("a")
	a.ask(proto.OpSASL, &proto.GetSASLRequest{Token: []byte("x")})
	a.ask(proto.OpDeleteContainer, &proto.SyncRequest{Path: s.root})
	a.ask(proto.OpDeleteContainer, nil)
	a.ask(proto.OpReconfig, &proto.ReconfigRequest{})
	a.ask(proto.OpCloseSession, raw{1, 2, 3})
	b := s.actor("b")
	b.peer.write(frame(&proto.RequestHeader{Xid: 5, Op: proto.OpSASL}, raw{0, 0}))
	b.closed()
}
