// Package sqlstore is what the stores over SQL have in common.
package sqlstore

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// Migrations returns the statements of migrations/*.sql in the order of the
// files' names: 0001_…, 0002_…. The schema's version is how many of them have
// been run. It panics where the files, which are compiled in, are numbered
// otherwise.
func Migrations(files fs.FS) []string {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var all []string
	for i, name := range names {
		if !strings.HasPrefix(name, fmt.Sprintf("migrations/%04d_", i+1)) {
			panic(fmt.Sprintf("sqlstore: %s is not migration %d", name, i+1))
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err) // it was listed
		}
		all = append(all, string(b))
	}
	return all
}

const (
	// SweepRows is how many rows one statement removes: calls that write get
	// their turn in between.
	SweepRows = 1000
	// sweepSteps is how often a call of Sweep runs a statement at most.
	sweepSteps = 20
)

// Sweep runs statements that remove SweepRows rows at most: each at most 20
// times, and for no longer than within, but every one of them once. Each gets
// its turn before any gets a second one. exec returns how many rows went.
func Sweep(ctx context.Context, statements []string, within time.Duration, exec func(ctx context.Context, statement string) (int64, error)) error {
	begun := time.Now()
	left := statements
	for step := 0; step < sweepSteps && len(left) > 0; step++ {
		if step > 0 && time.Since(begun) > within {
			return nil // the next call goes on
		}
		var more []string
		for _, statement := range left {
			n, err := exec(ctx, statement)
			if err != nil {
				return err
			}
			if n == SweepRows {
				more = append(more, statement)
			}
		}
		left = more
	}
	return nil
}
