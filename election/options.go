package election

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/recipes"
	"github.com/conclave-go/conclave/retry"
)

// Option changes a default of New.
type Option func(*config)

type config struct {
	markers []string
	value   []byte
	line    recipes.Config
}

// WithACL gives the election's directory and nodes an ACL. The default is the
// connection's. Whoever may create in the directory can lead, and whoever may
// delete in it can depose.
func WithACL(acl []keeper.ACL) Option {
	acl = slices.Clone(acl)
	return func(c *config) { c.line.ACL = acl }
}

// WithValue sets the value that Run campaigns with. The default is "host/pid".
func WithValue(value []byte) Option {
	value = slices.Clone(value)
	return func(c *config) { c.value = value }
}

// WithLogger hears of what nobody can be told otherwise: foreign nodes in the
// directory, nodes that cannot be removed. The default is silence.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) { c.line.Logger = logger }
}

// WithSelectorLayout uses the node names of Curator's LeaderSelector, and of
// Kazoo's Election, in place of LeaderLatch's. All candidates on a path must use
// the same.
func WithSelectorLayout() Option {
	return func(c *config) { c.markers = []string{"lock-", "__lock__"} }
}

// WithRetryPolicy paces what is tried again. Its Attempts bounds how many
// connection losses in a row Campaign, Leader and Proclaim ride out; by default
// only the context does. Observe rides out any number. Its If is not used.
func WithRetryPolicy(policy retry.Policy) Option {
	return func(c *config) { c.line.Retry = policy }
}

func newConfig(path string, opts []Option) (config, error) {
	c := config{markers: []string{"latch-"}, value: recipes.WhoAmI()}
	c.line.Dir = path
	for i, opt := range opts {
		if opt == nil {
			return config{}, &keeper.InvalidError{What: "option", Value: fmt.Sprint(i), Why: "is nil"}
		}
		opt(&c)
	}
	names, err := recipes.NewNames(c.markers[0], c.markers[1:]...)
	c.line.Names = names
	return c, err
}
