package proto

import (
	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// CreateRequest is the body of OpCreate, OpCreate2 and OpCreateContainer. Flags
// is a keeper.Mode.
type CreateRequest struct {
	Path  string
	Data  []byte
	ACL   []keeper.ACL
	Flags int32
}

// AppendTo implements Record.
func (m *CreateRequest) AppendTo(b []byte) []byte {
	b = jute.AppendBytes(jute.AppendString(b, m.Path), m.Data)
	return jute.AppendInt32(appendACL(b, m.ACL), m.Flags)
}

// ReadFrom implements Record.
func (m *CreateRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "CreateRequest")
}

func (m *CreateRequest) read(r *jute.Reader) {
	m.Path, m.Data, m.ACL, m.Flags = r.String(), r.Bytes(), readACL(r), r.Int32()
}

// CreateTTLRequest is the body of OpCreateTTL.
type CreateTTLRequest struct {
	Path  string
	Data  []byte
	ACL   []keeper.ACL
	Flags int32
	TTL   int64 // ms
}

// AppendTo implements Record.
func (m *CreateTTLRequest) AppendTo(b []byte) []byte {
	b = jute.AppendBytes(jute.AppendString(b, m.Path), m.Data)
	return jute.AppendInt64(jute.AppendInt32(appendACL(b, m.ACL), m.Flags), m.TTL)
}

// ReadFrom implements Record.
func (m *CreateTTLRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "CreateTTLRequest")
}

func (m *CreateTTLRequest) read(r *jute.Reader) {
	m.Path, m.Data, m.ACL, m.Flags, m.TTL = r.String(), r.Bytes(), readACL(r), r.Int32(), r.Int64()
}

// CreateResponse answers OpCreate.
type CreateResponse struct {
	Path string
}

// AppendTo implements Record.
func (m *CreateResponse) AppendTo(b []byte) []byte { return jute.AppendString(b, m.Path) }

// ReadFrom implements Record.
func (m *CreateResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path = r.String()
	return finish(&r, "CreateResponse")
}

// Create2Response answers the other creates.
type Create2Response struct {
	Path string
	Stat keeper.Stat
}

// AppendTo implements Record.
func (m *Create2Response) AppendTo(b []byte) []byte {
	return appendStat(jute.AppendString(b, m.Path), &m.Stat)
}

// ReadFrom implements Record.
func (m *Create2Response) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path = r.String()
	readStat(&r, &m.Stat)
	return finish(&r, "Create2Response")
}

// DeleteRequest is the body of OpDelete, which is answered without a body.
type DeleteRequest struct {
	Path    string
	Version int32
}

// AppendTo implements Record.
func (m *DeleteRequest) AppendTo(b []byte) []byte {
	return jute.AppendInt32(jute.AppendString(b, m.Path), m.Version)
}

// ReadFrom implements Record.
func (m *DeleteRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "DeleteRequest")
}

func (m *DeleteRequest) read(r *jute.Reader) { m.Path, m.Version = r.String(), r.Int32() }

// CheckVersionRequest is the body of OpCheck.
type CheckVersionRequest struct {
	Path    string
	Version int32
}

// AppendTo implements Record.
func (m *CheckVersionRequest) AppendTo(b []byte) []byte {
	return jute.AppendInt32(jute.AppendString(b, m.Path), m.Version)
}

// ReadFrom implements Record.
func (m *CheckVersionRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "CheckVersionRequest")
}

func (m *CheckVersionRequest) read(r *jute.Reader) { m.Path, m.Version = r.String(), r.Int32() }
