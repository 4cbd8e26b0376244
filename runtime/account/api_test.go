package account_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/account"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/session"
)

const day = 24 * time.Hour

var kinds = []session.Kind{session.Server, session.Sealed}

// TestKeys: a key from its beginning to its end, with sessions of both kinds.
func TestKeys(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := newSite(t, option{kind: kind})
			anna := s.person(t, "anna", "posts:write", "posts:read")
			if got := anna.list(); len(got) != 0 {
				t.Fatalf("keys before the first = %+v", got)
			}
			w := anna.do("POST", keysPath, `{"label":"laptop","scopes":["posts:write"],"expires_in":"30d"}`)
			made := decode[key](t, w, 201)
			if got, want := w.Header().Get("Location"), keysPath+"/"+made.Record.ID; got != want || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("header of a new key = %v, want Location %s and no-store", w.Header(), want)
			}
			one := made.Record
			if one.Label != "laptop" || one.State != "active" || one.Environment != "live" || !slices.Equal(one.Scopes, []string{"posts:write"}) ||
				one.Expires.Sub(one.Created).Round(time.Second) != 30*day || one.PrefixHint != "gw_live_"+one.ID+"_…" || !strings.HasPrefix(made.Key, strings.TrimSuffix(one.PrefixHint, "…")) {
				t.Errorf("new key = %+v", made)
			}
			if got := decode[shown](t, anna.do("GET", w.Header().Get("Location"), ""), 200); got.ID != one.ID {
				t.Errorf("GET of its Location = %+v", got)
			}
			s.log.wants(t, "audit=true", `msg="api key created"`, "key="+one.ID, "user="+anna.rec.ID, "address=192.0.2.7:4711", "session=")
			if got := s.call("POST", "/posts", made.Key); got != 201 {
				t.Errorf("POST /posts with the key = %d, want 201", got)
			}
			if got := anna.list(); len(got) != 1 || got[0].LastUsed.IsZero() {
				t.Errorf("keys after a use = %+v, want one with a last use", got)
			}

			if got := decode[shown](t, anna.do("PATCH", keysPath+"/"+one.ID, `{"label":"old laptop"}`), 200); got.Label != "old laptop" || got.ID != one.ID {
				t.Errorf("PATCH = %+v", got)
			}
			s.log.wants(t, "audit=true", `msg="api key relabelled"`, "key="+one.ID, "user="+anna.rec.ID, "address=192.0.2.7:4711", "session=")

			w = anna.do("POST", keysPath+"/"+one.ID+"/rotate", `{"overlap":"1h"}`)
			two := decode[struct {
				key
				Replaces struct {
					ID      string
					Expires time.Time
				}
			}](t, w, 201)
			if w.Header().Get("Location") != keysPath+"/"+two.Record.ID || two.Record.ID == one.ID || two.Record.Label != "old laptop" || !slices.Equal(two.Record.Scopes, one.Scopes) {
				t.Errorf("rotated = %v %+v", w.Header(), two)
			}
			if two.Replaces.ID != one.ID || two.Replaces.Expires.Sub(two.Record.Created) != time.Hour {
				t.Errorf("rotated: replaces = %+v", two.Replaces)
			}
			s.log.wants(t, "audit=true", `msg="api key rotated"`, "key="+one.ID, "replaced_by="+two.Record.ID, "user="+anna.rec.ID, "session=")
			states := func() map[string]string {
				out := map[string]string{}
				for _, k := range anna.list() {
					out[k.ID] = k.State
				}
				return out
			}
			if got := states(); got[one.ID] != "rotated" || got[two.Record.ID] != "active" {
				t.Errorf("states = %v", got)
			}
			for _, k := range []string{made.Key, two.Key} {
				if got := s.call("POST", "/posts", k); got != 201 {
					t.Errorf("POST /posts within the overlap = %d, want 201", got)
				}
			}
			refused(t, "a second rotation", anna.do("POST", keysPath+"/"+one.ID+"/rotate", ""), 409, "key_dead")
			s.pass(time.Hour)
			anna = s.person(t, "anna", "posts:write", "posts:read")
			if got := states(); got[one.ID] != "expired" {
				t.Errorf("states after the overlap = %v", got)
			}
			if old, fresh := s.call("POST", "/posts", made.Key), s.call("POST", "/posts", two.Key); old != 401 || fresh != 201 {
				t.Errorf("after the overlap the old key is answered %d and the new one %d, want 401 and 201", old, fresh)
			}

			w = anna.do("DELETE", keysPath+"/"+two.Record.ID, "")
			if w.Code != 204 || w.Body.Len() != 0 || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("DELETE = %d %v %s, want 204", w.Code, w.Header(), w.Body)
			}
			s.log.wants(t, "audit=true", `msg="api key revoked"`, "key="+two.Record.ID, "user="+anna.rec.ID, "session=")
			if got := s.call("POST", "/posts", two.Key); got != 401 {
				t.Errorf("POST /posts with a revoked key = %d, want 401", got)
			}
			if got := anna.list(); got[0].State != "revoked" || got[0].Revoked.IsZero() || got[0].ID != two.Record.ID {
				t.Errorf("keys after the revocation = %+v", got)
			}
			for _, k := range []string{made.Key, two.Key} {
				if strings.Contains(s.log.String(), k) || strings.Contains(anna.do("GET", keysPath, "").Body.String(), k) {
					t.Error("a key is in the log or the list")
				}
			}
		})
	}
}

