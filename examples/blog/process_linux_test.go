package main

import (
	"os/exec"
	"syscall"
)

// endWithParent ends cmd when the test process is killed and cannot end it
// itself, as go test does after its time limit.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
