package zkserver_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Scripts of the data model: what they require is known of real servers.

func TestParityDataModel(t *testing.T) {
	for name, f := range map[string]func(s *script){
		"cversion counts creates and deletes": seedCversion,
		"sequences":                           seedSequences,
		"bad paths":                           seedBadPaths,
		"versions":                            seedVersions,
		"ephemerals":                          seedEphemerals,
		"special nodes":                       seedSpecialNodes,
		"create flags":                        seedCreateFlags,
		"null data":                           seedNullData,
		"null paths":                          seedNullPaths,
		"malformed bodies":                    seedMalformed,
		"containers":                          seedContainers,
		"TTL nodes":                           seedTTL,
		"counting":                            seedCounting,
	} {
		t.Run(name, func(t *testing.T) { runScript(t, f) })
	}
}

// create is a create2 with an open ACL.
func (a *actor) create2(path string, mode keeper.Mode) (reply, *proto.Create2Response) {
	a.t.Helper()
	r, resp := a.ask(proto.OpCreate2, &proto.CreateRequest{Path: path, Data: []byte("x"), ACL: keeper.OpenACL(), Flags: int32(mode)})
	made, _ := resp.(*proto.Create2Response)
	return r, made
}

func (a *actor) remove(path string) reply {
	a.t.Helper()
	r, _ := a.ask(proto.OpDelete, &proto.DeleteRequest{Path: path, Version: -1})
	return r
}

func (a *actor) write(path string, version int32) reply {
	a.t.Helper()
	r, _ := a.ask(proto.OpSetData, &proto.SetDataRequest{Path: path, Data: []byte("yy"), Version: version})
	return r
}

func (a *actor) look(path string) keeper.Stat {
	a.t.Helper()
	_, resp := a.ask(proto.OpExists, &proto.ExistsRequest{Path: path})
	if found, ok := resp.(*proto.ExistsResponse); ok {
		return found.Stat
	}
	return keeper.Stat{}
}

func seedCversion(s *script) {
	a := s.actor("a")
	a.create2(a.at("/s"), keeper.Persistent)
	a.create2(a.at("/s/a"), keeper.Persistent)
	deleted := a.remove(a.at("/s/a"))
	st := a.look(a.at("/s"))
	require.EqualValues(s, 2, st.Cversion)
	require.Zero(s, st.NumChildren)
	require.Equal(s, s.relative(deleted.Zxid), st.Pzxid)
	_, made := a.create2(a.at("/s/q-"), keeper.PersistentSequential)
	require.Equal(s, a.at("/s/q-0000000001"), made.Path)
	require.EqualValues(s, 3, a.look(a.at("/s")).Cversion)
	// What happens below a child, or to its data, is no business of the parent.
	a.create2(made.Path+"/deep", keeper.Persistent)
	a.write(made.Path, -1)
	require.EqualValues(s, 3, a.look(a.at("/s")).Cversion)
}

func seedSequences(s *script) {
	a := s.actor("a")
	a.create2(a.at("/s"), keeper.Persistent)
	seq := func(path string) proto.MultiOp {
		return proto.MultiOp{Op: proto.OpCreate, Record: &proto.CreateRequest{Path: path, ACL: keeper.OpenACL(), Flags: 2}}
	}
	_, resp := a.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{seq(a.at("/s/x-")), seq(a.at("/s/x-"))}})
	results := resp.(*proto.MultiResponse).Results
	require.Equal(s, a.at("/s/x-0000000000"), results[0].Path)
	require.Equal(s, a.at("/s/x-0000000001"), results[1].Path)
	require.Equal(s, a.look(results[0].Path).Czxid, a.look(results[1].Path).Czxid)

	before, _ := a.create2(a.at("/s/x-0000000001"), keeper.Persistent)
	require.Equal(s, keeper.ErrNodeExists, before.Err)
	after, made := a.create2(a.at("/s/x-"), keeper.EphemeralSequential)
	require.Equal(s, a.at("/s/x-0000000002"), made.Path)
	require.Equal(s, before.Zxid+1, after.Zxid, "a failed create takes a zxid")

	_, made = a.create2(a.at("/s/"), keeper.PersistentSequential)
	require.Equal(s, a.at("/s/0000000003"), made.Path)
	r, _ := a.create2(a.at("/s/"), keeper.Persistent)
	require.Equal(s, keeper.ErrBadArguments, r.Err)
	a.create2(a.at("/s/plain"), keeper.Persistent)
	_, made = a.create2(a.at("/s/after-plain-"), keeper.PersistentSequential)
	require.Equal(s, a.at("/s/after-plain-0000000005"), made.Path)
}

