package proto

import (
	"errors"
	"fmt"
	"strings"

	"github.com/conclave-go/conclave/keeper"
)

// DecodeReply fills r with the reply to it: h and the body that followed it. It
// sets Xid, Zxid and Err of r, and of the ops if r is a Multi, and returns Err.
// Nothing of r points into body.
//
//   - Any code that the server sent is NotApplied, whichever code it is. That
//     the node does not exist is no error of an Exists.
//   - A Multi that failed has the culprit's error, wrapped; each op has its own,
//     keeper.ErrRuntimeInconsistency for those that are not the culprit.
//   - A success that cannot be decoded, or that answers something else than was
//     asked, is keeper.ErrUndecodable and Applied. A Multi is Unknown when the
//     reply is not even good enough to tell success from failure.
//
// After an ErrUndecodable the connection should not be used any longer.
func (e *Encoding) DecodeReply(r keeper.Request, h ReplyHeader, body []byte) error {
	meta := r.Meta()
	meta.Xid, meta.Zxid = h.Xid, h.Zxid
	m, isMulti := r.(*keeper.Multi)
	if isMulti {
		for _, op := range m.Ops {
			op.Meta().Xid, op.Meta().Zxid = h.Xid, h.Zxid
		}
	}
	switch {
	case h.Err == keeper.OK && isMulti:
		meta.Err = e.decodeMulti(m, body)
	case h.Err == keeper.OK:
		if err := e.decodeBody(r, body); err != nil {
			r.Reset() // of what was filled in before the fault was found
			*meta = keeper.Result{Xid: h.Xid, Zxid: h.Zxid, Err: undecodable(r, err, keeper.Applied)}
		}
	default:
		if _, ok := r.(*keeper.Exists); ok && h.Err == keeper.ErrNoNode {
			return nil
		}
		meta.Err = failed(r, h.Err)
		if isMulti {
			for _, op := range m.Ops {
				op.Meta().Err = failed(op, h.Err)
			}
		}
	}
	return meta.Err
}

// named is what errors need of a keeper.Request or keeper.Op.
type named interface {
	Name() string
	Target() string
}

// failed is the error for a code that the server sent. It says NotApplied by
// itself, because OutcomeOf takes some codes for the client's own.
func failed(r named, code keeper.Code) *keeper.OpError {
	return &keeper.OpError{Op: r.Name(), Path: r.Target(), Err: code, Outcome: keeper.NotApplied}
}

func undecodable(r named, cause error, o keeper.Outcome) *keeper.OpError {
	return &keeper.OpError{
		Op: r.Name(), Path: r.Target(), Outcome: o,
		Err: fmt.Errorf("%w: %w", keeper.ErrUndecodable, cause),
	}
}

// decodeBody fills r; after an error, perhaps with some of it.
func (e *Encoding) decodeBody(r keeper.Request, body []byte) error {
	switch r := r.(type) {
	case *keeper.Create:
		var res Create2Response
		if err := res.ReadFrom(body); err != nil {
			return err
		}
		return e.setCreated(r, res.Path, &res.Stat)
	case *keeper.Get:
		var res GetDataResponse
		if err := res.ReadFrom(body); err != nil {
			return err
		}
		r.Data, r.Stat = res.Data, res.Stat
		return checkStat(&r.Stat)
	case *keeper.Set:
		var res SetDataResponse
		if err := res.ReadFrom(body); err != nil {
			return err
		}
		r.Stat = res.Stat
		return checkStat(&r.Stat)
	case *keeper.Exists:
		var res ExistsResponse
		if err := res.ReadFrom(body); err != nil {
			return err
		}
		r.Found, r.Stat = true, res.Stat
		return checkStat(&r.Stat)
	case *keeper.Children:
		var res GetChildren2Response
		if err := res.ReadFrom(body); err != nil {
			return err
		}
		if err := checkNames(res.Children); err != nil {
			return err
		}
		r.Names, r.Stat = res.Children, res.Stat
		return checkStat(&r.Stat)
	case *keeper.GetACL:
		var res GetACLResponse
		if err := res.ReadFrom(body); err != nil {
			return err
		}
		r.ACL, r.Stat = res.ACL, res.Stat
		return checkStat(&r.Stat)
	case *keeper.SetACL:
		var res SetACLResponse
		if err := res.ReadFrom(body); err != nil {
			return err
		}
		r.Stat = res.Stat
		return checkStat(&r.Stat)
	case *keeper.Sync:
		var res SyncResponse
		return res.ReadFrom(body)
	}
	return nil // a Delete has no body
}

// setCreated takes the path of a new node from the server, which must be the
// one asked for, or that and a number.
func (e *Encoding) setCreated(r *keeper.Create, full string, stat *keeper.Stat) error {
	number, ok := strings.CutPrefix(full, e.Chroot+r.Path)
	if sequential := r.Mode.IsSequential(); !ok || sequential != (number != "") || strings.Contains(number, "/") {
		return errors.New("the created path is not the requested one")
	}
	if stat != nil {
		if err := checkStat(stat); err != nil {
			return err
		}
		r.Stat = *stat
	}
	r.Created = full[len(e.Chroot):]
	return nil
}

// checkNames keeps a name from leading out of its directory.
func checkNames(names []string) error {
	for _, name := range names {
		if name == "" || strings.Contains(name, "/") {
			return errors.New("a child's name is empty or contains '/'")
		}
	}
	return nil
}

// checkStat refuses sizes that code could trip over.
func checkStat(s *keeper.Stat) error {
	if s.DataLength < 0 || s.NumChildren < 0 {
		return errors.New("a size in the stat is negative")
	}
	return nil
}
