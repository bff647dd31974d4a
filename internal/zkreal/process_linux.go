package zkreal

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when the calling thread ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
