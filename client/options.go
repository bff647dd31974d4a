package client

import (
	"context"
	"log/slog"
	"math"
	"net"
	"slices"
	"time"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// Defaults of the options.
const (
	DefaultSessionTimeout = 10 * time.Second
	// DefaultMaxRequest is the largest frame that servers take unless told
	// otherwise (jute.maxbuffer).
	DefaultMaxRequest = 1<<20 - 1
	DefaultMaxReply   = 4 << 20
)

// Option changes how a Client works.
type Option interface{ apply(*config) error }

type option func(*config) error

func (o option) apply(c *config) error { return o(c) }

// config is what the options come to. It does not change after New.
type config struct {
	timeout    time.Duration
	dial       func(ctx context.Context, network, addr string) (net.Conn, error)
	log        *slog.Logger
	acl        []keeper.ACL
	ordered    bool
	retry      retry.Policy
	maxRequest int
	maxReply   int
	auth       []*credential
}

func newConfig(opts []Option) (*config, error) {
	c := &config{
		timeout: DefaultSessionTimeout,
		dial:    new(net.Dialer).DialContext,
		log:     slog.New(slog.DiscardHandler),
		// Small, because the next server is usually fine; the jitter keeps the
		// clients of a lost server apart.
		retry:      retry.Policy{Initial: 50 * time.Millisecond, Max: time.Second},
		maxRequest: DefaultMaxRequest,
		maxReply:   DefaultMaxReply,
	}
	for _, o := range opts {
		if o == nil {
			return nil, &keeper.InvalidError{What: "option", Why: "is nil"}
		}
		if err := o.apply(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// WithSessionTimeout asks servers for a session timeout, 10 s by default. They
// clamp it, to between 2 and 20 of their ticks unless configured otherwise:
// Session.Timeout tells the result.
func WithSessionTimeout(d time.Duration) Option {
	return option(func(c *config) error {
		if d < time.Millisecond || d > math.MaxInt32*time.Millisecond {
			return &keeper.InvalidError{What: "session timeout", Value: d.String(), Why: "must be 1 ms to 2^31-1 ms"}
		}
		c.timeout = d
		return nil
	})
}

// WithDialer replaces net.Dialer.DialContext, for TLS, proxies and tests. addr
// is the host:port of the connect string, not resolved. dial must return when
// its context ends, and the Close of its connections must end their reads and
// writes and not block itself. A deadline of the context covers the handshake too.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return option(func(c *config) error {
		if dial == nil {
			return &keeper.InvalidError{What: "dialer", Why: "is nil"}
		}
		c.dial = dial
		return nil
	})
}

// WithLogger makes the Client tell what it does. It is silent by default and
// never logs credentials, session passwords or data; session ids at debug level
// only.
func WithLogger(log *slog.Logger) Option {
	return option(func(c *config) error {
		if log == nil {
			return &keeper.InvalidError{What: "logger", Why: "is nil"}
		}
		c.log = log
		return nil
	})
}

// WithDefaultACL replaces the ACL of creates that name none, which is
// keeper.OpenACL.
func WithDefaultACL(acl []keeper.ACL) Option {
	return option(func(c *config) error {
		if len(acl) == 0 {
			return &keeper.InvalidError{What: "default ACL", Why: "is empty"}
		}
		if err := keeper.ValidateACL(acl); err != nil {
			return err
		}
		c.acl = slices.Clone(acl)
		return nil
	})
}

// WithAuth adds a credential, as AddAuth does, before the first connection. It
// may be given several times. With scheme "digest" auth is "user:password",
// which crosses the network in clear unless the dialer encrypts.
func WithAuth(scheme string, auth []byte) Option {
	return option(func(c *config) error {
		cred, err := newCredential(scheme, auth)
		if err != nil {
			return err
		}
		c.auth = append(c.auth, cred)
		return nil
	})
}

// WithOrderedServers tries the servers in the order of the connect string. By
// default they are shuffled once.
func WithOrderedServers() Option {
	return option(func(c *config) error {
		c.ordered = true
		return nil
	})
}

// WithRetryPolicy sets the waits between attempts to connect; Attempts and If
// of the policy play no part. The default is 50 ms, doubling to 1 s, ±50 %. The
// first reconnect after a loss is immediate, and while a session lives no wait
// is longer than a sixth of its timeout.
func WithRetryPolicy(p retry.Policy) Option {
	return option(func(c *config) error {
		if err := p.Validate(); err != nil {
			return err
		}
		c.retry = p
		return nil
	})
}

// WithMaxFrame sets the largest request that is sent and the largest reply that
// is read, in bytes; 0 leaves one at its default. A request over the limit is
// refused with keeper.ErrTooLarge; a server takes one over its jute.maxbuffer
// for an attack and drops the connection. A reply over the limit fails its
// request with keeper.ErrTooLarge, and the connection goes on.
func WithMaxFrame(request, reply int) Option {
	return option(func(c *config) error {
		for _, n := range [...]int{request, reply} {
			if n != 0 && (n < 1024 || n > math.MaxInt32) {
				return &keeper.InvalidError{What: "frame limit", Why: "must be 1 KiB to 2 GiB"}
			}
		}
		if request != 0 {
			c.maxRequest = request
		}
		if reply != 0 {
			c.maxReply = reply
		}
		return nil
	})
}
