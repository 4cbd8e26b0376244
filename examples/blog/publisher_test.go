package main

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatewright/gatewright/internal/testenv"
)

// A stranger is a server that says what a test has it say, and remembers what it
// was shown.
type stranger struct {
	*httptest.Server

	mu    sync.Mutex
	shown []string // of each request the line, Authorization and the body
}

// newStranger starts one, without TLS where there is no authority.
func newStranger(t *testing.T, ca *testenv.CA, answer http.HandlerFunc) *stranger {
	t.Helper()
	s := new(stranger)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.shown = append(s.shown, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+" "+string(body))
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	if ca == nil {
		s.Start()
	} else {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "localhost")}}
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	return s
}

// with returns the requests that have a text in them.
func (s *stranger) with(text string) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.shown {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// TestPublisherIsNotMisled has the programs meet blogs and issuers that would have
// their secret or their token for somebody else. What a service is told it asks
// for; who gets the secret and the token is tested.
func TestPublisherIsNotMisled(t *testing.T) {
	ca, other := testenv.NewCA(t), testenv.NewCA(t)
	programs := publishers(t)
	const secret, token = "s3cret/of+the service", "token-of-the-issuer"
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte("machine localhost login somebody password from-netrc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type plot struct {
		status             int    // of the operation without a token
		challenge          string // of it
		resource, servers  string // of the blog's metadata, as JSON
		issuer, token      string // of the issuer's metadata
		metadata, exchange string // where the blog's metadata and the token request are redirected
		about, post        string // where the issuer's metadata and the post are redirected
		refused            bool   // the secret is
		blog               string // BLOG_URL
		env                []string
	}
	for _, c := range []struct {
		name  string
		plot  func(blog, issuer, evil string, p *plot)
		works bool
		asked bool // the issuer is shown the secret
		other bool // the evil server has a certificate of another authority
		plain bool // the evil server has none
	}{
		{name: "nothing", plot: func(_, _, _ string, p *plot) {}, works: true, asked: true},
		{name: "a blog's URL with a slash", plot: func(blog, _, _ string, p *plot) { p.blog = blog + "/" }, works: true, asked: true},
		{name: "the pinned issuer, named second", plot: func(_, issuer, evil string, p *plot) {
			p.servers, p.env = fmt.Sprintf("[%q, %q]", evil, issuer), []string{"BLOG_ISSUER=" + issuer}
		}, works: true, asked: true},
		{name: "an issuer that is not the pinned one", plot: func(_, issuer, _ string, p *plot) { p.env = []string{"BLOG_ISSUER=" + issuer + "/"} }},
		{name: "a pinned issuer that the blog takes no tokens of", plot: func(_, _, evil string, p *plot) {
			p.issuer, p.token, p.env = evil, evil+"/token", []string{"BLOG_ISSUER=" + evil}
		}},
		{name: "no issuer", plot: func(_, _, _ string, p *plot) { p.servers = "[]" }},
		{name: "no TLS", plot: func(blog, _, _ string, p *plot) { p.blog = strings.Replace(blog, "https", "http", 1) }},
		{name: "another status", plot: func(_, _, _ string, p *plot) { p.status = 403 }},
		{name: "no challenge", plot: func(_, _, _ string, p *plot) { p.challenge = "" }},
		{name: "a challenge without metadata", plot: func(_, _, _ string, p *plot) { p.challenge = `Bearer realm="api"` }},
		{name: "metadata at another origin", plot: func(_, _, evil string, p *plot) { p.challenge = `Bearer resource_metadata="` + evil + `/metadata"` }},
		{name: "metadata without TLS", plot: func(blog, _, _ string, p *plot) {
			p.challenge = `Bearer resource_metadata="` + strings.Replace(blog, "https", "http", 1) + `/metadata"`
		}},
		{name: "metadata that are redirected", plot: func(_, _, evil string, p *plot) { p.metadata = evil + "/metadata" }},
		{name: "metadata of another resource", plot: func(_, _, evil string, p *plot) { p.resource = fmt.Sprintf("%q", evil) }},
		{name: "metadata of another path", plot: func(blog, _, _ string, p *plot) { p.resource = fmt.Sprintf("%q", blog+"/po") }},
		{name: "metadata of half a URL", plot: func(_, _, _ string, p *plot) { p.resource = `"https:/"` }},
		{name: "metadata of no resource", plot: func(_, _, _ string, p *plot) { p.resource = "null" }},
		{name: "metadata of a number", plot: func(_, _, _ string, p *plot) { p.resource = "7" }},
		{name: "an issuer without TLS", plot: func(_, _, evil string, p *plot) { p.issuer, p.servers = evil, fmt.Sprintf("[%q]", evil) }, plain: true},
		{name: "an issuer whose metadata are another's", plot: func(_, _, evil string, p *plot) { p.issuer = evil }},
		{name: "an issuer whose metadata are redirected", plot: func(_, _, evil string, p *plot) { p.about = evil + "/about" }},
		{name: "a token endpoint without TLS", plot: func(_, _, evil string, p *plot) { p.token = evil + "/token" }, plain: true},
		{name: "a token endpoint that redirects", plot: func(_, _, evil string, p *plot) { p.exchange = evil + "/token" }, asked: true},
		{name: "a refused secret", plot: func(_, _, _ string, p *plot) { p.refused = true }, asked: true},
		{name: "a blog that redirects", plot: func(_, _, evil string, p *plot) { p.post = evil + "/posts" }, asked: true},
		{name: "an issuer with another authority's certificate", plot: func(_, _, evil string, p *plot) {
			p.servers, p.issuer, p.token = fmt.Sprintf("[%q]", evil), evil, evil+"/token"
		}, other: true},
	} {
		for name, program := range programs {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				var p plot
				plotted := make(chan struct{}) // closed when p is
				redirects := func(w http.ResponseWriter, to string) bool {
					if to != "" {
						w.Header().Set("Location", to)
						w.WriteHeader(http.StatusTemporaryRedirect)
					}
					return to != ""
				}
				issues := func(w http.ResponseWriter, r *http.Request) {
					<-plotted
					w.Header().Set("Content-Type", "application/json")
					switch {
					case r.URL.Path == "/token" && p.refused:
						w.WriteHeader(http.StatusUnauthorized)
						fmt.Fprint(w, `{"error": "invalid_client"}`)
					case r.URL.Path == "/token":
						if !redirects(w, p.exchange) {
							fmt.Fprintf(w, `{"access_token": %q, "token_type": "Bearer", "expires_in": 60}`, token)
						}
					default:
						if !redirects(w, p.about) {
							fmt.Fprintf(w, `{"issuer": %q, "token_endpoint": %q}`, p.issuer, p.token)
						}
					}
				}
				issuer := newStranger(t, ca, issues)
				blog := newStranger(t, ca, func(w http.ResponseWriter, r *http.Request) {
					<-plotted
					w.Header().Set("Content-Type", "application/json")
					switch {
					case r.Method == http.MethodGet:
						if !redirects(w, p.metadata) {
							fmt.Fprintf(w, `{"resource": %s, "authorization_servers": %s}`, p.resource, p.servers)
						}
					case r.Header.Get("Authorization") == "Bearer "+token:
						if !redirects(w, p.post) {
							w.Header().Set("Location", "/posts/1")
							w.WriteHeader(http.StatusCreated)
						}
					default:
						w.Header().Add("WWW-Authenticate", `Cookie realm="api"`)
						if p.challenge != "" {
							w.Header().Add("WWW-Authenticate", p.challenge)
						}
						w.WriteHeader(p.status)
					}
				})
				evilCA := ca
				switch {
				case c.other:
					evilCA = other
				case c.plain:
					evilCA = nil
				}
				evil := newStranger(t, evilCA, func(w http.ResponseWriter, r *http.Request) {
					<-plotted
					if strings.HasSuffix(r.URL.Path, "posts") {
						w.Header().Set("Location", "/posts/1")
						w.WriteHeader(http.StatusCreated)
						return
					}
					if r.URL.Path == "/metadata" {
						fmt.Fprintf(w, `{"resource": %s, "authorization_servers": %s}`, p.resource, p.servers)
						return
					}
					issues(w, r)
				})
				p = plot{status: 401, challenge: `Bearer realm="api", resource_metadata="` + blog.URL + `/metadata"`, resource: fmt.Sprintf("%q", blog.URL),
					servers: fmt.Sprintf("[%q]", issuer.URL), issuer: issuer.URL, token: issuer.URL + "/token", blog: blog.URL}
				c.plot(blog.URL, issuer.URL, evil.URL, &p)
				close(plotted)

				env := append(append(testenv.Trusting(ca.File), p.env...), "HOME="+home, "BLOG_URL="+p.blog, "BLOG_CLIENT_ID=a:b", "BLOG_CLIENT_SECRET="+secret)
				out, err := program.run(t, "text", env...)
				if c.works != (err == nil) || c.works && out != "/posts/1" || !c.works && out != "" {
					t.Errorf("the program prints %q and ends with %v", out, err)
				}
				if err != nil && (strings.Contains(err.Error(), "Traceback") || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), token)) {
					t.Errorf("the program says %v", err)
				}
				basic := base64.StdEncoding.EncodeToString([]byte("a%3Ab:s3cret%2Fof%2Bthe+service"))
				wanted := 0
				if c.asked {
					wanted = 1
				}
				if got := issuer.with("POST /token Basic " + basic); len(got) != wanted {
					t.Errorf("the issuer is shown the secret by %q, want %d", got, wanted)
				}
				if got := issuer.with("s3cret"); len(got) > 0 || len(issuer.with("POST")) != wanted {
					t.Errorf("the secret stands in %q", got)
				}
				for name, s := range map[string]*stranger{"the blog": blog, "somebody else": evil} {
					if got := slices.Concat(s.with("s3cret"), s.with(basic)); len(got) > 0 {
						t.Errorf("%s is shown the secret by %q", name, got)
					}
				}
				if got := slices.Concat(evil.with("Bearer"), evil.with(token), issuer.with("Bearer")); len(got) > 0 {
					t.Errorf("others are shown the token by %q", got)
				}
				for _, s := range []*stranger{blog, issuer, evil} {
					if got := s.with(base64.StdEncoding.EncodeToString([]byte("somebody:from-netrc"))); len(got) > 0 {
						t.Errorf("somebody's password is in %q", got)
					}
				}
			})
		}
	}
}