// TestEndpointsClosed: who may not use the endpoints, whatever else they bring.
func TestEndpointsClosed(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := newSite(t, option{kind: kind, cache: time.Minute})
			anna, bert := s.person(t, "anna", "posts:write"), s.person(t, "bert", "posts:write")
			mine := anna.make("laptop", "posts:write")
			bert.make("other")
			endpoints := []struct{ method, path, body string }{
				{"GET", keysPath, ""},
				{"POST", keysPath, `{"label":"x"}`},
				{"GET", keysPath + "/" + mine.Record.ID, ""},
				{"PATCH", keysPath + "/" + mine.Record.ID, `{"label":"x"}`},
				{"POST", keysPath + "/" + mine.Record.ID + "/rotate", `{}`},
				{"DELETE", keysPath + "/" + mine.Record.ID, ""},
			}
			same := func(what string) {
				t.Helper()
				recs, err := s.keys.ListOf(t.Context(), apikey.Owner{User: anna.rec.ID})
				if err != nil || len(recs) != 1 || recs[0].Label != "laptop" || !recs[0].Revoked.IsZero() || recs[0].ReplacedBy != "" {
					t.Fatalf("%s changed the keys: %+v, %v", what, recs, err)
				}
			}
			for _, e := range endpoints {
				what := e.method + " " + e.path
				// Neither nobody nor a key is a session.
				nobody := &person{t: t, site: s}
				for _, header := range [][]string{nil, {"X-Api-Key", mine.Key}, {"Authorization", "Bearer " + mine.Key}, {"Authorization", "ApiKey " + mine.Key, "Sec-Fetch-Site", ""}} {
					w := nobody.do(e.method, e.path, e.body, header...)
					refused(t, what+" without a session", w, 401, "credential_missing")
					if got := w.Header().Get("Www-Authenticate"); got != "Cookie" {
						t.Errorf("%s without a session: WWW-Authenticate = %q, want Cookie", what, got)
					}
				}
				// Pages of other sites.
				if e.method != "GET" {
					for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", ""}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site", "Origin", origin}} {
						refused(t, fmt.Sprint(what, header), anna.do(e.method, e.path, e.body, header...), 403, "origin_missing")
					}
				}
				// Another person's keys are unknown.
				if strings.Contains(e.path, mine.Record.ID) {
					refused(t, what+" of another user", bert.do(e.method, e.path, e.body), 404, "no_key")
					refused(t, what+" of an unknown key", anna.do(e.method, strings.Replace(e.path, mine.Record.ID, "0123456789abc", 1), e.body), 404, "no_key")
					refused(t, what+" of no id", anna.do(e.method, strings.Replace(e.path, mine.Record.ID, "%27--", 1), e.body), 404, "no_key")
				}
				same(what)
			}
			if got := bert.list(); len(got) != 1 || got[0].Label != "other" {
				t.Errorf("bert's list = %+v", got)
			}
			s.log.wants(t, "audit=true", `msg="request of another site refused"`, "user="+anna.rec.ID, "path="+keysPath+" ")

			// Whoever is disabled is nobody at once, however long sessions are remembered.
			anna.remember()
			if err := s.stores.Users().SetDisabled(t.Context(), anna.rec.ID, true); err != nil {
				t.Fatal(err)
			}
			for _, e := range endpoints {
				refused(t, e.method+" "+e.path+" by the disabled", anna.do(e.method, e.path, e.body), 401, "credential_missing")
				if e.method != "GET" {
					same(e.path)
				}
			}
			if w := anna.do("GET", accounts, ""); w.Code != 303 {
				t.Errorf("GET %s by the disabled = %d, want 303", accounts, w.Code)
			}
			if got := s.call("POST", "/posts", mine.Key); got != 401 {
				t.Errorf("the key of a disabled person = %d, want 401", got)
			}
		})
	}
}

