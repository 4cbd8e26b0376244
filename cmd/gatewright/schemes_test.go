package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/gatetest"
)

// TestEveryScheme takes documents with many kinds of schemes all the way. Their
// generated tests let in each alternative that a request can meet, and keep out
// all else. The program, with a provider, an authority for certificates and a
// verifier of its own, is then asked the same over HTTPS, with keys that the
// command made, a session from a login, tokens that the provider issued, some of
// them bound to a key, and a certificate.
func TestEveryScheme(t *testing.T) {
	for _, name := range []string{"gen-schemes", "readme-security-30.yaml", "readme-security-multiple-30.yaml", "ogen-security.json"} {
		t.Run(name, func(t *testing.T) {
			doc := filepath.Join(testenv.Root(), "testdata", "cases", name, "openapi.yaml") // a golden case of our own
			if !strings.HasPrefix(name, "gen-") {
				doc = filepath.Join(testenv.Specs(t), name)
			}
			p := initProject(t, doc, "-undeclared", "public")
			api := p.decide(t)
			p.wantComplete(t, api)
			p.verifiesItself(t, api)
			idp := gatetest.NewProvider(t)
			ca := testenv.NewCA(t)
			p.trusts(t, api, idp, ca)
			s := p.serve(t)
			p.knowsNo(t, "nosuch")
			w := newWallet(t, p, s, idp, api)
			w.certificate = ca.ClientCertificate(t, "robot", nil)
			w.stranger = testenv.NewCA(t).ClientCertificate(t, "robot", nil)
			w.askAll()
			w.findIssuer()
			t.Logf("asked %d times over HTTPS: let in %d, kept out %d", w.in+w.out, w.in, w.out)
		})
	}
}

// append adds text to one of the project's files.
func (p *project) append(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
}

// decide says what kind of token schemes take of which the document does not say
// it, generates again, and returns the API.
func (p *project) decide(t *testing.T) *model.API {
	t.Helper()
	read := func() *model.API {
		settings, err := generator.ReadSettings(filepath.Join(p.dir, generator.SettingsFile))
		if err != nil {
			t.Fatal(err)
		}
		res, err := generator.Analyze(t.Context(), generator.Config{Dir: p.dir, Settings: settings})
		if err != nil {
			t.Fatalf("%v: %v", err, res.Diagnostics)
		}
		return res.API
	}
	kinds := ""
	for _, s := range read().Schemes {
		if s.Verifier == model.VerifyUndecided {
			kinds += fmt.Sprintf("  %s: {kind: introspection}\n", s.Name)
		}
	}
	if kinds != "" {
		p.append(t, generator.SettingsFile, "\nschemes:\n"+kinds)
		p.gatewright(t, "generate")
	}
	return read()
}

