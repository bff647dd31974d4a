//go:build linux

package zkreal

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// victimVar tells a copy of this test binary to start a server, say where, and
// die in the way that the variable's value names.
const victimVar = "CONCLAVE_TEST_VICTIM"

// TestServerDiesWithTheTestBinary: whatever ends the binary ends the server. A
// test that times out ends as a panic does.
func TestServerDiesWithTheTestBinary(t *testing.T) {
	if Embedded() {
		return
	}
	for _, way := range []string{"killed", "panic", "exit"} {
		t.Run(way, func(t *testing.T) {
			binary, err := os.Executable()
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestVictim$", "-test.v")
			cmd.Env = append(os.Environ(), victimVar+"="+way, "TMPDIR="+t.TempDir())
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			addr := ""
			for lines := bufio.NewScanner(out); addr == "" && lines.Scan(); {
				if _, after, found := strings.Cut(lines.Text(), "serves at "); found {
					addr = after
				}
			}
			require.NotEmpty(t, addr, "the victim has started its server")
			if way == "killed" {
				require.NoError(t, cmd.Process.Kill())
			}
			require.Error(t, cmd.Wait(), "the victim has failed")
			require.Eventually(t, func() bool {
				conn, err := net.Dial("tcp", addr)
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			}, patience, 10*time.Millisecond, "the server has outlived its test binary")
		})
	}
}

// TestVictim does nothing unless TestServerDiesWithTheTestBinary runs it.
func TestVictim(t *testing.T) {
	way := os.Getenv(victimVar)
	if way == "" {
		return
	}
	fmt.Println("serves at " + Shared(t).Addr())
	switch way {
	case "panic":
		go func() { panic("as asked") }()
	case "exit":
		os.Exit(3)
	}
	select {} // until killed
}
