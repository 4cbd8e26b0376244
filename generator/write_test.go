package generator

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// tree returns the files below dir by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func bytesOf(files map[string]string) map[string][]byte {
	out := make(map[string][]byte)
	for path, text := range files {
		out[path] = []byte(text)
	}
	return out
}

var (
	oldFiles = map[string]string{"out/a.go": "old a", "out/b.go": "old b", "mine.txt": "the user's"}
	newFiles = map[string]string{"out/a.go": "new a", "out/b.go": "new b", "out/sub/c.go": "new c"}
)

func TestWriteAll(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, oldFiles)
	if err := WriteAll(dir, bytesOf(newFiles)); err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(newFiles)
	want["mine.txt"] = "the user's"
	if got := tree(t, dir); !maps.Equal(got, want) {
		t.Errorf("after WriteAll: %v, want %v", got, want)
	}
}

func TestWriteAllLeavesUnchangedFilesAlone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, oldFiles)
	before, err := os.Stat(filepath.Join(dir, "out/a.go"))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteAll(dir, map[string][]byte{"out/a.go": []byte("old a"), "out/b.go": []byte("new b")}); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(dir, "out/a.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Error("a file whose content is the same was written again")
	}
}

// TestWriteAllFails breaks the write at each rename: all is as it was.
func TestWriteAllFails(t *testing.T) {
	defer func() { rename = (*os.Root).Rename }()
	for n := range len(newFiles) {
		dir := t.TempDir()
		write(t, dir, oldFiles)
		calls := 0
		rename = func(root *os.Root, from, to string) error {
			if calls++; calls > n {
				return errors.New("disk on fire")
			}
			return root.Rename(from, to)
		}
		if err := WriteAll(dir, bytesOf(newFiles)); err == nil || !strings.Contains(err.Error(), "disk on fire") {
			t.Fatalf("rename %d fails: WriteAll = %v", n+1, err)
		}
		if got := tree(t, dir); !maps.Equal(got, oldFiles) {
			t.Errorf("rename %d fails: %v is left, want %v", n+1, got, oldFiles)
		}
		if _, err := os.Stat(filepath.Join(dir, "out/sub")); err == nil {
			t.Errorf("rename %d fails: a folder made for it is left", n+1)
		}
	}
}

// TestWriteAllInto a folder where a file's name is a folder's.
func TestWriteAllTargetIsFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"out/a.go": "old a", "out/b.go/x": "a folder"})
	before := tree(t, dir)
	if err := WriteAll(dir, bytesOf(newFiles)); err == nil {
		t.Fatal("WriteAll over a folder = nil")
	}
	if got := tree(t, dir); !maps.Equal(got, before) {
		t.Errorf("%v is left, want %v", got, before)
	}
}

// TestWriteAllKilled kills a process in the middle of its write, before each
// of its renames, and lets the next write find what is left.
func TestWriteAllKilled(t *testing.T) {
	if dir := os.Getenv("GWTEST_KILL_DIR"); dir != "" {
		n, _ := strconv.Atoi(os.Getenv("GWTEST_KILL_AT"))
		calls := 0
		rename = func(root *os.Root, from, to string) error {
			if calls++; calls > n {
				p, _ := os.FindProcess(os.Getpid())
				_ = p.Kill()
				select {}
			}
			return root.Rename(from, to)
		}
		t.Fatal(WriteAll(dir, bytesOf(newFiles)))
	}
	for n := range len(newFiles) {
		dir := t.TempDir()
		write(t, dir, oldFiles)
		cmd := exec.Command(os.Args[0], "-test.run", "^TestWriteAllKilled$")
		cmd.Env = append(os.Environ(), "GWTEST_KILL_DIR="+dir, "GWTEST_KILL_AT="+strconv.Itoa(n))
		if err := cmd.Run(); err == nil {
			t.Fatalf("killed at rename %d: the process ended well", n+1)
		}
		if _, err := os.Stat(filepath.Join(dir, journalFile)); err != nil {
			t.Fatalf("killed at rename %d: no journal is left: %v", n+1, err)
		}
		// What the next write finds is none of the new, whatever was half done.
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := recoverWrite(root); err != nil {
			t.Fatal(err)
		}
		if got := tree(t, dir); !maps.Equal(got, oldFiles) {
			t.Errorf("killed at rename %d: after recovery %v, want %v", n+1, got, oldFiles)
		}
		if err := WriteAll(dir, bytesOf(newFiles)); err != nil {
			t.Errorf("killed at rename %d: next write: %v", n+1, err)
		}
	}
}

// TestForeignJournal gives a journal that somebody else wrote, as a cloned
// repository may have: nothing is touched.
func TestForeignJournal(t *testing.T) {
	for name, c := range map[string]struct{ journal, file string }{
		"a path elsewhere":      {".0123456789abcdef\n../precious\n", "precious"},
		"through a link":        {".0123456789abcdef\nlink/precious\n", "precious"},
		"a suffix that climbs":  {"/../../precious\nsub\n", "precious.new"},
		"the user's own file":   {".0123456789abcdef\nmine.txt\n", "project/mine.txt"},
		"a file beside a stage": {".0123456789abcdef\nout/a.gen.go\nmine.txt\n", "project/mine.txt"},
		"no file at all":        {".0123456789abcdef\n", "project/mine.txt"},
		"empty":                 {"", "project/mine.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			dir := filepath.Join(home, "project")
			write(t, home, map[string]string{
				c.file: "precious", "project/mine.txt": "precious", "project/sub/x": "", "project/" + journalFile: c.journal,
				"project/out/a.gen.go.0123456789abcdefnew": "staged",
			})
			if err := os.Symlink(home, filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			if err := WriteAll(dir, bytesOf(newFiles)); err == nil || !strings.Contains(err.Error(), "look at it and remove it") {
				t.Errorf("WriteAll = %v", err)
			}
			for _, path := range []string{c.file, "project/mine.txt"} {
				if text, err := os.ReadFile(filepath.Join(home, path)); err != nil || string(text) != "precious" {
					t.Errorf("%s is %q, %v", path, text, err)
				}
			}
		})
	}
}

// TestWriteAllFollowsNoLinkOut puts a link where a folder of the output is.
func TestWriteAllFollowsNoLinkOut(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(home, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := WriteAll(dir, bytesOf(newFiles)); err == nil {
		t.Error("WriteAll wrote through a link that leaves the folder")
	}
	if left := tree(t, home); len(left) != 0 {
		t.Errorf("%v was written elsewhere", left)
	}
}

func TestDiff(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.go": "one\ntwo\nthree\n"})
	res := &Result{Files: map[string][]byte{"a.go": []byte("one\n2\nthree\n"), "b.go": []byte("new\n")}}
	got, err := res.Diff(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := "--- a/a.go\n+++ b/a.go\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n" +
		"--- /dev/null\n+++ b/b.go\n@@ -0,0 +1 @@\n+new\n"
	if got != want {
		t.Errorf("Diff = %q, want %q", got, want)
	}
	if err := WriteAll(dir, res.Files); err != nil {
		t.Fatal(err)
	}
	if got, err := res.Diff(dir); got != "" || err != nil {
		t.Errorf("Diff after WriteAll = %q, %v", got, err)
	}
}
