package watch_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/watch"
)

// A pair is two files that have to say the same.
type pair struct {
	files  *watch.Files[string]
	dir    string
	log    bytes.Buffer
	clock  time.Time
	reads  int
	logger *slog.Logger
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{dir: t.TempDir(), clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	p.logger = slog.New(slog.NewTextHandler(&p.log, nil))
	p.write(t, "a", "1")
	p.write(t, "b", "1")
	var err error
	p.files, err = watch.Open("pair", []string{p.path("a"), p.path("b"), ""}, func(now time.Time) (string, error) {
		p.reads++
		if !now.Equal(p.clock) {
			t.Errorf("read(%v), want %v", now, p.clock)
		}
		a, aErr := os.ReadFile(p.path("a"))
		b, bErr := os.ReadFile(p.path("b"))
		if err := errors.Join(aErr, bErr); err != nil {
			return "", err
		}
		if !bytes.Equal(a, b) {
			return "", errors.New("a and b differ")
		}
		return string(a), nil
	}, func() *slog.Logger { return p.logger }, func() time.Time { return p.clock })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pair) path(name string) string { return filepath.Join(p.dir, name) }

// write puts a file in the place of another, as careful programs do.
func (p *pair) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(p.path("part"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.path("part"), p.path(name)); err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	p := newPair(t)
	expect := func(what string, ahead time.Duration, value string, version uint64, reads int) {
		t.Helper()
		p.clock = p.clock.Add(ahead)
		for range 2 {
			if got, v := p.files.Current(t.Context()); got != value || v != version || p.reads != reads {
				t.Errorf("%s: Current() = %q, version %d, after %d reads, want %q, %d, %d", what, got, v, p.reads, value, version, reads)
			}
		}
	}
	expect("at first", 0, "1", 0, 1)
	p.write(t, "a", "2")
	p.write(t, "b", "2")
	expect("within a second", 900*time.Millisecond, "1", 0, 1)
	expect("after a second", 100*time.Millisecond, "2", 1, 2)
	p.write(t, "a", "3")
	expect("one of two", time.Second, "2", 1, 3)
	expect("one of two, later", time.Second, "2", 1, 3)
	if n := strings.Count(p.log.String(), "a and b differ"); n != 1 {
		t.Errorf("files that are not taken are logged %d times, want once: %s", n, &p.log)
	}
	p.write(t, "b", "3")
	expect("both", time.Second, "3", 2, 4)
	if err := os.Remove(p.path("a")); err != nil {
		t.Fatal(err)
	}
	expect("one is gone", time.Second, "3", 2, 5)
	p.write(t, "a", "3")
	expect("it is back", time.Second, "3", 3, 6)
	if err := os.Chmod(p.path("b"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect("another mode", time.Second, "3", 4, 7)
	p.clock = p.clock.Add(-time.Hour) // a clock that is set back holds up nothing
	p.write(t, "a", "4")
	p.write(t, "b", "4")
	expect("an hour back", 0, "4", 5, 8)

	p.write(t, "a", "5")
	p.write(t, "b", "5")
	p.files.Reload(t.Context())
	expect("when told", 0, "5", 6, 9)
}

// TestLinks: a folder that is swapped by its link, as Kubernetes does with
// secrets.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, name), 0o700), os.WriteFile(filepath.Join(dir, name, "f"), []byte(name), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "data")
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(link, "f")
	f, err := watch.Open("secret", []string{path}, func(time.Time) (string, error) {
		b, err := os.ReadFile(path)
		return string(b), err
	}, func() *slog.Logger { return slog.New(slog.DiscardHandler) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink("two", filepath.Join(dir, "next")), os.Rename(filepath.Join(dir, "next"), link)); err != nil {
		t.Fatal(err)
	}
	f.Reload(t.Context())
	if got, _ := f.Current(t.Context()); got != "two" {
		t.Errorf("Current() = %q, want two", got)
	}
}

func TestOpenFails(t *testing.T) {
	want := errors.New("unreadable")
	if _, err := watch.Open("x", []string{"none"}, func(time.Time) (int, error) { return 0, want }, nil, nil); !errors.Is(err, want) {
		t.Errorf("Open() = %v, want %v", err, want)
	}
}

func TestConcurrent(t *testing.T) {
	p := newPair(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if v, _ := p.files.Current(t.Context()); v != "1" {
					t.Errorf("Current() = %q", v)
				}
				p.files.Reload(t.Context())
			}
		})
	}
	all.Wait()
}
