package zkserver_test

import (
	"testing"

	"github.com/conclave-go/conclave/internal/zkreal"
)

// zkreal.Main stops the real server that tests share and looks for goroutines
// that were left behind.
func TestMain(m *testing.M) { zkreal.Main(m) }
