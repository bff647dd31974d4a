package gozk

import (
	"log/slog"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// Option configures New.
type Option interface{ apply(*config) error }

// config is written by New and read-only afterwards.
type config struct {
	timeout    time.Duration
	logger     *slog.Logger
	acl        []keeper.ACL
	maxRequest int
	feed       *Feed
}

type optionFunc func(*config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// defaultMaxRequest is the largest request a server takes by default
// (jute.maxbuffer); it closes the connection on a larger one.
const defaultMaxRequest = 1<<20 - 1

func newConfig(opts []Option) (config, error) {
	c := config{
		logger:     slog.New(slog.DiscardHandler),
		acl:        keeper.OpenACL(),
		maxRequest: defaultMaxRequest,
	}
	for _, o := range opts {
		if o == nil {
			return config{}, &keeper.InvalidError{What: "option", Why: "is nil"}
		}
		if err := o.apply(&c); err != nil {
			return config{}, err
		}
	}
	if c.timeout == 0 {
		return config{}, &keeper.InvalidError{What: "session timeout", Why: "is missing: go-zookeeper does not tell it, so pass WithSessionTimeout"}
	}
	return c, nil
}

// WithSessionTimeout says what session timeout the ensemble has granted. It is
// required, because go-zookeeper does not tell: pass the timeout given to
// zk.Connect, clamped to the servers' minSessionTimeout and maxSessionTimeout
// (2 and 20 ticks unless configured).
//
// A value above the granted one makes holds claim to be valid for too long; a
// value below it only makes them end early. When in doubt take the lower one.
func WithSessionTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) error {
		if d < time.Millisecond || d > math.MaxInt32*time.Millisecond {
			return &keeper.InvalidError{What: "session timeout", Value: d.String(), Why: "must be from 1 ms to 2^31-1 ms"}
		}
		c.timeout = d
		return nil
	})
}

// WithLogger sends the adapter's log there. Without it nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) error {
		if l == nil {
			return &keeper.InvalidError{What: "logger", Why: "is nil"}
		}
		c.logger = l
		return nil
	})
}

// WithDefaultACL is the list that stands in for a nil one in Create and SetACL.
// The default is keeper.OpenACL.
func WithDefaultACL(acl []keeper.ACL) Option {
	return optionFunc(func(c *config) error {
		if acl == nil {
			return &keeper.InvalidError{What: "ACL", Why: "is nil: the default needs entries"}
		}
		if err := keeper.ValidateACL(acl); err != nil {
			return err
		}
		c.acl = slices.Clone(acl)
		return nil
	})
}

// WithMaxRequest bounds the size of a request in bytes; a larger one fails with
// keeper.ErrTooLarge, unsent. The default is 1,048,575, the default of the
// servers' jute.maxbuffer. It must stay below the buffer that zk.Conn encodes
// into (1.5 MiB, or what zk.WithMaxConnBufferSize set), where go-zookeeper can
// crash the process.
func WithMaxRequest(bytes int) Option {
	return optionFunc(func(c *config) error {
		if bytes < 1024 || bytes > math.MaxInt32 {
			return &keeper.InvalidError{What: "request limit", Value: strconv.Itoa(bytes), Why: "must be from 1024 to 2^31-1"}
		}
		c.maxRequest = bytes
		return nil
	})
}

// WithFeed names the Feed whose Callback was given to zk.Connect.
func WithFeed(f *Feed) Option {
	return optionFunc(func(c *config) error {
		if f == nil {
			return &keeper.InvalidError{What: "feed", Why: "is nil"}
		}
		c.feed = f
		return nil
	})
}
