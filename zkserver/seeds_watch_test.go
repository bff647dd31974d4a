package zkserver_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Scripts of watches and multis.

func TestParityWatches(t *testing.T) {
	for name, f := range map[string]func(s *script){
		"one-shots":              seedOneShots,
		"delete tells once":      seedDeleteTellsOnce,
		"persistent, recursive":  seedPersistent,
		"recursive and children": seedRecursiveMixed,
		"one mode per path":      seedOverwrite,
		"multi fires in order":   seedMultiFires,
		"session close fires":    seedCloseFires,
		"own close fires":        seedOwnCloseFires,
		"setWatches catches up":  seedSetWatches,
		"setWatches2":            seedSetWatches2,
		"remove and check":       seedRemoveWatches,
		"watches and ACLs":       seedWatchACL,
		"odd paths":              seedWatchOddPaths,
	} {
		t.Run(name, func(t *testing.T) { runScript(t, f) })
	}
}

func (a *actor) watchData(path string) {
	a.ask(proto.OpGetData, &proto.GetDataRequest{Path: path, Watch: true})
}
func (a *actor) watchExists(path string) {
	a.ask(proto.OpExists, &proto.ExistsRequest{Path: path, Watch: true})
}
func (a *actor) watchChildren(path string) {
	a.ask(proto.OpGetChildren2, &proto.GetChildrenRequest{Path: path, Watch: true})
}
func (a *actor) addWatch(path string, mode int32) {
	a.ask(proto.OpAddWatch, &proto.AddWatchRequest{Path: path, Mode: mode})
}

func ev(typ keeper.EventType, path string) event { return event{typ, path, -1} }

func seedOneShots(s *script) {
	a, b := s.actor("a"), s.actor("b")
	a.watchExists(a.at("/n"))
	a.watchData(a.at("/n")) // sets none: there is no node
	b.create2(a.at("/n"), keeper.Persistent)
	require.Equal(s, []event{ev(keeper.EventCreated, a.at("/n"))}, a.hear())
	b.write(a.at("/n"), -1)
	require.Empty(s, a.hear())
	a.watchData(a.at("/n"))
	a.watchData(a.at("/n"))
	a.watchExists(a.at("/n"))
	b.ask(proto.OpSetACL, &proto.SetACLRequest{Path: a.at("/n"), ACL: keeper.OpenACL(), Version: -1})
	require.Empty(s, a.hear(), "setACL tells nobody")
	b.write(a.at("/n"), 17)
	require.Empty(s, a.hear(), "neither does a failed write")
	b.write(a.at("/n"), -1)
	b.write(a.at("/n"), -1)
	require.Equal(s, []event{ev(keeper.EventDataChanged, a.at("/n"))}, a.hear())
	a.watchChildren(a.at("/n"))
	b.create2(a.at("/n/c"), keeper.Persistent)
	b.create2(a.at("/n/d"), keeper.Persistent)
	require.Equal(s, []event{ev(keeper.EventChildrenChanged, a.at("/n"))}, a.hear())
	a.watchChildren(a.at("/n"))
	b.write(a.at("/n/c"), -1)
	require.Empty(s, a.hear())
	b.remove(a.at("/n/c"))
	require.Equal(s, []event{ev(keeper.EventChildrenChanged, a.at("/n"))}, a.hear())
	// The event of a change comes before the reply to it, and to any that shows it.
	a.watchData(a.at("/n"))
	a.write(a.at("/n"), -1)
	// The watches of a connection end with it.
	a.watchExists(a.at("/gone"))
	a.ask(proto.OpCloseSession, nil)
	a.closed()
	b.create2(a.at("/gone"), keeper.Persistent)
}

func seedDeleteTellsOnce(s *script) {
	a, b := s.actor("a"), s.actor("b")
	b.create2(a.at("/n"), keeper.Persistent)
	a.watchData(a.at("/n"))
	a.watchChildren(a.at("/n"))
	a.watchChildren(s.root)
	b.watchChildren(a.at("/n"))
	b.remove(a.at("/n"))
	require.Equal(s, []event{ev(keeper.EventDeleted, a.at("/n")), ev(keeper.EventChildrenChanged, s.root)}, a.hear())
	b.hear()
	b.create2(a.at("/n"), keeper.Persistent)
	require.Empty(s, a.hear())
}