// TestRecent: keys are seen and changed within a time of the login.
func TestRecent(t *testing.T) {
	for _, kind := range kinds {
		s := newSite(t, option{kind: kind, config: func(c *account.Config) { c.Recent = 10 * time.Minute }})
		now := s.now()
		for _, c := range []struct {
			name   string
			at     time.Time // the time of the login at the provider
			passed time.Duration
			recent bool
		}{
			{"just now", now, 0, true},
			{"within", now.Add(-9 * time.Minute), 0, true},
			{"over", now.Add(-11 * time.Minute), 0, false},
			{"over by and by", now, 11 * time.Minute, false},
			{"nothing said", time.Time{}, 9 * time.Minute, true},
			{"nothing said, over", time.Time{}, 11 * time.Minute, false},
			{"far ahead", now.Add(time.Hour), 0, false},
		} {
			t.Run(string(kind)+" "+c.name, func(t *testing.T) {
				s.offset.Store(0)
				anna := s.signIn(t, "anna", []string{"posts:write"}, []string{"posts:write"}, c.at)
				s.pass(c.passed)
				for _, e := range []struct{ method, path, body string }{
					{"GET", keysPath, ""}, {"POST", keysPath, `{"label":"x"}`}, {"GET", keysPath + "/0123456789abc", ""}, {"PATCH", keysPath + "/0123456789abc", `{"label":"x"}`},
					{"POST", keysPath + "/0123456789abc/rotate", `{}`}, {"DELETE", keysPath + "/0123456789abc", ""},
				} {
					w := anna.do(e.method, e.path, e.body)
					if c.recent {
						if w.Code == 403 {
							t.Errorf("%s %s = %d %s, want it let in", e.method, e.path, w.Code, w.Body)
						}
						continue
					}
					refused(t, e.method+" "+e.path, w, 403, "login_not_recent")
					want := "/auth/login?fresh=1&provider=main&return_to=%2Fauth%2Faccount"
					if c.at.IsZero() {
						// Nothing fresh can be asked of a provider that does not say.
						want = "/auth/login?provider=main&return_to=%2Fauth%2Faccount"
					}
					if link := w.Header().Get("Link"); !strings.HasPrefix(link, "<"+want+">;") || !strings.Contains(w.Body.String(), "Sign in again at "+strings.ReplaceAll(want, "&", `\u0026`)+" ") {
						t.Errorf("%s %s: Link = %q, body %s; want %s named", e.method, e.path, link, w.Body, want)
					}
				}
			})
		}
	}
}

