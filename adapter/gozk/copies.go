package gozk

import (
	"bytes"
	"errors"
	"slices"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// A call outlives the Do that gave up on it, and go-zookeeper reads what it was
// given at a time of its own, so everything works on private copies.

// private returns a deep copy of the request's arguments. A Check is copied with
// its admission, so that the copy can be asked again.
func private(r keeper.Request) keeper.Request {
	switch r := r.(type) {
	case *keeper.Create:
		return privateCreate(r)
	case *keeper.Delete:
		c := *r
		return &c
	case *keeper.Get:
		c := *r
		return &c
	case *keeper.Set:
		return privateSet(r)
	case *keeper.Exists:
		c := *r
		return &c
	case *keeper.Children:
		c := *r
		return &c
	case *keeper.GetACL:
		c := *r
		return &c
	case *keeper.SetACL:
		c := *r
		c.ACL = slices.Clone(r.ACL)
		return &c
	case *keeper.Sync:
		c := *r
		return &c
	case *keeper.Multi:
		c := &keeper.Multi{Ops: make([]keeper.Op, len(r.Ops))}
		for i, op := range r.Ops {
			c.Ops[i] = privateOp(op)
		}
		return c
	}
	return nil
}

func privateOp(op keeper.Op) keeper.Op {
	switch op := op.(type) {
	case *keeper.Create:
		return privateCreate(op)
	case *keeper.Delete:
		c := *op
		return &c
	case *keeper.Set:
		return privateSet(op)
	case *keeper.Check:
		c := *op
		return &c
	}
	return nil
}

func privateCreate(r *keeper.Create) *keeper.Create {
	c := *r
	c.Data, c.ACL = bytes.Clone(r.Data), slices.Clone(r.ACL)
	return &c
}

func privateSet(r *keeper.Set) *keeper.Set {
	c := *r
	c.Data = bytes.Clone(r.Data)
	return &c
}

// hand copies the results of a private copy to the caller's request.
func hand(to, from keeper.Request) {
	switch to := to.(type) {
	case *keeper.Get:
		from := from.(*keeper.Get)
		to.Result, to.Data, to.Stat, to.Watched = from.Result, from.Data, from.Stat, from.Watched
	case *keeper.Exists:
		from := from.(*keeper.Exists)
		to.Result, to.Found, to.Stat, to.Watched = from.Result, from.Found, from.Stat, from.Watched
	case *keeper.Children:
		from := from.(*keeper.Children)
		to.Result, to.Names, to.Stat, to.Watched = from.Result, from.Names, from.Stat, from.Watched
	case *keeper.GetACL:
		from := from.(*keeper.GetACL)
		to.Result, to.ACL, to.Stat = from.Result, from.ACL, from.Stat
	case *keeper.SetACL:
		from := from.(*keeper.SetACL)
		to.Result, to.Stat = from.Result, from.Stat
	case *keeper.Multi:
		from := from.(*keeper.Multi)
		to.Result = from.Result
		for i := range to.Ops {
			handOp(to.Ops[i], from.Ops[i])
		}
	case keeper.Op: // Create, Delete and Set are both
		handOp(to, from.(keeper.Op))
	default: // Sync
		*to.Meta() = *from.Meta()
	}
}

func handOp(to, from keeper.Op) {
	*to.Meta() = *from.Meta()
	switch to := to.(type) {
	case *keeper.Create:
		to.Created, to.Stat = from.(*keeper.Create).Created, from.(*keeper.Create).Stat
	case *keeper.Set:
		to.Stat = from.(*keeper.Set).Stat
	}
}

// watched is the watch that a copy got, or nil.
func watched(r keeper.Request) *keeper.Watch {
	switch r := r.(type) {
	case *keeper.Get:
		return r.Watched
	case *keeper.Exists:
		return r.Watched
	case *keeper.Children:
		return r.Watched
	}
	return nil
}

// refuse says why r must not be given to go-zookeeper, or nil.
func (c *Conn) refuse(r keeper.Request) error {
	if m, ok := r.(*keeper.Multi); ok {
		for _, op := range m.Ops {
			// go-zookeeper's Multi knows no create of these kinds: it takes the
			// answer of one that was applied for an error.
			if cr, ok := op.(*keeper.Create); ok && (cr.Mode == keeper.Container || cr.Mode.HasTTL()) {
				return errors.ErrUnsupported
			}
		}
	}
	if c.requestSize(r) > c.cfg.maxRequest {
		return keeper.ErrTooLarge
	}
	return nil
}

const (
	sizeHeader      = 4 + 4     // xid, opcode
	sizeMultiHeader = 4 + 1 + 4 // type, done, error
	sizeString      = 4
	sizeInt         = 4
	sizeLong        = 8
	sizeBool        = 1
)

// requestSize is the length of the frame that go-zookeeper will send.
func (c *Conn) requestSize(r keeper.Request) int {
	n := sizeHeader
	switch r := r.(type) {
	case *keeper.Get, *keeper.Exists, *keeper.Children:
		n += sizeString + len(r.Target()) + sizeBool
	case *keeper.GetACL, *keeper.Sync:
		n += sizeString + len(r.Target())
	case *keeper.SetACL:
		n += sizeString + len(r.Path) + c.aclSize(r.ACL) + sizeInt
	case *keeper.Multi:
		n += sizeMultiHeader
		for _, op := range r.Ops {
			n += sizeMultiHeader + c.opSize(op)
		}
	case keeper.Op:
		n += c.opSize(r)
	}
	return n
}

func (c *Conn) opSize(op keeper.Op) int {
	n := sizeString + len(op.Target()) + sizeInt // version or flags
	switch op := op.(type) {
	case *keeper.Create:
		n += sizeString + len(op.Data) + c.aclSize(op.ACL)
		if op.Mode.HasTTL() {
			n += sizeLong
		}
	case *keeper.Set:
		n += sizeString + len(op.Data)
	}
	return n
}

func (c *Conn) aclSize(acl []keeper.ACL) int {
	n := sizeInt
	for _, a := range c.orDefault(acl) {
		n += sizeInt + sizeString + len(a.Scheme) + sizeString + len(a.ID)
	}
	return n
}

func (c *Conn) orDefault(acl []keeper.ACL) []keeper.ACL {
	if acl == nil {
		return c.cfg.acl
	}
	return acl
}

func (c *Conn) toACL(acl []keeper.ACL) []zk.ACL {
	acl = c.orDefault(acl)
	out := make([]zk.ACL, len(acl))
	for i, a := range acl {
		out[i] = zk.ACL{Perms: int32(a.Perms), Scheme: a.Scheme, ID: a.ID}
	}
	return out
}

func fromACL(acl []zk.ACL) []keeper.ACL {
	out := make([]keeper.ACL, len(acl))
	for i, a := range acl {
		out[i] = keeper.ACL{Perms: keeper.Perm(a.Perms), Scheme: a.Scheme, ID: a.ID}
	}
	return out
}

// fromStat takes nil for a zero Stat.
func fromStat(s *zk.Stat) keeper.Stat {
	if s == nil {
		return keeper.Stat{}
	}
	return keeper.Stat(*s)
}
