package proto

import (
	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

// MultiResult is the result of one op of a multi. Op is the type on the wire,
// which is not always the op that was sent; it decides what follows:
//
//   - OpCreate: Path. OpCreate2: Path and Stat. OpSetData: Stat.
//   - OpDelete, OpCheck: nothing.
//   - OpError: Err, of an op of a multi that failed: 0 for those before the
//     culprit, keeper.ErrRuntimeInconsistency for those after it.
type MultiResult struct {
	Op   OpCode
	Err  keeper.Code
	Path string
	Stat *keeper.Stat // nil where the reply has none
}

// MultiResponse answers OpMulti.
type MultiResponse struct {
	Results []MultiResult
}

// AppendTo implements Record. A nil Stat is sent as a zero one where the type
// needs it.
func (m *MultiResponse) AppendTo(b []byte) []byte {
	for i := range m.Results {
		res := &m.Results[i]
		h := MultiHeader{Type: res.Op}
		if res.Op == OpError {
			h.Err = res.Err
		}
		b = h.AppendTo(b)
		switch res.Op {
		case OpCreate:
			b = jute.AppendString(b, res.Path)
		case OpCreate2:
			b = appendStatOrZero(jute.AppendString(b, res.Path), res.Stat)
		case OpSetData:
			b = appendStatOrZero(b, res.Stat)
		case OpError:
			b = jute.AppendInt32(b, int32(res.Err))
		}
	}
	return appendMultiEnd(b)
}

func appendStatOrZero(b []byte, s *keeper.Stat) []byte {
	if s == nil {
		s = &keeper.Stat{}
	}
	return appendStat(b, s)
}

// ReadFrom implements Record.
func (m *MultiResponse) ReadFrom(b []byte) error {
	m.Results = nil
	count := multiReader{r: jute.Reader{Src: b}}
	n := 0
	for count.skip() {
		n++
	}
	if err := finish(&count.r, "MultiResponse"); err != nil || n == 0 {
		return err
	}
	in := multiReader{r: jute.Reader{Src: b}}
	m.Results = make([]MultiResult, n)
	for i := range m.Results {
		var stat keeper.Stat
		hasStat := in.next(&m.Results[i], &stat)
		if hasStat {
			m.Results[i].Stat = new(keeper.Stat)
			*m.Results[i].Stat = stat
		}
	}
	return finish(&in.r, "MultiResponse")
}

// multiReader reads the results of a MultiResponse one by one, so that a reply
// can be decoded into the ops of its request and costs no more than they do.
type multiReader struct {
	r jute.Reader
	h MultiHeader
}

// more reads the next header and reports whether a result follows.
func (in *multiReader) more() bool {
	in.h.read(&in.r)
	return in.r.Err() == nil && !in.h.Done
}

// body reads what follows the header. stat is left alone, and false returned,
// where the type has none.
func (in *multiReader) body(res *MultiResult, stat *keeper.Stat) (hasStat bool) {
	*res = MultiResult{Op: in.h.Type}
	switch in.h.Type {
	case OpCreate:
		res.Path = in.r.String()
	case OpCreate2:
		res.Path = in.r.String()
		readStat(&in.r, stat)
		return true
	case OpSetData:
		readStat(&in.r, stat)
		return true
	case OpDelete, OpCheck:
	case OpError:
		res.Err = keeper.Code(in.r.Int32())
	default:
		in.r.Fail("result of type " + in.h.Type.String() + " in a multi")
	}
	return false
}

// next reads a result that is known to be there.
func (in *multiReader) next(res *MultiResult, stat *keeper.Stat) (hasStat bool) {
	return in.more() && in.body(res, stat)
}

// skip passes over a result and reports whether there was one.
func (in *multiReader) skip() bool {
	if !in.more() {
		return false
	}
	switch in.h.Type {
	case OpCreate:
		in.r.View()
	case OpCreate2:
		in.r.View()
		in.r.Skip(statSize)
	case OpSetData:
		in.r.Skip(statSize)
	case OpDelete, OpCheck:
	case OpError:
		in.r.Skip(4)
	default:
		in.r.Fail("result of type " + in.h.Type.String() + " in a multi")
	}
	return in.r.Err() == nil
}

// MultiReadResult is the result of one op of a multiRead: Op is OpGetData,
// OpGetChildren, or OpError with Err.
type MultiReadResult struct {
	Op   OpCode
	Err  keeper.Code
	Body Record // *GetDataResponse, *GetChildrenResponse, or nil
}

// MultiReadResponse answers OpMultiRead. Ops fail one by one.
type MultiReadResponse struct {
	Results []MultiReadResult
}

// AppendTo implements Record.
func (m *MultiReadResponse) AppendTo(b []byte) []byte {
	for i := range m.Results {
		res := &m.Results[i]
		if res.Op == OpError {
			h := MultiHeader{Type: OpError, Err: res.Err}
			b = jute.AppendInt32(h.AppendTo(b), int32(res.Err))
			continue
		}
		h := MultiHeader{Type: res.Op}
		b = res.Body.AppendTo(h.AppendTo(b))
	}
	return appendMultiEnd(b)
}

// ReadFrom implements Record.
func (m *MultiReadResponse) ReadFrom(b []byte) error {
	m.Results = nil
	r := jute.Reader{Src: b}
	n := countMultiReadResults(&r)
	if err := finish(&r, "MultiReadResponse"); err != nil || n == 0 {
		return err
	}
	r = jute.Reader{Src: b}
	m.Results = make([]MultiReadResult, n)
	for i := range m.Results {
		var h MultiHeader
		h.read(&r)
		res := MultiReadResult{Op: h.Type}
		switch h.Type {
		case OpGetData:
			body := new(GetDataResponse)
			body.read(&r)
			res.Body = body
		case OpGetChildren:
			body := new(GetChildrenResponse)
			body.read(&r)
			res.Body = body
		default: // OpError: countMultiReadResults has refused all others
			res.Err = keeper.Code(r.Int32())
		}
		m.Results[i] = res
	}
	return finish(&r, "MultiReadResponse")
}

func countMultiReadResults(r *jute.Reader) (n int) {
	for r.Err() == nil {
		var h MultiHeader
		h.read(r)
		if h.Done {
			break
		}
		n++
		switch h.Type {
		case OpGetData:
			r.View()
			r.Skip(statSize)
		case OpGetChildren:
			for range r.Count(4) {
				r.View()
			}
		case OpError:
			r.Skip(4)
		default:
			r.Fail("result of type " + h.Type.String() + " in a multiRead")
		}
	}
	return n
}
