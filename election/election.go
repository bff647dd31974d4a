package election

import (
	"bytes"
	"context"
	"errors"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/recipes"
	"github.com/conclave-go/conclave/retry"
)

// Election is one election: everybody who uses the same path on the same
// ensemble takes part in it. An Election has no goroutine and needs no closing. All
// methods are safe for concurrent use.
type Election struct {
	conn  keeper.Conn
	dir   string
	names recipes.Names
	retry retry.Policy
	value []byte // what Run campaigns with
	line  *recipes.Line
}

// New returns the election at path, a directory that holds nothing else and is
// made when it is needed. Nothing is sent. Bad input is reported as
// *keeper.InvalidError.
func New(conn keeper.Conn, path string, opts ...Option) (*Election, error) {
	c, err := newConfig(path, opts)
	if err != nil {
		return nil, err
	}
	line, err := recipes.NewLine(conn, c.line)
	if err != nil {
		return nil, err
	}
	return &Election{
		conn:  conn,
		dir:   path,
		names: c.line.Names,
		retry: c.line.Retry,
		value: c.value,
		line:  line,
	}, nil
}

// Campaign waits until it leads, showing value to whoever asks. It rides out lost
// connections and stands again in the next session when its session expires,
// until ctx ends. It fails with ctx's error, with keeper.ErrClosed when the
// connection's owner shuts it down, with recipes.ErrSequenceExhausted, or with
// what a server refused (such as keeper.ErrNoAuth). Then its candidate is removed
// in the background.
//
// Candidates that share an Election take turns in order of arrival and have one
// node in line between them. The caller resigns with Release.
func (e *Election) Campaign(ctx context.Context, value []byte) (*Leadership, error) {
	hold, err := e.line.Acquire(ctx, bytes.Clone(value))
	if err != nil {
		return nil, err
	}
	return &Leadership{Hold: hold, retry: e.retry}, nil
}

// Run campaigns and calls fn while it leads. fn's context ends when ctx does or
// when the term may be over; Run waits for fn to return before it resigns.
//
// When fn returns during its term, Run resigns and returns fn's result. When the
// term was lost meanwhile Run campaigns again and calls fn again, whatever fn
// returned: a function that failed because it lost its term should simply return.
// Run ends with ctx, with the connection (keeper.ErrClosed), or when Campaign
// fails. If fn panics Run resigns first.
func (e *Election) Run(ctx context.Context, fn func(ctx context.Context, term *Leadership) error) error {
	if fn == nil {
		return &keeper.InvalidError{What: "function", Why: "is nil"}
	}
	for {
		term, err := e.Campaign(ctx, e.value)
		if err != nil {
			return err
		}
		err = term.Do(ctx, func(ctx context.Context) error { return fn(ctx, term) })
		// Not the cause of the term's context: a deletion may be noticed only now.
		end := term.Release(ctx)
		if ctx.Err() != nil || !errors.Is(end, keeper.ErrHoldLost) || errors.Is(end, keeper.ErrClosed) {
			return err
		}
	}
}

// Leadership is one term of a leader. Its methods are those of recipes.Hold, and
// Proclaim:
//
//	Context() context.Context  // ends when the term does, or may have
//	Valid() bool               // asked of the clock: right before something irreversible
//	Token() int64              // fencing token, greater in each later term
//	Guard() keeper.Op          // for a Multi of your own
//	Commit(ctx, ops...) error  // writes only during the term
//	Release(ctx) error         // resigns; nil, or keeper.ErrHoldLost if the term was lost before
//
// A term that was lost must be released as well: it keeps the other candidates of
// its Election out until then.
type Leadership struct {
	*recipes.Hold
	retry retry.Policy
}

// Proclaim changes the value that Leader and Observe show. It fails with
// keeper.ErrNotHeld when the term is over, and with keeper.ErrHoldLost too if it
// was lost. When an answer is lost it sends the value again: nobody else writes
// there.
func (l *Leadership) Proclaim(ctx context.Context, value []byte) error {
	again := l.retry
	again.If = retry.Idempotent
	return retry.Do(ctx, again, func(ctx context.Context) error {
		return l.Commit(ctx, &keeper.Set{Path: l.Node(), Data: value, Version: keeper.AnyVersion})
	})
}
