package zkreal

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// envVar chooses what the tests run against: "" is everything, "embedded" is
// everything but real servers.
const (
	envVar   = "CONCLAVE_TEST"
	embedded = "embedded"
)

// shared is the one server of a test binary: it cannot hang on a test, because
// it outlives each of them.
//
//nolint:gochecknoglobals // see above
var shared struct {
	mu     sync.Mutex
	main   bool // Main runs, so the server will be stopped
	tried  bool
	server *Server
	err    error
}

// Embedded reports whether CONCLAVE_TEST=embedded asks for tests without real
// servers. A test that needs one returns at once then; it does not skip.
func Embedded() bool { return os.Getenv(envVar) == embedded }

// Shared returns the test binary's one server, with a tick of 200 ms, and starts
// it if need be. It stays up for the other tests: whoever wants to stop a server
// starts one with [Start]. The binary's TestMain must call [Main]. If the server
// cannot run the test fails; every later one does too, at once.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.main {
		t.Fatal("zkreal.Shared needs `func TestMain(m *testing.M) { zkreal.Main(m) }` in the package, to stop the server")
	}
	if !shared.tried {
		shared.tried = true
		shared.server, shared.err = start(Options{})
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// Main runs the tests of a binary, stops the shared server, looks for leaked
// goroutines if the tests passed, and exits.
func Main(m *testing.M, opts ...goleak.Option) {
	goleak.VerifyTestMain(runner{m}, opts...)
}

// runner puts the end of the server between the tests and the leak check.
type runner struct{ m *testing.M }

func (r runner) Run() int {
	if v := os.Getenv(envVar); v != "" && v != embedded {
		fmt.Fprintf(os.Stderr, "%s=%q: must be empty or %q\n", envVar, v, embedded)
		return 2
	}
	shared.mu.Lock()
	shared.main = true
	shared.mu.Unlock()

	code := r.m.Run()

	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		return code
	}
	if err := shared.server.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "stop ZooKeeper:", err)
		return 1
	}
	return code
}

// IgnoreServer keeps a leak check inside a test from reporting the goroutines
// that wait for servers, which outlive the test.
func IgnoreServer() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/conclave-go/conclave/internal/zkreal.(*process).run")
}
