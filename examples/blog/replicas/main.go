// Replicas runs three replicas of the blog behind a TCP balancer, on
// PostgreSQL and Redis, with an identity provider to sign in at: all on this
// machine, and all gone when it ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/user"
)

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8443", "`address` of the balancer, on loopback")
	flag.StringVar(&o.store, "store", os.Getenv("REPLICAS_STORE"), "a PostgreSQL `URL` to use in place of a server of this run's own; a password goes into REPLICAS_STORE, since arguments can be seen")
	flag.StringVar(&o.sessions, "sessions", os.Getenv("REPLICAS_SESSIONS"), "a Redis `URL`, likewise; REPLICAS_SESSIONS")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("replicas takes no arguments, and there is %q", flag.Arg(0))
	}
	o.log = os.Stderr
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
	fmt.Println("Stopped.")
}

// run runs everything until ctx is done.
func run(ctx context.Context, o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "gatewright-blog-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	serverLog, err := os.Create(filepath.Join(dir, "servers.log"))
	if err != nil {
		return err
	}
	defer serverLog.Close()
	fmt.Fprintln(out, "Building the blog, starting PostgreSQL and Redis…")
	if o.program == "" {
		if o.program, err = build(ctx, dir); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		url   *string
		start func(context.Context, io.Writer) (server, error)
	}{{&o.store, startPostgres}, {&o.sessions, startRedis}} {
		if *s.url != "" {
			continue
		}
		started, err := s.start(ctx, serverLog)
		if err != nil {
			return err
		}
		defer started.stop()
		*s.url = started.url
	}
	o.posts = o.store
	c, err := startCluster(ctx, o)
	if err != nil {
		return err
	}
	defer c.stop()
	key, err := testKey(ctx, o.store)
	if err != nil {
		return err
	}
	c.introduce(out, key)
	<-ctx.Done()
	fmt.Fprintln(out, "\nStopping…")
	return nil
}

// testKey makes a key that may do everything.
func testKey(ctx context.Context, store string) (string, error) {
	db, err := postgres.Open(ctx, store)
	if err != nil {
		return "", err
	}
	defer db.Close()
	keys, err := apikey.New(apikey.Config{
		Store: db.Keys(), Users: db.Users(), Environment: apikey.Test, Schemes: []string{"apiKey", "basic"}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return "", err
	}
	rec, err := db.Users().Ensure(ctx, user.Local, "developer", user.Profile{Name: "developer"})
	if err != nil {
		return "", err
	}
	key, _, err := keys.Create(ctx, apikey.CreateRequest{
		Owner: apikey.Owner{User: rec.ID}, Label: "made by replicas", Expires: time.Now().Add(24 * time.Hour),
		Scopes: []string{"comments:write", "posts:edit", "posts:write"},
	})
	return key.Reveal(), err
}

// introduce says what there is and what to try.
func (c *cluster) introduce(out io.Writer, key string) {
	fmt.Fprintf(out, "\nThe blog is on %s, behind a balancer that passes connections on to\n", c.url)
	for _, r := range c.replicas {
		fmt.Fprintf(out, "  %s %s, process %d\n", r.name, *r.addr.Load(), r.cmd.Process.Pid)
	}
	fmt.Fprintf(out, `Lines of the log begin with the replica that wrote them.

A test key, good for a day:

  export BLOG_KEY=%[1]s
  curl --cacert %[2]q %[3]s/posts -H "Authorization: apikey $BLOG_KEY" -H 'Content-Type: application/json' -d '{"title": "Hello", "text": "World"}'

A wrong key, which one replica after the other refuses; after 20 they all answer 429:

  for i in $(seq 25); do curl -s -o /dev/null -w '%%{http_code}\n' --cacert %[2]q %[3]s/posts -H 'Authorization: apikey wrong' -d '{}'; done

Sign in on %[3]s/auth/login as writer, editor or reader (there is no password), make a key on
%[3]s/auth/account and revoke it: all replicas refuse it at once.
kill -9 one of the processes above: the others go on. Ctrl-C ends everything.

`, key, c.authority.CertFile(), c.url)
}