// wantComplete runs the generated tests, and wants each alternative that can be
// met to be seen let in, and no other.
func (p *project) wantComplete(t *testing.T, api *model.API) {
	t.Helper()
	p.run(t, "go", "vet", "./...")
	passed := make(map[string]bool)
	lines := bufio.NewScanner(strings.NewReader(p.run(t, "go", "test", "-json", "./...")))
	for lines.Scan() {
		var event struct{ Action, Test string }
		if err := json.Unmarshal(lines.Bytes(), &event, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		if event.Action == "pass" {
			passed[event.Test] = true
		}
	}
	met, unmeetable := 0, 0
	for _, op := range api.Operations {
		for _, alt := range op.Policy.Alternatives {
			if len(alt) == 0 {
				continue
			}
			var names []string
			for _, n := range alt {
				names = append(names, n.Scheme)
			}
			test := strings.ReplaceAll("TestSecurity/"+op.ID+"/complete_"+strings.Join(names, "+"), " ", "_")
			if api.Meetable(alt) != passed[test] {
				t.Errorf("%s passed: %v, want %v", test, passed[test], api.Meetable(alt))
			}
			if api.Meetable(alt) {
				met++
			} else {
				unmeetable++
			}
		}
	}
	if met == 0 {
		t.Error("the document has no alternative that can be met")
	}
	t.Logf("%d generated checks passed; %d alternatives are let in, %d can be met by no request", len(passed), met, unmeetable)
}

// verifiesItself gives the program a verifier of its own for each scheme that
// needs one: of whom sends the word good.
func (p *project) verifiesItself(t *testing.T, api *model.API) {
	t.Helper()
	var own []string
	for _, s := range api.Schemes {
		if s.Verifier == model.VerifyCustom {
			own = append(own, fmt.Sprintf("\tschemes.%s = gatekeeper(%q)\n", s.GoName, s.Places[0].Name))
		}
	}
	if own == nil {
		return
	}
	main, err := os.ReadFile(filepath.Join(p.dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(main), "api.Run(ctx, cfg, &service{}, ", "api.RunWith(ctx, cfg, &service{}, verifiers(), ", 1)
	imported, _, _ := strings.Cut(string(main)[strings.Index(string(main), "store/sqlite\"\n")+len("store/sqlite\"\n"):], ")")
	if err := os.WriteFile(filepath.Join(p.dir, "main.go"), []byte(changed), 0o600); err != nil || changed == string(main) {
		t.Fatalf("main.go does not call api.Run: %v", err)
	}
	p.append(t, "own.go", `package main

import (
	"context"
	"log"

	"github.com/gatewright/gatewright/runtime/custom"
	"github.com/gatewright/gatewright/runtime/gate"
`+imported+`)

func verifiers() (schemes api.Schemes) {
`+strings.Join(own, "")+`	return schemes
}

func gatekeeper(word string) gate.Authenticator {
	auth, err := custom.Token(custom.TokenFunc(func(_ context.Context, token string) (gate.Identity, error) {
		if token != "good" {
			return gate.Identity{}, gate.ErrInvalid
		}
		return gate.Identity{Client: &gate.Client{ID: "partner"}}, nil
	}), gate.Authorization(word))
	if err != nil {
		log.Fatal(err)
	}
	return auth
}
`)
}

// trusts writes whose tokens and certificates are taken: each scheme has an
// audience of its own.
func (p *project) trusts(t *testing.T, api *model.API, idp *gatetest.Provider, ca *testenv.CA) {
	t.Helper()
	text := fmt.Sprintf("\nproviders:\n  main: {issuer: %q, ca: %q, client_id: %q, client_secret_file: main.secret}\n", idp.Issuer, idp.CAFile, idp.ClientID)
	if len(api.CertificateSchemes()) > 0 {
		text += fmt.Sprintf("client_certs: {ca: %q}\n", ca.File)
	}
	text += "schemes:\n"
	for _, s := range api.TokenSchemes() {
		text += fmt.Sprintf("  %s: {provider: main, audience: [%q]}\n", s.Name, audience(s.Name))
	}
	p.append(t, "main.secret", idp.ClientSecret)
	p.append(t, "server.yaml", text)
}

// knowsNo wants the program, once built, to refuse a configuration that has
// something to say of a scheme that the document lacks.
func (p *project) knowsNo(t *testing.T, scheme string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "server.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p.append(t, "wrong.yaml", string(text)+"  "+scheme+": {provider: main, audience: [a]}\n")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, filepath.Join(p.dir, "server"), "-config", "wrong.yaml")
	cmd.Dir, cmd.Env = p.dir, p.env
	if out, err := cmd.CombinedOutput(); err == nil || ctx.Err() != nil || !strings.Contains(string(out), scheme) {
		t.Errorf("with a binding of %q: %v %s, want a refusal that names it", scheme, err, out)
	}
}

func audience(scheme string) string { return "https://audience.example/" + scheme }

// A wallet holds credentials of one person, and asks with them.
type wallet struct {
	t           *testing.T
	server      *server
	idp         *gatetest.Provider
	api         *model.API
	transport   *http.Transport
	session     *http.Cookie
	keys        map[string]string // by scheme
	holder      ed25519.PrivateKey
	certificate tls.Certificate
	stranger    tls.Certificate // of another authority
	in, out     int
}

// newWallet signs in, and has the command make a key of the same person for each
// scheme that takes one.
func newWallet(t *testing.T, p *project, s *server, idp *gatetest.Provider, api *model.API) *wallet {
	t.Helper()
	w := &wallet{t: t, server: s, idp: idp, api: api, transport: p.trusting(t), keys: make(map[string]string)}
	b := newBrowser(t, s, idp)
	b.signIn("main")
	own, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(own) {
		if c.Name == api.SessionCookie() {
			w.session = c
		}
	}
	if w.session == nil {
		t.Fatalf("there is no cookie %s after a login", api.SessionCookie())
	}
	b.want("who signed in", "GET", "/auth/session", 200, `"user"`)
	var who struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	if err := json.Unmarshal([]byte(b.body), &who); err != nil || who.User.ID == "" {
		t.Fatalf("GET /auth/session = %s, %v", b.body, err)
	}
	for _, s := range api.KeySchemes() {
		args := []string{"keys", "create", "-user", who.User.ID, "-scheme", s.Name}
		for _, scope := range api.ScopesOf(s) {
			args = append(args, "-scope", scope)
		}
		w.keys[s.Name] = strings.TrimSpace(p.gatewright(t, args...))
	}
	if _, w.holder, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return w
}

// A laid credential lies in a place of a request, for some schemes.
type laid struct {
	place   model.Place
	schemes []string
	scopes  []string
	spoilt  bool
}

// lay finds a place for each need, beginning with each scheme's place number
// round: one credential serves all that are looked for in one place, and are
// tokens. nil where there is no room.
func (w *wallet) lay(alt model.Alternative, round int) []laid {
	var all []laid
	needs := slices.Clone(alt)
	slices.SortStableFunc(needs, func(a, b model.Need) int {
		return len(w.api.Scheme(a.Scheme).Places) - len(w.api.Scheme(b.Scheme).Places)
	})
next:
	for _, n := range needs {
		s := w.api.Scheme(n.Scheme)
		for i := range s.Places {
			place := s.Places[(round+i)%len(s.Places)]
			at := slices.IndexFunc(all, func(l laid) bool { return l.place == place })
			full := slices.ContainsFunc(all, func(l laid) bool { return l.place.In == "authorization" && place.In == "authorization" })
			switch {
			case at >= 0 && (s.TakesTokens() || place.In == "cookie"):
				all[at].schemes = append(all[at].schemes, s.Name)
				all[at].scopes = append(all[at].scopes, n.Scopes...)
				continue next
			case at < 0 && !full:
				all = append(all, laid{place: place, schemes: []string{s.Name}, scopes: slices.Clone(n.Scopes)})
				continue next
			}
		}
		return nil
	}
	return all
}

// request makes a request for op with credentials, and the client to send it.
func (w *wallet) request(op *model.Operation, all []laid) (*http.Request, *http.Client) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), op.Method, w.server.url+op.Path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	transport := w.transport
	for _, l := range all {
		s := w.api.Scheme(l.schemes[0])
		text := w.keys[s.Name]
		if l.spoilt {
			text += "x"
		}
		switch {
		case l.place.In == "certificate":
			transport = w.transport.Clone()
			transport.TLSClientConfig.Certificates = []tls.Certificate{w.certificate}
			if l.spoilt {
				transport.TLSClientConfig.Certificates = []tls.Certificate{w.stranger}
			}
			w.t.Cleanup(transport.CloseIdleConnections)
		case l.place.In == "header":
			r.Header.Set(l.place.Name, text)
		case l.place.In == "query":
			r.URL.RawQuery = url.Values{l.place.Name: {text}}.Encode()
		case l.place.In == "cookie":
			c := *w.session
			if l.spoilt {
				c.Value += "x"
			}
			r.AddCookie(&c)
		case s.Verifier == model.VerifyCustom:
			r.Header.Set("Authorization", l.place.Name+" "+map[bool]string{true: "bad", false: "good"}[l.spoilt])
		case s.TakesTokens():
			w.token(r, l)
		case l.place.Name == "basic":
			r.SetBasicAuth("apikey", text)
		default:
			r.Header.Set("Authorization", strings.TrimSpace(l.place.Name+" "+text))
		}
	}
	return r, &http.Client{Transport: transport, Timeout: time.Minute}
}

