package zkserver_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

// The same script runs on our server and on a real one; what it checks must hold
// on both, and everything the servers said must be the same, but for times,
// session ids and the zxid the script started at.

// target is a server that scripts run on.
type target struct {
	name string
	addr string
}

// parityTick is that of the shared real server.
const parityTick = 200 * time.Millisecond

// targets are our server and, unless only the embedded one is wanted, a real
// one.
func targets(t *testing.T) []target {
	t.Helper()
	srv, err := zkserver.New(zkserver.Options{
		Tick: parityTick, MaxSessionTimeout: time.Minute, TTLNodes: true,
		ContainerCheckInterval: parityTick, FourLetterWords: []string{"*"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = srv.Close() })
	addr, err := srv.Listen("127.0.0.1:0")
	require.NoError(t, err)
	list := []target{{"embedded", addr.String()}}
	if !zkreal.Embedded() {
		list = append(list, target{"real", zkreal.Shared(t).Addr()})
	}
	return list
}

// script is one run of a script on one server.
type script struct {
	*testing.T
	target   target
	root     string // a node of its own
	base     int64  // zxid at the start
	lines    []string
	sessions []int64
	passwds  map[int64][]byte
}

// runScript runs f on every target and compares what they said.
func runScript(t *testing.T, f func(s *script)) {
	t.Helper()
	var first []string
	for i, target := range targets(t) {
		var lines []string
		ok := t.Run(target.name, func(t *testing.T) {
			s := &script{T: t, target: target, passwds: make(map[int64][]byte)}
			admin := newPeer(t, s.connect()).open(30 * time.Second)
			s.root = admin.mustCreate("/p", keeper.PersistentSequential)
			s.base = admin.do(proto.OpSync, &proto.SyncRequest{Path: "/"}, nil).Zxid
			f(s)
			s.cleanUp(admin)
			lines = s.lines
		})
		switch {
		case !ok:
			return
		case i == 0:
			first = lines
		default:
			sameLines(t, first, lines)
		}
	}
}

// sameLines fails with the first lines that differ, and a few before them.
func sameLines(t *testing.T, ours, theirs []string) {
	t.Helper()
	for i := range max(len(ours), len(theirs)) {
		if i >= len(ours) || i >= len(theirs) || ours[i] != theirs[i] {
			before := ours[max(0, i-6):min(i, len(ours))]
			require.FailNow(t, "our server and a real one differ", "%s\nours: %s\nreal: %s", strings.Join(before, "\n"),
				strings.Join(ours[i:min(i+2, len(ours))], "\n      "), strings.Join(theirs[min(i, len(theirs)):min(i+2, len(theirs))], "\n      "))
		}
	}
}

func (s *script) connect() net.Conn {
	s.Helper()
	nc, err := net.Dial("tcp", s.target.addr)
	require.NoError(s, err)
	return nc
}

// cleanUp ends the sessions of the script, so that no expiry falls into the
// next one, and deletes its nodes.
func (s *script) cleanUp(admin *peer) {
	for id, passwd := range s.passwds {
		p := newPeer(s.T, s.connect())
		if resp, err := p.handshake(proto.ConnectRequest{TimeOut: 4000, SessionID: id, Passwd: passwd, HasReadOnly: true}); err == nil && resp.SessionID != 0 {
			p.do(proto.OpCloseSession, nil, nil)
		}
	}
	var remove func(path string)
	remove = func(path string) {
		names, _ := admin.children(path, false)
		for _, name := range names {
			remove(path + "/" + name)
		}
		_ = admin.delete(path)
	}
	remove(s.root)
	admin.close()
}

// actor is a peer whose conversation goes into the transcript.
type actor struct {
	*peer
	s    *script
	name string
}

func (s *script) say(format string, args ...any) {
	s.lines = append(s.lines, strings.ReplaceAll(fmt.Sprintf(format, args...), s.root, "$root"))
}

// actor opens a session.
func (s *script) actor(name string) *actor {
	s.Helper()
	a := &actor{peer: newPeer(s.T, s.connect()), s: s, name: name}
	a.connect(proto.ConnectRequest{TimeOut: 20_000, HasReadOnly: true})
	return a
}

// stranger is an actor without a session yet.
func (s *script) stranger(name string) *actor {
	s.Helper()
	return &actor{peer: newPeer(s.T, s.connect()), s: s, name: name}
}

// connect asks for a session; the answer is zero when the server closes instead.
func (a *actor) connect(req proto.ConnectRequest) proto.ConnectResponse {
	a.t.Helper()
	resp, err := a.handshake(req)
	if err == nil && resp.SessionID != 0 {
		if !slices.Contains(a.s.sessions, resp.SessionID) {
			a.s.sessions = append(a.s.sessions, resp.SessionID)
		}
		a.s.passwds[resp.SessionID] = resp.Passwd
	}
	a.s.say("%s connects: timeout %d session %d password of %d read-only %t %t closed %t", a.name,
		resp.TimeOut, a.s.sessionNumber(resp.SessionID), len(resp.Passwd), resp.ReadOnly, resp.HasReadOnly, err != nil)
	return resp
}

// ask does a request and puts everything of the reply into the transcript, and
// the notifications that came before it.
func (a *actor) ask(op proto.OpCode, rec proto.Record) (reply, proto.Record) {
	a.t.Helper()
	a.send(op, rec)
	a.s.say("%s: %v %s", a.name, op, a.s.show(rec))
	return a.answer(op)
}

// answer takes the next reply, to a request of the given kind.
func (a *actor) answer(op proto.OpCode) (reply, proto.Record) {
	a.t.Helper()
	r, err := a.next()
	if op == proto.OpCloseSession { // its nodes go in any order
		a.sortEvents()
	}
	a.sayEvents()
	if err != nil {
		a.s.say("  closed")
		return r, nil
	}
	resp := responseOf(op)
	if r.Err == keeper.OK && resp != nil {
		require.NoError(a.t, resp.ReadFrom(r.body))
	} else {
		resp = nil
		require.Empty(a.t, r.body, "a body where none belongs")
	}
	a.s.say("  %v at %d %s", r.Err, a.s.relative(r.Zxid), a.s.show(resp))
	return r, resp
}

// hear puts the notifications the server has sent into the transcript and
// returns them.
func (a *actor) hear() []event {
	a.t.Helper()
	events := a.settle()
	a.events = events
	a.sayEvents()
	a.events = nil
	return events
}

// wait takes the next notification, which no request brings.
func (a *actor) wait() event {
	a.t.Helper()
	b, err := a.frames.Next()
	require.NoError(a.t, err)
	var h proto.ReplyHeader
	var ev proto.WatcherEvent
	require.NoError(a.t, h.ReadFrom(b))
	require.Equal(a.t, proto.XidNotification, h.Xid)
	require.NoError(a.t, ev.ReadFrom(b[proto.ReplyHeaderSize:]))
	e := event{keeper.EventType(ev.Type), ev.Path, h.Zxid}
	a.events = append(a.events, e)
	a.sayEvents()
	return e
}

// hearSorted is hear where the order is not defined: ephemeral nodes that go
// with their session.
func (a *actor) hearSorted() {
	a.t.Helper()
	a.events = a.settle()
	a.sortEvents()
	a.sayEvents()
}

func (a *actor) sortEvents() {
	slices.SortFunc(a.events, func(x, y event) int { return strings.Compare(x.String(), y.String()) })
}

func (a *actor) sayEvents() {
	for _, e := range a.events {
		a.s.say("  %s is told: %v at %d", a.name, e, e.zxid)
	}
	a.events = nil
}

// closed puts into the transcript whether the server has closed.
func (a *actor) closed() {
	a.t.Helper()
	a.ended()
	a.s.say("%s is closed", a.name)
}

func (a *actor) at(path string) string { return a.s.root + path }

// relative makes zxids comparable; those that mean nothing stay.
func (s *script) relative(zxid int64) int64 {
	if zxid <= 0 {
		return zxid
	}
	return zxid - s.base
}

func (s *script) sessionNumber(id int64) int { return slices.Index(s.sessions, id) + 1 }

// show prints a record without what differs between servers.
func (s *script) show(rec proto.Record) string {
	switch r := rec.(type) {
	case nil:
		return ""
	case *proto.Create2Response:
		s.mask(&r.Stat)
	case *proto.ExistsResponse:
		s.mask(&r.Stat)
	case *proto.SetDataResponse:
		s.mask(&r.Stat)
	case *proto.SetACLResponse:
		s.mask(&r.Stat)
	case *proto.GetDataResponse:
		s.mask(&r.Stat)
	case *proto.GetACLResponse:
		s.mask(&r.Stat)
		slices.SortFunc(r.ACL, func(a, b keeper.ACL) int { return strings.Compare(a.String(), b.String()) })
	case *proto.GetChildrenResponse:
		slices.Sort(r.Children)
	case *proto.GetChildren2Response:
		s.mask(&r.Stat)
		slices.Sort(r.Children)
	case *proto.GetEphemeralsResponse:
		slices.Sort(r.Ephemerals)
	case *proto.WhoAmIResponse:
		slices.SortFunc(r.ClientInfo, func(a, b proto.ClientInfo) int { return strings.Compare(a.AuthScheme+a.User, b.AuthScheme+b.User) })
	case *proto.SetWatches:
		c := *r
		c.RelativeZxid = s.relative(c.RelativeZxid)
		rec = &c
	case *proto.MultiRequest:
		var all []string
		for _, op := range r.Ops {
			all = append(all, op.Op.String()+" "+s.show(op.Record))
		}
		return strings.Join(all, "; ")
	case *proto.MultiResponse:
		var all []string
		for _, res := range r.Results {
			text := fmt.Sprintf("%v %v %s", res.Op, res.Err, res.Path)
			if res.Stat != nil {
				s.mask(res.Stat)
				text += fmt.Sprintf(" %+v", *res.Stat)
			}
			all = append(all, text)
		}
		return "[" + strings.Join(all, "; ") + "]"
	case *proto.MultiReadResponse:
		var all []string
		for _, res := range r.Results {
			all = append(all, fmt.Sprintf("%v %v %s", res.Op, res.Err, s.show(res.Body)))
		}
		return "[" + strings.Join(all, "; ") + "]"
	}
	return fmt.Sprintf("%+v", rec)
}

func (s *script) mask(st *keeper.Stat) {
	st.Czxid, st.Mzxid, st.Pzxid = s.relative(st.Czxid), s.relative(st.Mzxid), s.relative(st.Pzxid)
	if st.Ctime == st.Mtime {
		st.Mtime = 0
	} else if st.Mtime > st.Ctime {
		st.Mtime = 0 // later, or in the same millisecond: both are right
	}
	st.Ctime = 0
	st.EphemeralOwner = int64(s.sessionNumber(st.EphemeralOwner))
}

// responseOf is what answers a request of the given kind.
func responseOf(op proto.OpCode) proto.Record {
	switch op {
	case proto.OpCreate:
		return new(proto.CreateResponse)
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return new(proto.Create2Response)
	case proto.OpExists:
		return new(proto.ExistsResponse)
	case proto.OpGetData:
		return new(proto.GetDataResponse)
	case proto.OpSetData:
		return new(proto.SetDataResponse)
	case proto.OpGetACL:
		return new(proto.GetACLResponse)
	case proto.OpSetACL:
		return new(proto.SetACLResponse)
	case proto.OpGetChildren:
		return new(proto.GetChildrenResponse)
	case proto.OpGetChildren2:
		return new(proto.GetChildren2Response)
	case proto.OpSync:
		return new(proto.SyncResponse)
	case proto.OpMulti:
		return new(proto.MultiResponse)
	case proto.OpMultiRead:
		return new(proto.MultiReadResponse)
	case proto.OpGetEphemerals:
		return new(proto.GetEphemeralsResponse)
	case proto.OpGetAllChildrenNumber:
		return new(proto.GetAllChildrenNumberResponse)
	case proto.OpAddWatch:
		return new(proto.ErrorResponse)
	case proto.OpWhoAmI:
		return new(proto.WhoAmIResponse)
	case proto.OpSASL:
		return new(proto.SetSASLResponse)
	}
	return nil
}
