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

// rename is os.Rename but for the test that interrupts a write.
var rename = os.Rename

// WriteAll writes files below dir, each only if its content changes, all or
// none.
func WriteAll(dir string, files map[string][]byte) (err error) {
	if err := recoverWrite(dir); err != nil {
		return err
	}
	var changed []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		have, err := os.ReadFile(filepath.Join(dir, path))
		switch {
		case err == nil && bytes.Equal(have, files[path]):
		case err == nil, errors.Is(err, fs.ErrNotExist):
			changed = append(changed, path)
		default:
			return fmt.Errorf("generator: nothing was written: %w", err)
		}
	}
	if len(changed) == 0 {
		return nil
	}

	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	w := writing{dir: dir, suffix: "." + hex.EncodeToString(id)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("generator: nothing was written: %w", err), w.undo())
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
	dir    string
	suffix string
	paths  []string
	made   []string // folders made for it, outermost first
}

func (w *writing) at(path, ext string) string { return filepath.Join(w.dir, path) + w.suffix + ext }

func (w *writing) stage(path string, text []byte) error {
	if err := w.mkdir(filepath.Dir(filepath.Join(w.dir, path))); err != nil {
		return err
	}
	w.paths = append(w.paths, path)
	return writeSynced(w.at(path, "new"), text)
}

func (w *writing) mkdir(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		w.made = slices.Insert(w.made, 0, at)
	}
	return os.MkdirAll(dir, 0o755)
}

func (w *writing) commit() error {
	journal := filepath.Join(w.dir, journalFile)
	text := w.suffix + "\n" + strings.Join(w.paths, "\n") + "\n"
	if err := writeSynced(journal+w.suffix, []byte(text)); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(journal+w.suffix)))
	}
	if err := os.Rename(journal+w.suffix, journal); err != nil { // never a torn journal
		return errors.Join(err, os.Remove(journal+w.suffix))
	}
	for _, path := range w.paths {
		final := filepath.Join(w.dir, path)
		if err := os.Link(final, w.at(path, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := rename(w.at(path, "new"), final); err != nil {
			return err
		}
	}
	// From here the write is done: without the journal the old files are litter.
	if err := os.Remove(journal); err != nil {
		return err
	}
	for _, path := range w.paths {
		_ = os.Remove(w.at(path, "old")) // the next write removes what stays
	}
	return nil
}

// undo puts the old files back. A file that is new has no old one: it goes.
func (w *writing) undo() error {
	var errs []error
	for _, path := range w.paths {
		_, errOld := os.Lstat(w.at(path, "old"))
		_, errNew := os.Lstat(w.at(path, "new"))
		switch {
		case errOld == nil:
			errs = append(errs, os.Rename(w.at(path, "old"), filepath.Join(w.dir, path)))
			// Renaming one link of a file to another does nothing (POSIX rename).
			errs = append(errs, ignoreMissing(os.Remove(w.at(path, "old"))), ignoreMissing(os.Remove(w.at(path, "new"))))
		case errNew == nil:
			errs = append(errs, os.Remove(w.at(path, "new"))) // never came to its turn
		default:
			errs = append(errs, ignoreMissing(os.Remove(filepath.Join(w.dir, path))))
		}
	}
	errs = append(errs, ignoreMissing(os.Remove(filepath.Join(w.dir, journalFile))))
	for _, dir := range slices.Backward(w.made) {
		_ = os.Remove(dir) // stays where something else was put into it
	}
	return errors.Join(errs...)
}

// recoverWrite undoes a write that was killed half way.
func recoverWrite(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, journalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	parts := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for _, path := range parts[1:] {
		if !filepath.IsLocal(path) {
			return fmt.Errorf("generator: %s names %q, which lies elsewhere; look at it and remove it", journalFile, path)
		}
	}
	w := writing{dir: dir, suffix: parts[0], paths: parts[1:]}
	if err := w.undo(); err != nil {
		return fmt.Errorf("generator: undo the write that was interrupted: %w", err)
	}
	return nil
}

func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
