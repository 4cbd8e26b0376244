// Package watch reads files again when they have changed, while a server runs.
package watch

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// lookTime is the least between two looks at whether files have changed.
const lookTime = time.Second

// Files are files that are read together, and what they said when they were last
// read well. Their methods may be called concurrently.
type Files[T any] struct {
	what   string
	paths  []string
	read   func(now time.Time) (T, error)
	now    func() time.Time
	logger func() *slog.Logger

	mu      sync.Mutex
	value   T
	version uint64
	looked  time.Time
	seen    []stamp // of the files when they were last read, well or not
}

// Open reads the files at paths for the first time; an empty path is none. what
// names them in the log, as client certificates; read reads and checks all of
// them. A nil logger is slog.Default() at the time of use, a nil now time.Now.
func Open[T any](what string, paths []string, read func(now time.Time) (T, error), logger func() *slog.Logger, now func() time.Time) (*Files[T], error) {
	if logger == nil {
		logger = slog.Default
	}
	if now == nil {
		now = time.Now
	}
	f := &Files[T]{what: what, paths: paths, read: read, logger: logger, now: now}
	// The stamps come before what is read: a change in between is seen later.
	f.seen, f.looked = f.stamps(), now()
	var err error
	f.value, err = read(f.looked)
	return f, err
}

// Current returns what the files say, and how many times that has changed. It
// looks at most once a second whether they have changed, reads all of them then,
// and takes them together. What cannot be read leaves what was read before, with
// a line in the log.
func (f *Files[T]) Current(ctx context.Context) (value T, version uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if d := now.Sub(f.looked); d < 0 || d >= lookTime {
		f.look(ctx, now)
	}
	return f.value, f.version
}

// Reload looks at once.
func (f *Files[T]) Reload(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look(ctx, f.now())
}

func (f *Files[T]) look(ctx context.Context, now time.Time) {
	f.looked = now
	seen := f.stamps()
	if slices.EqualFunc(seen, f.seen, stamp.same) {
		return
	}
	f.seen = seen
	value, err := f.read(now)
	if err != nil {
		f.logger().ErrorContext(ctx, f.what+": the changed files are not taken, what was read before counts", slog.String("cause", err.Error()))
		return
	}
	f.value, f.version = value, f.version+1
	f.logger().InfoContext(ctx, f.what+": the changed files are in force", slog.Any("files", f.paths))
}

func (f *Files[T]) stamps() []stamp {
	all := make([]stamp, len(f.paths))
	for i, path := range f.paths {
		all[i] = stampOf(path)
	}
	return all
}

// A stamp tells one state of a file from another.
type stamp struct{ info os.FileInfo }

func stampOf(path string) stamp {
	if path == "" {
		return stamp{}
	}
	info, err := os.Stat(path) // follows links, which are swapped in some places
	if err != nil {
		return stamp{}
	}
	return stamp{info}
}

func (s stamp) same(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == nil && o.info == nil
	}
	return os.SameFile(s.info, o.info) && s.info.ModTime().Equal(o.info.ModTime()) && s.info.Size() == o.info.Size() && s.info.Mode() == o.info.Mode()
}