func seedPersistent(s *script) {
	a, b := s.actor("a"), s.actor("b")
	a.addWatch(a.at("/r"), proto.WatchRecursive)
	b.addWatch(a.at("/r"), proto.WatchPersistent)
	b.create2(a.at("/r"), keeper.Persistent)
	for range 2 {
		b.create2(a.at("/r/a"), keeper.Persistent)
		b.write(a.at("/r/a"), -1)
		b.create2(a.at("/r/a/b"), keeper.Persistent)
		b.remove(a.at("/r/a/b"))
		b.remove(a.at("/r/a"))
		b.write(a.at("/r"), -1)
	}
	require.Equal(s, []event{
		ev(keeper.EventCreated, a.at("/r")),
		ev(keeper.EventCreated, a.at("/r/a")), ev(keeper.EventDataChanged, a.at("/r/a")),
		ev(keeper.EventCreated, a.at("/r/a/b")), ev(keeper.EventDeleted, a.at("/r/a/b")),
		ev(keeper.EventDeleted, a.at("/r/a")), ev(keeper.EventDataChanged, a.at("/r")),
	}, a.hear()[:7])
	b.remove(a.at("/r"))
	b.create2(a.at("/r"), keeper.Persistent)
	a.hear()
	a.addWatch(a.at("/r"), 7)
	a.addWatch(a.at("/r"), -1)
	a.addWatch(a.at("/nowhere/at/all"), proto.WatchPersistent)
	a.addWatch("/", proto.WatchRecursive)
	b.write(a.at("/r"), -1)
	a.hear()
}

func seedRecursiveMixed(s *script) {
	a, b := s.actor("a"), s.actor("b")
	b.create2(a.at("/r"), keeper.Persistent)
	b.create2(a.at("/r/s"), keeper.Persistent)
	a.addWatch(a.at("/r"), proto.WatchRecursive)
	a.watchChildren(a.at("/r/s"))
	a.watchData(a.at("/r/s"))
	a.addWatch(a.at("/r/s"), proto.WatchRecursive)
	b.create2(a.at("/r/s/x"), keeper.Persistent)
	a.hear()
	a.watchChildren(a.at("/r/s"))
	b.create2(a.at("/r/s/y"), keeper.Persistent)
	a.hear()
	// Half of the inner watch is gone now.
	b.remove(a.at("/r/s/x"))
	b.remove(a.at("/r/s/y"))
	b.remove(a.at("/r/s"))
	a.hear()
}

func seedOverwrite(s *script) {
	for _, mode := range []int32{proto.WatchPersistent, proto.WatchRecursive} {
		a, b := s.actor("a"), s.actor("b")
		b.create2(a.at("/n"), keeper.Persistent)
		a.addWatch(a.at("/n"), mode)
		a.watchData(a.at("/n"))
		for range 2 {
			b.write(a.at("/n"), -1)
			b.create2(a.at("/n/c"), keeper.Persistent)
			b.remove(a.at("/n/c"))
			a.hear()
		}
		a.addWatch(a.at("/n"), mode)
		a.watchChildren(a.at("/n"))
		for range 2 {
			b.create2(a.at("/n/c"), keeper.Persistent)
			b.remove(a.at("/n/c"))
			b.write(a.at("/n"), -1)
			a.hear()
		}
		a.addWatch(a.at("/n"), proto.WatchPersistent)
		a.addWatch(a.at("/n"), proto.WatchRecursive)
		b.create2(a.at("/n/c"), keeper.Persistent)
		b.remove(a.at("/n/c"))
		b.remove(a.at("/n"))
		a.hear()
		a.ask(proto.OpCloseSession, nil)
	}
}

func op(code proto.OpCode, rec proto.Record) proto.MultiOp {
	return proto.MultiOp{Op: code, Record: rec}
}

