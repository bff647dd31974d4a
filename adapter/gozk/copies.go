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

// private returns a deep copy of the request's arguments, and a function that
// copies the results in it to the request. A Check is copied with its admission,
// so that the copy can be asked again.
func private(r keeper.Request) (own keeper.Request, hand func()) {
	switch r := r.(type) {
	case *keeper.Create:
		return privateCreate(r)
	case *keeper.Delete:
		return privateDelete(r)
	case *keeper.Get:
		c := *r
		return &c, func() { r.Result, r.Data, r.Stat, r.Watched = c.Result, c.Data, c.Stat, c.Watched }
	case *keeper.Set:
		return privateSet(r)
	case *keeper.Exists:
		c := *r
		return &c, func() { r.Result, r.Found, r.Stat, r.Watched = c.Result, c.Found, c.Stat, c.Watched }
	case *keeper.Children:
		c := *r
		return &c, func() { r.Result, r.Names, r.Stat, r.Watched = c.Result, c.Names, c.Stat, c.Watched }
	case *keeper.GetACL:
		c := *r
		return &c, func() { r.Result, r.ACL, r.Stat = c.Result, c.ACL, c.Stat }
	case *keeper.SetACL:
		c := *r
		c.ACL = slices.Clone(r.ACL)
		return &c, func() { r.Result, r.Stat = c.Result, c.Stat }
	case *keeper.Multi:
		return privateMulti(r)
	case *keeper.Sync:
		c := *r
		return &c, func() { r.Result = c.Result }
	}
	return nil, nil // keeper.Request is a closed set
}

func privateMulti(r *keeper.Multi) (own *keeper.Multi, hand func()) {
	c := &keeper.Multi{Ops: make([]keeper.Op, len(r.Ops))}
	ops := slices.Clone(r.Ops)
	hands := make([]func(), len(ops))
	for i, op := range ops {
		switch op := op.(type) {
		case *keeper.Create:
			c.Ops[i], hands[i] = privateCreate(op)
		case *keeper.Delete:
			c.Ops[i], hands[i] = privateDelete(op)
		case *keeper.Set:
			c.Ops[i], hands[i] = privateSet(op)
		case *keeper.Check:
			check := *op
			c.Ops[i], hands[i] = &check, func() { op.Result = check.Result }
		}
	}
	return c, func() {
		r.Result = c.Result
		for _, hand := range hands {
			hand()
		}
	}
}

func privateCreate(r *keeper.Create) (own *keeper.Create, hand func()) {
	c := *r
	c.Data, c.ACL = bytes.Clone(r.Data), slices.Clone(r.ACL)
	return &c, func() { r.Result, r.Created, r.Stat = c.Result, c.Created, c.Stat }
}

func privateDelete(r *keeper.Delete) (own *keeper.Delete, hand func()) {
	c := *r
	return &c, func() { r.Result = c.Result }
}

func privateSet(r *keeper.Set) (own *keeper.Set, hand func()) {
	c := *r
	c.Data = bytes.Clone(r.Data)
	return &c, func() { r.Result, r.Stat = c.Result, c.Stat }
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
