package proto

import (
	"fmt"

	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// Record is one message body, or a header.
type Record interface {
	// AppendTo appends the encoding and returns the extended slice. It
	// allocates nothing while b has room.
	AppendTo(b []byte) []byte
	// ReadFrom decodes b into the receiver, every field of it, and ignores bytes
	// that follow. The receiver owns what it decoded; after an error its content
	// is undefined.
	ReadFrom(b []byte) error
}

// DecodeError says which record is malformed. It wraps a *jute.Error.
type DecodeError struct {
	Record string
	Err    error
}

// Error reads "WatcherEvent malformed at byte 8: …". It holds no content.
func (e *DecodeError) Error() string { return e.Record + " " + e.Err.Error() }

// Unwrap returns Err.
func (e *DecodeError) Unwrap() error { return e.Err }

// finish ends a ReadFrom.
func finish(r *jute.Reader, record string) error {
	if err := r.Err(); err != nil {
		return &DecodeError{Record: record, Err: err}
	}
	return nil
}

// DecodeRequest decodes the body that follows a RequestHeader. It returns nil
// and no error for a request that has no body (ping, whoAmI, closeSession), for
// one that is the server's own, and for an opcode that is not Known.
func DecodeRequest(op OpCode, body []byte) (Record, error) {
	rec := newRequest(op)
	if rec == nil {
		return nil, nil
	}
	if err := rec.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%v: %w", op, err)
	}
	return rec, nil
}

// newRequest makes an empty record for an opcode whose request has a body.
func newRequest(op OpCode) Record {
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer:
		return new(CreateRequest)
	case OpCreateTTL:
		return new(CreateTTLRequest)
	case OpDelete:
		return new(DeleteRequest)
	case OpExists:
		return new(ExistsRequest)
	case OpGetData:
		return new(GetDataRequest)
	case OpSetData:
		return new(SetDataRequest)
	case OpGetACL:
		return new(GetACLRequest)
	case OpSetACL:
		return new(SetACLRequest)
	case OpGetChildren, OpGetChildren2:
		return new(GetChildrenRequest)
	case OpSync:
		return new(SyncRequest)
	case OpCheck:
		return new(CheckVersionRequest)
	case OpMulti, OpMultiRead:
		return new(MultiRequest)
	case OpReconfig:
		return new(ReconfigRequest)
	case OpCheckWatches:
		return new(CheckWatchesRequest)
	case OpRemoveWatches:
		return new(RemoveWatchesRequest)
	case OpAuth:
		return new(AuthPacket)
	case OpSetWatches:
		return new(SetWatches)
	case OpSetWatches2:
		return new(SetWatches2)
	case OpSASL:
		return new(GetSASLRequest)
	case OpGetEphemerals:
		return new(GetEphemeralsRequest)
	case OpGetAllChildrenNumber:
		return new(GetAllChildrenNumberRequest)
	case OpAddWatch:
		return new(AddWatchRequest)
	}
	return nil
}

// statSize is the length of an encoded Stat.
const statSize = 68

func appendStat(b []byte, s *keeper.Stat) []byte {
	b = jute.AppendInt64(b, s.Czxid)
	b = jute.AppendInt64(b, s.Mzxid)
	b = jute.AppendInt64(b, s.Ctime)
	b = jute.AppendInt64(b, s.Mtime)
	b = jute.AppendInt32(b, s.Version)
	b = jute.AppendInt32(b, s.Cversion)
	b = jute.AppendInt32(b, s.Aversion)
	b = jute.AppendInt64(b, s.EphemeralOwner)
	b = jute.AppendInt32(b, s.DataLength)
	b = jute.AppendInt32(b, s.NumChildren)
	return jute.AppendInt64(b, s.Pzxid)
}

func readStat(r *jute.Reader, s *keeper.Stat) {
	s.Czxid, s.Mzxid = r.Int64(), r.Int64()
	s.Ctime, s.Mtime = r.Int64(), r.Int64()
	s.Version, s.Cversion, s.Aversion = r.Int32(), r.Int32(), r.Int32()
	s.EphemeralOwner = r.Int64()
	s.DataLength, s.NumChildren = r.Int32(), r.Int32()
	s.Pzxid = r.Int64()
}

// minACL is the shortest encoding of an ACL entry: permissions and two empty
// strings.
const minACL = 12

func appendACL(b []byte, acl []keeper.ACL) []byte {
	b = jute.AppendCount(b, len(acl))
	for i := range acl {
		b = jute.AppendInt32(b, int32(acl[i].Perms))
		b = jute.AppendString(b, acl[i].Scheme)
		b = jute.AppendString(b, acl[i].ID)
	}
	return b
}

func readACL(r *jute.Reader) []keeper.ACL {
	n := r.Count(minACL)
	if r.Err() != nil || n < 0 {
		return nil
	}
	acl := make([]keeper.ACL, n)
	for i := range acl {
		acl[i] = keeper.ACL{Perms: keeper.Perm(r.Int32()), Scheme: r.String(), ID: r.String()}
	}
	return acl
}

// skipACL passes over a list without building it.
func skipACL(r *jute.Reader) {
	for range r.Count(minACL) {
		r.Skip(4)
		r.View()
		r.View()
	}
}
