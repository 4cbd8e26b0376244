//go:build !linux

package main

import (
	"os/exec"
	"syscall"
)

// apart does nothing: only Linux can tie a process to its parent.
func apart(*exec.Cmd, syscall.Signal) {}
