package election_test

import (
	"context"
	"strings"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zktest"
)

// hooked is a connection that tells of every Do when it is over.
type hooked struct {
	keeper.Conn
	after func(s keeper.Session, reqs []keeper.Request)
}

type hookedSession struct {
	keeper.Session
	after func(s keeper.Session, reqs []keeper.Request)
}

func (h hooked) Session(ctx context.Context) (keeper.Session, error) {
	s, err := h.Conn.Session(ctx)
	if err != nil {
		return nil, err
	}
	return hookedSession{s, h.after}, nil
}

func (s hookedSession) Do(ctx context.Context, reqs ...keeper.Request) error {
	err := s.Session.Do(ctx, reqs...)
	s.after(s.Session, reqs)
	return err
}

// names of the requests, "sync children".
func names(reqs []keeper.Request) string {
	var b strings.Builder
	for _, r := range reqs {
		b.WriteString(" " + r.Name())
	}
	return strings.TrimSpace(b.String())
}

// watchesAt counts the watches that the server holds.
func watchesAt(srv *zktest.Server) int {
	_, tables, _ := strings.Cut(srv.Dump(), "data watches\n")
	n := 0
	for line := range strings.Lines(tables) {
		if strings.HasPrefix(line, "  ") {
			n++
		}
	}
	return n
}
