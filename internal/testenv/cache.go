package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// cacheDir is where parts that tests install are kept between runs: the folder
// that GWTEST_CACHE names, or else gatewright-test below the user's cache
// folder. It may be deleted at any time no test runs.
func cacheDir() (string, error) {
	if dir := os.Getenv("GWTEST_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "gatewright-test"), nil
}

// need ends the test with Skip unless all of the programs are there.
func need(t testing.TB, why string, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Skip(t, why+" needs the program "+p+", which is not installed; make tools does that where it can")
		}
	}
}

// install returns the part of that name from the cache. Where it is not there
// build makes it in an empty folder, as the entry "part" of it. Of test
// processes that want the same part at once, one builds and the others wait.
// Where it cannot be built, for want of a network perhaps, the test ends with
// Skip.
func install(t testing.TB, name string, build func(dir string) error) string {
	t.Helper()
	path, err := installed(name, build)
	if err != nil {
		Skip(t, fmt.Sprintf("%s cannot be installed here: %v", name, err))
	}
	return path
}

func installed(name string, build func(dir string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, name)
	if exists(path) {
		return path, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockedfile.MutexAt(path + ".lock").Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(path) { // built while this process waited
		return path, nil
	}
	dir, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := build(dir); err != nil {
		return "", err
	}
	// Whole or not at all: a build that was interrupted leaves no part.
	if err := os.Rename(filepath.Join(dir, "part"), path); err != nil {
		return "", err
	}
	return path, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// installFor bounds one command of an installation: to build Dex takes some
// minutes on a small machine.
const installFor = 20 * time.Minute

// runIn runs a command of an installation in dir.
func runIn(dir string, env []string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), installFor)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	endWithParent(cmd)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = errors.New("took longer than " + installFor.String())
	}
	return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, bytes.TrimSpace(out[max(0, len(out)-2000):]))
}
