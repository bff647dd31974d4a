package proto

import (
	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// ExistsRequest is the body of OpExists.
type ExistsRequest struct {
	Path  string
	Watch bool
}

// AppendTo implements Record.
func (m *ExistsRequest) AppendTo(b []byte) []byte {
	return jute.AppendBool(jute.AppendString(b, m.Path), m.Watch)
}

// ReadFrom implements Record.
func (m *ExistsRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path, m.Watch = r.String(), r.Bool()
	return finish(&r, "ExistsRequest")
}

// ExistsResponse answers OpExists when the node exists.
type ExistsResponse struct {
	Stat keeper.Stat
}

// AppendTo implements Record.
func (m *ExistsResponse) AppendTo(b []byte) []byte { return appendStat(b, &m.Stat) }

// ReadFrom implements Record.
func (m *ExistsResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	readStat(&r, &m.Stat)
	return finish(&r, "ExistsResponse")
}

// GetDataRequest is the body of OpGetData.
type GetDataRequest struct {
	Path  string
	Watch bool
}

// AppendTo implements Record.
func (m *GetDataRequest) AppendTo(b []byte) []byte {
	return jute.AppendBool(jute.AppendString(b, m.Path), m.Watch)
}

// ReadFrom implements Record.
func (m *GetDataRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "GetDataRequest")
}

func (m *GetDataRequest) read(r *jute.Reader) { m.Path, m.Watch = r.String(), r.Bool() }

// GetDataResponse answers OpGetData and OpReconfig.
type GetDataResponse struct {
	Data []byte
	Stat keeper.Stat
}

// AppendTo implements Record.
func (m *GetDataResponse) AppendTo(b []byte) []byte {
	return appendStat(jute.AppendBytes(b, m.Data), &m.Stat)
}

// ReadFrom implements Record.
func (m *GetDataResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "GetDataResponse")
}

func (m *GetDataResponse) read(r *jute.Reader) {
	m.Data = r.Bytes()
	readStat(r, &m.Stat)
}

// SetDataRequest is the body of OpSetData.
type SetDataRequest struct {
	Path    string
	Data    []byte
	Version int32
}

// AppendTo implements Record.
func (m *SetDataRequest) AppendTo(b []byte) []byte {
	return jute.AppendInt32(jute.AppendBytes(jute.AppendString(b, m.Path), m.Data), m.Version)
}

// ReadFrom implements Record.
func (m *SetDataRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "SetDataRequest")
}

func (m *SetDataRequest) read(r *jute.Reader) {
	m.Path, m.Data, m.Version = r.String(), r.Bytes(), r.Int32()
}

// SetDataResponse answers OpSetData.
type SetDataResponse struct {
	Stat keeper.Stat
}

// AppendTo implements Record.
func (m *SetDataResponse) AppendTo(b []byte) []byte { return appendStat(b, &m.Stat) }

// ReadFrom implements Record.
func (m *SetDataResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	readStat(&r, &m.Stat)
	return finish(&r, "SetDataResponse")
}

// SyncRequest is the body of OpSync.
type SyncRequest struct {
	Path string
}

// AppendTo implements Record.
func (m *SyncRequest) AppendTo(b []byte) []byte { return jute.AppendString(b, m.Path) }

// ReadFrom implements Record.
func (m *SyncRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path = r.String()
	return finish(&r, "SyncRequest")
}

// SyncResponse answers OpSync with the path of the request.
type SyncResponse struct {
	Path string
}

// AppendTo implements Record.
func (m *SyncResponse) AppendTo(b []byte) []byte { return jute.AppendString(b, m.Path) }

// ReadFrom implements Record.
func (m *SyncResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path = r.String()
	return finish(&r, "SyncResponse")
}
