package recipes

import (
	"context"
	"errors"
)

// Do runs fn while the hold is on and releases afterwards, also when fn panics.
// fn's context ends when ctx does or when the hold may be lost, with the reason
// as its cause.
//
// The error is fn's, joined with that of the release: an fn that returned nil
// although its hold was lost meanwhile did part of its work unprotected, and the
// caller hears of it as keeper.ErrHoldLost. The release does not depend on ctx.
func (h *Hold) Do(ctx context.Context, fn func(ctx context.Context) error) (err error) {
	if ctx == nil {
		return nilContext()
	}
	// A panic of fn goes on after this.
	defer func() { err = errors.Join(err, h.Release(context.WithoutCancel(ctx))) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(h.ctx, func() { cancel(context.Cause(h.ctx)) })
	defer stop()
	return fn(ctx)
}
