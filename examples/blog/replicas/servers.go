package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/store/redis"
)

// readyFor is how long a server may take until it answers.
const readyFor = 30 * time.Second

// A server is PostgreSQL or Redis, started for this run: on loopback, with a
// password of its own, its data in a folder that goes with it.
type server struct {
	url  string
	stop func()
}

// startPostgres makes a database and starts PostgreSQL for it.
func startPostgres(ctx context.Context, log io.Writer) (_ server, err error) {
	bin, err := postgresPrograms()
	if err != nil {
		return server{}, err
	}
	uid, gid, err := postgresUser()
	if err != nil {
		return server{}, err
	}
	dir, err := os.MkdirTemp("", "gatewright-postgres-")
	if err != nil {
		return server{}, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	password, data := rand.Text(), filepath.Join(dir, "data")
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		return server{}, err
	}
	if uid != 0 {
		if err := errors.Join(os.Chown(dir, uid, gid), os.Chown(file, uid, gid)); err != nil {
			return server{}, err
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, name), args...)
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "LC_ALL=C", "PATH=" + os.Getenv("PATH")}
		apart(cmd, syscall.SIGINT)
		if uid != 0 {
			runAs(cmd, uid, gid)
		}
		return cmd
	}
	for _, c := range []struct {
		input string
		args  []string
	}{
		{"", []string{"initdb", "-D", data, "-U", "blog", "-E", "UTF8", "--locale=C", "--no-sync", "--auth=scram-sha-256", "--pwfile=" + file}},
		{"CREATE DATABASE blog;\n", []string{"postgres", "--single", "-D", data, "postgres"}},
	} {
		cmd := command(c.args[0], c.args[1:]...)
		cmd.Stdin = strings.NewReader(c.input)
		if out, err := cmd.CombinedOutput(); err != nil {
			return server{}, fmt.Errorf("%s: %w\n%s", c.args[0], err, bytes.TrimSpace(out))
		}
	}
	port, err := freePort()
	if err != nil {
		return server{}, err
	}
	// What a crash of this machine loses is not missed: the folder goes anyway.
	cmd := command("postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off")
	cmd.Stdout, cmd.Stderr = log, log
	p, err := launch(cmd)
	if err != nil {
		return server{}, err
	}
	at := &url.URL{Scheme: "postgres", User: url.UserPassword("blog", password), Host: "127.0.0.1:" + port, Path: "/blog", RawQuery: "sslmode=disable"}
	s := server{url: at.String(), stop: func() { p.end(syscall.SIGINT); remove() }}
	return s, s.await(ctx, "PostgreSQL", p, func() error {
		db, err := postgres.Open(ctx, s.url)
		if err != nil {
			return err
		}
		return db.Close()
	})
}

// postgresPrograms is the folder of PostgreSQL's programs: the newest that
// Debian has, which keeps them beside the PATH, or that of the PATH.
func postgresPrograms() (string, error) {
	best, version := "", -1
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, file := range dirs {
		dir := filepath.Dir(file)
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && n > version {
			best, version = dir, n
		}
	}
	if best != "" {
		return best, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("PostgreSQL is not installed (Debian: apt-get install postgresql); or name a database with -store postgres://…")
	}
	return filepath.Dir(path), nil
}

// postgresUser is whom to run as, 0 for this user: PostgreSQL refuses root.
func postgresUser() (uid, gid int, err error) {
	if os.Getuid() != 0 {
		return 0, 0, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return 0, 0, errors.New("PostgreSQL does not run as root, and there is no user postgres")
	}
	uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}

// startRedis starts Redis, or Valkey where that is installed.
func startRedis(ctx context.Context, log io.Writer) (server, error) {
	bin, err := exec.LookPath("valkey-server")
	if err != nil {
		bin, err = exec.LookPath("redis-server")
	}
	if err != nil {
		return server{}, errors.New("redis-server is not installed (Debian: apt-get install redis-server); or name one with -sessions redis://…")
	}
	dir, err := os.MkdirTemp("", "gatewright-redis-")
	if err != nil {
		return server{}, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	port, err := freePort()
	if err != nil {
		remove()
		return server{}, err
	}
	password := rand.Text()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), bin, "-") // its settings from standard input: arguments can be seen by all
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsave \"\"\nmaxmemory-policy noeviction\nrequirepass %s\n", port, strconv.Quote(dir), password))
	cmd.Stdout, cmd.Stderr = log, log
	apart(cmd, syscall.SIGTERM)
	p, err := launch(cmd)
	if err != nil {
		remove()
		return server{}, err
	}
	at := &url.URL{Scheme: "redis", User: url.UserPassword("", password), Host: "127.0.0.1:" + port, Path: "/0"}
	s := server{url: at.String(), stop: func() { p.end(syscall.SIGTERM); remove() }}
	return s, s.await(ctx, "Redis", p, func() error {
		db, err := redis.Driver.Open(ctx, s.url)
		if err != nil {
			return err
		}
		return db.Close()
	})
}

// await waits until the server answers, and ends it where it does not.
func (s server) await(ctx context.Context, name string, p *process, answers func() error) error {
	for begun := time.Now(); ; {
		err := answers()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			s.stop()
			return fmt.Errorf("%s ended at its start: %w", name, cmp.Or(p.err, errors.New("of itself")))
		case <-ctx.Done():
			s.stop()
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if time.Since(begun) > readyFor {
			s.stop()
			return fmt.Errorf("%s does not answer after %v: %w", name, readyFor, err)
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
