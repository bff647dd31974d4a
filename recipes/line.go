package recipes

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// Config says what line a Line is.
type Config struct {
	// Dir is the directory the contenders stand in. It holds nothing else.
	Dir string
	// Names is how their nodes are called; see NewNames.
	Names Names
	// ACL is given to the directory and the nodes; nil means the connection's
	// default. Deleting a node is a right on its directory.
	ACL []keeper.ACL
	// Logger hears of foreign names and of nodes that cannot be removed. nil
	// means silence.
	Logger *slog.Logger
	// Retry paces what is tried again. Its Attempts bounds how often in a row an
	// acquisition meets a lost connection before it gives up; its If is not used.
	Retry retry.Policy
}

// Line is a line of contenders of all processes, of which the first one holds
// what the line is for. The goroutines that use one Line queue in the process
// first, in order of arrival, and have one node in line between them.
//
// A Line has no goroutine of its own and needs no closing. All methods are safe
// for concurrent use.
type Line struct {
	conn  keeper.Conn
	dir   string
	names Names
	acl   []keeper.ACL
	log   *slog.Logger
	retry retry.Policy
	noted sync.Once // foreign names have been logged

	mu      sync.Mutex
	busy    bool      // somebody has the turn: contends, holds or releases
	waiters []*waiter // for the turn; empty unless busy
}

// waiter is a goroutine that waits for the turn in its process.
type waiter struct {
	data []byte
	// turn has room for the one contender, or nil, that comes with the turn. It
	// is sent to under Line.mu, by whoever takes the waiter off the list.
	turn chan *contender
}

// NewLine checks cfg and returns the line, with nothing sent. What is wrong it
// reports as *keeper.InvalidError.
func NewLine(conn keeper.Conn, cfg Config) (*Line, error) {
	if conn == nil {
		return nil, &keeper.InvalidError{What: "connection", Why: "is nil"}
	}
	if err := validateDir(cfg.Dir); err != nil {
		return nil, err
	}
	if cfg.Names.own == "" {
		return nil, &keeper.InvalidError{What: "names", Why: "have no marker: use NewNames"}
	}
	if err := keeper.ValidateACL(cfg.ACL); err != nil {
		return nil, err
	}
	if err := cfg.Retry.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Line{
		conn:  conn,
		dir:   cfg.Dir,
		names: cfg.Names,
		acl:   slices.Clone(cfg.ACL),
		log:   cfg.Logger,
		retry: cfg.Retry,
	}, nil
}

// validateDir refuses what is no path, and what cannot be a recipe's own.
func validateDir(dir string) error {
	if err := keeper.ValidatePath(dir); err != nil {
		return err
	}
	switch {
	case dir == "/":
		return &keeper.InvalidError{What: "path", Value: dir, Why: "is the root, which cannot be a recipe's own directory"}
	case dir == "/zookeeper" || keeper.Parent(dir) == "/zookeeper":
		return &keeper.InvalidError{What: "path", Value: dir, Why: "is the server's own"}
	}
	return keeper.ValidateName("name", keeper.Base(dir))
}

// Acquire waits until a node of its own, holding data, is first in line, and
// returns the hold on it.
//
// It rides out lost connections and waits again in the next session when its
// session expires; it ends when it has the hold, when ctx ends, when the
// connection's owner closes it (keeper.ErrClosed), or when a server refuses
// what it needs. Whenever it fails its node is removed in the background, or
// passed on to the next goroutine of this process.
//
// With nobody ahead it costs two requests in one round trip.
func (l *Line) Acquire(ctx context.Context, data []byte) (*Hold, error) {
	if ctx == nil {
		return nil, nilContext()
	}
	c, err := l.takeTurn(ctx, data)
	if err != nil {
		return nil, err
	}
	h, c, err := l.compete(ctx, c, data)
	if err != nil {
		l.passTurn(c)
		return nil, err
	}
	return h, nil
}

