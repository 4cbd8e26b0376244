package gatetest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/route"
	"github.com/gatewright/gatewright/runtime/session"
)

var schemes = []Scheme{
	{Name: "key", Verifier: "apikey", Places: []gate.Place{{In: gate.InHeader, Name: "X-Api-Key"}}},
	{Name: "queryKey", Verifier: "apikey", Places: []gate.Place{{In: gate.InQuery, Name: "api_key"}}},
	{Name: "basic", Verifier: "apikey", Places: []gate.Place{gate.Authorization("basic")}},
	{Name: "anyWord", Verifier: "apikey", Places: []gate.Place{gate.Authorization("")}},
	{Name: "login", Verifier: "session", Places: []gate.Place{gate.Authorization("bearer"), gate.Authorization("dpop"), {In: gate.InCookie, Name: "__Host-session"}}},
	{Name: "other", Verifier: "session", Places: []gate.Place{gate.Authorization("bearer"), gate.Authorization("dpop"), {In: gate.InCookie, Name: "__Host-session"}}},
	{Name: "cookie", Verifier: "session", Places: []gate.Place{{In: gate.InCookie, Name: "__Host-session"}}},
	{Name: "token", Verifier: "token", Places: []gate.Place{gate.Authorization("bearer"), gate.Authorization("dpop")}},
	{Name: "jwt", Verifier: "jwt", Places: []gate.Place{gate.Authorization("bearer"), gate.Authorization("dpop")}},
	{Name: "opaque", Verifier: "introspection", Places: []gate.Place{gate.Authorization("bearer"), gate.Authorization("dpop")}},
	{Name: "bound", Verifier: "jwt", Places: []gate.Place{gate.Authorization("dpop")}},
	{Name: "cert", Verifier: "certificate", Places: []gate.Place{{In: gate.InCertificate}}},
	{Name: "digest", Verifier: "custom", Places: []gate.Place{gate.Authorization("digest")}},
}

var operations = []Operation{
	{ID: "listPosts", Method: "GET", Path: "/v1/posts", Public: true},
	{ID: "createPost", Method: "POST", Path: "/v1/posts", HasBody: true, Alternatives: [][]Need{{{"login", []string{"posts:write"}}}, {{"key", []string{"posts:write"}}}}},
	{ID: "getPost", Method: "GET", Path: "/v1/posts/{post}", Alternatives: [][]Need{{{"key", nil}}}},
	{ID: "deletePost", Method: "DELETE", Path: "/v1/posts/{id}", Alternatives: [][]Need{{{"basic", []string{"posts:write", "posts:delete"}}}}},
	{ID: "getMine", Method: "GET", Path: "/v1/posts/mine", Alternatives: [][]Need{{{"token", []string{"read"}}}, {{"login", nil}}}},
	{ID: "getFeed", Method: "GET", Path: "/v1/feed.{format}", Alternatives: [][]Need{{}, {{"login", nil}}}},
	{ID: "comment", Method: "POST", Path: "/v1/comment", HasBody: true, Alternatives: [][]Need{{{"key", nil}}, {}}},
	{ID: "transfer", Method: "PUT", Path: "/v1/transfer", HasBody: true, Alternatives: [][]Need{{{"login", []string{"pay"}}, {"cert", nil}}}},
	{ID: "twoKeys", Method: "GET", Path: "/v1/two", Alternatives: [][]Need{{{"key", []string{"a"}}, {"queryKey", []string{"b"}}}, {{"digest", nil}}}},
	{ID: "keyAndLogin", Method: "PATCH", Path: "/v1/three", Alternatives: [][]Need{{{"key", nil}, {"login", []string{"x"}}, {"queryKey", nil}}}},
	{ID: "whoami", Method: "GET", Path: "/v1/me", Alternatives: [][]Need{{{"cookie", []string{"profile"}}}}},
	{ID: "account", Method: "PUT", Path: "/v1/account", Alternatives: [][]Need{{{"cookie", []string{"a"}}, {"login", []string{"b"}}, {"key", nil}}, {{"other", nil}}}},
	{ID: "bothLogins", Method: "GET", Path: "/v1/both", Alternatives: [][]Need{{{"login", nil}, {"other", nil}}}},
	{ID: "never", Method: "GET", Path: "/v1/never", Alternatives: [][]Need{{{"basic", nil}, {"token", nil}}}},
	{ID: "twoIssuers", Method: "POST", Path: "/v1/issuers", HasBody: true, Alternatives: [][]Need{{{"jwt", []string{"a"}}}, {{"opaque", []string{"b", "c"}}}, {}}},
	{ID: "tokenAndCert", Method: "POST", Path: "/v1/bound", HasBody: true, Alternatives: [][]Need{{{"jwt", []string{"a"}}, {"cert", []string{"role"}}}, {{"opaque", nil}, {"key", nil}}}},
	{ID: "twoTokens", Method: "GET", Path: "/v1/tokens", Alternatives: [][]Need{{{"jwt", []string{"a"}}, {"opaque", []string{"b"}}}, {{"token", nil}, {"login", nil}, {"cookie", nil}}}},
	{ID: "boundOnly", Method: "POST", Path: "/v1/bound-only", HasBody: true, Alternatives: [][]Need{{{"bound", []string{"x"}}}, {}}},
	{ID: "raw", Method: "GET", Path: "/v1/raw", Alternatives: [][]Need{{{"anyWord", []string{"s"}}}, {{"token", nil}}}},
}

