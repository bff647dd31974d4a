package keeper

import (
	"context"
	"time"
)

// Conn gives out live sessions. *client.Client and the adapter in adapter/gozk
// implement it; recipes are built on nothing else.
type Conn interface {
	// Session returns the current read-write session, waiting for one if there
	// is none. It fails with ctx's error, with ErrClosed once the owner has
	// closed the connection or is shutting it down, and with ErrAuthFailed if
	// the credentials were refused for good.
	Session(ctx context.Context) (Session, error)
}

// Session is one ZooKeeper session, from its creation to its end. It never
// turns into another one: what a session holds (ephemeral nodes, watches) is
// gone when Done is closed. It outlives disconnects. All methods are safe for
// concurrent use.
type Session interface {
	// Do sends the requests in order in one write and waits for every reply.
	// The requests are its own until it returns, and never afterwards. It
	// returns the first error, as *OpError; each request has its own Err.
	//
	// A request is sent at most once. While the session is disconnected, Do
	// waits for the connection. A call whose ctx is done, a request that is not
	// valid (see Validate) or stands twice in the call, and a guard of a hold that is over are refused, and
	// nothing of the call is sent. When ctx ends during the call, requests whose
	// bytes had not been handed to the writer are NotApplied and all others are
	// Unknown.
	Do(ctx context.Context, reqs ...Request) error

	// ID is the session id; it is what Stat.EphemeralOwner shows.
	ID() int64

	// Timeout is the negotiated session timeout.
	Timeout() time.Duration

	// ValidUntil is the moment up to which the ensemble cannot have expired the
	// session, as proved by an answer of the leader; design: send time of that
	// evidence plus 19/20 of the timeout. It carries a monotonic reading, only
	// moves forward, unless a reconnect is granted a shorter timeout, and is not
	// moved after the session has ended. It rests on this process's clock not
	// running slower than the servers' by more than 1/20, and says nothing about
	// a process that is paused after reading it.
	ValidUntil() time.Time

	// AfterLapse runs f, once and on its own goroutine, when ValidUntil has
	// passed or the session has ended, whichever comes first; cause says why.
	// It runs f at once if that has happened already. While any f is registered
	// the session's heartbeat is one that the leader answers, every tenth of
	// the timeout, so that ValidUntil keeps moving. stop takes f back and
	// reports whether it will never run.
	AfterLapse(f func(cause error)) (stop func() bool)

	// Done is closed when the session is over; Err then says why.
	Done() <-chan struct{}

	// Closing is closed when the session's owner begins to shut down: recipes
	// give up what they hold and take on nothing new.
	Closing() <-chan struct{}

	// Go runs f, work that a shutdown of the connection waits for, such as
	// removing a node. Its ctx ends when the session does, or when the
	// shutdown gives up waiting. Go fails with ErrClosed, f not run, when the
	// session is over; during a shutdown it still accepts work.
	Go(f func(ctx context.Context)) error

	// Supports tells whether connection and server can do f. A request that
	// needs a feature they lack fails with errors.ErrUnsupported, unsent.
	Supports(f Feature) bool

	// Err is nil while the session lives, then ErrSessionExpired, ErrClosed or
	// ErrAuthFailed, possibly wrapped.
	Err() error
}

// Feature is something not every connection or server can do.
type Feature uint8

// Features a recipe may ask for.
const (
	FeatureContainer  Feature = iota + 1 // Container nodes
	FeatureTTL                           // TTL nodes
	FeatureUnwatch                       // Watch.Close removes the server's watch
	FeaturePipelining                    // one Do is one round trip
)

// String returns a name such as "container nodes".
func (f Feature) String() string {
	switch f {
	case FeatureContainer:
		return "container nodes"
	case FeatureTTL:
		return "TTL nodes"
	case FeatureUnwatch:
		return "removal of watches"
	case FeaturePipelining:
		return "pipelining"
	}
	return "unknown feature"
}
