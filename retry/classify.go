package retry

import (
	"context"
	"errors"

	"github.com/conclave-go/conclave/keeper"
)

// Unapplied reports whether err is a failure that passes by itself and left no
// trace, so that any request may be sent again: the connection was lost before
// the request was sent, the server throttled it, had no quorum for the moment,
// or the session moved to another server.
func Unapplied(err error) bool {
	return passing(err) && keeper.OutcomeOf(err) == keeper.NotApplied
}

// Idempotent reports whether err is a failure that passes by itself, whatever
// became of the request: what Unapplied reports, and a connection lost or timed
// out while the answer was awaited.
func Idempotent(err error) bool { return passing(err) }

// passing tells failures of the moment from answers. A session that is over is
// not one: its requests make no sense in another session, so whoever holds
// the Conn has to decide.
func passing(err error) bool {
	for _, final := range [...]error{
		keeper.ErrSessionExpired, keeper.ErrClosed, keeper.ErrAuthFailed, keeper.ErrInvalid,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	for _, moment := range [...]error{
		keeper.ErrConnectionLoss, keeper.ErrOperationTimeout, keeper.ErrRequestTimeout,
		keeper.ErrThrottled, keeper.ErrSessionMoved, keeper.ErrNotReadOnly,
	} {
		if errors.Is(err, moment) {
			return true
		}
	}
	return false
}