// policies are the same facts as the generator would write them.
func policies() map[string]gate.Policy {
	need := func(scheme string, scopes ...string) gate.Need { return gate.Need{Scheme: scheme, Scopes: scopes} }
	return map[string]gate.Policy{
		"listPosts":    gate.Public(),
		"createPost":   gate.Require(need("login", "posts:write")).Or(gate.Require(need("key", "posts:write"))),
		"getPost":      gate.Require(need("key")),
		"deletePost":   gate.Require(need("basic", "posts:write", "posts:delete")),
		"getMine":      gate.Require(need("token", "read")).Or(gate.Require(need("login"))),
		"getFeed":      gate.Anonymous().Or(gate.Require(need("login"))),
		"comment":      gate.Require(need("key")).Or(gate.Anonymous()),
		"transfer":     gate.Require(need("login", "pay"), need("cert")),
		"twoKeys":      gate.Require(need("key", "a"), need("queryKey", "b")).Or(gate.Require(need("digest"))),
		"keyAndLogin":  gate.Require(need("key"), need("login", "x"), need("queryKey")),
		"whoami":       gate.Require(need("cookie", "profile")),
		"account":      gate.Require(need("cookie", "a"), need("login", "b"), need("key")).Or(gate.Require(need("other"))),
		"bothLogins":   gate.Require(need("login"), need("other")),
		"never":        gate.Require(need("basic"), need("token")),
		"twoIssuers":   gate.Require(need("jwt", "a")).Or(gate.Require(need("opaque", "b", "c"))).Or(gate.Anonymous()),
		"tokenAndCert": gate.Require(need("jwt", "a"), need("cert", "role")).Or(gate.Require(need("opaque"), need("key"))),
		"twoTokens":    gate.Require(need("jwt", "a"), need("opaque", "b")).Or(gate.Require(need("token"), need("login"), need("cookie"))),
		"boundOnly":    gate.Require(need("bound", "x")).Or(gate.Anonymous()),
		"raw":          gate.Require(need("anyWord", "s")).Or(gate.Require(need("token"))),
	}
}

// A server is what New builds a handler from; tests weaken it.
type server struct {
	policies map[string]gate.Policy
	patterns map[string]string // by operation; others as the document says
	extra    []*gate.Operation // routes that the document lacks
	auth     func(map[string]gate.Authenticator)
	wrap     func(h http.Handler, called func(string, *gate.Principal)) http.Handler
	unlisted bool                                                 // the handler does not list its routes
	sampled  []string                                             // operations with a sample; nil: all that have one
	declared []gate.Scheme                                        // nil: as the document says
	handlers map[string]route.Handler                             // by operation, in place of its own
	swaps    map[string]string                                    // by operation, the one whose handler it has
	tell     func(op string, who *gate.Principal) *gate.Principal // who an operation is told calls
	unread   string                                               // an operation that checks nothing
	twice    bool                                                 // each operation runs twice
}

