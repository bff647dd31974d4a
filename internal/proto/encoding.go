package proto

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// Encoding maps requests of package keeper to the wire and replies back. It is
// not changed once in use, and safe for concurrent use then.
type Encoding struct {
	// Chroot is prefixed to every path and taken off again: "" for none, or a
	// valid path other than "/".
	Chroot string
	// DefaultACL stands in for a Create's nil ACL; nil is keeper.OpenACL.
	DefaultACL []keeper.ACL
}

// AppendRequest appends a RequestHeader and the body of r, without the frame's
// length: the xid stands in the first four bytes. It allocates nothing while b
// has room. r must have been validated (see keeper.Admit); what could break a
// server is refused here all the same, and b is returned as it was.
func (e *Encoding) AppendRequest(b []byte, xid int32, r keeper.Request) ([]byte, error) {
	start := len(b)
	b = jute.AppendInt32(b, xid)
	var err error
	switch r := r.(type) {
	case *keeper.Create:
		var op OpCode
		if op, err = createOp(r); err == nil {
			b = e.appendCreate(appendOp(b, op), r)
		}
	case *keeper.Delete:
		b = e.appendDelete(appendOp(b, OpDelete), r)
	case *keeper.Get:
		b = jute.AppendBool(e.appendPath(appendOp(b, OpGetData), r.Path), r.Watch)
	case *keeper.Set:
		b = e.appendSet(appendOp(b, OpSetData), r)
	case *keeper.Exists:
		b = jute.AppendBool(e.appendPath(appendOp(b, OpExists), r.Path), r.Watch)
	case *keeper.Children:
		b = jute.AppendBool(e.appendPath(appendOp(b, OpGetChildren2), r.Path), r.Watch)
	case *keeper.GetACL:
		b = e.appendPath(appendOp(b, OpGetACL), r.Path)
	case *keeper.SetACL:
		b = e.appendPath(appendOp(b, OpSetACL), r.Path)
		b = jute.AppendInt32(e.appendACL(b, r.ACL), r.Version)
	case *keeper.Sync:
		b = e.appendPath(appendOp(b, OpSync), r.Path)
	case *keeper.Multi:
		b, err = e.appendMulti(appendOp(b, OpMulti), r)
	default:
		err = &keeper.InvalidError{What: "request", Why: fmt.Sprintf("is a %T", r)}
	}
	if err != nil {
		return b[:start], err
	}
	return b, nil
}

func appendOp(b []byte, op OpCode) []byte { return jute.AppendInt32(b, int32(op)) }

func (e *Encoding) appendMulti(b []byte, r *keeper.Multi) ([]byte, error) {
	for i, op := range r.Ops {
		switch op := op.(type) {
		case *keeper.Create:
			code, err := createOp(op)
			if err != nil {
				return b, fmt.Errorf("op %d, %s: %w", i, op.Name(), err)
			}
			b = e.appendCreate(appendMultiHeader(b, code), op)
		case *keeper.Delete:
			b = e.appendDelete(appendMultiHeader(b, OpDelete), op)
		case *keeper.Set:
			b = e.appendSet(appendMultiHeader(b, OpSetData), op)
		case *keeper.Check:
			b = e.appendPath(appendMultiHeader(b, OpCheck), op.Path)
			b = jute.AppendInt32(b, op.Version)
		default:
			return b, &keeper.InvalidError{What: "multi", Why: fmt.Sprintf("op %d is a %T", i, op)}
		}
	}
	return appendMultiEnd(b), nil
}

// createOp chooses the opcode by the mode, and refuses the combinations of
// opcode, flag and TTL that a server would log and never be able to replay.
func createOp(r *keeper.Create) (OpCode, error) {
	switch r.Mode {
	case keeper.Persistent, keeper.Ephemeral, keeper.PersistentSequential, keeper.EphemeralSequential:
		return OpCreate2, nil
	case keeper.Container:
		return OpCreateContainer, nil
	case keeper.PersistentTTL, keeper.PersistentSequentialTTL:
		if r.TTL < time.Millisecond || r.TTL > keeper.MaxTTL {
			return 0, &keeper.InvalidError{What: "TTL", Value: r.TTL.String(), Why: "out of range"}
		}
		return OpCreateTTL, nil
	}
	return 0, &keeper.InvalidError{What: "mode", Value: strconv.Itoa(int(r.Mode)), Why: "is not one of the seven"}
}

func (e *Encoding) appendCreate(b []byte, r *keeper.Create) []byte {
	// A sequential "/" must become "/chroot/", not "/chroot", or the node would
	// be made beside the chroot. Nobody else creates "/".
	b = e.appendPrefixed(b, r.Path)
	b = e.appendACL(jute.AppendBytes(b, r.Data), r.ACL)
	b = jute.AppendInt32(b, int32(r.Mode))
	if r.Mode.HasTTL() {
		b = jute.AppendInt64(b, r.TTL.Milliseconds())
	}
	return b
}

func (e *Encoding) appendDelete(b []byte, r *keeper.Delete) []byte {
	if r.Path == "/" {
		// The root of a chroot cannot be deleted either: the server refuses "/".
		b = jute.AppendString(b, r.Path)
	} else {
		b = e.appendPrefixed(b, r.Path)
	}
	return jute.AppendInt32(b, r.Version)
}

func (e *Encoding) appendSet(b []byte, r *keeper.Set) []byte {
	return jute.AppendInt32(jute.AppendBytes(e.appendPath(b, r.Path), r.Data), r.Version)
}

func (e *Encoding) appendACL(b []byte, acl []keeper.ACL) []byte {
	switch {
	case acl != nil:
		return appendACL(b, acl)
	case e.DefaultACL != nil:
		return appendACL(b, e.DefaultACL)
	}
	return appendACL(b, keeper.OpenACL())
}

// appendPath appends a path with the chroot before it; "/" is the chroot itself.
func (e *Encoding) appendPath(b []byte, path string) []byte {
	if path == "/" && e.Chroot != "" {
		path = ""
	}
	return e.appendPrefixed(b, path)
}

func (e *Encoding) appendPrefixed(b []byte, path string) []byte {
	b = jute.AppendCount(b, len(e.Chroot)+len(path))
	return append(append(b, e.Chroot...), path...)
}

// FullPath is the path that the server knows path by: the chroot and path.
func (e *Encoding) FullPath(path string) string {
	switch {
	case e.Chroot == "":
		return path
	case path == "/":
		return e.Chroot
	}
	return e.Chroot + path
}

// StripChroot takes the chroot off a path that a server sent. ok is false for a
// path outside the chroot, which concerns nobody here.
func (e *Encoding) StripChroot(path string) (stripped string, ok bool) {
	if e.Chroot == "" {
		return path, true
	}
	rest, ok := strings.CutPrefix(path, e.Chroot)
	switch {
	case !ok:
		return "", false
	case rest == "":
		return "/", true
	case rest[0] != '/':
		return "", false
	}
	return rest, true
}
