//go:build !linux

package zkreal

import "os/exec"

// dieWithParent does nothing where there is no parent-death signal: a test
// binary that is killed leaves its server behind.
func dieWithParent(*exec.Cmd) {}