func seedBadPaths(s *script) {
	a := s.actor("a")
	for _, path := range []string{
		"", "a", "a/b", "/", "//", "/.", "/..", "/...", "/a/./b", "/a//b", "/nope/x", "/nope/x/", "/x\x00y", "/x\x01", "/x\u0085", "/x\ud7ff",
		"/x\ue000", "/x\uf8ff", "/x\uf900", "/x\uffef", "/x\ufff0",
	} {
		if path != "" && path[0] == '/' && path != "/" {
			path = a.at(path)
		}
		a.create2(path, keeper.Persistent)
		if path != "" && path != "/" { // the root differs between the servers
			a.create2(path, keeper.PersistentSequential)
			a.look(path)
		}
		a.ask(proto.OpGetData, &proto.GetDataRequest{Path: path + "/none"})
		a.ask(proto.OpGetChildren2, &proto.GetChildrenRequest{Path: path + "/none"})
		a.ask(proto.OpGetACL, &proto.GetACLRequest{Path: path + "/none"})
		a.write(path+"/none", -1)
		a.ask(proto.OpSetACL, &proto.SetACLRequest{Path: path + "/none", ACL: keeper.OpenACL(), Version: -1})
		a.ask(proto.OpSync, &proto.SyncRequest{Path: path})
		a.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{{Op: proto.OpCheck, Record: &proto.CheckVersionRequest{Path: path + "/none", Version: -1}}}})
		a.remove(path)
	}
	require.Equal(s, keeper.ErrBadArguments, a.remove("/").Err)
	require.Equal(s, keeper.ErrBadArguments, a.remove("/zookeeper").Err)
	require.Equal(s, keeper.ErrNoNode, a.remove("/nope/x").Err)
	r, _ := a.create2("/nope/x/", keeper.Persistent)
	require.Equal(s, keeper.ErrNoNode, r.Err, "the parent is looked at before the path")
}

func seedVersions(s *script) {
	a := s.actor("a")
	a.create2(a.at("/n"), keeper.Persistent)
	created := a.look(a.at("/n"))
	require.Equal(s, keeper.ErrBadVersion, a.write(a.at("/n"), 5).Err)
	require.Equal(s, created.Mzxid, a.look(a.at("/n")).Mzxid)
	for range 3 {
		a.write(a.at("/n"), -1)
	}
	require.Equal(s, keeper.OK, a.write(a.at("/n"), 3).Err)
	mzxid := a.look(a.at("/n")).Mzxid
	for _, version := range []int32{7, -1, 1, -2} {
		a.ask(proto.OpSetACL, &proto.SetACLRequest{Path: a.at("/n"), ACL: keeper.OpenACL(), Version: version})
	}
	st := a.look(a.at("/n"))
	require.EqualValues(s, 2, st.Aversion)
	require.Equal(s, mzxid, st.Mzxid)
	a.ask(proto.OpDelete, &proto.DeleteRequest{Path: a.at("/n"), Version: 3})
	a.ask(proto.OpDelete, &proto.DeleteRequest{Path: a.at("/n"), Version: -2})
	a.create2(a.at("/n/c"), keeper.Persistent)
	a.remove(a.at("/n"))
	a.remove(a.at("/n/c"))
	a.ask(proto.OpDelete, &proto.DeleteRequest{Path: a.at("/n"), Version: 4})
	a.remove(a.at("/n"))
	a.write(a.at("/n"), -1)
}

func seedEphemerals(s *script) {
	a, b := s.actor("a"), s.actor("b")
	r, made := a.create2(a.at("/e"), keeper.Ephemeral)
	require.Equal(s, keeper.OK, r.Err)
	require.EqualValues(s, s.sessionNumber(a.session), made.Stat.EphemeralOwner)
	r, _ = a.create2(a.at("/e/c"), keeper.Persistent)
	require.Equal(s, keeper.ErrNoChildrenForEphemerals, r.Err)
	r, _ = a.create2(a.at("/e"), keeper.Persistent)
	require.Equal(s, keeper.ErrNodeExists, r.Err)
	a.create2(a.at("/e2"), keeper.Ephemeral)
	a.create2(a.at("/e3"), keeper.EphemeralSequential)
	b.create2(a.at("/f"), keeper.Ephemeral)
	for _, prefix := range []string{"", "/", a.at("/e"), a.at("/e2"), a.at("/f"), a.at("/e/")} {
		a.ask(proto.OpGetEphemerals, &proto.GetEphemeralsRequest{PrefixPath: prefix})
	}
	// Anybody may delete it.
	require.Equal(s, keeper.OK, b.remove(a.at("/e2")).Err)
	a.ask(proto.OpGetEphemerals, &proto.GetEphemeralsRequest{})
	a.ask(proto.OpCloseSession, nil)
	a.closed()
	b.ask(proto.OpGetChildren2, &proto.GetChildrenRequest{Path: s.root})
}