// compete gets a contender to the front, in as many sessions as it takes. When
// it fails it returns the contender only if another goroutine may go on with it.
func (l *Line) compete(ctx context.Context, c *contender, data []byte) (*Hold, *contender, error) {
	if c != nil && !bytes.Equal(c.data, data) {
		c.remove() // the place of somebody who wanted other data in it
		c = nil
	}
	for {
		if c == nil {
			s, err := l.session(ctx)
			if err != nil {
				return nil, nil, err
			}
			c = l.newContender(s, data)
		}
		err := c.toFront(ctx)
		if err == nil {
			var h *Hold
			if h, err = newHold(ctx, c); err == nil {
				return h, nil, nil
			}
		}
		switch {
		case errors.Is(err, errLapsed):
			c.step = stepLook // the place is ours still; the proof has to be made again
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return nil, c, err
		case c.s.Err() == nil && !errors.Is(err, keeper.ErrSessionExpired) || closed(c.s.Closing()):
			c.remove()
			return nil, nil, err
		default:
			// The session is over, and the node with it: the next one.
			l.log.Debug("session over while waiting in line", "dir", l.dir, "error", err)
			c = nil
		}
	}
}

// session returns one that lives. A Conn gives out no other, but it may die on
// the way.
func (l *Line) session(ctx context.Context) (keeper.Session, error) {
	for delays := l.retry.Delays(); ; {
		s, err := l.conn.Session(ctx)
		if err != nil || s.Err() == nil {
			return s, err
		}
		if err := delays.Wait(ctx); err != nil {
			return nil, waitError(l.dir, err)
		}
	}
}

// TryAcquire is Acquire for those who do not wait for other contenders. It
// returns false if there is one, in this process or another: then nothing was
// written, or, if the other was faster by a hair, the own node was removed again.
// There may have been one only until just now: the first look is not behind a
// sync, and a server may lag. A lost answer is an error and never false. It waits for a session, and for a
// connection, as long as ctx allows.
//
// If it succeeds it costs three requests in two round trips, if somebody holds
// already one request, and none if that somebody is in this process.
func (l *Line) TryAcquire(ctx context.Context, data []byte) (*Hold, bool, error) {
	if ctx == nil {
		return nil, false, nilContext()
	}
	if err := ctx.Err(); err != nil {
		return nil, false, waitError(l.dir, err)
	}
	l.mu.Lock()
	if l.busy {
		l.mu.Unlock()
		return nil, false, nil
	}
	l.busy = true
	l.mu.Unlock()
	h, err := l.try(ctx, data)
	if h != nil {
		return h, true, nil
	}
	l.passTurn(nil)
	return nil, false, err
}

// try returns neither hold nor error when somebody else is in line.
func (l *Line) try(ctx context.Context, data []byte) (*Hold, error) {
	s, err := l.session(ctx)
	if err != nil {
		return nil, err
	}
	c := l.newContender(s, data)
	list := c.list(ctx, false)
	if list.Err != nil && !errors.Is(list.Err, keeper.ErrNoNode) {
		return nil, list.Err
	}
	line, others := l.names.Sort(list.Names)
	if others > 0 {
		l.noteOthers(list.Names, others)
	}
	if len(line) > 0 {
		return nil, nil
	}
	for err == nil && c.step != stepFront && c.step != stepWait {
		if closed(s.Closing()) {
			err = closingError(l.dir)
		} else if err = c.advance(ctx); err == nil && c.slow {
			c.slow = false
			err = c.pause(ctx, retry.DefaultInitial)
		}
	}
	if err != nil {
		c.remove()
		return nil, err
	}
	if c.step == stepFront {
		h, err := newHold(ctx, c)
		if err != nil {
			c.remove()
		}
		return h, err
	}
	if err := l.removeNodes(ctx, s, c.node); err == nil && !c.unsure {
		c.settle()
	} else {
		c.remove()
	}
	return nil, nil
}

// noteOthers logs, once in the line's life, that its directory is shared.
func (l *Line) noteOthers(names []string, count int) {
	l.noted.Do(func() {
		i := slices.IndexFunc(names, func(name string) bool { _, ok := l.names.Parse(name); return !ok })
		l.log.Warn("nodes with foreign names are ignored", "dir", l.dir, "count", count, "example", names[i])
	})
}

func nilContext() error { return &keeper.InvalidError{What: "context", Why: "is nil"} }