func seedMultiFires(s *script) {
	a, b := s.actor("a"), s.actor("b")
	create := func(path string, flags int32) proto.MultiOp {
		return op(proto.OpCreate2, &proto.CreateRequest{Path: path, ACL: keeper.OpenACL(), Flags: flags})
	}
	for _, n := range []string{"/x", "/y", "/z"} {
		a.create2(a.at(n), keeper.Persistent)
		a.watchData(a.at(n))
		b.watchData(a.at(n))
	}
	// Own notifications come before the reply.
	a.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
		op(proto.OpSetData, &proto.SetDataRequest{Path: a.at("/y"), Version: 0}),
		op(proto.OpDelete, &proto.DeleteRequest{Path: a.at("/z"), Version: -1}),
		op(proto.OpCheck, &proto.CheckVersionRequest{Path: a.at("/y"), Version: 1}),
		op(proto.OpSetData, &proto.SetDataRequest{Path: a.at("/x"), Version: -1}),
		create(a.at("/x/1"), 0), create(a.at("/x/1/2"), 1), create(a.at("/c"), 4), create(a.at("/s-"), 2),
	}})
	require.Equal(s, []event{
		ev(keeper.EventDataChanged, a.at("/y")), ev(keeper.EventDeleted, a.at("/z")), ev(keeper.EventDataChanged, a.at("/x")),
	}, b.hear())

	// A failed one changes nothing, tells nobody, and takes a zxid.
	b.watchData(a.at("/x"))
	b.watchChildren(a.at("/x/1"))
	before := a.look(a.at("/x"))
	r, resp := a.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
		op(proto.OpSetData, &proto.SetDataRequest{Path: a.at("/x"), Version: -1}),
		op(proto.OpDelete, &proto.DeleteRequest{Path: a.at("/x/1/2"), Version: -1}),
		create(a.at("/x/1/3-"), 3),
		op(proto.OpDelete, &proto.DeleteRequest{Path: a.at("/none"), Version: -1}),
		op(proto.OpCheck, &proto.CheckVersionRequest{Path: a.at("/x"), Version: 9}),
	}})
	require.Equal(s, keeper.OK, r.Err)
	results := resp.(*proto.MultiResponse).Results
	require.Len(s, results, 5)
	require.Equal(s, keeper.ErrNoNode, results[3].Err)
	require.Equal(s, keeper.ErrRuntimeInconsistency, results[4].Err)
	require.Equal(s, before, a.look(a.at("/x")))
	a.look(a.at("/x/1"))
	a.look(a.at("/x/1/2"))
	require.Empty(s, b.hear())
	next, _ := a.create2(a.at("/x/1/4-"), keeper.PersistentSequential)
	require.Equal(s, r.Zxid+1, next.Zxid)

	a.ask(proto.OpMulti, &proto.MultiRequest{})
	// One that undoes what it does.
	a.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
		create(a.at("/t"), 1), op(proto.OpDelete, &proto.DeleteRequest{Path: a.at("/t"), Version: 0}), create(a.at("/t"), 0),
		create(a.at("/t/s-"), 2), op(proto.OpDelete, &proto.DeleteRequest{Path: a.at("/t/s-0000000000"), Version: 0}), create(a.at("/t/s-"), 2),
	}})
	a.look(a.at("/t"))
	// Kinds that cannot stand together, or at all.
	a.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
		op(proto.OpGetData, &proto.GetDataRequest{Path: a.at("/x")}), op(proto.OpDelete, &proto.DeleteRequest{Path: a.at("/x/1/2"), Version: 0}),
	}})
	a.ask(proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{op(proto.OpGetData, &proto.GetDataRequest{Path: a.at("/x")})}})
	a.ask(proto.OpMulti, raw{0, 0, 0, 3, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, '/', 0, 0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff})
	a.look(a.at("/x/1/2"))
}

