package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/gatewright/gatewright/generator/emit"
)

const modulePath = "github.com/gatewright/gatewright"

// goMod is what a new project's go.mod says about this module: a folder where
// this command was built from a checkout, else the version it was built at.
// sum is the text of a go.sum that goes with it, nil where none is known.
func goMod() (mod *emit.GoMod, sum []byte, err error) {
	if dir, ok := checkout(); ok {
		return checkoutMod(dir)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != modulePath || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return nil, nil, errors.New("this binary knows neither its version nor the checkout it was built from; build it with go install or go run")
	}
	return &emit.GoMod{GoVersion: goVersion(), Version: info.Main.Version}, nil, nil
}

// checkout returns the folder of the module this command was compiled from,
// if that is still there and not the module cache.
func checkout() (string, bool) {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) || strings.Contains(file, "@") {
		return "", false
	}
	dir := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || modfile.ModulePath(text) != modulePath {
		return "", false
	}
	return dir, true
}

// checkoutMod takes over what the checkout requires, so that the new project
// builds at once and needs nothing from the network.
func checkoutMod(dir string) (*emit.GoMod, []byte, error) {
	path := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	f, err := modfile.Parse(path, text, nil)
	if err != nil {
		return nil, nil, err
	}
	mod := &emit.GoMod{GoVersion: f.Go.Version, Version: "v0.0.0", Replace: modfile.AutoQuote(dir)}
	for _, r := range f.Require {
		mod.Requires = append(mod.Requires, emit.Require{Path: r.Mod.Path, Version: r.Mod.Version})
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return nil, nil, fmt.Errorf("the checkout has no go.sum: %w", err)
	}
	return mod, sum, nil
}

// goVersion is the language version of the toolchain this was built with.
func goVersion() string {
	v := strings.TrimPrefix(runtime.Version(), "go")
	parts := strings.SplitN(v, ".", 3)
	if len(parts) < 2 {
		return "1.26"
	}
	return parts[0] + "." + parts[1]
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