// TestCreateRefused: what cannot be asked for.
func TestCreateRefused(t *testing.T) {
	s := newSite(t, option{})
	anna := s.signIn(t, "anna", []string{"posts:write", "posts:read", "profile"}, []string{"posts:write", "posts:edit", "profile"}, s.now())
	for _, c := range []struct {
		body   string
		detail string
	}{
		{`{}`, "the label is empty"},
		{`{"label":""}`, "the label is empty"},
		{`{"label":"` + strings.Repeat("x", 101) + `"}`, "more than 100 characters"},
		{`{"label":"a\u0000b"}`, "do not print"},
		{`{"label":"x","scopes":["posts:read"]}`, `scope \"posts:read\" is not among those that you can give: posts:write`}, // the session lacks it
		{`{"label":"x","scopes":["posts:edit"]}`, `scope \"posts:edit\" is not among those`},                                // the person does
		{`{"label":"x","scopes":["profile"]}`, `scope \"profile\" is not among those`},                                      // the document does
		{`{"label":"x","scopes":["posts:write","posts:write"]}`, "scopes are named twice"},
		{`{"label":"x","environment":"prod"}`, `environment \"prod\" is not live or test`},
		{`{"label":"x","expires":"2000-01-01T00:00:00Z"}`, "is not in the future"},
		{`{"label":"x","expires":"never"}`, "is no time like"},
		{`{"label":"x","expires":"0001-01-01T00:00:00Z"}`, "is no time like"},
		{`{"label":"x","expires":"2200-01-01T00:00:00Z"}`, "more than 366 days away"},
		{`{"label":"x","expires":"2027-01-01"}`, "is no time like"},
		{`{"label":"x","expires_in":"367d"}`, "more than 366 days away"},
		{`{"label":"x","expires_in":"0"}`, "is not in the future"},
		{`{"label":"x","expires_in":"0d"}`, "is not in the future"},
		{`{"label":"x","expires_in":"-1d"}`, "is not like 90d"},
		{`{"label":"x","expires_in":"1y"}`, "is not like 90d"},
		{`{"label":"x","expires_in":"1d2h"}`, "is not like 90d"},
		{`{"label":"x","expires_in":"999999d"}`, "is not like 90d"},
		{`{"label":"x","expires_in":"d"}`, "is not like 90d"},
		{`{"label":"x","expires_in":"90d","expires":"2027-01-01T00:00:00Z"}`, "are both there"},
		{`{"label":"","environment":"prod"}`, `the label is empty; environment`},
	} {
		w := anna.do("POST", keysPath, c.body)
		refused(t, c.body, w, 422, "key_invalid")
		if !strings.Contains(w.Body.String(), c.detail) {
			t.Errorf("POST %s = %s, want %s in it", c.body, w.Body, c.detail)
		}
	}
	if got := anna.list(); len(got) != 0 {
		t.Fatalf("there are keys: %+v", got)
	}
	made := anna.make("plain")
	if got := made.Record.Expires.Sub(made.Record.Created).Round(time.Second); got != 90*day || made.Record.Environment != "live" || len(made.Record.Scopes) != 0 {
		t.Errorf("a key of which nothing is said = %+v, want 90 days, live, no scopes", made.Record)
	}
	for _, body := range []string{`{"label":"x","expires_in":"366d"}`, `{"label":"x","expires_in":"30m"}`, `{"label":"x","environment":"test"}`, `{"label":"x","scopes":null}`} {
		if w := anna.do("POST", keysPath, body); w.Code != 201 {
			t.Errorf("POST %s = %d %s, want 201", body, w.Code, w.Body)
		}
	}
	recs, err := s.keys.ListOf(t.Context(), apikey.Owner{User: anna.rec.ID})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range recs {
		if !rec.Bound || rec.Expires.IsZero() || rec.Owner.Client != "" {
			t.Errorf("a key of one's own = %+v, want it bound and to expire", rec)
		}
	}
}

// TestScopesNow: what counts is what the person holds now, however long
// sessions are remembered.
func TestScopesNow(t *testing.T) {
	for _, kind := range kinds {
		s := newSite(t, option{kind: kind, cache: time.Minute})
		anna := s.person(t, "anna", "posts:write")
		anna.remember()
		if err := s.stores.Users().SetScopes(t.Context(), anna.rec.ID, nil); err != nil {
			t.Fatal(err)
		}
		w := anna.do("POST", keysPath, `{"label":"x","scopes":["posts:write"]}`)
		refused(t, string(kind)+": a scope that was taken away", w, 422, "key_invalid")
		if !strings.Contains(w.Body.String(), "you can give: none") {
			t.Errorf("%s: %s", kind, w.Body)
		}
	}
}

