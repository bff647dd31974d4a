package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func TestCodeNamesGoBothWays(t *testing.T) {
	named, texts := 0, map[string]bool{}
	for c := keeper.Code(-200); c <= 10; c++ {
		got, ok := keeper.ParseCode(c.String())
		if !ok {
			require.Equal(t, fmt.Sprintf("CODE(%d)", int32(c)), c.String())
			require.Equal(t, fmt.Sprintf("ZooKeeper error %d", int32(c)), c.Error())
			continue
		}
		named++
		require.Equal(t, c, got)
		require.False(t, texts[c.Error()], "%v says the same as another code", c)
		texts[c.Error()] = true
	}
	require.Equal(t, 35, named)
	_, ok := keeper.ParseCode("CODE(-9999)")
	require.False(t, ok)
	require.Equal(t, "NONODE", keeper.ErrNoNode.String())
}

func TestCodesAreErrors(t *testing.T) {
	err := fmt.Errorf("reading: %w", &keeper.OpError{Op: "get", Path: "/a", Err: keeper.ErrNoNode})
	require.ErrorIs(t, err, keeper.ErrNoNode)
	require.NotErrorIs(t, err, keeper.ErrNoAuth)
	require.EqualError(t, err, "reading: get /a: node does not exist")
	require.ErrorIs(t, &keeper.OpError{Op: "get", Err: keeper.Code(-9999)}, keeper.Code(-9999))
}

func TestOutcomeOf(t *testing.T) {
	op := func(err error, o keeper.Outcome) error {
		return &keeper.OpError{Op: "set", Path: "/a", Err: err, Outcome: o}
	}
	lost := op(keeper.ErrSessionExpired, keeper.Unknown)
	for _, c := range []struct {
		name string
		err  error
		want keeper.Outcome
	}{
		{"nil", nil, keeper.Applied},
		{"a server's code", keeper.ErrNoNode, keeper.NotApplied},
		{"a server's code, wrapped", fmt.Errorf("x: %w", op(keeper.ErrBadVersion, 0)), keeper.NotApplied},
		{"an unknown code", keeper.Code(-9999), keeper.NotApplied},
		{"throttled", keeper.ErrThrottled, keeper.NotApplied},
		{"expired, said by a server", keeper.ErrSessionExpired, keeper.NotApplied},
		{"expired in flight", lost, keeper.Unknown},
		{"OK as an error", keeper.OK, keeper.Applied},
		{"connection loss", keeper.ErrConnectionLoss, keeper.Unknown},
		{"operation timeout", keeper.ErrOperationTimeout, keeper.Unknown},
		{"request timeout", keeper.ErrRequestTimeout, keeper.Unknown},
		{"connection loss before it was sent", op(keeper.ErrConnectionLoss, keeper.NotApplied), keeper.NotApplied},
		{"cancelled", context.Canceled, keeper.Unknown},
		{"cancelled before it was sent", op(context.Canceled, keeper.NotApplied), keeper.NotApplied},
		{"cancelled, not stated", op(context.Canceled, 0), keeper.Unknown},
		{"invalid", &keeper.InvalidError{What: "path", Why: "is empty"}, keeper.NotApplied},
		{"not sent", op(keeper.ErrNotSent, 0), keeper.NotApplied},
		{"not held", keeper.ErrNotHeld, keeper.NotApplied},
		{"unsupported", errors.ErrUnsupported, keeper.NotApplied},
		{"closed says nothing", keeper.ErrClosed, keeper.Unknown},
		{"too large says nothing", keeper.ErrTooLarge, keeper.Unknown},
		{"undecodable success", op(keeper.ErrUndecodable, keeper.Applied), keeper.Applied},
		{"a stranger", errors.New("x"), keeper.Unknown},
		{"an inner outcome is not overlooked", op(lost, 0), keeper.Unknown},
		{"nor one further down", op(fmt.Errorf("y: %w", op(lost, 0)), 0), keeper.Unknown},
		{"an outer outcome rules", op(lost, keeper.Applied), keeper.Applied},
		{"an OpError of nothing", &keeper.OpError{}, keeper.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, keeper.OutcomeOf(c.err)) })
	}
}

func TestOutcomeStrings(t *testing.T) {
	for o, want := range map[keeper.Outcome]string{
		0: "not stated", keeper.NotApplied: "not applied", keeper.Applied: "applied", keeper.Unknown: "unknown", 9: "not stated",
	} {
		require.Equal(t, want, o.String())
	}
}

func TestKindsOfErrors(t *testing.T) {
	for _, c := range []struct {
		err             error
		api, connection bool
	}{
		{nil, false, false},
		{keeper.ErrNoNode, true, false},
		{keeper.ErrBadVersion, true, false},
		{keeper.ErrThrottled, true, false},
		{keeper.ErrQuotaExceeded, true, false},
		{keeper.ErrMarshalling, false, false},
		{keeper.ErrAPI, false, false},
		{keeper.ErrConnectionLoss, false, true},
		{keeper.ErrOperationTimeout, false, true},
		{keeper.ErrRequestTimeout, false, true},
		{keeper.ErrSessionExpired, false, true},
		{keeper.ErrSessionMoved, false, true},
		{keeper.ErrAuthFailed, false, true},
		{keeper.ErrSASLRequired, false, true},
		{keeper.ErrClosed, false, true},
		{&keeper.OpError{Op: "get", Err: keeper.ErrNoNode}, true, false},
		{&keeper.OpError{Op: "get", Err: keeper.ErrConnectionLoss}, false, true},
		{context.Canceled, false, false},
		{keeper.ErrInvalid, false, false},
	} {
		require.Equal(t, c.api, keeper.IsAPIError(c.err), "%v", c.err)
		require.Equal(t, c.connection, keeper.IsConnectionError(c.err), "%v", c.err)
	}
	different := []error{keeper.ErrConnectionLoss, keeper.ErrClosed, keeper.ErrSessionExpired, context.Canceled}
	for i, a := range different {
		for j, b := range different {
			require.Equal(t, i == j, errors.Is(a, b))
		}
	}
}

func TestErrorTexts(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&keeper.OpError{Op: "create", Path: "/a", Err: keeper.ErrNodeExists}, "create /a: node exists"},
		{&keeper.OpError{Op: "do", Err: keeper.ErrClosed}, "do: connection closed by its owner"},
		{&keeper.OpError{Op: "set", Path: "/a", Err: keeper.ErrConnectionLoss, Outcome: keeper.Unknown},
			"set /a: connection lost (outcome unknown)"},
		{&keeper.OpError{Op: "get", Path: "/a\nb", Err: keeper.ErrNoNode}, `get "/a\nb": node does not exist`},
		{&keeper.InvalidError{What: "path", Value: "a", Why: "does not start with '/'"},
			`invalid path "a": does not start with '/'`},
		{&keeper.InvalidError{What: "context", Why: "is nil"}, "invalid context: is nil"},
	} {
		require.EqualError(t, c.err, c.want)
	}
}
