package main

import (
	"os/exec"
	"syscall"
)

// endWithParent ends cmd when this process is killed and cannot end it itself.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
