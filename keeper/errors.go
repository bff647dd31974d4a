package keeper

import (
	"errors"
	"fmt"
	"strconv"
)

// Errors that no server sends.
var (
	// ErrClosed: the owner of the connection has closed it, or is shutting it
	// down and takes no new work.
	ErrClosed = errors.New("connection closed by its owner")

	// ErrInvalid is what every *InvalidError is: bad input, nothing was sent.
	ErrInvalid = errors.New("invalid argument")

	// ErrNotSent: a request stayed behind because an earlier request of the
	// same Do was refused or failed before this one was sent.
	ErrNotSent = errors.New("not sent: another request of the same call failed first")

	// ErrTooLarge: a request over the connection's limit (nothing was sent), or
	// a reply over it (the request's Outcome says what is known).
	ErrTooLarge = errors.New("frame too large")

	// ErrUndecodable: the server answered, but the body of its answer is
	// malformed.
	ErrUndecodable = errors.New("reply could not be decoded")

	// ErrNotHeld: the guard, or the hold it comes from, is over: released,
	// lost, or of another session. Nothing was sent.
	ErrNotHeld = errors.New("not held")

	// ErrHoldLost: the lock, leadership or claim ended before its owner
	// released it.
	ErrHoldLost = errors.New("hold lost")

	// ErrUnknownOutcome: it could not be found out whether an operation was
	// applied. It never hides a known outcome.
	ErrUnknownOutcome = errors.New("outcome unknown")

	// ErrWatchClosed: a watch ended because its owner closed it.
	ErrWatchClosed = errors.New("watch closed")
)

// OpError says which request failed and where.
type OpError struct {
	Op   string // "create", "get", …
	Path string // "" where the request has none
	Err  error  // a Code, an error of this package, or a wrapped context error

	// Outcome says what became of the request where Err alone does not. The
	// zero value means that Err says it.
	Outcome Outcome
}

// Error reads "create /a: node exists". It never holds data or credentials.
func (e *OpError) Error() string {
	s := e.Op
	if e.Path != "" {
		s += " " + quotePath(e.Path)
	}
	s += ": " + e.Err.Error()
	if e.Outcome == Unknown {
		s += " (outcome unknown)"
	}
	return s
}

// Unwrap returns Err.
func (e *OpError) Unwrap() error { return e.Err }

// InvalidError names an argument that was refused before anything was sent.
// errors.Is(err, ErrInvalid) holds for it.
type InvalidError struct {
	What  string // "path", "version", "ACL", …
	Value string // what was given, shortened; never a secret
	Why   string
}

// Error reads `invalid path "a": does not start with '/'`.
func (e *InvalidError) Error() string {
	if e.Value == "" {
		return "invalid " + e.What + ": " + e.Why
	}
	return fmt.Sprintf("invalid %s %s: %s", e.What, quoteShort(e.Value), e.Why)
}

// Is makes every InvalidError an ErrInvalid.
func (*InvalidError) Is(target error) bool { return target == ErrInvalid }

// quotePath leaves ordinary paths as they are and quotes those that would
// garble a log line.
func quotePath(p string) string {
	for _, r := range p {
		if r <= ' ' || r > '~' {
			return quoteShort(p)
		}
	}
	if len(p) > maxShown {
		return p[:maxShown] + "…"
	}
	return p
}

const maxShown = 120

func quoteShort(s string) string {
	if len(s) > maxShown {
		return strconv.Quote(s[:maxShown]) + "…"
	}
	return strconv.Quote(s)
}
