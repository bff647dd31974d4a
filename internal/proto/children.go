package proto

import (
	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// GetChildrenRequest is the body of OpGetChildren and OpGetChildren2.
type GetChildrenRequest struct {
	Path  string
	Watch bool
}

// AppendTo implements Record.
func (m *GetChildrenRequest) AppendTo(b []byte) []byte {
	return jute.AppendBool(jute.AppendString(b, m.Path), m.Watch)
}

// ReadFrom implements Record.
func (m *GetChildrenRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "GetChildrenRequest")
}

func (m *GetChildrenRequest) read(r *jute.Reader) { m.Path, m.Watch = r.String(), r.Bool() }

// GetChildrenResponse answers OpGetChildren with last components, in no order.
type GetChildrenResponse struct {
	Children []string
}

// AppendTo implements Record.
func (m *GetChildrenResponse) AppendTo(b []byte) []byte { return jute.AppendStrings(b, m.Children) }

// ReadFrom implements Record.
func (m *GetChildrenResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "GetChildrenResponse")
}

func (m *GetChildrenResponse) read(r *jute.Reader) { m.Children = r.Strings() }

// GetChildren2Response answers OpGetChildren2.
type GetChildren2Response struct {
	Children []string
	Stat     keeper.Stat
}

// AppendTo implements Record.
func (m *GetChildren2Response) AppendTo(b []byte) []byte {
	return appendStat(jute.AppendStrings(b, m.Children), &m.Stat)
}

// ReadFrom implements Record.
func (m *GetChildren2Response) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Children = r.Strings()
	readStat(&r, &m.Stat)
	return finish(&r, "GetChildren2Response")
}

// GetEphemeralsRequest is the body of OpGetEphemerals: a prefix of the string,
// not of the components.
type GetEphemeralsRequest struct {
	PrefixPath string
}

// AppendTo implements Record.
func (m *GetEphemeralsRequest) AppendTo(b []byte) []byte { return jute.AppendString(b, m.PrefixPath) }

// ReadFrom implements Record.
func (m *GetEphemeralsRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.PrefixPath = r.String()
	return finish(&r, "GetEphemeralsRequest")
}

// GetEphemeralsResponse answers OpGetEphemerals with the session's own nodes.
type GetEphemeralsResponse struct {
	Ephemerals []string
}

// AppendTo implements Record.
func (m *GetEphemeralsResponse) AppendTo(b []byte) []byte {
	return jute.AppendStrings(b, m.Ephemerals)
}

// ReadFrom implements Record.
func (m *GetEphemeralsResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Ephemerals = r.Strings()
	return finish(&r, "GetEphemeralsResponse")
}

// GetAllChildrenNumberRequest is the body of OpGetAllChildrenNumber.
type GetAllChildrenNumberRequest struct {
	Path string
}

// AppendTo implements Record.
func (m *GetAllChildrenNumberRequest) AppendTo(b []byte) []byte { return jute.AppendString(b, m.Path) }

// ReadFrom implements Record.
func (m *GetAllChildrenNumberRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path = r.String()
	return finish(&r, "GetAllChildrenNumberRequest")
}

// GetAllChildrenNumberResponse answers OpGetAllChildrenNumber with the number
// of descendants.
type GetAllChildrenNumberResponse struct {
	TotalNumber int32
}

// AppendTo implements Record.
func (m *GetAllChildrenNumberResponse) AppendTo(b []byte) []byte {
	return jute.AppendInt32(b, m.TotalNumber)
}

// ReadFrom implements Record.
func (m *GetAllChildrenNumberResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.TotalNumber = r.Int32()
	return finish(&r, "GetAllChildrenNumberResponse")
}
