// Package retry says which failures may be tried again and how long to wait in
// between. It stands on github.com/cenkalti/backoff/v4.
//
// A failed request may be sent again only if that can do no harm, and there are
// two ways to know it:
//
//   - [Unapplied], the default: the failed attempt had no effect
//     ([keeper.NotApplied]) and its cause passes by itself. That is safe for
//     every request.
//   - [Idempotent]: the connection failed and the attempt may have had its
//     effect ([keeper.Unknown]), but having it twice is the same as once. That
//     is for reads, for deletes of uniquely named nodes, and for whatever else
//     the caller knows to be idempotent. It is never right for a create of a
//     sequential node, an increment, or a delete that consumes something.
//
// Everything else is permanent: what a server answered, bad input, an expired
// or closed session, a context that has ended.
package retry
