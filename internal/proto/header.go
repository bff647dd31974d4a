package proto

import (
	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// Lengths of the two headers; the body follows them.
const (
	RequestHeaderSize = 8
	ReplyHeaderSize   = 16
)

// RequestHeader starts every frame of a client but the first.
type RequestHeader struct {
	Xid int32
	Op  OpCode
}

// AppendTo implements Record.
func (m *RequestHeader) AppendTo(b []byte) []byte {
	return jute.AppendInt32(jute.AppendInt32(b, m.Xid), int32(m.Op))
}

// ReadFrom implements Record.
func (m *RequestHeader) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Xid, m.Op = r.Int32(), OpCode(r.Int32())
	return finish(&r, "RequestHeader")
}

// ReplyHeader starts every frame of a server but the first. A body follows when
// Err is OK.
type ReplyHeader struct {
	Xid  int32
	Zxid int64
	Err  keeper.Code
}

// AppendTo implements Record.
func (m *ReplyHeader) AppendTo(b []byte) []byte {
	return jute.AppendInt32(jute.AppendInt64(jute.AppendInt32(b, m.Xid), m.Zxid), int32(m.Err))
}

// ReadFrom implements Record.
func (m *ReplyHeader) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Xid, m.Zxid, m.Err = r.Int32(), r.Int64(), keeper.Code(r.Int32())
	return finish(&r, "ReplyHeader")
}

// WatcherEvent is the body of a notification. Type is a keeper.EventType and
// State is 3 from every server.
type WatcherEvent struct {
	Type  int32
	State int32
	Path  string
}

// AppendTo implements Record.
func (m *WatcherEvent) AppendTo(b []byte) []byte {
	return jute.AppendString(jute.AppendInt32(jute.AppendInt32(b, m.Type), m.State), m.Path)
}

// ReadFrom implements Record.
func (m *WatcherEvent) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Type, m.State, m.Path = r.Int32(), r.Int32(), r.String()
	return finish(&r, "WatcherEvent")
}

// ErrorResponse is the body of a failed op in a multi reply, and of the answer
// to addWatch.
type ErrorResponse struct {
	Err keeper.Code
}

// AppendTo implements Record.
func (m *ErrorResponse) AppendTo(b []byte) []byte { return jute.AppendInt32(b, int32(m.Err)) }

// ReadFrom implements Record.
func (m *ErrorResponse) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Err = keeper.Code(r.Int32())
	return finish(&r, "ErrorResponse")
}