func (s *server) api() API {
	ops := slices.Clone(operations)
	for i := range ops {
		if s.sampled == nil || slices.Contains(s.sampled, ops[i].ID) {
			ops[i].Sample, ops[i].Wrong = samples[ops[i].ID], wrongs[ops[i].ID]
		}
	}
	named := s.declared
	if named == nil {
		named = declared()
	}
	return API{Schemes: schemes, Operations: ops, Declared: named, Checks: checks, New: s.new}
}

func (s *server) new(auth map[string]gate.Authenticator, called func(string, *gate.Principal)) (http.Handler, error) {
	var ops []*gate.Operation
	for _, o := range operations {
		pattern, ok := s.patterns[o.ID]
		if !ok {
			pattern = o.Method + " " + o.Path
		}
		ops = append(ops, &gate.Operation{ID: o.ID, Pattern: pattern, Policy: s.policies[o.ID]})
	}
	ops = append(ops, s.extra...)
	var entries []route.Entry
	for _, op := range ops {
		entries = append(entries, route.Entry{Operation: op, Handle: s.handler(op.ID, called)})
	}
	if s.auth != nil {
		s.auth(auth)
	}
	var named []gate.Scheme
	for _, sc := range schemes {
		named = append(named, gate.Scheme{Name: sc.Name, Places: sc.Places})
	}
	g, err := gate.New(gate.Config{Schemes: named, Authenticators: auth, Operations: ops, PublicOrigin: "https://gatetest.example"})
	if err != nil {
		return nil, err
	}
	table, err := route.New(g, entries)
	if err != nil || s.wrap == nil {
		return table, err
	}
	if s.unlisted {
		return s.wrap(table, called), nil
	}
	return listed{s.wrap(table, called), table}, nil
}

// handler returns what answers an operation.
func (s *server) handler(op string, called func(string, *gate.Principal)) route.Handler {
	tell := func(op string, who *gate.Principal) {
		if s.tell != nil {
			who = s.tell(op, who)
		}
		called(op, who)
		if s.twice {
			called(op, who)
		}
	}
	if h := s.handlers[op]; h != nil {
		return h
	}
	if by, ok := s.swaps[op]; ok {
		return serves(by, tell)
	}
	if s.unread == op {
		return func(w http.ResponseWriter, r *http.Request, _ route.Vars, who *gate.Principal) {
			tell(op, who)
			w.WriteHeader(http.StatusNotImplemented)
		}
	}
	return serves(op, tell)
}

// listed is a handler that lists the routes of a table.
type listed struct {
	http.Handler
	table *route.Table
}

func (l listed) Patterns() []string { return l.table.Patterns() }

func TestRunPasses(t *testing.T) {
	s := &server{policies: policies()}
	Run(t, s.api())
}

// complaints returns the names of the checks that fail: those of the whole, and of
// the operation that want is of.
func complaints(t *testing.T, api API, ring *keyring, want string) []string {
	t.Helper()
	b, err := newBench(api, ring)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	var failed []string
	if len(b.checkRoutes()) > 0 {
		failed = append(failed, "routes")
	}
	if len(b.checkDeclared()) > 0 {
		failed = append(failed, "schemes")
	}
	for _, op := range api.Operations {
		if !strings.HasPrefix(want, op.ID+"/") {
			continue
		}
		for _, p := range b.probes(op) {
			if len(b.try(p)) > 0 {
				failed = append(failed, op.ID+"/"+p.name)
			}
		}
	}
	return failed
}

// trusting takes for good what its inner authenticator refuses.
type trusting struct {
	gate.Authenticator
	instead error // nil: let in; else the error in place of any other
	only    error // nil: any error is replaced
}