// token puts an access token into r: under DPoP one that is bound to a key, with
// a proof.
func (w *wallet) token(r *http.Request, l laid) {
	t := gatetest.AccessToken{Subject: "ann", Scopes: l.scopes, Opaque: true}
	for _, name := range l.schemes {
		t.Audience = append(t.Audience, audience(name))
		t.Opaque = t.Opaque && w.api.Scheme(name).Verifier == model.VerifyIntrospect
	}
	if l.spoilt {
		t.Audience = []string{audience("other")}
	}
	public := base64.RawURLEncoding.EncodeToString(w.holder.Public().(ed25519.PublicKey))
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":%q}`, public)) // RFC 8037, appendix A.3
	if l.place.Name == "dpop" {
		t.Claims = map[string]any{"cnf": map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(sum[:])}}
	}
	token := w.idp.AccessToken(t)
	r.Header.Set("Authorization", l.place.Name+" "+token)
	if l.place.Name != "dpop" {
		return
	}
	sum = sha256.Sum256([]byte(token))
	part := func(v map[string]any) string {
		text, err := json.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := part(map[string]any{"alg": "EdDSA", "typ": "dpop+jwt", "jwk": map[string]any{"kty": "OKP", "crv": "Ed25519", "x": public}}) + "." +
		part(map[string]any{"jti": rand.Text(), "htm": r.Method, "htu": w.server.url + r.URL.Path, "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:])})
	r.Header.Set("DPoP", input+"."+base64.RawURLEncoding.EncodeToString(ed25519.Sign(w.holder, []byte(input))))
}

// ask wants op to run, or to be refused as 401.
func (w *wallet) ask(name string, op *model.Operation, all []laid, in bool) {
	w.t.Helper()
	r, client := w.request(op, all)
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	want := http.StatusUnauthorized
	if w.out++; in {
		want = http.StatusNotImplemented
		w.out--
		w.in++
	}
	if res.StatusCode != want || in != bytes.Contains(body, []byte("not_implemented")) {
		w.t.Errorf("%s: %s %s = %d %s, want %d", name, op.Method, op.Path, res.StatusCode, body, want)
	}
	if !in && len(res.Header.Values("WWW-Authenticate")) == 0 {
		w.t.Errorf("%s: %s %s is refused without a challenge", name, op.Method, op.Path)
	}
}

// askAll asks every operation with nothing, with each alternative, with each of
// its credentials spoilt, and with what is for one scheme alone.
func (w *wallet) askAll() {
	for i := range w.api.Operations {
		op := &w.api.Operations[i]
		alternatives := op.Policy.Alternatives
		// meets tells whether credentials for schemes are enough.
		meets := func(schemes []string) bool {
			return slices.ContainsFunc(alternatives, func(alt model.Alternative) bool {
				return len(alt) > 0 && !slices.ContainsFunc(alt, func(n model.Need) bool { return !slices.Contains(schemes, n.Scheme) })
			})
		}
		nobody := op.Policy.Public || slices.ContainsFunc(alternatives, func(alt model.Alternative) bool { return len(alt) == 0 })
		w.ask("nothing", op, nil, nobody)
		for _, alt := range alternatives {
			if len(alt) == 0 || !w.api.Meetable(alt) {
				continue
			}
			rounds := 0
			for _, n := range alt {
				rounds = max(rounds, len(w.api.Scheme(n.Scheme).Places))
			}
			for round := range rounds {
				all := w.lay(alt, round)
				if all == nil {
					w.t.Errorf("no request meets %v of %s", alt, op.ID)
					continue
				}
				name := fmt.Sprintf("%v in %v", alt, all)
				w.ask(name, op, all, true)
				for at := range all {
					spoilt := slices.Clone(all)
					spoilt[at].spoilt = true
					var rest []string
					for i, l := range all {
						if i != at {
							rest = append(rest, l.schemes...)
						}
					}
					// An unknown session is as none.
					w.ask(fmt.Sprintf("%s, spoilt: %v", name, all[at]), op, spoilt, all[at].place.In == "cookie" && (meets(rest) || rest == nil && nobody))
				}
			}
		}
		for _, s := range w.api.Schemes {
			all := w.lay(model.Alternative{{Scheme: s.Name, Scopes: w.api.ScopesOf(&s)}}, 0)
			looked := slices.ContainsFunc(slices.Concat(alternatives...), func(n model.Need) bool {
				return slices.Contains(w.api.Scheme(n.Scheme).Places, all[0].place)
			})
			good := all[0].schemes
			if all[0].place.In == "cookie" {
				for _, other := range w.api.LoginSchemes() { // they have one provider
					good = append(good, other.Name)
				}
			}
			w.ask("only "+s.Name, op, all, meets(good) || nobody && !looked || op.Policy.Public)
		}
	}
}

// findIssuer wants a client that knows the server alone to learn who issues
// tokens for it.
func (w *wallet) findIssuer() {
	res, err := (&http.Client{Transport: w.transport, Timeout: time.Minute}).Get(w.server.url + model.MetadataPath)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(w.idp.Issuer)) {
		w.t.Errorf("GET %s = %d %s, %v, want the issuer", model.MetadataPath, res.StatusCode, body, err)
	}
}
