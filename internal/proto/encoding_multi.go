package proto

import (
	"errors"
	"fmt"

	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

var (
	errContradiction = errors.New("a multi that both succeeded and failed")
	errMultiCount    = errors.New("not one result per op")
	errNoCulprit     = errors.New("a multi that failed, and no op says why")
)

// decodeMulti fills the ops of m from a reply whose header says 0, which a
// failed multi has too: the type of the first result tells them apart.
func (e *Encoding) decodeMulti(m *keeper.Multi, body []byte) error {
	in := multiReader{r: jute.Reader{Src: body}}
	more := in.more()
	if !more && (in.r.Err() != nil || len(m.Ops) > 0) {
		return allUndecodable(m, countError(&in), keeper.Unknown)
	}
	if more && in.h.Type == OpError {
		return decodeFailedMulti(m, &in)
	}
	for i, op := range m.Ops {
		if !more {
			return allUndecodable(m, countError(&in), keeper.Applied)
		}
		if in.h.Type == OpError {
			return allUndecodable(m, errContradiction, keeper.Unknown)
		}
		if err := e.decodeResult(op, &in); err != nil {
			return allUndecodable(m, fmt.Errorf("result %d: %w", i, err), keeper.Applied)
		}
		more = in.more()
	}
	if more || in.r.Err() != nil {
		return allUndecodable(m, countError(&in), keeper.Applied)
	}
	return nil
}

// countError says why the results ended too early, or did not end.
func countError(in *multiReader) error {
	if err := in.r.Err(); err != nil {
		return err
	}
	return errMultiCount
}

// decodeResult takes the result of one op of a multi that succeeded.
func (e *Encoding) decodeResult(op keeper.Op, in *multiReader) error {
	var res MultiResult
	var stat keeper.Stat
	hasStat := in.body(&res, &stat)
	if err := in.r.Err(); err != nil {
		return err
	}
	switch op := op.(type) {
	case *keeper.Create:
		switch {
		case res.Op == OpCreate2 && hasStat:
			return e.setCreated(op, res.Path, &stat)
		case res.Op == OpCreate:
			return e.setCreated(op, res.Path, nil)
		}
	case *keeper.Set:
		if res.Op == OpSetData {
			op.Stat = stat
			return checkStat(&stat)
		}
	case *keeper.Delete:
		if res.Op == OpDelete {
			return nil
		}
	case *keeper.Check:
		if res.Op == OpCheck {
			return nil
		}
	}
	return fmt.Errorf("answers %s with %v", op.Name(), res.Op)
}

// decodeFailedMulti gives each op its error. in stands before the first result.
func decodeFailedMulti(m *keeper.Multi, in *multiReader) error {
	n, culprit, code := 0, -1, keeper.OK
	for more := true; more; more = in.more() {
		if in.h.Type != OpError {
			return allUndecodable(m, errContradiction, keeper.Unknown)
		}
		var res MultiResult
		in.body(&res, nil)
		// Only where nothing better is there is "another op failed" the cause.
		if res.Err != keeper.OK && (culprit < 0 || code == keeper.ErrRuntimeInconsistency) {
			if culprit < 0 || res.Err != keeper.ErrRuntimeInconsistency {
				culprit, code = n, res.Err
			}
		}
		n++
	}
	// Every result that was seen is an error, so that it failed is certain even
	// if the rest is not good.
	if err := in.r.Err(); err != nil {
		return allUndecodable(m, err, keeper.NotApplied)
	}
	if n != len(m.Ops) {
		return allUndecodable(m, errMultiCount, keeper.NotApplied)
	}
	if culprit < 0 {
		return allUndecodable(m, errNoCulprit, keeper.NotApplied)
	}
	for i, op := range m.Ops {
		if i == culprit {
			op.Meta().Err = failed(op, code)
		} else {
			op.Meta().Err = failed(op, keeper.ErrRuntimeInconsistency)
		}
	}
	return &keeper.OpError{
		Op: m.Name(), Path: m.Target(), Outcome: keeper.NotApplied,
		Err: fmt.Errorf("op %d, %w", culprit, m.Ops[culprit].Meta().Err),
	}
}

// allUndecodable gives m and every op the same error, and takes back results
// that ops got before the fault was found.
func allUndecodable(m *keeper.Multi, cause error, o keeper.Outcome) error {
	for _, op := range m.Ops {
		meta := *op.Meta()
		op.Reset()
		meta.Err = undecodable(op, cause, o)
		*op.Meta() = meta
	}
	return undecodable(m, cause, o)
}
