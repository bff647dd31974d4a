package proto

import "github.com/conclave-go/conclave/internal/jute"

// Modes of AddWatchRequest.
const (
	WatchPersistent int32 = 0
	WatchRecursive  int32 = 1
)

// Types of CheckWatchesRequest and RemoveWatchesRequest. The last two are
// understood from 3.9 on.
const (
	WatcherChildren   int32 = 1
	WatcherData       int32 = 2
	WatcherAny        int32 = 3
	WatcherPersistent int32 = 4
	WatcherRecursive  int32 = 5
)

// SetWatches arms one-shot watches again after a reconnect. It is answered
// without a body, after the events that were missed.
type SetWatches struct {
	RelativeZxid int64
	DataWatches  []string
	ExistWatches []string
	ChildWatches []string
}

// AppendTo implements Record.
func (m *SetWatches) AppendTo(b []byte) []byte {
	b = jute.AppendStrings(jute.AppendInt64(b, m.RelativeZxid), m.DataWatches)
	return jute.AppendStrings(jute.AppendStrings(b, m.ExistWatches), m.ChildWatches)
}

// ReadFrom implements Record. A null list is nil and an empty one is not:
// servers refuse the former.
func (m *SetWatches) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.RelativeZxid = r.Int64()
	m.DataWatches, m.ExistWatches, m.ChildWatches = r.Strings(), r.Strings(), r.Strings()
	return finish(&r, "SetWatches")
}

// SetWatches2 is SetWatches with persistent watches; servers from 3.6 on know
// it.
type SetWatches2 struct {
	RelativeZxid               int64
	DataWatches                []string
	ExistWatches               []string
	ChildWatches               []string
	PersistentWatches          []string
	PersistentRecursiveWatches []string
}

// AppendTo implements Record.
func (m *SetWatches2) AppendTo(b []byte) []byte {
	b = jute.AppendStrings(jute.AppendInt64(b, m.RelativeZxid), m.DataWatches)
	b = jute.AppendStrings(jute.AppendStrings(b, m.ExistWatches), m.ChildWatches)
	return jute.AppendStrings(jute.AppendStrings(b, m.PersistentWatches), m.PersistentRecursiveWatches)
}

// ReadFrom implements Record. A null list is nil and an empty one is not.
func (m *SetWatches2) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.RelativeZxid = r.Int64()
	m.DataWatches, m.ExistWatches, m.ChildWatches = r.Strings(), r.Strings(), r.Strings()
	m.PersistentWatches, m.PersistentRecursiveWatches = r.Strings(), r.Strings()
	return finish(&r, "SetWatches2")
}

// AddWatchRequest is the body of OpAddWatch, answered by an ErrorResponse.
type AddWatchRequest struct {
	Path string
	Mode int32 // WatchPersistent or WatchRecursive
}

// AppendTo implements Record.
func (m *AddWatchRequest) AppendTo(b []byte) []byte {
	return jute.AppendInt32(jute.AppendString(b, m.Path), m.Mode)
}

// ReadFrom implements Record.
func (m *AddWatchRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path, m.Mode = r.String(), r.Int32()
	return finish(&r, "AddWatchRequest")
}

// CheckWatchesRequest is the body of OpCheckWatches, answered without a body.
type CheckWatchesRequest struct {
	Path string
	Type int32 // WatcherChildren, …
}

// AppendTo implements Record.
func (m *CheckWatchesRequest) AppendTo(b []byte) []byte {
	return jute.AppendInt32(jute.AppendString(b, m.Path), m.Type)
}

// ReadFrom implements Record.
func (m *CheckWatchesRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path, m.Type = r.String(), r.Int32()
	return finish(&r, "CheckWatchesRequest")
}

// RemoveWatchesRequest is the body of OpRemoveWatches, answered without a body.
type RemoveWatchesRequest struct {
	Path string
	Type int32 // WatcherChildren, …
}

// AppendTo implements Record.
func (m *RemoveWatchesRequest) AppendTo(b []byte) []byte {
	return jute.AppendInt32(jute.AppendString(b, m.Path), m.Type)
}

// ReadFrom implements Record.
func (m *RemoveWatchesRequest) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.Path, m.Type = r.String(), r.Int32()
	return finish(&r, "RemoveWatchesRequest")
}
