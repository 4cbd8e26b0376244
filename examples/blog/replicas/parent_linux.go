package main

import (
	"os/exec"
	"syscall"
)

// apart keeps Ctrl-C, which a terminal sends to a whole group of processes,
// from cmd: what runs here is ended in order. When this process is killed and
// cannot do that, cmd gets sig.
func apart(cmd *exec.Cmd, sig syscall.Signal) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: sig}
}
