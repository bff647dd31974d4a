package proto

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpCodeNames(t *testing.T) {
	require.Equal(t, "create2", OpCreate2.String())
	require.Equal(t, "closeSession", OpCloseSession.String())
	require.Equal(t, "op(999)", OpCode(999).String())

	seen := map[string]OpCode{}
	for op := OpCode(-20); op < 200; op++ {
		name := op.String()
		_, twice := seen[name]
		require.False(t, twice, name)
		seen[name] = op
	}
}

func TestKnownOps(t *testing.T) {
	for _, op := range []OpCode{OpCreate, OpPing, OpWhoAmI, OpCloseSession, OpCreateSession, OpDeleteContainer} {
		require.True(t, op.Known(), op)
	}
	for _, op := range []OpCode{OpError, 0, 10, 23, 999, -2} {
		require.False(t, op.Known(), op)
	}
}

func TestDecodeRequestKnowsEveryOpWithABody(t *testing.T) {
	bodiless := map[OpCode]bool{
		OpPing: true, OpWhoAmI: true, OpCloseSession: true,
		OpDeleteContainer: true, OpCreateSession: true, // the server's own
	}
	for op := OpCode(-20); op < 200; op++ {
		rec, err := DecodeRequest(op, nil)
		if !op.Known() || bodiless[op] {
			require.NoError(t, err, op)
			require.Nil(t, rec, op)
			continue
		}
		require.ErrorContains(t, err, op.String(), "an empty body is malformed")
	}
}
