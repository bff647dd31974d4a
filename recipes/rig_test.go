package recipes

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/conclave-go/conclave/keeper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a line on the fake, inside a synctest bubble.
type rig struct {
	*fakeEnsemble
	s    *fakeSession
	line *Line
	log  strings.Builder
}

const dir = "/app/lock"

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{fakeEnsemble: newFakeEnsemble()}
	r.s = r.session()
	r.line = r.newLine(t, r.s)
	t.Cleanup(func() {
		r.s.end(keeper.ErrClosed)
		r.s.work.Wait()
	})
	return r
}

func (r *rig) newLine(t *testing.T, conn keeper.Conn) *Line {
	t.Helper()
	line, err := NewLine(conn, Config{
		Dir:    dir,
		Names:  lockNames(t),
		ACL:    keeper.CreatorAllACL(),
		Logger: slog.New(slog.NewTextHandler(&r.log, nil)),
	})
	require.NoError(t, err)
	return line
}

// makeDir makes the directory before the test starts to count.
func (r *rig) makeDir(t *testing.T) {
	t.Helper()
	require.NoError(t, EnsureDir(t.Context(), r.s, dir, nil))
	r.s.takeSent()
}

// stranger puts a node into the directory, of another session.
func (r *rig) stranger(t *testing.T, prefix string) (path string) {
	t.Helper()
	create := &keeper.Create{Path: keeper.Join(dir, prefix), Mode: keeper.EphemeralSequential}
	other := r.session()
	require.NoError(t, other.Do(t.Context(), create))
	return create.Created
}

func (r *rig) delete(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(path)
}

// answer is what becomes of a request.
type answer uint8

const (
	ok       answer = iota
	lost            // on its way to the server
	lostDone        // on its way back
	unsent          // the connection was lost before
	stayed          // a request in front of it was unsent
	garbled         // applied, and the answer cannot be read
	refused
	throttled
	taken // the node exists
)

func (a answer) to(r keeper.Request) (apply bool, err error) {
	fail := func(err error, outcome keeper.Outcome) error {
		return &keeper.OpError{Op: r.Name(), Path: r.Target(), Err: err, Outcome: outcome}
	}
	switch a {
	case lost:
		return false, fail(keeper.ErrConnectionLoss, keeper.Unknown)
	case lostDone:
		return true, fail(keeper.ErrConnectionLoss, keeper.Unknown)
	case unsent:
		return false, fail(keeper.ErrConnectionLoss, keeper.NotApplied)
	case stayed:
		return false, fail(keeper.ErrNotSent, keeper.NotApplied)
	case garbled:
		return true, fail(keeper.ErrUndecodable, keeper.Applied)
	case refused:
		return false, fail(keeper.ErrNoAuth, 0)
	case throttled:
		return false, fail(keeper.ErrThrottled, 0)
	case taken:
		return false, fail(keeper.ErrNodeExists, 0)
	}
	return true, nil
}

// script has each request of a kind answered by the next of its answers, and ok
// after the last.
func (s *fakeSession) script(answers map[string][]answer) {
	s.on(func(r keeper.Request) (bool, error) {
		next := answers[r.Name()]
		if len(next) == 0 {
			return true, nil
		}
		answers[r.Name()] = next[1:]
		return next[0].to(r)
	})
}
