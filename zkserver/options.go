package zkserver

import (
	"log/slog"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// Options says how a server behaves. The zero value is a server with the
// defaults of Apache ZooKeeper where it has any.
type Options struct {
	// Tick is the grain of session expiry: a session that was last heard of at
	// t ends between t+timeout and t+timeout+Tick. Default 2 s, at least 1 ms.
	Tick time.Duration

	// MinSessionTimeout and MaxSessionTimeout clamp what clients ask for.
	// Default 2 and 20 ticks.
	MinSessionTimeout time.Duration
	MaxSessionTimeout time.Duration

	// MaxFrame is the longest frame a client may send, in bytes without the
	// length itself; a longer one closes the connection. Default 1,048,575
	// (jute.maxbuffer).
	MaxFrame int

	// MaxConns bounds the connections at a time, MaxWatches the watches of one
	// connection. A connection over either is closed. Default 10,000 and
	// 100,000.
	MaxConns   int
	MaxWatches int

	// HandshakeTimeout is how long a connection may take to ask for a session.
	// Default 10 s.
	HandshakeTimeout time.Duration

	// ContainerCheckInterval is how often empty containers and TTL nodes whose
	// time is over are looked for. Default 1 min.
	ContainerCheckInterval time.Duration

	// TTLNodes allows TTL nodes (extendedTypesEnabled).
	TTLNodes bool

	// HistoryLimit is how many transactions History keeps, the newest. Default
	// 65,536; -1 keeps all.
	HistoryLimit int

	// FourLetterWords lists the monitoring commands that are answered; "*" is
	// all of them. Default srvr alone.
	FourLetterWords []string

	// Version is the ZooKeeper whose behaviour is shown: "3.8", the default.
	Version string

	// Logger gets what happens to connections and sessions, most of it at
	// debug level; never data, passwords or credentials. Default: nothing.
	Logger *slog.Logger
}

// defaultMaxFrame is jute.maxbuffer.
const defaultMaxFrame = 0xfffff

// maxTimeout keeps session timeouts within the protocol's 32 bits of ms.
const maxTimeout = math.MaxInt32 * time.Millisecond

// withDefaults fills in what was left zero and refuses what makes no sense.
func (o Options) withDefaults() (Options, error) {
	setDefault(&o.Tick, 2*time.Second)
	setDefault(&o.MinSessionTimeout, 2*o.Tick)
	setDefault(&o.MaxSessionTimeout, max(20*o.Tick, o.MinSessionTimeout))
	setDefault(&o.MaxFrame, defaultMaxFrame)
	setDefault(&o.MaxConns, 10_000)
	setDefault(&o.MaxWatches, 100_000)
	setDefault(&o.HandshakeTimeout, 10*time.Second)
	setDefault(&o.ContainerCheckInterval, time.Minute)
	setDefault(&o.HistoryLimit, 1<<16)
	if o.FourLetterWords == nil {
		o.FourLetterWords = []string{"srvr"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = defaultVersion
	}
	o.FourLetterWords = slices.Clone(o.FourLetterWords)
	err := o.validate()
	return o, err
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) validate() error {
	for _, d := range [...]struct {
		what  string
		value time.Duration
		most  time.Duration
	}{
		{"tick", o.Tick, maxTimeout},
		{"minimum session timeout", o.MinSessionTimeout, maxTimeout},
		{"maximum session timeout", o.MaxSessionTimeout, maxTimeout},
		{"handshake timeout", o.HandshakeTimeout, math.MaxInt64},
		{"container check interval", o.ContainerCheckInterval, math.MaxInt64},
	} {
		if d.value < time.Millisecond || d.value > d.most {
			return &keeper.InvalidError{What: d.what, Value: d.value.String(), Why: "must be from 1ms to " + d.most.String()}
		}
	}
	if o.MinSessionTimeout > o.MaxSessionTimeout {
		return &keeper.InvalidError{
			What: "minimum session timeout", Value: o.MinSessionTimeout.String(),
			Why: "is over the maximum, " + o.MaxSessionTimeout.String(),
		}
	}
	for _, n := range [...]struct {
		what  string
		value int
		most  int
	}{
		{"maximum frame", o.MaxFrame, math.MaxInt32},
		{"maximum of connections", o.MaxConns, math.MaxInt},
		{"maximum of watches", o.MaxWatches, math.MaxInt},
	} {
		if n.value < 1 || n.value > n.most {
			return &keeper.InvalidError{What: n.what, Value: strconv.Itoa(n.value), Why: "must be positive and within 32 bits"}
		}
	}
	if o.HistoryLimit < -1 {
		return &keeper.InvalidError{What: "history limit", Value: strconv.Itoa(o.HistoryLimit), Why: "must be positive, or -1 for no limit"}
	}
	for _, word := range o.FourLetterWords {
		if word != "*" && !knownWord(word) {
			return &keeper.InvalidError{What: "four-letter word", Value: word, Why: "is not known"}
		}
	}
	if _, ok := versions[o.Version]; !ok {
		return &keeper.InvalidError{What: "version", Value: o.Version, Why: `is not emulated; "3.8" is`}
	}
	return nil
}
