package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/devidp"
	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

func loginAPI() *model.API {
	need := func(scheme string, scopes ...string) model.Alternative {
		return model.Alternative{{Scheme: scheme, Scopes: scopes}}
	}
	return &model.API{
		Title: "Blog",
		Schemes: []model.Scheme{
			{Name: "key", Verifier: model.VerifyAPIKey, Scopes: []string{"keys:only"}},
			{Name: "login", Verifier: model.VerifySession},
			{Name: `say "oauth"`, Verifier: model.VerifySession, Scopes: []string{"posts:write", "posts:read"}},
		},
		Operations: []model.Operation{
			{Policy: model.Policy{Alternatives: []model.Alternative{need("login", "posts:write", "edit"), need("key", "keys:other")}}},
		},
	}
}

func TestDevUsers(t *testing.T) {
	names, scopes := loginSchemes(loginAPI())
	if !reflect.DeepEqual(names, []string{"login", `say "oauth"`}) {
		t.Errorf("loginSchemes = %q", names)
	}
	got := devUsers(generator.Settings{}, scopes)
	want := []devidp.User{
		{Name: "writer", Email: "writer@example.test", Scopes: []string{"edit", "keys:only", "keys:other", "posts:read", "posts:write"}},
		{Name: "reader", Email: "reader@example.test"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("devUsers = %v, want %v", got, want)
	}
	got = devUsers(generator.Settings{DevUsers: []generator.DevUser{{Name: "alice", Email: "a@example.test", Scopes: []string{"edit"}}}}, scopes)
	if want := []devidp.User{{Name: "alice", Email: "a@example.test", Scopes: []string{"edit"}}}; !reflect.DeepEqual(got, want) {
		t.Errorf("devUsers = %v, want %v", got, want)
	}
}

// newDeveloper is one on port 8443 whose state is in dir.
func newDeveloper(t *testing.T, dir string) *developer {
	t.Helper()
	ca, err := tlsconf.OpenAuthority(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	return &developer{ca: ca, port: 8443, state: dir, stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)}
}

// TestDevProviderConfig wants the configuration that dev writes to be one that
// servers take, and to say who answers for the document's logins.
func TestDevProviderConfig(t *testing.T) {
	dir := t.TempDir()
	d := newDeveloper(t, dir)
	ctx, stop := context.WithCancel(context.Background())
	defer d.running.Wait()
	defer stop()
	if err := d.signIn(ctx, generator.Settings{}, loginAPI()); err != nil {
		t.Fatal(err)
	}
	text, err := d.configure(loginAPI())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.configFile(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load([]string{"-config", d.configFile()}, func(name string) string {
		return map[string]string{"GATEWRIGHT_DEV": "true"}[name]
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(cfg.Providers) != 1 {
		t.Fatalf("%d providers in\n%s", len(cfg.Providers), text)
	}
	p := cfg.Providers[0]
	if p.Name != "dev" || p.Issuer != d.provider.Issuer() || p.ClientID != "gatewright-dev" || p.ClientSecret.IsZero() || p.CA != d.ca.CertFile() ||
		!reflect.DeepEqual(p.Scopes, []string{"openid", "profile", "email", "offline_access"}) {
		t.Errorf("provider %+v", p)
	}
	want := map[string]provider.Binding{
		"login":       {Providers: []string{"dev"}, ScopesClaim: "scopes"},
		`say "oauth"`: {Providers: []string{"dev"}, ScopesClaim: "scopes"},
	}
	if !reflect.DeepEqual(cfg.Schemes, want) {
		t.Errorf("schemes %+v, want %+v", cfg.Schemes, want)
	}
	if text := d.providerConfig(&model.API{}); text != "" {
		t.Errorf("a document without a login is configured %q", text)
	}
}

// TestDevProviderPort wants the provider where it was at the last run, so that
// its people are known again, and elsewhere where that is taken.
func TestDevProviderPort(t *testing.T) {
	dir := t.TempDir()
	issuer := func() string {
		d := newDeveloper(t, dir)
		ctx, stop := context.WithCancel(context.Background())
		defer d.running.Wait()
		defer stop()
		if err := d.signIn(ctx, generator.Settings{}, loginAPI()); err != nil {
			t.Fatal(err)
		}
		first := d.provider
		if err := d.signIn(ctx, generator.Settings{}, loginAPI()); err != nil || d.provider != first {
			t.Errorf("the provider is started twice (%v)", err)
		}
		return d.provider.Issuer()
	}
	was := issuer()
	if is := issuer(); is != was {
		t.Errorf("issuer at the second run is %s, was %s", is, was)
	}
	port := strings.TrimPrefix(was, "https://localhost:")
	if _, err := strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		testenv.Skip(t, "somebody else took the port meanwhile: "+err.Error())
	}
	defer l.Close()
	if is := issuer(); is == was {
		t.Errorf("issuer is %s although its port is taken", is)
	}
}
