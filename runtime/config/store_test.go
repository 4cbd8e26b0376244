package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestStorePasswords: a password stands in the environment or in a file of its
// own, never in the configuration, and no message shows it.
func TestStorePasswords(t *testing.T) {
	dir := site(t)
	const open = "postgres://blog@db.example/blog"
	const hidden = "postgres://blog:hunter2hunter2@db.example/blog"
	write(t, filepath.Join(dir, "store.url"), hidden+"\n")
	with := func(lines string) string {
		var kept []string
		for line := range strings.Lines(good) {
			if !strings.HasPrefix(line, "store:") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "") + "\n" + lines + "\n"
	}
	for name, c := range map[string]struct {
		lines      string
		env        []string
		store, ses string
		want       string // what is wrong; "": nothing
	}{
		"no password":       {"store: " + open, nil, open, "", ""},
		"environment":       {"", []string{"GATEWRIGHT_STORE=" + hidden}, hidden, "", ""},
		"file":              {"store_file: store.url", nil, hidden, "", ""},
		"file of variable":  {"", []string{"GATEWRIGHT_STORE_FILE=" + filepath.Join(dir, "store.url")}, hidden, "", ""},
		"sessions":          {"store: " + open + "\nsessions_store: redis://127.0.0.1:6379/0", nil, open, "redis://127.0.0.1:6379/0", ""},
		"sessions file":     {"store: " + open + "\nsessions_store_file: store.url", nil, open, hidden, ""},
		"password":          {"store: " + hidden, nil, "", "", "store: holds a password"},
		"parameter":         {"store: postgres://db.example/blog?user=blog&password=hunter2hunter2", nil, "", "", "store: holds a password"},
		"no URL":            {"store: 'postgres://blog:hunter2hunter2@[db/blog'", nil, "", "", "store: holds a password"},
		"sessions password": {"store: " + open + "\nsessions_store: redis://:hunter2hunter2@cache.example", nil, "", "", "sessions_store: holds a password"},
		"both":              {"store: " + open + "\nstore_file: store.url", nil, "", "", "store_file is set too"},
		"no file":           {"store_file: nowhere.url", nil, "", "", "store_file"},
		"sessions no kind":  {"store: " + open + "\nsessions_store: cache.example", nil, "", "", "names no kind of store"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "server.yaml")
			write(t, file, with(c.lines))
			cfg, err := Load([]string{"-config", file}, getenv(c.env...))
			switch {
			case c.want == "" && (err != nil || cfg.Store != c.store || cfg.SessionsStore != c.ses):
				t.Errorf("Load() = %q, %q, %v, want %q, %q", cfg.Store, cfg.SessionsStore, err, c.store, c.ses)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("Load() = %v, want %s", err, c.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("Load() = %v, which shows the password", err)
			}
		})
	}
}

// TestCacheTime: nothing is a second, 0 is none, a minute is the most.
func TestCacheTime(t *testing.T) {
	dir := site(t)
	for text, c := range map[string]struct {
		want  time.Duration
		wrong string
	}{
		"":               {time.Second, ""},
		"cache: 0":       {-1, ""},
		"cache: 250ms":   {250 * time.Millisecond, ""},
		"cache: 60s":     {time.Minute, ""},
		"cache: 61s":     {0, "is above a minute"},
		"cache: -1s":     {0, "cache"},
		"cache: forever": {0, "cache"},
	} {
		file := filepath.Join(dir, "server.yaml")
		write(t, file, good+"\n"+text+"\n")
		cfg, err := Load([]string{"-config", file}, getenv())
		if c.wrong == "" && (err != nil || cfg.Cache != c.want) || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%q: Load() = %v, %v, want %v %s", text, cfg.Cache, err, c.want, c.wrong)
		}
	}
}

func TestLook(t *testing.T) {
	dir := site(t)
	write(t, filepath.Join(dir, "logo.svg"), `<svg xmlns="http://www.w3.org/2000/svg"/>`)
	write(t, filepath.Join(dir, "false.svg"), "<html/>")
	if err := os.Mkdir(filepath.Join(dir, "folder.svg"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "logo.exe"), "MZ")
	write(t, filepath.Join(dir, "huge.png"), strings.Repeat("x", 64<<10+1))
	for text, wrong := range map[string]string{
		"look: {name: Blog, logo: logo.svg, accent: '#1F4fbf'}": "",
		"look: {accent: red}":                             `"red" is no colour`,
		"look: {accent: '#12345g'}":                       "is no colour",
		"look: {logo: logo.exe}":                          "look.logo: the logo",
		"look: {logo: huge.png}":                          "has more than 64 KiB",
		"look: {logo: nowhere.png}":                       "nowhere.png",
		"look: {logo: folder.svg}":                        "is no file",
		"look: {logo: false.svg}":                         "is not what its ending says",
		"look: {name: '" + strings.Repeat("x", 61) + "'}": "look.name: the name",
		"sessions: {recent: 5m}":                          "",
		"sessions: {recent: 0s}":                          "recent",
	} {
		file := filepath.Join(dir, "server.yaml")
		write(t, file, good+"\n"+text+"\n")
		_, err := Load([]string{"-config", file}, getenv())
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: Load() = %v, want %q", text, err, wrong)
		}
	}
}
