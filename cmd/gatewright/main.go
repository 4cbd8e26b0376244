// Command gatewright turns an OpenAPI document into a Go server that enforces
// what the document says about who may call what.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes (README, "Exit codes").
const (
	exitFine   = 0
	exitFailed = 1
	exitUsage  = 2
	exitStale  = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// An exitError ends the program with a code of its own. Its message, if any,
// has not been printed yet.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks a mistake in how the command was called.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// run is the program: arguments in, exit code out.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "gatewright",
		Short:         "From an OpenAPI document to a Go server that enforces its security",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("there is no command %q; gatewright -help lists them", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%s: %w; %s -help lists the flags", cmd.CommandPath(), err, cmd.CommandPath())
	})
	root.AddCommand(initCommand(), generateCommand(), explainCommand(), docsCommand(), devCommand(), keysCommand(), usersCommand(), tokenCommand(), doctorCommand())
	root.SetArgs(longFlags(args))
	root.SetOut(stdout)
	root.SetErr(stderr)

	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintln(stderr, "gatewright: "+strings.TrimPrefix(msg, "gatewright: "))
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitFailed
}

// longFlags lets flags be written as Go programs write them, -check beside
// --check. No command has one-letter flags but -h.
func longFlags(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if a == "--" {
			copy(out[i:], args[i:])
			break
		}
		if len(a) > 2 && a[0] == '-' && a[1] != '-' && (a[1] < '0' || a[1] > '9') {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

// between wants least to most arguments and says what they are.
func between(what string, least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage("%s takes %s; see %s -help", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}