func TestMostKeys(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna")
	var last key
	for i := range apikey.MaxOwn {
		last = anna.make(fmt.Sprint("key ", i))
	}
	refused(t, "one key more", anna.do("POST", keysPath, `{"label":"x"}`), 422, "key_invalid")
	// A key can be rotated all the same, but not without end.
	for range apikey.MaxOwn {
		w := anna.do("POST", keysPath+"/"+last.Record.ID+"/rotate", `{"overlap":"30d"}`)
		last = decode[key](t, w, 201)
	}
	refused(t, "a rotation without end", anna.do("POST", keysPath+"/"+last.Record.ID+"/rotate", `{"overlap":"30d"}`), 422, "key_invalid")
	if w := anna.do("DELETE", keysPath+"/"+last.Record.ID, ""); w.Code != 204 {
		t.Errorf("DELETE with many keys = %d", w.Code)
	}
}

// TestRotateRefused: a login gets no more from a rotation than it could ask for.
func TestRotateRefused(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna", "posts:write")
	mine := anna.make("laptop", "posts:write")
	path := keysPath + "/" + mine.Record.ID + "/rotate"
	for body, detail := range map[string]string{
		`{"overlap":"31d"}`: "between 0 and 30 days", `{"overlap":"-1h"}`: "is not like 24h", `{"overlap":"soon"}`: "is not like 24h",
	} {
		w := anna.do("POST", path, body)
		refused(t, body, w, 422, "key_invalid")
		if !strings.Contains(w.Body.String(), detail) {
			t.Errorf("rotate %s = %s, want %s in it", body, w.Body, detail)
		}
	}
	// Another login of the same person holds less.
	less := s.signIn(t, "anna", []string{"posts:write"}, nil, s.now())
	refused(t, "rotation by a login that holds less", less.do("POST", path, `{}`), 403, "insufficient_scope")
	// What the person holds no longer, the key does not have either.
	if err := s.stores.Users().SetScopes(t.Context(), anna.rec.ID, nil); err != nil {
		t.Fatal(err)
	}
	if w := less.do("POST", path, ""); w.Code != 201 {
		t.Errorf("rotation of a key that may do nothing = %d %s, want 201", w.Code, w.Body)
	}
	// A key that operators made may do more.
	_, rec, err := s.keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{User: anna.rec.ID}, Label: "given", Scopes: []string{"posts:edit"}})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "rotation of an operator's key", anna.do("POST", keysPath+"/"+rec.ID+"/rotate", `{}`), 403, "key_not_own")
	if w := anna.do("PATCH", keysPath+"/"+rec.ID, `{"label":"from the office"}`); w.Code != 200 {
		t.Errorf("PATCH of an operator's key = %d %s", w.Code, w.Body)
	}
	if w := anna.do("DELETE", keysPath+"/"+rec.ID, ""); w.Code != 204 {
		t.Errorf("DELETE of an operator's key = %d %s", w.Code, w.Body)
	}
	dead := decode[key](t, anna.do("POST", keysPath, `{"label":"dead"}`), 201)
	anna.do("DELETE", keysPath+"/"+dead.Record.ID, "")
	refused(t, "rotation of a revoked key", anna.do("POST", keysPath+"/"+dead.Record.ID+"/rotate", `{}`), 409, "key_dead")
	refused(t, "rotation of a rotated key", anna.do("POST", keysPath+"/"+mine.Record.ID+"/rotate", `{}`), 409, "key_dead")
}

