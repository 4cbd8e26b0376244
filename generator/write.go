package generator

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// Stale returns the paths of files whose content on disk differs from the
// result's, sorted.
func (r *Result) Stale(dir string) ([]string, error) {
	var stale []string
	for _, path := range slices.Sorted(maps.Keys(r.Files)) {
		have, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("generator: %w", err)
		}
		if err != nil || !bytes.Equal(have, r.Files[path]) {
			stale = append(stale, path)
		}
	}
	return stale, nil
}

// Diff returns a unified diff from the files on disk to the result's, "" where
// they agree.
func (r *Result) Diff(dir string) (string, error) {
	stale, err := r.Stale(dir)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, path := range stale {
		from := "a/" + filepath.ToSlash(path)
		have, err := os.ReadFile(filepath.Join(dir, path))
		if errors.Is(err, fs.ErrNotExist) {
			from = "/dev/null"
		} else if err != nil {
			return "", fmt.Errorf("generator: %w", err)
		}
		text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
			A:        lines(have),
			B:        lines(r.Files[path]),
			FromFile: from,
			ToFile:   "b/" + filepath.ToSlash(path),
			Context:  3,
		})
		if err != nil {
			return "", fmt.Errorf("generator: %w", err)
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

func lines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return difflib.SplitLines(strings.TrimSuffix(string(text), "\n"))
}

// Write brings the files on disk to the result's and returns the paths of
// those that changed. Either all are written or none: the new files are staged
// beside the old ones, the old ones kept until the last is in place, and a
// journal lets the next Write undo what a killed one left half done.
func (r *Result) Write(dir string) ([]string, error) {
	stale, err := r.Stale(dir)
	if err != nil {
		return nil, err
	}
	if err := WriteAll(dir, r.Files); err != nil {
		return nil, err
	}
	return stale, nil
}

// journalFile lists, one a line, the files of a write that is under way.
const journalFile = ".gatewright-journal"

// rename is (*os.Root).Rename but for the test that interrupts a write.
var rename = (*os.Root).Rename

// WriteAll writes files below dir, each only if its content changes, all or
// none. It follows no symbolic link out of dir. dir is made if it is not there.
func WriteAll(dir string, files map[string][]byte) (err error) {
	fail := func(err error) error { return fmt.Errorf("generator: nothing was written: %w", err) }
	missing := false
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		missing = true
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fail(err)
	}
	defer root.Close()
	if err := recoverWrite(root); err != nil {
		return err
	}
	var changed []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		have, err := root.ReadFile(path)
		switch {
		case err == nil && bytes.Equal(have, files[path]):
		case err == nil, errors.Is(err, fs.ErrNotExist):
			changed = append(changed, path)
		default:
			return fail(err)
		}
	}
	if len(changed) == 0 {
		return nil
	}

	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	w := writing{root: root, suffix: "." + hex.EncodeToString(id)}
	defer func() {
		if err != nil {
			err = errors.Join(fail(err), w.undo())
			if missing {
				_ = os.Remove(dir)
			}
		}
	}()
	for _, path := range changed {
		if err := w.stage(path, files[path]); err != nil {
			return err
		}
	}
	return w.commit()
}

// A writing is one set of files on its way. path is staged as path+suffix+new,
// what stood there before is kept as path+suffix+old.
type writing struct {
	root   *os.Root
	suffix string // a dot and 16 hexadecimal digits
	paths  []string
	made   []string // folders made for it, outermost first
}

var suffixForm = regexp.MustCompile(`^\.[0-9a-f]{16}$`)

func (w *writing) at(path, ext string) string { return path + w.suffix + ext }

func (w *writing) stage(path string, text []byte) error {
	if err := w.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	w.paths = append(w.paths, path)
	return w.create(w.at(path, "new"), text)
}

func (w *writing) mkdir(dir string) error {
	for at := dir; at != "."; at = filepath.Dir(at) {
		if _, err := w.root.Stat(at); err == nil {
			break
		}
		w.made = slices.Insert(w.made, 0, at)
	}
	return w.root.MkdirAll(dir, 0o755)
}

