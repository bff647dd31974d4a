package proto

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func testMulti() *keeper.Multi {
	return &keeper.Multi{Ops: []keeper.Op{
		&keeper.Check{Path: "/a"}, &keeper.Create{Path: "/b"}, &keeper.Set{Path: "/c"}, &keeper.Delete{Path: "/d"},
	}}
}

func errorResults(codes ...keeper.Code) []byte {
	var m MultiResponse
	for _, code := range codes {
		m.Results = append(m.Results, MultiResult{Op: OpError, Err: code})
	}
	return body(&m)
}

func TestFailedMulti(t *testing.T) {
	const before, after = keeper.OK, keeper.ErrRuntimeInconsistency
	for _, c := range []struct {
		name    string
		codes   []keeper.Code
		culprit int
		code    keeper.Code
	}{
		{"first", []keeper.Code{keeper.ErrBadVersion, after, after, after}, 0, keeper.ErrBadVersion},
		{"middle", []keeper.Code{before, keeper.ErrNodeExists, after, after}, 1, keeper.ErrNodeExists},
		{"last", []keeper.Code{before, before, before, keeper.ErrNotEmpty}, 3, keeper.ErrNotEmpty},
		{"unknown code", []keeper.Code{before, before, -9999, after}, 2, -9999},
		{"-2 before the culprit", []keeper.Code{after, after, keeper.ErrNoNode, after}, 2, keeper.ErrNoNode},
		{"two codes", []keeper.Code{before, keeper.ErrNoNode, keeper.ErrNoAuth, after}, 1, keeper.ErrNoNode},
		{"nothing but -2", []keeper.Code{before, after, after, after}, 1, after},
		{"a code no server sends", []keeper.Code{keeper.ErrConnectionLoss, after, after, after}, 0, keeper.ErrConnectionLoss},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := testMulti()
			err := (&Encoding{}).DecodeReply(m, okHeader(), errorResults(c.codes...))
			require.ErrorIs(t, err, c.code)
			require.Same(t, m.Err, err)
			require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err))
			require.Contains(t, err.Error(), m.Ops[c.culprit].Name()+" "+m.Ops[c.culprit].Target(), "the culprit is named")
			for i, op := range m.Ops {
				require.Equal(t, int32(7), op.Meta().Xid)
				require.Equal(t, int64(9), op.Meta().Zxid)
				require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(op.Meta().Err))
				want := keeper.ErrRuntimeInconsistency
				if i == c.culprit {
					want = c.code
				}
				require.ErrorIs(t, op.Meta().Err, want)
			}
		})
	}
	m := testMulti()
	err := (&Encoding{}).DecodeReply(m, okHeader(), errorResults(0, keeper.ErrNodeExists, after, after))
	require.EqualError(t, err, "multi /a: op 1, create /b: node exists")
}

// A header that says 0 is no success of a multi: what the reply does not show is
// not claimed.
func TestUndecodableMultis(t *testing.T) {
	stat := sampleStat()
	good := []MultiResult{{Op: OpCheck}, {Op: OpCreate, Path: "/b"}, {Op: OpSetData, Stat: &stat}, {Op: OpDelete}}
	with := func(i int, res MultiResult) []byte {
		results := append([]MultiResult(nil), good...)
		results[i] = res
		return body(&MultiResponse{Results: results})
	}
	whole := body(&MultiResponse{Results: good})
	failed := errorResults(0, keeper.ErrNoNode, -2, -2)
	for _, c := range []struct {
		name string
		body []byte
		want keeper.Outcome
	}{
		{"no body", nil, keeper.Unknown},
		{"half a header", whole[:5], keeper.Unknown},
		{"no result", body(&MultiResponse{}), keeper.Unknown},
		{"one result", body(&MultiResponse{Results: good[:1]}), keeper.Applied},
		{"one too many", body(&MultiResponse{Results: append(good, MultiResult{Op: OpCheck})}), keeper.Applied},
		{"no end", whole[:len(whole)-1], keeper.Applied},
		{"half a Stat", whole[:60], keeper.Applied},
		{"another path", with(1, MultiResult{Op: OpCreate, Path: "/x"}), keeper.Applied},
		{"another type", with(3, MultiResult{Op: OpSetData, Stat: &stat}), keeper.Applied},
		{"a create without a path", with(1, MultiResult{Op: OpDelete}), keeper.Applied},
		{"a set without a Stat", with(2, MultiResult{Op: OpCheck}), keeper.Applied},
		{"a check that created", with(0, MultiResult{Op: OpCreate, Path: "/b"}), keeper.Applied},
		{"an unknown type", with(3, MultiResult{Op: OpSync}), keeper.Applied},
		{"an error among results", with(2, MultiResult{Op: OpError, Err: keeper.ErrNoNode}), keeper.Unknown},
		{"a result among errors", append(errorResults(0)[:13], whole...), keeper.Unknown},
		{"errors cut short", failed[:20], keeper.NotApplied},
		{"errors without an end", failed[:len(failed)-1], keeper.NotApplied},
		{"too few errors", errorResults(0, keeper.ErrNoNode), keeper.NotApplied},
		{"too many errors", errorResults(0, keeper.ErrNoNode, -2, -2, -2), keeper.NotApplied},
		{"errors that are none", errorResults(0, 0, 0, 0), keeper.NotApplied},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := testMulti()
			err := (&Encoding{}).DecodeReply(m, okHeader(), c.body)
			require.ErrorIs(t, err, keeper.ErrUndecodable)
			require.Equal(t, c.want, keeper.OutcomeOf(err))
			require.Same(t, m.Err, err)
			for _, op := range m.Ops {
				require.ErrorIs(t, op.Meta().Err, keeper.ErrUndecodable)
				require.Equal(t, c.want, keeper.OutcomeOf(op.Meta().Err))
				require.Equal(t, int32(7), op.Meta().Xid)
			}
			require.Empty(t, as[*keeper.Create](m.Ops[1]).Created)
			require.Zero(t, as[*keeper.Set](m.Ops[2]).Stat)
		})
	}
}
