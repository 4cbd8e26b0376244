package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quietTime is how long nothing may change before a change is looked at:
// editors and git write several files, and a file in several steps.
const quietTime = 100 * time.Millisecond

// A watcher notices when a file changes that a project is built from. What
// the system tells is only a hint: a change is a file whose content is another
// than at the last look, so that what dev writes itself starts nothing.
type watcher struct {
	dirty chan struct{} // something may have changed

	tree   string // all Go files below it count; "" for none
	system *fsnotify.Watcher
	stderr io.Writer
	done   chan struct{}

	mu     sync.Mutex
	single map[string]bool // files that count wherever they lie
	embeds map[string]bool // kinds of files that are embedded, as far as is known
	seen   map[string][sha256.Size]byte
}

// newWatcher watches a folder and all below it; "" watches nothing yet.
func newWatcher(tree string, stderr io.Writer) (*watcher, error) {
	system, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	w := &watcher{
		dirty: make(chan struct{}, 1), tree: tree, system: system, stderr: stderr, done: make(chan struct{}),
		single: make(map[string]bool), embeds: make(map[string]bool),
	}
	if tree != "" {
		w.add(tree)
	}
	w.seen = w.look()
	go w.listen()
	return w, nil
}

func (w *watcher) close() {
	_ = w.system.Close()
	<-w.done
}

// file has a file count beside those of the tree. It need not be there yet.
// Those named before still count.
func (w *watcher) file(name string) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return
	}
	w.mu.Lock()
	known := w.single[abs]
	w.single[abs] = true
	w.mu.Unlock()
	if !known {
		w.add(filepath.Dir(abs))
		w.merge(func(path string) bool { return path == abs }) // it was not looked at before
	}
}

// embedded names the files that the project's packages embed. All of their kind
// count from then on, so that a new file beside them is noticed.
func (w *watcher) embedded(names []string) {
	w.mu.Lock()
	for _, name := range names {
		w.embeds[kind(name)] = true
	}
	w.mu.Unlock()
	w.merge(func(path string) bool { return w.embeds[kind(path)] })
}

// settle takes the generated files of a folder as they are now for seen.
func (w *watcher) settle(dir string) {
	w.merge(func(path string) bool { return filepath.Dir(path) == dir && strings.HasSuffix(path, ".gen.go") })
}

// merge takes the files for which which is true, and were not there or were
// written by dev, for seen.
func (w *watcher) merge(which func(path string) bool) {
	now := w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	for path := range w.seen {
		if _, there := now[path]; !there && which(path) {
			delete(w.seen, path)
		}
	}
	for path, sum := range now {
		if which(path) {
			w.seen[path] = sum
		}
	}
}

// changed returns the files that changed, came or went since the last look, as
// they are shown to people, in order.
func (w *watcher) changed() []string {
	now := w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for path, sum := range now {
		if old, there := w.seen[path]; !there || old != sum {
			out = append(out, w.shown(path))
		}
	}
	for path := range w.seen {
		if _, there := now[path]; !there {
			out = append(out, w.shown(path))
		}
	}
	w.seen = now
	slices.Sort(out)
	const most = 3
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more", len(out)-most))
	}
	return out
}

func (w *watcher) shown(path string) string {
	if rel, err := filepath.Rel(w.tree, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return shown(path)
}

// look reads all that counts.
func (w *watcher) look() map[string][sha256.Size]byte {
	now := make(map[string][sha256.Size]byte)
	read := func(path string) {
		if sum, ok := digest(path); ok {
			now[path] = sum
		}
	}
	if w.tree != "" {
		_ = filepath.WalkDir(w.tree, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil // it may have gone while we look
			case e.IsDir() && path != w.tree && skipped(e.Name()):
				return fs.SkipDir
			case !e.IsDir() && w.counts(path):
				read(path)
			}
			return nil
		})
	}
	w.mu.Lock()
	single := make([]string, 0, len(w.single))
	for path := range w.single {
		single = append(single, path)
	}
	w.mu.Unlock()
	for _, path := range single {
		read(path)
	}
	return now
}

// counts tells whether the project is built from the file at path.
func (w *watcher) counts(path string) bool {
	base := filepath.Base(path)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.single[path]:
		return true
	case w.tree == "" || !strings.HasPrefix(path, w.tree+string(filepath.Separator)):
		return false
	case w.embeds[kind(path)] && !strings.HasPrefix(base, "."):
		return true
	case base == "go.mod" || base == "go.sum":
		return true
	}
	return filepath.Ext(base) == ".go" && !strings.HasSuffix(base, "_test.go")
}

// kind is what files in one folder with one extension have in common. Of the
// whole folder the databases would count too that a running server keeps there.
func kind(path string) string { return filepath.Join(filepath.Dir(path), "*"+filepath.Ext(path)) }

// skipped tells whether a folder holds nothing that is built: the go command
// passes over names with a dot or an underscore, too.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "node_modules" || name == "testdata" || name == "vendor"
}

// digest is of a file's content; false where it cannot be read.
func digest(path string) ([sha256.Size]byte, bool) {
	text, err := os.ReadFile(path)
	return sha256.Sum256(text), err == nil
}

// add has the system tell of a folder; of all below it, too, where it lies in
// the tree.
func (w *watcher) add(dir string) {
	inTree := w.tree != "" && (dir == w.tree || strings.HasPrefix(dir, w.tree+string(filepath.Separator)))
	if !inTree {
		w.addOne(dir)
		return
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || !e.IsDir():
			return nil
		case path != dir && skipped(e.Name()):
			return fs.SkipDir
		}
		w.addOne(path)
		return nil
	})
}

func (w *watcher) addOne(dir string) {
	if err := w.system.Add(dir); err != nil && exists(dir) {
		fmt.Fprintf(w.stderr, "changes in %s go unnoticed: %v\n", dir, err)
	}
}

// listen turns what the system tells into a word that something changed, once
// it has become quiet.
func (w *watcher) listen() {
	defer close(w.done)
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	for {
		select {
		case event, ok := <-w.system.Events:
			if !ok {
				return
			}
			folder := event.Has(fsnotify.Create) && isDir(event.Name)
			if folder && !skipped(filepath.Base(event.Name)) {
				w.add(event.Name)
			}
			if folder || w.counts(event.Name) {
				quiet.Reset(quietTime)
			}
		case _, ok := <-w.system.Errors: // too many at once: some were lost
			if !ok {
				return
			}
			quiet.Reset(quietTime)
		case <-quiet.C:
			select {
			case w.dirty <- struct{}{}:
			default: // it is known already
			}
		}
	}
}

// embeddedFiles are those that the packages below dir embed; none where they
// cannot be told.
func embeddedFiles(ctx context.Context, dir string) []string {
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-f", `{{$dir := .Dir}}{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}`, "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	var names []string
	for line := range bytes.Lines(out) {
		if name := strings.TrimSpace(string(line)); name != "" {
			names = append(names, filepath.FromSlash(name))
		}
	}
	return names
}
