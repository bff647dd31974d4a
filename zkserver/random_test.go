package zkserver_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// TestParityRandom runs random programs of several clients on both servers. A
// failure names the seed: it is the same program again.
func TestParityRandom(t *testing.T) {
	const programs, steps = 40, 150
	for seed := range uint64(programs) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			runScript(t, func(s *script) {
				p := &program{script: s, rand: rand.New(rand.NewPCG(seed, 1))}
				p.run(steps)
			})
		})
	}
}

// program makes up requests over few paths, so that they meet.
type program struct {
	*script
	rand   *rand.Rand
	actors []*actor
}

func (p *program) run(steps int) {
	for i := range 3 {
		p.actors = append(p.actors, p.actor(string(rune('a'+i))))
	}
	for range steps {
		i := p.rand.IntN(len(p.actors))
		a := p.actors[i]
		p.step(a)
		switch p.rand.IntN(60) {
		case 0:
			a.ask(proto.OpCloseSession, nil)
			p.actors[i] = p.actor(a.name)
		case 1:
			p.actors[i] = p.reattach(a)
		}
		for _, other := range p.actors {
			other.hearSorted()
		}
	}
}

// reattach drops the connection and comes back, as clients do.
func (p *program) reattach(a *actor) *actor {
	r, _ := a.ask(proto.OpSync, &proto.SyncRequest{Path: "/"})
	_ = a.nc.Close()
	b := p.stranger(a.name)
	b.connect(proto.ConnectRequest{
		TimeOut: 20_000, LastZxidSeen: r.Zxid, SessionID: a.session, Passwd: a.passwd, HasReadOnly: true,
	})
	b.ask(proto.OpSetWatches, &proto.SetWatches{
		RelativeZxid: max(p.base, r.Zxid-int64(p.rand.IntN(20))),
		DataWatches:  p.paths(), ExistWatches: p.paths(), ChildWatches: p.paths(),
	})
	return b
}

func (p *program) paths() []string {
	list := []string{}
	for range p.rand.IntN(4) {
		list = append(list, p.path())
	}
	return list
}

func (p *program) path() string {
	path := p.root
	for range 1 + p.rand.IntN(3) {
		path += "/" + string(rune('a'+p.rand.IntN(3)))
	}
	if p.rand.IntN(25) == 0 {
		path += "/"
	}
	return path
}

func (p *program) version() int32 {
	if p.rand.IntN(2) == 0 {
		return keeper.AnyVersion
	}
	return int32(p.rand.IntN(4))
}

func (p *program) data() []byte {
	switch n := p.rand.IntN(6); n {
	case 0:
		return nil
	default:
		return make([]byte, n-1)
	}
}

func (p *program) acl() []keeper.ACL {
	switch p.rand.IntN(12) {
	case 0:
		return keeper.ReadACL()
	case 1:
		return keeper.CreatorAllACL()
	case 2:
		return keeper.DigestACL(keeper.Perm(p.rand.IntN(32)), "u", "p")
	case 3:
		return append(keeper.DigestACL(keeper.PermAll, "u", "p"), keeper.ACL{Perms: keeper.Perm(p.rand.IntN(32)), Scheme: "world", ID: "anyone"})
	}
	return keeper.OpenACL()
}

func (p *program) op() proto.MultiOp {
	switch p.rand.IntN(9) {
	case 0, 1, 2:
		code := []proto.OpCode{proto.OpCreate, proto.OpCreate2}[p.rand.IntN(2)]
		return op(code, &proto.CreateRequest{Path: p.path(), Data: p.data(), ACL: p.acl(), Flags: int32(p.rand.IntN(4))})
	case 3, 4:
		return op(proto.OpDelete, &proto.DeleteRequest{Path: p.path(), Version: p.version()})
	case 5, 6:
		return op(proto.OpSetData, &proto.SetDataRequest{Path: p.path(), Data: p.data(), Version: p.version()})
	}
	return op(proto.OpCheck, &proto.CheckVersionRequest{Path: p.path(), Version: p.version()})
}

func (p *program) step(a *actor) {
	path, watch := p.path(), p.rand.IntN(3) == 0
	switch p.rand.IntN(16) {
	case 0, 1, 2, 3, 4:
		o := p.op()
		for o.Op == proto.OpCheck { // alone it ruins a real server
			o = p.op()
		}
		a.ask(o.Op, o.Record)
	case 5, 6:
		ops := make([]proto.MultiOp, p.rand.IntN(5))
		for i := range ops {
			ops[i] = p.op()
		}
		a.ask(proto.OpMulti, &proto.MultiRequest{Ops: ops})
	case 7:
		a.ask(proto.OpSetACL, &proto.SetACLRequest{Path: path, ACL: p.acl(), Version: p.version()})
	case 8:
		a.ask(proto.OpGetACL, &proto.GetACLRequest{Path: path})
	case 9:
		a.ask(proto.OpGetData, &proto.GetDataRequest{Path: path, Watch: watch})
	case 10:
		a.ask(proto.OpExists, &proto.ExistsRequest{Path: path, Watch: watch})
	case 11, 12:
		a.ask(proto.OpGetChildren2, &proto.GetChildrenRequest{Path: path, Watch: watch})
	case 13:
		a.ask(proto.OpAddWatch, &proto.AddWatchRequest{Path: path, Mode: int32(p.rand.IntN(2))})
	case 14:
		a.ask(proto.OpRemoveWatches, &proto.RemoveWatchesRequest{Path: path, Type: int32(1 + p.rand.IntN(3))})
	case 15:
		if p.rand.IntN(3) == 0 {
			a.authAs("digest", "u:p")
		} else {
			a.ask(proto.OpGetEphemerals, &proto.GetEphemeralsRequest{PrefixPath: path})
		}
	}
}