func (a trusting) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	id, err := a.Authenticator.Verify(ctx, r, c)
	if err == nil || a.only != nil && !errors.Is(err, a.only) {
		return id, err
	}
	if a.instead == nil {
		return gate.Identity{User: &gate.User{ID: "anybody"}, Scopes: gate.Scopes{"posts:write", "posts:delete"}}, nil
	}
	return gate.Identity{}, a.instead
}

// bearing takes for the cookie what comes as a bearer token.
type bearing struct{ gate.Authenticator }

func (a bearing) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	if c.Place == gate.Authorization("bearer") {
		c.Place = gate.Place{In: gate.InCookie, Name: "__Host-session"}
	}
	return a.Authenticator.Verify(ctx, r, c)
}

// under is an authenticator for what lies in one place, and another for the rest.
type under struct {
	gate.Authenticator
	place gate.Place
	other gate.Authenticator
}

func (a under) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	if c.Place == a.place {
		return a.Authenticator.Verify(ctx, r, c)
	}
	return a.other.Verify(ctx, r, c)
}

// cookieFirst looks into the cookie before it looks for a token.
type cookieFirst struct{ gate.Authenticator }

func (a cookieFirst) Find(r *http.Request) (gate.Credential, bool, error) {
	if c, found, err := gate.FindIn(r, gate.Place{In: gate.InCookie, Name: "__Host-session"}); found || err != nil {
		return c, found, err
	}
	return a.Authenticator.Find(r)
}

// knowing takes what cannot be told for invalid.
type knowing struct{ gate.Authenticator }

func (a knowing) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	id, err := a.Authenticator.Verify(ctx, r, c)
	if err != nil {
		err = gate.ErrInvalid
	}
	return id, err
}

// personal takes programs for people.
type personal struct{ gate.Authenticator }

func (a personal) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	id, err := a.Authenticator.Verify(ctx, r, c)
	if id.Client != nil {
		id.User, id.Client = &gate.User{ID: id.Client.ID}, nil
	}
	return id, err
}

// sameUser leaves out who its inner authenticator speaks of.
type sameUser struct{ gate.Authenticator }

func (a sameUser) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	id, err := a.Authenticator.Verify(ctx, r, c)
	id.User, id.Client = nil, &gate.Client{ID: "anybody"}
	return id, err
}

// noRecord leaves out which key it was.
type noRecord struct{ gate.Authenticator }

func (a noRecord) Verify(ctx context.Context, r *http.Request, c gate.Credential) (gate.Identity, error) {
	id, err := a.Authenticator.Verify(ctx, r, c)
	id.Record = ""
	return id, err
}

// before wraps the table in a handler that does something first, and answers
// the request itself if that returns true.
func before(f func(w http.ResponseWriter, r *http.Request, called func(string, *gate.Principal)) bool) func(http.Handler, func(string, *gate.Principal)) http.Handler {
	return func(h http.Handler, called func(string, *gate.Principal)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !f(w, r, called) {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// after has the table's answer changed.
func after(f func(h http.Header, status int) int) func(http.Handler, func(string, *gate.Principal)) http.Handler {
	return func(h http.Handler, _ func(string, *gate.Principal)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&changing{w, f}, r)
		})
	}
}

type changing struct {
	http.ResponseWriter
	f func(h http.Header, status int) int
}

func (c *changing) WriteHeader(status int) {
	c.ResponseWriter.WriteHeader(c.f(c.Header(), status))
}

