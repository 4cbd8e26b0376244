package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/gatewright/gatewright/internal/devidp"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

// options say what replicas run on.
type options struct {
	program  string // the blog, built
	listen   string // of the balancer: a loopback address
	store    string // postgres://…
	sessions string // redis://…
	posts    string // postgres://…
	settings string // more lines of server.yaml
	log      io.Writer
}

// count is how many replicas there are.
const count = 3

// A cluster is replicas of the blog behind a balancer, and a provider to sign
// in at.
type cluster struct {
	url       string // of the balancer
	issuer    string
	authority *tlsconf.Authority
	replicas  []*replica

	dir      string
	balancer *balancer
	log      *sharedWriter
	stopping context.CancelFunc
	running  sync.WaitGroup
}

// A replica is one process of the blog.
type replica struct {
	target
	*process
}

// users can be picked at the provider.
var users = []devidp.User{
	{Name: "writer", Email: "writer@example.test", Scopes: []string{"comments:write", "posts:write"}},
	{Name: "editor", Email: "editor@example.test", Scopes: []string{"comments:write", "posts:edit", "posts:write"}},
	{Name: "reader", Email: "reader@example.test"},
}

// startCluster starts everything and returns when all replicas listen.
func startCluster(ctx context.Context, o options) (_ *cluster, err error) {
	c := &cluster{log: &sharedWriter{w: o.log}}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stopping = stop
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return nil, err
	}
	for i := range count {
		c.replicas = append(c.replicas, &replica{target: target{name: fmt.Sprintf("[%d]", i+1)}})
	}
	targets := make([]*target, count)
	for i, r := range c.replicas {
		targets[i] = &r.target
	}
	c.balancer = newBalancer(listener, c.log, targets...)
	at := listener.Addr().(*net.TCPAddr)
	if !at.IP.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address: this is for one's own machine", at)
	}
	c.url = fmt.Sprintf("https://localhost:%d", at.Port)
	if c.dir, err = os.MkdirTemp("", "gatewright-replicas-"); err != nil {
		return nil, err
	}
	if c.authority, err = tlsconf.OpenAuthority(""); err != nil {
		return nil, err
	}
	clientSecret := secret.Random(32)
	if err := c.startProvider(life, clientSecret); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"server.yaml": c.settings() + o.settings, "server.secret": secret.Random(32).Reveal(), "client.secret": clientSecret.Reveal(),
		"store.url": o.store, "sessions.url": o.sessions,
	} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	errs := make([]error, count)
	var all sync.WaitGroup
	for i, r := range c.replicas {
		all.Go(func() { errs[i] = c.start(ctx, r, o) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.running.Go(c.balancer.serve)
	return c, nil
}

// settings are those of all replicas: where they differ is only where they
// listen, which is a free port.
func (c *cluster) settings() string {
	return fmt.Sprintf(`public_url: %s
listen: 127.0.0.1:0
tls: {dev: true}
secret_file: server.secret
store_file: store.url
sessions_store_file: sessions.url
environment: test
docs: true
providers:
  dev: {title: Development, issuer: %q, client_id: blog, client_secret_file: client.secret, ca: %q, scopes: [openid, profile, email, offline_access]}
schemes:
  login: {provider: dev, scopes_claim: scopes}
  service: {provider: dev}
`, c.url, c.issuer, c.authority.CertFile())
}

// startProvider starts the identity provider of development.
func (c *cluster) startProvider(ctx context.Context, clientSecret secret.Value) error {
	leaf, err := c.authority.TLSConfig("localhost")
	if err != nil {
		return err
	}
	p, err := devidp.New(devidp.Config{
		Listen: "127.0.0.1:0", TLS: leaf, Title: "Blog", Users: users, ClientID: "blog", ClientSecret: clientSecret,
		RedirectURIs:   []string{c.url + "/auth/callback/dev"},
		PostLogoutURIs: []string{c.url + "/auth/logout"},
		BackChannelURI: c.url + "/auth/backchannel-logout/dev",
		Client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: c.authority.Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
		}},
	})
	if err != nil {
		return err
	}
	c.issuer = p.Issuer()
	c.running.Go(func() {
		if err := p.Serve(ctx); err != nil {
			c.log.printf("the identity provider ended: %v\n", err)
		}
	})
	return nil
}

// listening finds in a replica's log where it listens.
var listening = regexp.MustCompile(`listening on https://([0-9.]+:[0-9]+)`)

// start starts one replica and returns when it listens.
func (c *cluster) start(ctx context.Context, r *replica, o options) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), o.program, "-config", filepath.Join(c.dir, "server.yaml"))
	cmd.Dir = c.dir
	cmd.Env = environ("BLOG_POSTS=" + o.posts) // with a password, so not an argument
	apart(cmd, syscall.SIGTERM)
	ready := make(chan string, 1)
	said := &lines{prefix: r.name + " ", out: c.log, line: func(text string) {
		if at := listening.FindStringSubmatch(text); at != nil {
			select {
			case ready <- at[1]:
			default: // it is said once
			}
		}
	}}
	cmd.Stdout, cmd.Stderr = said, said
	p, err := launch(cmd)
	if err != nil {
		return err
	}
	r.process = p
	select {
	case addr := <-ready:
		r.addr.Store(&addr)
		return nil
	case <-p.ended:
		return fmt.Errorf("replica %s ended at its start; its own words are above", r.name)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(readyFor):
		return fmt.Errorf("replica %s does not listen after %v", r.name, readyFor)
	}
}

// stop ends everything: first what takes connections, last what is asked by
// others.
func (c *cluster) stop() {
	if c.balancer != nil {
		c.balancer.refuse()
	}
	var all sync.WaitGroup
	for _, r := range c.replicas {
		if r.process != nil {
			all.Go(func() { r.end(syscall.SIGTERM) })
		}
	}
	all.Wait()
	if c.balancer != nil {
		c.balancer.close()
	}
	c.stopping()
	c.running.Wait()
	if c.dir != "" {
		_ = os.RemoveAll(c.dir)
	}
}

// build compiles the blog into dir and returns the program.
func build(ctx context.Context, dir string) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	program := filepath.Join(dir, "blog")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	cmd.Dir = filepath.Dir(filepath.Dir(file))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in %s: %w\n%s", cmd.Dir, err, bytes.TrimSpace(out))
	}
	return program, nil
}
