package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
)

func generateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Write the Go code that gatewright.yaml asks for",
		Long: `Reads gatewright.yaml and the document it names, and writes models.gen.go,
api.gen.go, security.gen.go, server.gen.go, security_gen_test.go, docs.gen.go
and openapi.gen.json, each only if it changed, all or none. What is generated is
compiled in memory first.

With -check nothing is written: a diff is printed and the exit code is 3 if a
file is not what the document says.`,
		Args: between("no arguments", 0, 0),
	}
	config := cmd.Flags().String("config", generator.SettingsFile, "the generator's settings")
	check := cmd.Flags().Bool("check", false, "write nothing, print a diff, exit 3 if a file is stale")
	format := formatFlag(cmd, findingFormats)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkFormat(*format, findingFormats); err != nil {
			return err
		}
		return generate(cmd.Context(), *config, *check, *format, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func generate(ctx context.Context, settingsPath string, check bool, format string, stdout, stderr io.Writer) error {
	settings, dir, err := settingsFile(settingsPath)
	if err != nil {
		return err
	}
	res, err := generator.Generate(ctx, generator.Config{Dir: dir, Settings: settings})
	if err := tell(stderr, format, res, err); err != nil {
		return err
	}
	if check {
		diff, err := res.Diff(dir)
		if err != nil {
			return err
		}
		if diff != "" {
			fmt.Fprint(stdout, diff)
			return &exitError{exitStale, errors.New("generated files are stale; gatewright generate writes them")}
		}
		return nil
	}
	before := generator.MethodsOf(filepath.Join(dir, settings.Output), "Unimplemented")
	stale, err := res.Stale(dir)
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		if err := res.TypeCheck(ctx, dir); err != nil {
			return err
		}
		written, err := res.Write(dir)
		if err != nil {
			return err
		}
		for _, path := range written {
			fmt.Fprintln(stdout, filepath.Join(dir, path))
		}
	}
	tellStubs(stdout, dir, before, settings, res)
	return nil
}

// settingsFile reads a project's settings and returns the folder they are
// relative to.
func settingsFile(path string) (generator.Settings, string, error) {
	settings, err := generator.ReadSettings(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w\ngatewright init makes a project", err)
	}
	return settings, filepath.Dir(path), err
}

// tell prints what was found about the document, and turns ErrDocument into
// an exit without another word.
func tell(w io.Writer, format string, res *generator.Result, err error) error {
	if res != nil && (len(res.Diagnostics) > 0 || format == "json" || format == "sarif") {
		if err := report(w, format, res.Diagnostics); err != nil {
			return err
		}
	}
	if errors.Is(err, generator.ErrDocument) {
		errorCount := 0
		for _, d := range res.Diagnostics {
			if d.Severity == model.Error {
				errorCount++
			}
		}
		return fmt.Errorf("errors in the document: %d; nothing was generated", errorCount)
	}
	return err
}