// A key that ends before the overlap does is not given longer.
func TestRotateEnd(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna")
	mine := decode[key](t, anna.do("POST", keysPath, `{"label":"short","expires_in":"1h"}`), 201)
	got := decode[struct{ Replaces struct{ Expires time.Time } }](t, anna.do("POST", keysPath+"/"+mine.Record.ID+"/rotate", ""), 201)
	if !got.Replaces.Expires.Equal(mine.Record.Expires) {
		t.Errorf("the old key is said to be good until %v, want %v", got.Replaces.Expires, mine.Record.Expires)
	}
}

// What is listed has an end, and so have rotations.
func TestManyDeadKeys(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna")
	mine := anna.make("laptop")
	s.down.many.Store(true)
	refused(t, "rotation beside a thousand dead keys", anna.do("POST", keysPath+"/"+mine.Record.ID+"/rotate", ""), 422, "key_invalid")
}

// The store is not asked for what is no id, and not believed where it gives
// another key's record.
func TestIDs(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna")
	mine := anna.make("laptop")
	before := s.down.asked.Load()
	for _, id := range []string{"\x00", "a b", "' OR 1=1", "-------------", strings.Repeat("a", 33)} {
		if w := anna.form(url.Values{"action": {"revoke"}, "key": {id}}); w.Code != 404 {
			t.Errorf("revoking %q = %d, want 404", id, w.Code)
		}
	}
	if got := s.down.asked.Load(); got != before {
		t.Errorf("the store was asked %d times for what is no id", got-before)
	}
	s.down.swap.Store(true)
	for _, c := range []struct{ method, path, body string }{
		{"GET", "", ""}, {"PATCH", "", `{"label":"x"}`}, {"DELETE", "", ""}, {"POST", "/rotate", ""},
	} {
		refused(t, c.method+" with the wrong record", anna.do(c.method, keysPath+"/"+mine.Record.ID+c.path, c.body), 503, "store_unavailable")
	}
	s.down.swap.Store(false)
	if got := anna.list(); len(got) != 1 || got[0].State != "active" || got[0].Label != "laptop" {
		t.Errorf("keys = %+v", got)
	}
}

// A key of a client is nobody's own.
func TestClientKeys(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna")
	_, rec, err := s.keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{Client: "billing"}, Label: "service"})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "GET of a client's key", anna.do("GET", keysPath+"/"+rec.ID, ""), 404, "no_key")
	refused(t, "DELETE of a client's key", anna.do("DELETE", keysPath+"/"+rec.ID, ""), 404, "no_key")
	if got := anna.list(); len(got) != 0 {
		t.Errorf("list = %+v", got)
	}
}

// TestBodies: JSON is read to the letter.
func TestBodies(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna", "posts:write")
	mine := anna.make("laptop")
	one := keysPath + "/" + mine.Record.ID
	for _, c := range []struct{ method, path, body string }{
		{"POST", keysPath, `{"label":"x","label":"y"}`},
		{"POST", keysPath, `{"Label":"x"}`},
		{"POST", keysPath, `{"label":"x","owner":"usr_x"}`},
		{"POST", keysPath, `{"label":"x"} {}`},
		{"POST", keysPath, `{"label":"x"`},
		{"POST", keysPath, `{"label":7}`},
		{"POST", keysPath, `{"label":"x","scopes":"posts:write"}`},
		{"POST", keysPath, `[]`},
		{"POST", keysPath, ` `},
		{"POST", keysPath, "{\"label\":\"\xff\"}"},
		{"PATCH", one, `{"label":"x","scopes":[]}`},
		{"PATCH", one, `{"LABEL":"x"}`},
		{"POST", one + "/rotate", `{"overlap":"1h","overlap":"2h"}`},
		{"POST", one + "/rotate", `{"expires_in":"1h"}`},
	} {
		refused(t, c.method+" "+c.path+" "+c.body, anna.do(c.method, c.path, c.body), 400, "body_unreadable")
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/json; x=y", "application/ld+json", "json", ""} {
		for _, c := range []struct{ method, path string }{{"POST", keysPath}, {"PATCH", one}, {"POST", one + "/rotate"}} {
			refused(t, c.method+" "+c.path+" of type "+kind, anna.do(c.method, c.path, `{"label":"x"}`, "Content-Type", kind), 415, "unsupported_media_type")
		}
	}
	refused(t, "a body with a coding", anna.do("POST", keysPath, `{"label":"x"}`, "Content-Encoding", "gzip"), 415, "unsupported_media_type")
	refused(t, "POST without a body", anna.do("POST", keysPath, ""), 415, "unsupported_media_type")
	large := `{"label":"` + strings.Repeat("x", 64<<10) + `"}`
	refused(t, "a large body", anna.do("POST", keysPath, large), 413, "body_too_large")
	r := httptest.NewRequest("POST", origin+keysPath, struct{ *strings.Reader }{strings.NewReader(large)}) // of unknown length
	r.ContentLength = -1
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Content-Type", "application/json")
	r.AddCookie(anna.cookie)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	refused(t, "a large body of unknown length", w, 413, "body_too_large")
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON"} {
		if w := anna.do("PATCH", one, `{"label":"x"}`, "Content-Type", kind); w.Code != 200 {
			t.Errorf("PATCH of type %s = %d %s", kind, w.Code, w.Body)
		}
	}
	if w := anna.do("POST", one+"/rotate", ""); w.Code != 201 {
		t.Errorf("rotate without a body = %d %s, want 201", w.Code, w.Body)
	} else if got := decode[struct{ Replaces struct{ Expires time.Time } }](t, w, 201); got.Replaces.Expires.Sub(s.now()).Round(time.Minute) != 24*time.Hour {
		t.Errorf("rotate without a body: the old key is good until %v, want a day", got.Replaces.Expires)
	}
}

