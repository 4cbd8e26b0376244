package testenv_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/internal/testenv"
)

// psql runs a statement by PostgreSQL's own client.
func psql(t *testing.T, url, statement string) (string, error) {
	t.Helper()
	cmd := exec.Command("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, url)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	return strings.TrimSpace(string(out) + said.String()), err
}

func TestPostgres(t *testing.T) {
	testenv.Need(t, "this test", "psql")
	s := testenv.Postgres(t, "statement_timeout=77s")
	at := s.URL()
	for _, c := range []struct{ url, statement, want string }{
		{at, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)", ""},
		{at, "SHOW statement_timeout", "77s"},
		{at, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", "f"},
		{at, "CREATE DATABASE other", ""},
		{s.Database("other"), "SELECT current_database()", "other"},
		{s.Admin(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", "t"},
	} {
		if got, err := psql(t, c.url, c.statement); got != c.want || err != nil {
			t.Errorf("%s at %s = %q, %v, want %q", c.statement, c.url, got, err, c.want)
		}
	}
	wrong := strings.Replace(at, "app:app@", "app:wrong@", 1)
	if got, err := psql(t, wrong, "SELECT 1"); err == nil {
		t.Errorf("with a wrong password = %q", got)
	}
	for how, stop := range map[string]func(){"Stop": s.Stop, "Kill": s.Kill} {
		if got, err := psql(t, at, "UPDATE kept SET n = n + 1 RETURNING n"); err != nil {
			t.Errorf("before %s = %q, %v", how, got, err)
		}
		stop()
		if got, err := psql(t, at, "SELECT 1"); err == nil {
			t.Errorf("after %s = %q, want no answer", how, got)
		}
		stop() // again changes nothing
		s.Start(t)
	}
	s.Restart(t)
	if got, err := psql(t, s.URL(), "SELECT n FROM kept"); got != "3" || err != nil || s.URL() != at {
		t.Errorf("after it was started again at %s = %q, %v, want 3 at %s", s.URL(), got, err, at)
	}
}

func TestPostgresTLS(t *testing.T) {
	testenv.Need(t, "this test", "psql")
	ca := testenv.NewCA(t)
	s := testenv.PostgresTLS(t, ca, "db.example")
	const statement = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
	if got, err := psql(t, s.URL()+"?sslmode=verify-full&sslrootcert="+ca.File, statement); got != "t" || err != nil {
		t.Errorf("over TLS = %q, %v, want t", got, err)
	}
	if got, err := psql(t, s.URL()+"?sslmode=verify-full&sslrootcert="+testenv.NewCA(t).File, statement); err == nil {
		t.Errorf("with another authority = %q", got)
	}
	if got, err := psql(t, s.URL()+"?sslmode=disable", statement); got != "f" || err != nil {
		t.Errorf("in clear text = %q, %v, want f", got, err)
	}
}
