package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/devidp"
	"github.com/gatewright/gatewright/runtime/secret"
)

const (
	providerName = "dev"            // in the configuration
	providerID   = "gatewright-dev" // what the server is called there
)

// loginSchemes returns the schemes that a login meets, and all scopes that the
// document knows or asks for with them, or with keys: people make keys of their
// own.
func loginSchemes(api *model.API) (names, scopes []string) {
	for _, s := range api.LoginSchemes() {
		names = append(names, s.Name)
		scopes = append(scopes, api.ScopesOf(s)...)
	}
	for _, s := range api.KeySchemes() {
		scopes = append(scopes, api.ScopesOf(s)...)
	}
	slices.Sort(scopes)
	return names, slices.Compact(scopes)
}

// devUsers are those of the settings, or one who may do everything and one who
// may do nothing.
func devUsers(settings generator.Settings, scopes []string) []devidp.User {
	if settings.DevUsers == nil {
		return []devidp.User{
			{Name: "writer", Email: "writer@example.test", Scopes: scopes},
			{Name: "reader", Email: "reader@example.test"},
		}
	}
	var users []devidp.User
	for _, u := range settings.DevUsers {
		users = append(users, devidp.User{Name: u.Name, Email: u.Email, Scopes: u.Scopes})
	}
	return users
}

// tokenSchemes returns the names of the schemes that access tokens alone are
// taken for.
func tokenSchemes(api *model.API) (names []string) {
	for _, s := range api.TokenSchemes() {
		if s.Verifier != model.VerifySession {
			names = append(names, s.Name)
		}
	}
	return names
}

// tokenScopes are all that the document asks of access tokens.
func tokenScopes(api *model.API) (scopes []string) {
	for _, s := range api.TokenSchemes() {
		scopes = append(scopes, api.ScopesOf(s)...)
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// devClients are the programs of the settings, or one that may do whatever the
// document asks of tokens.
func devClients(settings generator.Settings, api *model.API) []devidp.Program {
	if settings.DevClients == nil {
		return []devidp.Program{{ID: "service", Scopes: tokenScopes(api)}}
	}
	var programs []devidp.Program
	for _, c := range settings.DevClients {
		programs = append(programs, devidp.Program{ID: c.ID, Scopes: c.Scopes})
	}
	return programs
}

// signIn starts the development identity provider where the document has a
// login or takes access tokens, and none runs yet, and tells it who can be
// picked and which programs there are.
func (d *developer) signIn(ctx context.Context, settings generator.Settings, api *model.API) error {
	names, scopes := loginSchemes(api)
	if len(names)+len(tokenSchemes(api)) == 0 {
		return nil
	}
	scopes = append(scopes, tokenScopes(api)...)
	slices.Sort(scopes)
	users := devUsers(settings, slices.Compact(scopes))
	if d.provider != nil {
		return d.provider.SetKnown(users, devClients(settings, api))
	}
	leaf, err := d.ca.TLSConfig("localhost")
	if err != nil {
		return err
	}
	clientSecret, programSecret := secret.Random(32), secret.Random(32)
	if err := errors.Join(
		os.WriteFile(d.clientSecretFile(), []byte(clientSecret.Reveal()+"\n"), 0o600),
		os.WriteFile(d.stateFile("program-secret"), []byte(programSecret.Reveal()+"\n"), 0o600),
	); err != nil {
		return err
	}
	cfg := devidp.Config{
		TLS: leaf, Title: api.Title, Users: users, ClientID: providerID, ClientSecret: clientSecret,
		RedirectURIs:   []string{d.url() + model.AuthPrefix + "/callback/" + providerName},
		PostLogoutURIs: []string{d.url() + model.AuthPrefix + "/logout"},
		Programs:       devClients(settings, api),
		ProgramSecret:  programSecret,
		Audience:       d.url(),
		BackChannelURI: d.url() + model.AuthPrefix + "/backchannel-logout/" + providerName,
		Client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: d.ca.Pool(), MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, // the server is replaced again and again
		}},
	}
	if d.provider, err = d.openProvider(cfg); err != nil {
		return err
	}
	d.running.Go(func() {
		if err := d.provider.Serve(ctx); err != nil {
			fmt.Fprintf(d.stderr, "the development identity provider ended: %v\n", err)
		}
	})
	return nil
}

// openProvider listens where the last run did, if that is free: a person is
// known by the provider's address and their name there, so what they own in
// the store stays theirs.
func (d *developer) openProvider(cfg devidp.Config) (*devidp.Provider, error) {
	file := d.stateFile("provider-port")
	text, _ := os.ReadFile(file)
	if port, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && port > 0 && port <= 65535 {
		cfg.Listen = "127.0.0.1:" + strconv.Itoa(port)
		if p, err := devidp.New(cfg); err == nil {
			return p, nil
		}
	}
	cfg.Listen = "127.0.0.1:0"
	p, err := devidp.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(p.Port())+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (d *developer) clientSecretFile() string { return d.stateFile("client-secret") }

// stateFile is a file of this run among what development keeps.
func (d *developer) stateFile(what string) string {
	return filepath.Join(d.state, fmt.Sprintf("dev-%d.%s", d.port, what))
}

// providerConfig is the part of the configuration that has the document's
// login schemes met by the development identity provider.
func (d *developer) providerConfig(api *model.API) string {
	names, _ := loginSchemes(api)
	tokens := tokenSchemes(api)
	if len(names)+len(tokens) == 0 {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "providers:\n  %s: {title: Development, issuer: %q, client_id: %s, client_secret_file: %q, ca: %q, scopes: [openid, profile, email, offline_access]}\nschemes:\n",
		providerName, d.provider.Issuer(), providerID, filepath.Base(d.clientSecretFile()), d.ca.CertFile())
	for _, name := range names {
		fmt.Fprintf(&out, "  %q: {provider: %s, scopes_claim: scopes%s}\n", name, providerName, d.audienceOf(api, name))
	}
	for _, name := range tokens {
		fmt.Fprintf(&out, "  %q: {provider: %s%s}\n", name, providerName, d.audienceOf(api, name))
	}
	return out.String()
}

// audienceOf is the setting of a scheme that access tokens are taken for.
func (d *developer) audienceOf(api *model.API, scheme string) string {
	if !api.Scheme(scheme).TakesTokens() {
		return ""
	}
	return fmt.Sprintf(", audience: [%q]", d.url())
}

// tokenArgs are what the command token needs to find this run.
func (d *developer) tokenArgs() string {
	args := ""
	if d.port != devPort {
		args += fmt.Sprintf(" -port %d", d.port)
	}
	if d.doc != "" {
		return args + " " + quote(d.doc)
	}
	if wd, err := os.Getwd(); err != nil || wd != d.dir {
		return args + " " + quote(d.dir)
	}
	return args
}

// introduceUsers says where to sign in and as whom.
func (d *developer) introduceUsers(api *model.API) {
	if len(api.TokenSchemes()) > 0 {
		fmt.Fprintf(d.stdout, "\nAn access token for trying out, while this runs: TOKEN=$(gatewright token%s)\n", d.tokenArgs())
	}
	if names, _ := loginSchemes(api); len(names) == 0 {
		return
	}
	fmt.Fprintf(d.stdout, "\nSign in on %[1]s%[2]s/login: pick a user, there is no password.\nTheir sessions and keys: %[1]s%[2]s/account\nWho is signed in: %[3]s\n", d.url(), model.AuthPrefix, d.provider.Issuer())
}
