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

// requests makes an empty record for each opcode whose request has a body.
var requests = map[OpCode]func() Record{
	OpCreate:               func() Record { return new(CreateRequest) },
	OpCreate2:              func() Record { return new(CreateRequest) },
	OpCreateContainer:      func() Record { return new(CreateRequest) },
	OpCreateTTL:            func() Record { return new(CreateTTLRequest) },
	OpDelete:               func() Record { return new(DeleteRequest) },
	OpExists:               func() Record { return new(ExistsRequest) },
	OpGetData:              func() Record { return new(GetDataRequest) },
	OpSetData:              func() Record { return new(SetDataRequest) },
	OpGetACL:               func() Record { return new(GetACLRequest) },
	OpSetACL:               func() Record { return new(SetACLRequest) },
	OpGetChildren:          func() Record { return new(GetChildrenRequest) },
	OpGetChildren2:         func() Record { return new(GetChildrenRequest) },
	OpSync:                 func() Record { return new(SyncRequest) },
	OpCheck:                func() Record { return new(CheckVersionRequest) },
	OpMulti:                func() Record { return new(MultiRequest) },
	OpMultiRead:            func() Record { return new(MultiRequest) },
	OpReconfig:             func() Record { return new(ReconfigRequest) },
	OpCheckWatches:         func() Record { return new(CheckWatchesRequest) },
	OpRemoveWatches:        func() Record { return new(RemoveWatchesRequest) },
	OpAuth:                 func() Record { return new(AuthPacket) },
	OpSetWatches:           func() Record { return new(SetWatches) },
	OpSetWatches2:          func() Record { return new(SetWatches2) },
	OpSASL:                 func() Record { return new(GetSASLRequest) },
	OpGetEphemerals:        func() Record { return new(GetEphemeralsRequest) },
	OpGetAllChildrenNumber: func() Record { return new(GetAllChildrenNumberRequest) },
	OpAddWatch:             func() Record { return new(AddWatchRequest) },
}

// DecodeRequest decodes the body that follows a RequestHeader. It returns nil
// and no error for a request that has no body (ping, whoAmI, closeSession), for
// one that is the server's own, and for an opcode that is not Known.
func DecodeRequest(op OpCode, body []byte) (Record, error) {
	newRecord, ok := requests[op]
	if !ok {
		return nil, nil
	}
	rec := newRecord()
	if err := rec.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%v: %w", op, err)
	}
	return rec, nil
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
