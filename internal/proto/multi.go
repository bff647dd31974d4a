package proto

import (
	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// MultiHeader stands before each op and each result of a multi, and, with Done
// set, after the last one.
type MultiHeader struct {
	Type OpCode
	Done bool
	Err  keeper.Code
}

// AppendTo implements Record.
func (m *MultiHeader) AppendTo(b []byte) []byte {
	b = jute.AppendBool(jute.AppendInt32(b, int32(m.Type)), m.Done)
	return jute.AppendInt32(b, int32(m.Err))
}

// ReadFrom implements Record.
func (m *MultiHeader) ReadFrom(b []byte) error {
	r := jute.Reader{Src: b}
	m.read(&r)
	return finish(&r, "MultiHeader")
}

func (m *MultiHeader) read(r *jute.Reader) {
	m.Type, m.Done, m.Err = OpCode(r.Int32()), r.Bool(), keeper.Code(r.Int32())
}

// MultiOp is one op of a multi: Record is the request that Op has alone.
type MultiOp struct {
	Op     OpCode
	Record Record
}

// MultiRequest is the body of OpMulti, whose ops are creates, delete, setData
// and check, and of OpMultiRead, whose ops are getData and getChildren. Decoding
// takes any of these; which may stand together is for the server to say.
type MultiRequest struct {
	Ops []MultiOp
}

// AppendTo implements Record.
func (m *MultiRequest) AppendTo(b []byte) []byte {
	for i := range m.Ops {
		b = appendMultiHeader(b, m.Ops[i].Op)
		b = m.Ops[i].Record.AppendTo(b)
	}
	return appendMultiEnd(b)
}

// appendMultiHeader starts one op of a request.
func appendMultiHeader(b []byte, op OpCode) []byte {
	h := MultiHeader{Type: op, Err: -1}
	return h.AppendTo(b)
}

// appendMultiEnd appends the header after the last op or result.
func appendMultiEnd(b []byte) []byte {
	h := MultiHeader{Type: OpError, Done: true, Err: -1}
	return h.AppendTo(b)
}

// ReadFrom implements Record. An op of another kind is malformed.
func (m *MultiRequest) ReadFrom(b []byte) error {
	m.Ops = nil
	r := jute.Reader{Src: b}
	n, creates := countMultiOps(&r)
	if err := finish(&r, "MultiRequest"); err != nil || n == 0 {
		return err
	}
	r = jute.Reader{Src: b}
	m.Ops = make([]MultiOp, n)
	slab := make([]CreateRequest, creates)
	for i := range m.Ops {
		var h MultiHeader
		h.read(&r)
		m.Ops[i] = MultiOp{Op: h.Type, Record: readMultiOp(&r, h.Type, &slab)}
	}
	return finish(&r, "MultiRequest")
}

// countMultiOps finds the end, so that what follows is allocated once and in
// proportion to the input. It passes over the ops without building them.
func countMultiOps(r *jute.Reader) (ops, creates int) {
	for r.Err() == nil {
		var h MultiHeader
		h.read(r)
		if h.Done {
			break
		}
		ops++
		r.View() // every op starts with its path
		switch h.Type {
		case OpCreate, OpCreate2, OpCreateContainer:
			creates++
			r.View()
			skipACL(r)
			r.Skip(4)
		case OpCreateTTL:
			r.View()
			skipACL(r)
			r.Skip(12)
		case OpSetData:
			r.View()
			r.Skip(4)
		case OpDelete, OpCheck:
			r.Skip(4)
		case OpGetData, OpGetChildren:
			r.Skip(1)
		default:
			r.Fail("op " + h.Type.String() + " cannot stand in a multi")
		}
	}
	return ops, creates
}

// readMultiOp decodes one op; slab holds the memory of all plain creates.
func readMultiOp(r *jute.Reader, op OpCode, slab *[]CreateRequest) Record {
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer:
		rec := &(*slab)[0]
		*slab = (*slab)[1:]
		rec.read(r)
		return rec
	case OpCreateTTL:
		rec := new(CreateTTLRequest)
		rec.read(r)
		return rec
	case OpDelete:
		rec := new(DeleteRequest)
		rec.read(r)
		return rec
	case OpSetData:
		rec := new(SetDataRequest)
		rec.read(r)
		return rec
	case OpCheck:
		rec := new(CheckVersionRequest)
		rec.read(r)
		return rec
	case OpGetData:
		rec := new(GetDataRequest)
		rec.read(r)
		return rec
	default: // OpGetChildren: countMultiOps has refused all others
		rec := new(GetChildrenRequest)
		rec.read(r)
		return rec
	}
}