func seedCloseFires(s *script) {
	a, b := s.actor("a"), s.actor("b")
	for _, n := range []string{"/1", "/2", "/3"} {
		a.create2(a.at(n), keeper.Ephemeral)
		b.ask(proto.OpExists, &proto.ExistsRequest{Path: a.at(n), Watch: true})
	}
	a.ask(proto.OpCloseSession, nil)
	a.closed()
	events := b.settle() // their order is not defined
	require.ElementsMatch(s, []event{
		ev(keeper.EventDeleted, a.at("/1")), ev(keeper.EventDeleted, a.at("/2")), ev(keeper.EventDeleted, a.at("/3")),
	}, events)
	require.Zero(s, b.look(s.root).NumChildren)
}

func seedOwnCloseFires(s *script) {
	a := s.actor("a")
	a.create2(a.at("/1"), keeper.Ephemeral)
	a.watchData(a.at("/1"))
	a.watchChildren(s.root)
	a.ask(proto.OpCloseSession, nil)
	a.closed()
}

func seedSetWatches(s *script) {
	a, b := s.actor("a"), s.actor("b")
	for _, n := range []string{"/same", "/changed", "/deleted", "/parent", "/quiet"} {
		b.create2(a.at(n), keeper.Persistent)
	}
	r, _ := a.ask(proto.OpSync, &proto.SyncRequest{Path: "/"})
	rel := r.Zxid
	b.write(a.at("/changed"), -1)
	b.remove(a.at("/deleted"))
	b.create2(a.at("/parent/c"), keeper.Persistent)
	b.create2(a.at("/born"), keeper.Persistent)
	all := []string{a.at("/same"), a.at("/changed"), a.at("/deleted"), a.at("/parent"), a.at("/quiet"), a.at("/never"), a.at("/born")}
	a.ask(proto.OpSetWatches, &proto.SetWatches{
		RelativeZxid: rel, DataWatches: all, ExistWatches: []string{a.at("/born"), a.at("/never"), a.at("/deleted")}, ChildWatches: all,
	})
	b.write(a.at("/same"), -1)
	b.create2(a.at("/quiet/c"), keeper.Persistent)
	b.create2(a.at("/never"), keeper.Persistent)
	b.create2(a.at("/deleted"), keeper.Persistent)
	a.hear()
	// Strictly greater: a change at the relative zxid has been seen.
	w, _ := b.ask(proto.OpSetData, &proto.SetDataRequest{Path: a.at("/same"), Version: -1})
	a.ask(proto.OpSetWatches, &proto.SetWatches{
		RelativeZxid: w.Zxid, DataWatches: []string{a.at("/same")}, ExistWatches: []string{}, ChildWatches: []string{},
	})
	a.ask(proto.OpSetWatches, &proto.SetWatches{
		RelativeZxid: w.Zxid - 1, DataWatches: []string{a.at("/same")}, ExistWatches: []string{}, ChildWatches: []string{},
	})
	a.hear()
	a.ask(proto.OpSetWatches, &proto.SetWatches{DataWatches: []string{"", "no path"}, ExistWatches: []string{"//"}, ChildWatches: []string{"/"}})
}

func seedSetWatches2(s *script) {
	a, b := s.actor("a"), s.actor("b")
	b.create2(a.at("/p"), keeper.Persistent)
	b.create2(a.at("/r"), keeper.Persistent)
	none := []string{}
	a.xid = proto.XidSetWatches - 1
	a.ask(proto.OpSetWatches2, &proto.SetWatches2{
		RelativeZxid: 1, DataWatches: none, ExistWatches: none, ChildWatches: none,
		PersistentWatches: []string{a.at("/p")}, PersistentRecursiveWatches: []string{a.at("/r")},
	})
	require.Empty(s, a.hear(), "no catch-up for these")
	for range 2 {
		b.create2(a.at("/p/c"), keeper.Persistent)
		b.create2(a.at("/r/c"), keeper.Persistent)
		b.remove(a.at("/p/c"))
		b.remove(a.at("/r/c"))
	}
	a.hear()
}

