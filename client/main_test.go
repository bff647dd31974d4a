package client

import (
	"testing"

	"github.com/conclave-go/conclave/internal/zkreal"
)

func TestMain(m *testing.M) { zkreal.Main(m) }
