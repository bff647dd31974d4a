package keeper

import "errors"

// Outcome is the answer to the only question a failed request leaves: did it
// happen?
type Outcome uint8

// The zero Outcome is "not stated" and is never returned by OutcomeOf.
const (
	// NotApplied: the request had no effect and never will have one. It was
	// refused locally, never sent, or answered with a code by the server.
	NotApplied Outcome = iota + 1
	// Applied: the server applied it.
	Applied
	// Unknown: it was sent, and then the answer was lost, the call cancelled or
	// the session expired. It may have been applied, or still be.
	Unknown
)

// String returns "not applied", "applied" or "unknown".
func (o Outcome) String() string {
	switch o {
	case NotApplied:
		return "not applied"
	case Applied:
		return "applied"
	case Unknown:
		return "unknown"
	}
	return "not stated"
}

// OutcomeOf tells what became of a request that returned err.
//
//   - nil is Applied.
//   - An *OpError that states an Outcome has that one.
//   - A code that a server sent, bad input, a hold that is over and a request
//     that stayed behind are NotApplied.
//   - Everything else is Unknown: an error that says nothing is not a promise.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Applied
	}
	// An OpError without an Outcome leaves it to its Err, which may hold another
	// OpError: an expired session means something else sent than refused.
	for op := (*OpError)(nil); errors.As(err, &op); err = op.Err {
		if op.Outcome != 0 {
			return op.Outcome
		}
	}
	var code Code
	if errors.As(err, &code) {
		if code == OK {
			return Applied
		}
		if code.madeByClient() {
			return Unknown
		}
		return NotApplied
	}
	for _, refused := range [...]error{ErrInvalid, ErrNotSent, ErrNotHeld, errors.ErrUnsupported} {
		if errors.Is(err, refused) {
			return NotApplied
		}
	}
	return Unknown
}

// IsAPIError tells whether a server answered the request with an error of the
// data model (no node, bad version, no auth, …): the connection is fine.
func IsAPIError(err error) bool {
	var code Code
	return errors.As(err, &code) && code < ErrAPI &&
		code != ErrSessionExpired && code != ErrAuthFailed && code != ErrSessionMoved &&
		code != ErrRequestTimeout && code != ErrSASLRequired
}

// IsConnectionError tells whether the failure is one of the connection or the
// session rather than an answer: lost, expired, moved, closed or refused
// authentication.
func IsConnectionError(err error) bool {
	for _, e := range [...]error{
		ErrConnectionLoss, ErrOperationTimeout, ErrRequestTimeout, ErrSessionExpired,
		ErrSessionMoved, ErrAuthFailed, ErrSASLRequired, ErrClosed,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