func seedSpecialNodes(s *script) {
	a := s.actor("a")
	for _, path := range []string{"/zookeeper", "/zookeeper/quota", "/zookeeper/config"} {
		a.ask(proto.OpGetData, &proto.GetDataRequest{Path: path})
		a.ask(proto.OpGetACL, &proto.GetACLRequest{Path: path})
		a.ask(proto.OpGetChildren2, &proto.GetChildrenRequest{Path: path})
	}
	a.ask(proto.OpGetACL, &proto.GetACLRequest{Path: "/none"})
	a.write("/zookeeper/config", -1)
	a.create2("/zookeeper/config/x", keeper.Persistent)
	a.ask(proto.OpReconfig, &proto.ReconfigRequest{NewMembers: "server.1=a:1:2", CurConfigID: -1})
}

func seedCreateFlags(s *script) {
	a := s.actor("a")
	for flags := int32(-1); flags <= 8; flags++ {
		for _, op := range []proto.OpCode{proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer} {
			_, resp := a.ask(op, &proto.CreateRequest{Path: a.at("/n"), ACL: keeper.OpenACL(), Flags: flags})
			if resp != nil {
				path := a.at("/n")
				switch r := resp.(type) {
				case *proto.CreateResponse:
					path = r.Path
				case *proto.Create2Response:
					path = r.Path
				}
				a.look(path)
				a.remove(path)
			}
			a.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
				{Op: op, Record: &proto.CreateRequest{Path: a.at("/m"), ACL: keeper.OpenACL(), Flags: flags}},
			}})
			a.remove(a.at("/m"))
		}
		for _, ttl := range []int64{0, 100_000, 1 << 39, 1<<40 - 1, 1 << 40, -5} {
			plain := flags != 5 && flags != 6
			if ttl < 0 && plain {
				continue // would ruin the real server
			}
			_, resp := a.ask(proto.OpCreateTTL, &proto.CreateTTLRequest{Path: a.at("/t"), ACL: keeper.OpenACL(), Flags: flags, TTL: ttl})
			if resp != nil {
				a.remove(resp.(*proto.Create2Response).Path)
			}
			a.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
				{Op: proto.OpCreateTTL, Record: &proto.CreateTTLRequest{Path: a.at("/u"), ACL: keeper.OpenACL(), Flags: flags, TTL: ttl}},
				{Op: proto.OpCheck, Record: &proto.CheckVersionRequest{Path: s.root, Version: -1}},
			}})
			a.remove(a.at("/u"))
		}
	}
}

func seedNullData(s *script) {
	a := s.actor("a")
	for i, data := range [][]byte{nil, {}, []byte("x")} {
		path := a.at("/n" + string(rune('0'+i)))
		a.ask(proto.OpCreate, &proto.CreateRequest{Path: path, Data: data, ACL: keeper.OpenACL()})
		_, resp := a.ask(proto.OpGetData, &proto.GetDataRequest{Path: path})
		require.Equal(s, data, resp.(*proto.GetDataResponse).Data)
	}
	a.ask(proto.OpSetData, &proto.SetDataRequest{Path: a.at("/n2"), Version: -1})
	a.ask(proto.OpGetData, &proto.GetDataRequest{Path: a.at("/n2")})
}

// raw is a body that is what it is.
type raw []byte

func (r raw) AppendTo(b []byte) []byte { return append(b, r...) }
func (r raw) ReadFrom([]byte) error    { return nil }