// The store's silence is 503 and changes nothing.
func TestSilentStore(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna")
	mine := anna.make("laptop")
	one := keysPath + "/" + mine.Record.ID
	s.down.Store(true)
	for _, c := range []struct{ method, path, body string }{
		{"GET", keysPath, ""}, {"POST", keysPath, `{"label":"x"}`}, {"GET", one, ""}, {"PATCH", one, `{"label":"x"}`}, {"POST", one + "/rotate", `{}`}, {"DELETE", one, ""},
	} {
		w := anna.do(c.method, c.path, c.body)
		refused(t, c.method+" "+c.path, w, 503, "store_unavailable")
		if w.Header().Get("Retry-After") == "" {
			t.Errorf("%s %s: no Retry-After", c.method, c.path)
		}
	}
	s.down.Store(false)
	if got := anna.list(); len(got) != 1 || got[0].State != "active" || got[0].Label != "laptop" {
		t.Errorf("keys afterwards = %+v", got)
	}
}

func TestMethods(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna")
	mine := anna.make("laptop")
	for path, allow := range map[string]string{
		accounts: "GET, HEAD, POST", keysPath: "GET, HEAD, POST", keysPath + "/" + mine.Record.ID: "DELETE, GET, HEAD, PATCH", keysPath + "/" + mine.Record.ID + "/rotate": "POST",
	} {
		for _, method := range []string{"PUT", "OPTIONS", "TRACE", "DELETE", "GET", "HEAD", "POST", "PATCH"} {
			w := anna.do(method, path, "")
			if slices.Contains(strings.Split(allow, ", "), method) == (w.Code == 405) {
				t.Errorf("%s %s = %d, want it taken: %v", method, path, w.Code, w.Code == 405)
			}
			if w.Code == 405 && w.Header().Get("Allow") != allow {
				t.Errorf("%s %s: Allow = %q, want %q", method, path, w.Header().Get("Allow"), allow)
			}
			if method == "HEAD" && w.Body.Len() > 0 {
				t.Errorf("HEAD %s has a body", path)
			}
		}
	}
	// What is not ours is the API's.
	for _, path := range []string{"/auth", "/auth/", "/auth/accounts", "/auth/account/", "/auth/keys/", "/auth/keys/a/b", "/auth/keys/a/rotate/", "/auth/keys//rotate", "/auth/Keys", "/xauth/keys"} {
		refused(t, path, anna.do("GET", path, ""), 404, "not_found")
	}
}
