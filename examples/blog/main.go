// The blog is an example of a server whose security stands in openapi.yaml:
// posts anyone may read, readers comment when they are signed in, authors and
// editors write, scripts use keys.
package main

import (
	"cmp"
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatewright/gatewright/examples/blog/internal/api"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/store/redis"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	cfg, err := config.Load(os.Args[1:], os.Getenv)
	if err != nil {
		log.Fatal(err) // names every setting that is missing or wrong
	}
	posts, err := openPosts(ctx, cmp.Or(os.Getenv("BLOG_POSTS"), "blog.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer posts.Close()
	policy, err := newPolicy()
	if err != nil {
		log.Fatal(err)
	}
	cfg.Files = front
	if err := api.Run(ctx, cfg, &service{posts: posts, policy: policy}, sqlite.Driver, postgres.Driver, redis.Driver); err != nil {
		log.Fatal(err)
	}
}
