package config

import (
	"slices"
	"strings"
	"testing"
)

func TestReload(t *testing.T) {
	dir := site(t)
	old, err := load(t, dir, full)
	if err != nil {
		t.Fatal(err)
	}
	again := func(t *testing.T, from, to string) (Config, error) {
		t.Helper()
		if !strings.Contains(full, from) {
			t.Fatalf("the file has no %q", from)
		}
		write(t, dir+"/server.yaml", strings.Replace(full, from, to, 1))
		return old.Reload()
	}
	for _, c := range []struct {
		from, to string
		changed  []string
	}{
		{"level: debug", "level: error", nil},
		{"[server.secret, old.secret]", "[old.secret]", nil},
		{"client_secret_file: client.secret", "client_secret_file: old.secret", nil},
		{"listen: \"[::1]:0\"", "listen: \"[::1]:1\"", []string{"listen"}},
		{"header_bytes: 16KiB", "header_bytes: 17KiB", []string{"limits.header_bytes"}},
		{"format: json", "format: text", []string{"log.format"}},
		{"title: Staff", "title: People", []string{"providers"}},
		{"scopes_claim: realm.roles", "scopes_claim: groups", []string{"schemes"}},
	} {
		next, err := again(t, c.from, c.to)
		if err != nil {
			t.Errorf("%s: %v", c.to, err)
			continue
		}
		if got := old.Changed(next); !slices.Equal(got, c.changed) {
			t.Errorf("%s: Changed() = %q, want %q", c.to, got, c.changed)
		}
	}
	if _, err := again(t, "level: debug", "level: loud"); err == nil {
		t.Error("a mistake is taken")
	}
	if _, err := (Config{}).Reload(); err == nil || (Config{}).CanReload() || !old.CanReload() {
		t.Errorf("a configuration made by hand: %v", err)
	}
}
