package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

// Config says how to run. The zero value, with Out set, is the demo of the
// README.
type Config struct {
	// Servers is the connect string of a real ensemble; "" starts the
	// in-process server.
	Servers string
	// SessionTimeout is asked for; 0 means 3 s in process and 4 s otherwise. The
	// cut-off clients' sessions take as long to expire.
	SessionTimeout time.Duration
	// Out gets the narration, and must be set.
	Out io.Writer
	// JSON makes the narration one JSON object a line.
	JSON bool
}

const (
	candidates = 5
	workers    = 8
	increments = 25 // per worker
)

// Run plays all scenes and returns what was checked. The error is one of the
// way there (no server, context ended); facts that do not hold are in the
// Report.
func Run(ctx context.Context, cfg Config) (report Report, err error) {
	s, err := open(ctx, cfg)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	for _, scene := range []func(context.Context, *stage) error{
		electLeader, countUnderLock, fenceLateWrite, leaveNothing,
	} {
		if err := scene(ctx, s); err != nil {
			return Report{}, err
		}
	}
	return s.narrator.summary()
}

// stage is what all scenes share. Run's goroutine owns it; the narrator and
// links may be used by any.
type stage struct {
	narrator *narrator
	servers  string
	timeout  time.Duration
	root     string // every node of the demo is below it
	actors   []*actor
	stop     func() error // ends the in-process server
}

// actor is one program of the story: a client with a link of its own.
type actor struct {
	*client.Client
	name string
	link *link
}

func open(ctx context.Context, cfg Config) (_ *stage, err error) {
	s := &stage{
		narrator: newNarrator(cfg.Out, cfg.JSON),
		servers:  cfg.Servers,
		timeout:  cfg.SessionTimeout,
		root:     fmt.Sprintf("/conclave-demo-%d", time.Now().UnixMilli()),
		stop:     func() error { return nil },
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.narrator.scene("The stage")
	if s.servers == "" {
		if err := s.startServer(); err != nil {
			return nil, err
		}
	} else if s.timeout == 0 {
		s.timeout = 4 * time.Second
	}
	stagehand, err := s.enter(ctx, "stagehand")
	if err != nil {
		return nil, err
	}
	if err := stagehand.EnsurePath(ctx, s.root); err != nil {
		return nil, fmt.Errorf("make %s: %w", s.root, err)
	}
	session, err := stagehand.Session(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	s.timeout = session.Timeout() // as negotiated: later clients ask for the same
	s.narrator.say("stagehand", "all nodes go below %s, sessions time out after %v", s.root, s.timeout)
	return s, nil
}

func (s *stage) startServer() error {
	if s.timeout == 0 {
		s.timeout = 3 * time.Second
	}
	srv, err := zkserver.New(zkserver.Options{Tick: 200 * time.Millisecond})
	if err != nil {
		return fmt.Errorf("in-process server: %w", err)
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("in-process server: %w", err), srv.Close())
	}
	s.stop, s.servers = srv.Close, addr.String()
	s.narrator.say("server", "in-process ZooKeeper listens on %s (for tests and first steps, not for production)", addr)
	return nil
}

// enter starts one more client and waits for its session.
func (s *stage) enter(ctx context.Context, name string) (*actor, error) {
	l := &link{}
	c, err := client.Dial(ctx, s.servers,
		client.WithSessionTimeout(s.timeout), client.WithDialer(l.Dial))
	if err != nil {
		return nil, fmt.Errorf("%s cannot connect to %s: %w", name, s.servers, err)
	}
	a := &actor{Client: c, name: name, link: l}
	s.actors = append(s.actors, a)
	return a, nil
}

// cast makes several clients.
func (s *stage) cast(ctx context.Context, role string, n int) ([]*actor, error) {
	actors := make([]*actor, n)
	for i := range actors {
		a, err := s.enter(ctx, fmt.Sprintf("%s-%d", role, i+1))
		if err != nil {
			return nil, err
		}
		actors[i] = a
	}
	return actors, nil
}

// stagehand does the chores: it was the first to enter.
func (s *stage) stagehand() *actor { return s.actors[0] }

// session returns the live session of an actor.
func (a *actor) session(ctx context.Context) (keeper.Session, error) {
	session, err := a.Session(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s has no session: %w", a.name, err)
	}
	return session, nil
}

func (s *stage) close() error {
	var errs []error
	for _, a := range s.actors {
		errs = append(errs, a.Close())
	}
	return errors.Join(append(errs, s.stop())...)
}