func seedNullPaths(s *script) {
	a := s.actor("a")
	null := raw{0xff, 0xff, 0xff, 0xff}
	for _, c := range []struct {
		op   proto.OpCode
		rest raw
	}{
		{proto.OpCreate, raw{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 31, 0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e', 0, 0, 0, 0}},
		{proto.OpDelete, raw{0, 0, 0, 0}},
		{proto.OpSetData, raw{0, 0, 0, 0, 0, 0, 0, 0}},
		{proto.OpSetACL, raw{0, 0, 0, 1, 0, 0, 0, 31, 0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e', 0xff, 0xff, 0xff, 0xff}},
		{proto.OpExists, raw{0}},
		{proto.OpGetData, raw{0}},
		{proto.OpGetChildren, raw{0}},
		{proto.OpGetChildren2, raw{0}},
		{proto.OpGetACL, raw{}},
		{proto.OpGetAllChildrenNumber, raw{}},
		{proto.OpGetEphemerals, raw{}},
	} {
		a.ask(c.op, append(append(raw{}, null...), c.rest...))
	}
	// Null lists: of ACLs, and of watches.
	a.ask(proto.OpCreate, &proto.CreateRequest{Path: a.at("/n")})
	a.ask(proto.OpCreate, raw{0, 0, 0, 2, '/', 'n', 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	a.ask(proto.OpSetWatches, raw{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	a.ask(proto.OpSync, null)
	a.ask(proto.OpAddWatch, append(append(raw{}, null...), 0, 0, 0, 0))
	a.ask(proto.OpRemoveWatches, append(append(raw{}, null...), 0, 0, 0, 3))
	a.ask(proto.OpCheckWatches, append(append(raw{}, null...), 0, 0, 0, 3))
}

func seedMalformed(s *script) {
	a := s.actor("a")
	for _, op := range []proto.OpCode{
		proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete, proto.OpSetData, proto.OpSetACL, proto.OpMulti,
		proto.OpExists, proto.OpGetData, proto.OpGetACL, proto.OpGetChildren, proto.OpGetChildren2, proto.OpSync, proto.OpSetWatches,
		proto.OpAddWatch, proto.OpCheckWatches, proto.OpRemoveWatches, proto.OpGetEphemerals, proto.OpGetAllChildrenNumber, proto.OpMultiRead,
	} {
		for _, body := range []raw{nil, {0, 0, 0, 9, 'x'}, {0xff, 0xff, 0xff, 0xfe}, {0, 0, 0, 2, '/', 'x', 0x7f, 0xff, 0xff, 0xff}} {
			a.ask(op, body)
		}
	}
	// Bytes behind a record are ignored.
	r, _ := a.ask(proto.OpSync, raw{0, 0, 0, 1, '/', 1, 2, 3})
	require.Equal(s, keeper.OK, r.Err)
	// Xids are echoed whatever they are.
	for _, xid := range []int32{0, -7, 5, 5, 1} {
		a.xid = xid - 1
		r, _ := a.ask(proto.OpGetACL, &proto.GetACLRequest{Path: s.root})
		require.Equal(s, xid, r.Xid)
	}
}

func seedContainers(s *script) {
	a := s.actor("a")
	container := func(path string) {
		a.ask(proto.OpCreateContainer, &proto.CreateRequest{Path: path, ACL: keeper.OpenACL(), Flags: 4})
	}
	container(a.at("/c"))
	container(a.at("/unused"))
	a.ask(proto.OpExists, &proto.ExistsRequest{Path: a.at("/c"), Watch: true})
	a.create2(a.at("/c/x"), keeper.Persistent)
	a.remove(a.at("/c/x"))
	// No request of ours is needed for it to go.
	ev := a.wait()
	require.Equal(s, event{keeper.EventDeleted, a.at("/c"), -1}, ev)
	r, _ := a.create2(a.at("/c/x"), keeper.Persistent)
	require.Equal(s, keeper.ErrNoNode, r.Err)
	require.Zero(s, a.look(a.at("/unused")).EphemeralOwner, "one that never had a child stays")
}

func seedTTL(s *script) {
	a := s.actor("a")
	a.ask(proto.OpExists, &proto.ExistsRequest{Path: a.at("/t"), Watch: true})
	a.ask(proto.OpCreateTTL, &proto.CreateTTLRequest{Path: a.at("/t"), ACL: keeper.OpenACL(), Flags: 5, TTL: 500})
	a.ask(proto.OpExists, &proto.ExistsRequest{Path: a.at("/t"), Watch: true})
	a.ask(proto.OpCreateTTL, &proto.CreateTTLRequest{Path: a.at("/long-"), ACL: keeper.OpenACL(), Flags: 6, TTL: 1 << 39})
	require.Equal(s, event{keeper.EventDeleted, a.at("/t"), -1}, a.wait())
	a.ask(proto.OpGetChildren, &proto.GetChildrenRequest{Path: s.root})
}

func seedCounting(s *script) {
	a := s.actor("a")
	a.create2(a.at("/a"), keeper.Persistent)
	a.create2(a.at("/a/b"), keeper.Persistent)
	a.create2(a.at("/a/b/c"), keeper.Persistent)
	a.create2(a.at("/ab"), keeper.Persistent)
	for _, path := range []string{"", "/a", "/a/b", "/ab", "/none"} {
		a.ask(proto.OpGetAllChildrenNumber, &proto.GetAllChildrenNumberRequest{Path: a.at(path)})
	}
	a.ask(proto.OpGetChildren, &proto.GetChildrenRequest{Path: a.at("/a")})
	a.ask(proto.OpGetData, &proto.GetDataRequest{Path: "/none"})
	a.ask(proto.OpMultiRead, &proto.MultiRequest{Ops: []proto.MultiOp{
		{Op: proto.OpGetData, Record: &proto.GetDataRequest{Path: a.at("/a"), Watch: true}},
		{Op: proto.OpGetChildren, Record: &proto.GetChildrenRequest{Path: s.root}},
		{Op: proto.OpGetData, Record: &proto.GetDataRequest{Path: "/none"}},
	}})
	a.ask(proto.OpMultiRead, &proto.MultiRequest{})
	a.write(a.at("/a"), -1)
	require.Empty(s, a.hear(), "a multiRead sets no watches")
}
