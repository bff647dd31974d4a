package proto

import (
	"fmt"

	"github.com/conclave-go/conclave/internal/jute"
)

// ConnectRequest is the first frame of a client; it has no header.
type ConnectRequest struct {
	ProtocolVersion int32
	LastZxidSeen    int64
	TimeOut         int32 // ms
	SessionID       int64 // 0 asks for a new session
	Passwd          []byte
	ReadOnly        bool
	HasReadOnly     bool // the last byte is there; clients before 3.4 leave it out
}

// AppendTo implements Record.
func (m *ConnectRequest) AppendTo(b []byte) []byte {
	b = jute.AppendInt32(b, m.ProtocolVersion)
	b = jute.AppendInt64(b, m.LastZxidSeen)
	b = jute.AppendInt32(b, m.TimeOut)
	b = jute.AppendInt64(b, m.SessionID)
	b = jute.AppendBytes(b, m.Passwd)
	return appendReadOnly(b, m.ReadOnly, m.HasReadOnly)
}

// ReadFrom implements Record.
func (m *ConnectRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.ProtocolVersion, m.LastZxidSeen, m.TimeOut = r.Int32(), r.Int64(), r.Int32()
	m.SessionID, m.Passwd = r.Int64(), r.Bytes()
	m.ReadOnly, m.HasReadOnly = readReadOnly(&r)
	return finish(&r, "ConnectRequest")
}

// String leaves the session's password out.
func (m ConnectRequest) String() string {
	return fmt.Sprintf("ConnectRequest{session 0x%x, timeout %d ms, last zxid 0x%x, read-only %t}",
		m.SessionID, m.TimeOut, m.LastZxidSeen, m.ReadOnly)
}

// GoString is String: %#v must not show the password either.
func (m ConnectRequest) GoString() string { return m.String() }

// ConnectResponse is the first frame of a server; it has no header. TimeOut and
// SessionID are 0 when the session asked for is gone.
type ConnectResponse struct {
	ProtocolVersion int32
	TimeOut         int32 // ms
	SessionID       int64
	Passwd          []byte
	ReadOnly        bool
	HasReadOnly     bool // servers send the last byte to clients that sent theirs
}

// AppendTo implements Record.
func (m *ConnectResponse) AppendTo(b []byte) []byte {
	b = jute.AppendInt32(b, m.ProtocolVersion)
	b = jute.AppendInt32(b, m.TimeOut)
	b = jute.AppendInt64(b, m.SessionID)
	b = jute.AppendBytes(b, m.Passwd)
	return appendReadOnly(b, m.ReadOnly, m.HasReadOnly)
}

// ReadFrom implements Record. It fails on a bare ReplyHeader, which a read-only
// server sends to refuse a new session.
func (m *ConnectResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.ProtocolVersion, m.TimeOut = r.Int32(), r.Int32()
	m.SessionID, m.Passwd = r.Int64(), r.Bytes()
	m.ReadOnly, m.HasReadOnly = readReadOnly(&r)
	return finish(&r, "ConnectResponse")
}

// String leaves the session's password out.
func (m ConnectResponse) String() string {
	return fmt.Sprintf("ConnectResponse{session 0x%x, timeout %d ms, read-only %t}",
		m.SessionID, m.TimeOut, m.ReadOnly)
}

// GoString is String: %#v must not show the password either.
func (m ConnectResponse) GoString() string { return m.String() }

func appendReadOnly(b []byte, v, has bool) []byte {
	if !has {
		return b
	}
	return jute.AppendBool(b, v)
}

func readReadOnly(r *jute.Reader) (v, has bool) {
	if r.Len() == 0 {
		return false, false
	}
	return r.Bool(), true
}