func seedRemoveWatches(s *script) {
	a, b := s.actor("a"), s.actor("b")
	a.create2(a.at("/n"), keeper.Persistent)
	check := func(path string, kind int32) {
		a.ask(proto.OpCheckWatches, &proto.CheckWatchesRequest{Path: path, Type: kind})
	}
	remove := func(path string, kind int32) {
		a.ask(proto.OpRemoveWatches, &proto.RemoveWatchesRequest{Path: path, Type: kind})
	}
	arm := map[string]func(){
		"data":       func() { a.watchData(a.at("/n")) },
		"child":      func() { a.watchChildren(a.at("/n")) },
		"persistent": func() { a.addWatch(a.at("/n"), proto.WatchPersistent) },
		"recursive":  func() { a.addWatch(a.at("/n"), proto.WatchRecursive) },
	}
	for _, name := range []string{"data", "child", "persistent", "recursive"} {
		for kind := range int32(7) {
			arm[name]()
			check(a.at("/n"), kind)
			check(a.at("/n/below"), kind)
			remove(a.at("/n"), kind)
			remove(a.at("/n"), kind)
			b.write(a.at("/n"), -1)
			b.create2(a.at("/n/c"), keeper.Persistent)
			b.remove(a.at("/n/c"))
			a.hear()
			remove(a.at("/n"), proto.WatcherAny)
		}
	}
	b.watchData(a.at("/n"))
	check(a.at("/n"), proto.WatcherAny)
	remove(a.at("/n"), proto.WatcherAny)
	b.ask(proto.OpRemoveWatches, &proto.RemoveWatchesRequest{Path: a.at("/n"), Type: proto.WatcherAny})
	check(a.at("/n"), proto.WatcherAny)
	remove("", proto.WatcherAny)
}

func seedWatchACL(s *script) {
	a, b := s.actor("a"), s.actor("b")
	b.authAs("digest", "joe:secret")
	own := keeper.DigestACL(keeper.PermAll, "joe", "secret")
	b.create2(a.at("/n"), keeper.Persistent)
	b.ask(proto.OpExists, &proto.ExistsRequest{Path: a.at("/n"), Watch: true})
	a.watchData(a.at("/n"))
	a.watchChildren(a.at("/n"))
	a.addWatch(a.at("/n/hidden"), proto.WatchPersistent)
	b.ask(proto.OpSetACL, &proto.SetACLRequest{Path: a.at("/n"), ACL: own, Version: -1})
	b.write(a.at("/n"), -1)
	require.Empty(s, a.hear(), "may not read it")
	b.hear()
	b.ask(proto.OpCreate2, &proto.CreateRequest{Path: a.at("/n/hidden"), ACL: own})
	b.write(a.at("/n/hidden"), -1)
	require.Empty(s, a.hear())
	// The watch was spent on what could not be told.
	b.ask(proto.OpSetACL, &proto.SetACLRequest{Path: a.at("/n"), ACL: keeper.OpenACL(), Version: -1})
	b.write(a.at("/n"), -1)
	b.remove(a.at("/n/hidden"))
	a.hear()
	a.authAs("digest", "joe:secret")
	b.ask(proto.OpCreate2, &proto.CreateRequest{Path: a.at("/n/hidden"), ACL: own})
	a.hear()
	// What setWatches catches up with is told to everybody.
	c := s.actor("c")
	c.watchExists(a.at("/n/hidden"))
	c.ask(proto.OpSetWatches, &proto.SetWatches{
		DataWatches: []string{a.at("/n/hidden")}, ExistWatches: []string{a.at("/n/hidden")}, ChildWatches: []string{a.at("/n/hidden")},
	})
	b.write(a.at("/n/hidden"), -1)
	c.hear()
}

func seedWatchOddPaths(s *script) {
	a, b := s.actor("a"), s.actor("b")
	for _, path := range []string{"", a.at("/"), a.at("//x"), "no slash"} {
		if path != "" { // that reads as the root, which differs between the servers
			a.watchExists(path)
			a.watchChildren(path)
		}
		a.addWatch(path, proto.WatchRecursive)
	}
	b.create2(a.at("/x"), keeper.Persistent)
	b.remove(a.at("/x"))
	a.hear()
	a.create2(a.at("/x"), keeper.Persistent)
}
