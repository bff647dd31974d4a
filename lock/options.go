package lock

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
	data    []byte
	line    recipes.Config
}

// WithACL gives the lock's directory and nodes an ACL. The default is the
// connection's. Whoever may create in the directory can take the lock, and
// whoever may delete in it can take it away.
func WithACL(acl []keeper.ACL) Option {
	acl = slices.Clone(acl)
	return func(c *config) { c.line.ACL = acl }
}

// WithData sets what the lock's nodes hold, for people who look; nothing reads
// it. The default is "host/pid". nil leaves them empty.
func WithData(data []byte) Option {
	data = slices.Clone(data)
	return func(c *config) { c.data = data }
}

// WithLogger hears of what nobody can be told otherwise: foreign nodes in the
// directory, nodes that cannot be removed. The default is silence.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) { c.line.Logger = logger }
}

// WithMarkers sets the text between a contender's id and its sequence number: own
// is written, and nodes with own or any of others count as contenders. All
// programs on the path must count each other's. The default is "lock-", with
// Kazoo's "__lock__" counted too.
func WithMarkers(own string, others ...string) Option {
	markers := append([]string{own}, others...)
	return func(c *config) { c.markers = markers }
}

// WithRetryPolicy paces what is tried again. Its Attempts bounds how many
// connection losses in a row a Lock rides out; by default only the context does.
// Its If is not used.
func WithRetryPolicy(policy retry.Policy) Option {
	return func(c *config) { c.line.Retry = policy }
}

func newConfig(path string, opts []Option) (config, error) {
	c := config{markers: []string{"lock-", "__lock__"}, data: recipes.WhoAmI()}
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