// Every way in which a server is weaker than its document is seen.
func TestRunFailsForWeakenedServers(t *testing.T) {
	need := func(scheme string, scopes ...string) gate.Need { return gate.Need{Scheme: scheme, Scopes: scopes} }
	policy := func(op string, p gate.Policy) func(*server) {
		return func(s *server) { s.policies[op] = p }
	}
	ring, err := newKeyring(t.TempDir(), schemes)
	if err != nil {
		t.Fatal(err)
	}
	defer ring.close()
	for _, c := range []struct {
		name   string
		weaken func(*server)
		want   string // a check that fails
	}{
		{"guard removed", policy("createPost", gate.Public()), "createPost/no_credential"},
		{"guard removed from a GET", policy("getPost", gate.Public()), "getPost/HEAD_no_credential"},
		{"scope dropped", policy("createPost", gate.Require(need("login", "posts:write")).Or(gate.Require(need("key")))), "createPost/key_without_posts:write"},
		{"one of two scopes dropped", policy("deletePost", gate.Require(need("basic", "posts:write"))), "deletePost/basic_without_posts:delete"},
		{"{} added", policy("getPost", gate.Require(need("key")).Or(gate.Anonymous())), "getPost/no_credential"},
		{"AND turned OR", policy("transfer", gate.Require(need("login", "pay")).Or(gate.Require(need("cert")))), "transfer/login_alone_of_login+cert"},
		{"half of an AND dropped", policy("transfer", gate.Require(need("login", "pay"))), "transfer/login_alone_of_login+cert"},
		{"other half dropped", policy("transfer", gate.Require(need("cert"))), "transfer/cert_alone_of_login+cert"},
		{"third of an AND dropped", policy("keyAndLogin", gate.Require(need("key"), need("queryKey"))), "keyAndLogin/key+login+queryKey_without_login"},
		{"AND of keys turned OR", policy("twoKeys", gate.Require(need("key", "a")).Or(gate.Require(need("queryKey", "b"))).Or(gate.Require(need("digest")))), "twoKeys/key_alone_of_key+queryKey"},
		{"alternative added", policy("getPost", gate.Require(need("key")).Or(gate.Require(need("queryKey")))), "getPost/elsewhere_key"},
		{"alternative missing", policy("createPost", gate.Require(need("login", "posts:write"))), "createPost/complete_key"},
		{"scheme changed", policy("getPost", gate.Require(need("queryKey"))), "getPost/complete_key"},
		{"unmeetable turned OR", policy("never", gate.Require(need("basic")).Or(gate.Require(need("token")))), "never/basic_of_unmeetable_basic+token"},
		{"public closed", policy("listPosts", gate.Policy{}), "listPosts/no_credential"},
		{"public made optional", policy("listPosts", gate.Require(need("key")).Or(gate.Anonymous())), "listPosts/garbage_for_key"},
		{"optional made public", policy("getFeed", gate.Public()), "getFeed/unknown_under_bearer"},
		{"optional closed", policy("getFeed", gate.Require(need("login"))), "getFeed/no_credential"},
		{"route added", func(s *server) {
			s.extra = []*gate.Operation{{ID: "back", Pattern: "GET /v1/back", Policy: gate.Public()}}
		}, "routes"},
		{"route moved", func(s *server) { s.patterns = map[string]string{"never": "GET /v1/ever"} }, "routes"},
		{"route shadowed", func(s *server) {
			s.extra = []*gate.Operation{{ID: "back", Pattern: "GET /v1/posts/abcdefgh", Policy: gate.Public()}}
		}, "getPost/no_credential"},
		{"routes not listed", func(s *server) {
			s.unlisted = true
			s.wrap = before(func(http.ResponseWriter, *http.Request, func(string, *gate.Principal)) bool { return false })
		}, "routes"},
		{"HEAD left open", func(s *server) {
			s.wrap = before(func(w http.ResponseWriter, r *http.Request, called func(string, *gate.Principal)) bool {
				return r.Method == "HEAD"
			})
		}, "getPost/HEAD_no_credential"},
		{"method override", func(s *server) {
			s.wrap = before(func(w http.ResponseWriter, r *http.Request, called func(string, *gate.Principal)) bool {
				if r.Method == "TRACE" || r.Method == "PUT" {
					r.Method = "GET"
				}
				return false
			})
		}, "listPosts/method_PUT"},
		{"body read first", func(s *server) {
			s.wrap = before(func(w http.ResponseWriter, r *http.Request, called func(string, *gate.Principal)) bool {
				_, _ = io.ReadAll(r.Body)
				return false
			})
		}, "createPost/no_credential"},
		{"operation run before the refusal", func(s *server) {
			s.wrap = before(func(w http.ResponseWriter, r *http.Request, called func(string, *gate.Principal)) bool {
				called("getPost", nil)
				return false
			})
		}, "getPost/no_credential"},
		{"refusals may be cached", func(s *server) {
			s.wrap = after(func(h http.Header, status int) int { h.Del("Cache-Control"); return status })
		}, "getPost/no_credential"},
		{"no challenge", func(s *server) {
			s.wrap = after(func(h http.Header, status int) int { h.Del("WWW-Authenticate"); return status })
		}, "getPost/no_credential"},
		{"one challenge short", func(s *server) {
			s.wrap = after(func(h http.Header, status int) int {
				if all := h.Values("WWW-Authenticate"); len(all) > 1 {
					h["Www-Authenticate"] = all[1:]
				}
				return status
			})
		}, "createPost/no_credential"},
		{"another status", func(s *server) {
			s.wrap = after(func(h http.Header, status int) int {
				if status == 503 {
					return 401
				}
				return status
			})
		}, "getPost/backend_down_key"},
		{"connection kept", func(s *server) {
			s.wrap = after(func(h http.Header, status int) int { h.Del("Connection"); return status })
		}, "createPost/no_credential"},
		{"any key is good", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["key"] = trusting{Authenticator: a["key"]} }
		}, "getPost/revoked_key"},
		{"a bad key counts as none", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) {
				a["key"] = trusting{a["key"], gate.ErrAbsent, gate.ErrInvalid}
			}
		}, "comment/expired_key"},
		{"a silent store counts as none", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["key"] = trusting{a["key"], gate.ErrAbsent, errDown} }
		}, "comment/backend_down_key"},
		{"a silent store is a bad key", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["key"] = trusting{a["key"], gate.ErrInvalid, errDown} }
		}, "comment/backend_down_key"},
		{"origin not asked for", func(s *server) {
			s.wrap = before(func(w http.ResponseWriter, r *http.Request, called func(string, *gate.Principal)) bool {
				r.Header.Set("Sec-Fetch-Site", "same-origin")
				return false
			})
		}, "createPost/login_without_origin"},
		{"first of two headers taken", func(s *server) {
			s.wrap = before(func(w http.ResponseWriter, r *http.Request, called func(string, *gate.Principal)) bool {
				if all := r.Header["X-Api-Key"]; len(all) > 1 {
					r.Header["X-Api-Key"] = all[:1]
				}
				return false
			})
		}, "getPost/twice_key"},
		{"users not compared", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["key"] = sameUser{a["key"]} }
		}, "keyAndLogin/key+login+queryKey_of_another_in_key"},
		{"one key counts twice", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["key"] = noRecord{a["key"]} }
		}, "twoKeys/one_key_for_key+queryKey"},
		{"any cookie is a session", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["cookie"] = trusting{Authenticator: a["cookie"]} }
		}, "whoami/unfinished"},
		{"an ended session goes on", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) {
				a["cookie"] = trusting{a["cookie"], nil, session.ErrNone}
			}
		}, "whoami/ended"},
		{"an ended session is refused, not absent", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) {
				a["login"] = trusting{a["login"], gate.ErrInvalid, gate.ErrAbsent}
			}
		}, "getFeed/expired_in_cookie"},
		{"a silent store ends sessions", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["login"] = trusting{a["login"], gate.ErrAbsent, errDown} }
		}, "getFeed/backend_down_in_cookie"},
		{"a session of another provider counts", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["login"] = a["cookie"] }
		}, "getMine/session_of_other_login_in_cookie"},
		{"one login counts for two providers", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["other"] = a["login"] }
		}, "bothLogins/never_enough_login+other_other_place"},
		{"a session is taken as a token", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["login"] = bearing{a["login"]} }
		}, "createPost/session_of_login_login_under_bearer"},
		{"cookies of ended sessions stay", func(s *server) {
			s.wrap = after(func(h http.Header, status int) int { h.Del("Set-Cookie"); return status })
		}, "whoami/expired"},
		{"cookies of other providers are cleared", func(s *server) {
			s.wrap = after(func(h http.Header, status int) int {
				if status == 401 {
					h.Set("Set-Cookie", "__Host-session=; Max-Age=0")
				}
				return status
			})
		}, "bothLogins/session_of_cookie_login_in_cookie"},
		{"any token is good", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["token"] = trusting{Authenticator: a["token"]} }
		}, "getMine/expired_token_under_bearer"},
		{"any token is good of a login", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["login"] = trusting{Authenticator: a["login"]} }
		}, "createPost/for_another_audience_login_under_bearer"},
		{"any token is good under DPoP", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) {
				a["jwt"] = under{trusting{Authenticator: a["jwt"]}, gate.Authorization("dpop"), a["jwt"]}
			}
		}, "twoIssuers/with_proof_of_another_request_jwt_under_dpop"},
		{"bound tokens need no proof", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) {
				a["opaque"] = under{trusting{Authenticator: a["opaque"]}, gate.Authorization("dpop"), a["opaque"]}
			}
		}, "twoIssuers/without_proof_opaque_under_dpop"},
		{"proofs are not of a request", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["bound"] = trusting{Authenticator: a["bound"]} }
		}, "boundOnly/with_proof_of_another_request"},
		{"what is wrong with a bound token is not told under its word", func(s *server) {
			s.wrap = after(func(h http.Header, status int) int {
				if all := h.Values("WWW-Authenticate"); len(all) > 0 && strings.HasPrefix(all[0], "DPoP") {
					h.Set("WWW-Authenticate", "Bearer")
				}
				return status
			})
		}, "boundOnly/unknown"},
		{"no token is taken under DPoP", func(s *server) {
			s.declared = declared()
			for i := range s.declared {
				if s.declared[i].Name == "jwt" {
					s.declared[i].Places = s.declared[i].Places[:1]
				}
			}
		}, "schemes"},
		{"tokens of one audience count for another", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["token"] = a["jwt"] }
		}, "getMine/complete_token"},
		{"tokens that were taken back are good", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["opaque"] = trusting{Authenticator: a["opaque"]} }
		}, "twoIssuers/revoked_opaque_under_bearer"},
		{"a bad token counts as none", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) {
				a["token"] = trusting{a["token"], gate.ErrAbsent, gate.ErrInvalid}
			}
		}, "raw/id_token_token_under_bearer"},
		{"a silent issuer refuses", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["opaque"] = knowing{a["opaque"]} }
		}, "twoIssuers/backend_down_opaque_under_bearer"},
		{"a session counts before a token", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["login"] = cookieFirst{a["login"]} }
		}, "createPost/token_and_session_login_under_bearer"},
		{"a program is taken for a person", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["jwt"] = personal{a["jwt"]} }
		}, "tokenAndCert/jwt+cert_with_token_of_a_client"},
		{"any certificate is good", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["cert"] = trusting{Authenticator: a["cert"]} }
		}, "transfer/revoked_cert"},
		{"a certificate that cannot be told is refused", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["cert"] = knowing{a["cert"]} }
		}, "transfer/backend_down_cert"},
		{"a certificate counts as a person", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["cert"] = personal{a["cert"]} }
		}, "transfer/complete_login+cert"},
		{"scopes of a token are not looked at", policy("twoTokens", gate.Require(need("jwt"), need("opaque"))), "twoTokens/jwt+opaque_without_a"},
		{"the second of two tokens is not needed", policy("twoTokens", gate.Require(need("jwt", "a"))), "twoTokens/token_of_jwt_opaque_under_bearer"},
		{"authenticators confused", func(s *server) {
			s.auth = func(a map[string]gate.Authenticator) { a["login"], a["token"] = a["token"], a["login"] }
		}, "getMine/complete_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &server{policies: policies()}
			c.weaken(s)
			failed := complaints(t, s.api(), ring, c.want)
			if !slices.Contains(failed, c.want) {
				t.Errorf("failing checks are %q, want %s among them", strings.Join(failed, " "), c.want)
			}
		})
	}
}
