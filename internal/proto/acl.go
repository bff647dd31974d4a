package proto

import (
	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// GetACLRequest is the body of OpGetACL.
type GetACLRequest struct {
	Path string
}

// AppendTo implements Record.
func (m *GetACLRequest) AppendTo(b []byte) []byte { return jute.AppendString(b, m.Path) }

// ReadFrom implements Record.
func (m *GetACLRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path = r.String()
	return finish(&r, "GetACLRequest")
}

// GetACLResponse answers OpGetACL.
type GetACLResponse struct {
	ACL  []keeper.ACL
	Stat keeper.Stat
}

// AppendTo implements Record.
func (m *GetACLResponse) AppendTo(b []byte) []byte { return appendStat(appendACL(b, m.ACL), &m.Stat) }

// ReadFrom implements Record.
func (m *GetACLResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.ACL = readACL(&r)
	readStat(&r, &m.Stat)
	return finish(&r, "GetACLResponse")
}

// SetACLRequest is the body of OpSetACL. Version is compared with the node's
// aversion.
type SetACLRequest struct {
	Path    string
	ACL     []keeper.ACL
	Version int32
}

// AppendTo implements Record.
func (m *SetACLRequest) AppendTo(b []byte) []byte {
	return jute.AppendInt32(appendACL(jute.AppendString(b, m.Path), m.ACL), m.Version)
}

// ReadFrom implements Record.
func (m *SetACLRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path, m.ACL, m.Version = r.String(), readACL(&r), r.Int32()
	return finish(&r, "SetACLRequest")
}

// SetACLResponse answers OpSetACL.
type SetACLResponse struct {
	Stat keeper.Stat
}

// AppendTo implements Record.
func (m *SetACLResponse) AppendTo(b []byte) []byte { return appendStat(b, &m.Stat) }

// ReadFrom implements Record.
func (m *SetACLResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	readStat(&r, &m.Stat)
	return finish(&r, "SetACLResponse")
}