// create makes a file that was not there and brings it to the disk.
func (w *writing) create(path string, text []byte) error {
	f, err := w.root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (w *writing) commit() error {
	text := w.suffix + "\n" + strings.Join(w.paths, "\n") + "\n"
	torn := journalFile + w.suffix
	if err := w.create(torn, []byte(text)); err != nil {
		return errors.Join(err, ignoreMissing(w.root.Remove(torn)))
	}
	if err := w.root.Rename(torn, journalFile); err != nil { // so that the journal is whole or not there
		return errors.Join(err, w.root.Remove(torn))
	}
	for _, path := range w.paths {
		if err := w.root.Link(path, w.at(path, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := rename(w.root, w.at(path, "new"), path); err != nil {
			return err
		}
	}
	if err := w.root.Remove(journalFile); err != nil {
		return err
	}
	// From here the write is done and must not fail any more: an error would
	// undo it. An old file that cannot be removed is litter.
	for _, path := range w.paths {
		_ = w.root.Remove(w.at(path, "old"))
	}
	return nil
}

// undo puts the old files back. A file that is new has no old one: it goes.
func (w *writing) undo() error {
	var errs []error
	for _, path := range w.paths {
		_, errOld := w.root.Lstat(w.at(path, "old"))
		_, errNew := w.root.Lstat(w.at(path, "new"))
		switch {
		case errOld == nil:
			errs = append(errs, w.root.Rename(w.at(path, "old"), path))
			// Renaming one link of a file to another does nothing (POSIX rename).
			errs = append(errs, ignoreMissing(w.root.Remove(w.at(path, "old"))), ignoreMissing(w.root.Remove(w.at(path, "new"))))
		case errNew == nil:
			errs = append(errs, w.root.Remove(w.at(path, "new"))) // never came to its turn
		default:
			errs = append(errs, ignoreMissing(w.root.Remove(path)))
		}
	}
	errs = append(errs, ignoreMissing(w.root.Remove(journalFile)))
	for _, dir := range slices.Backward(w.made) {
		_ = w.root.Remove(dir) // stays where something else was put into it
	}
	return errors.Join(errs...)
}

// recoverWrite undoes a write that was killed half way. A journal that this
// program did not write touches nothing: a repository may come with one.
func recoverWrite(root *os.Root) error {
	text, err := root.ReadFile(journalFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	parts := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	w := writing{root: root, suffix: parts[0], paths: parts[1:]}
	if !suffixForm.MatchString(w.suffix) || !slices.ContainsFunc(w.paths, w.isStaged) {
		return fmt.Errorf("generator: %s was not left by an interrupted write; look at it and remove it", journalFile)
	}
	for _, path := range w.paths {
		if !filepath.IsLocal(path) || !w.isStaged(path) && !generated(root, path) {
			return fmt.Errorf("generator: %s names %q, which is not ours; look at it and remove it", journalFile, path)
		}
	}
	if err := w.undo(); err != nil {
		return fmt.Errorf("generator: undo the write that was interrupted: %w", err)
	}
	return nil
}

// isStaged tells whether a staged or kept form of path lies beside it.
func (w *writing) isStaged(path string) bool {
	for _, ext := range []string{"new", "old"} {
		if _, err := w.root.Lstat(w.at(path, ext)); err == nil {
			return true
		}
	}
	return false
}

// DocsMark is the first line of each file that the docs command writes.
const DocsMark = "<!-- Written by gatewright docs: what is changed here is lost. -->\n"

// generated tells whether a file at path is, or would be, a generated one.
func generated(root *os.Root, path string) bool {
	if strings.HasSuffix(path, ".md") {
		text, err := root.ReadFile(path)
		return errors.Is(err, fs.ErrNotExist) || err == nil && bytes.HasPrefix(text, []byte(DocsMark))
	}
	return strings.HasSuffix(path, ".gen.go") || strings.HasSuffix(path, "_gen_test.go") || strings.HasSuffix(path, ".gen.json")
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
