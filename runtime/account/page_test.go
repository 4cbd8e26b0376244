package account_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/account"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/session"
	"github.com/gatewright/gatewright/runtime/user"
)

// keyText is any key.
var keyText = regexp.MustCompile(`gw_(live|test)_[0-9A-Za-z]{13}_[0-9A-Za-z]{49}`)

// newKey is the form for a new key.
func newKey(once string) url.Values {
	return url.Values{"action": {"create"}, "once": {once}, "label": {"laptop"}, "scope": {"posts:write"}, "environment": {"live"}, "expires": {"30d"}}
}

// TestPage: a key's life by the forms of the page.
func TestPage(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := newSite(t, option{kind: kind})
			anna := s.person(t, "anna", "posts:write", "posts:read")
			body := anna.page()
			for _, want := range []string{"Anna Example", "anna@id.example", "id.example", anna.rec.ID, `value="posts:write"`, `value="posts:read"`, "You have no keys."} {
				if !strings.Contains(body, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			if sealed := strings.Contains(body, "keeps no list"); sealed != (kind == session.Sealed) || !strings.Contains(body, "Sign out everywhere") {
				t.Errorf("the page says that there is no list: %v", sealed)
			}
			if this := strings.Contains(body, "This browser") && strings.Contains(body, "Firefox on Linux"); this != (kind == session.Server) {
				t.Errorf("the page shows this browser: %v", this)
			}

			f := newKey(anna.once())
			w := anna.form(f)
			key := keyText.FindString(w.Body.String())
			if w.Code != 200 || key == "" || w.Header().Get("Cache-Control") != "no-store" || len(keyText.FindAllString(w.Body.String(), -1)) != 1 {
				t.Fatalf("a new key = %d %v\n%s", w.Code, w.Header(), w.Body)
			}
			for _, want := range []string{`printf 'X-Api-Key: %s\n' "$API_KEY" | curl -H @- 'https://blog.example/me'`, "read -rs API_KEY && export API_KEY"} {
				if !strings.Contains(html.UnescapeString(w.Body.String()), want) {
					t.Errorf("the page of a new key lacks %s", want)
				}
			}
			if got := s.call("POST", "/posts", key); got != 201 {
				t.Errorf("POST /posts with the key = %d, want 201", got)
			}
			// The same form again makes nothing, however often it is sent.
			for range 2 {
				w = anna.form(f)
				if w.Code != 409 || !strings.Contains(w.Body.String(), "shown only once") || keyText.MatchString(w.Body.String()) {
					t.Errorf("the form again = %d\n%s", w.Code, w.Body)
				}
			}
			// What is random in one person's form is nobody else's to use up.
			if w := s.person(t, "bert", "posts:write").form(f); w.Code != 200 {
				t.Errorf("the same form of somebody else = %d", w.Code)
			}
			keys := anna.list()
			if len(keys) != 1 || keys[0].Label != "laptop" || keys[0].Expires.Sub(keys[0].Created).Round(time.Second) != 30*day {
				t.Fatalf("keys = %+v, want one", keys)
			}
			one := keys[0].ID
			body = anna.page()
			if strings.Contains(body, key) || strings.Contains(body, key[len("gw_live_")+14:]) {
				t.Error("the page shows the key again")
			}
			if !strings.Contains(body, "gw_live_"+one+"_…") {
				t.Error("the page lacks the key's hint")
			}

			back := func(w *httptest.ResponseRecorder, done string) {
				t.Helper()
				if w.Code != 303 || w.Header().Get("Location") != accounts+"?done="+done {
					t.Errorf("form = %d %v, want 303 to ?done=%s\n%s", w.Code, w.Header(), done, w.Body)
				}
			}
			back(anna.form(url.Values{"action": {"relabel"}, "key": {one}, "label": {" desk  "}}), "renamed")
			if got := anna.list(); got[0].Label != "desk" {
				t.Errorf("label = %q", got[0].Label)
			}
			m := regexp.MustCompile(`name="key" value="` + one + `">\s*<input type="hidden" name="once" value="([^"]*)">`).FindStringSubmatch(anna.page())
			if m == nil {
				t.Fatal("the page has no form to rotate the key")
			}
			f = url.Values{"action": {"rotate"}, "once": {m[1]}, "key": {one}, "overlap": {"1h"}}
			w = anna.form(f)
			fresh := keyText.FindString(w.Body.String())
			if w.Code != 200 || fresh == "" || fresh == key || !strings.Contains(w.Body.String(), "works until") {
				t.Fatalf("rotation = %d\n%s", w.Code, w.Body)
			}
			if w := anna.form(f); w.Code != 409 || keyText.MatchString(w.Body.String()) {
				t.Errorf("rotation again = %d", w.Code)
			}
			if old, now := s.call("POST", "/posts", key), s.call("POST", "/posts", fresh); old != 201 || now != 201 {
				t.Errorf("within the overlap: %d and %d", old, now)
			}
			if !strings.Contains(anna.page(), ">Replaced<") {
				t.Error("the page does not say that the old key is replaced")
			}
			// Nor are old keys or those of operators offered to be rotated.
			if _, _, err := s.keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{User: anna.rec.ID}, Label: "given"}); err != nil {
				t.Fatal(err)
			}
			if body := anna.page(); strings.Count(body, `value="rotate"`) != 1 || strings.Count(body, `value="relabel"`) != 3 {
				t.Errorf("of three keys %d can be rotated and %d renamed, want 1 and 3", strings.Count(body, `value="rotate"`), strings.Count(body, `value="relabel"`))
			}
			two := anna.list()[slices.IndexFunc(anna.list(), func(k shown) bool { return k.ID != one && k.Label == "desk" })].ID
			back(anna.form(url.Values{"action": {"revoke"}, "key": {two}}), "revoked")
			if got := s.call("POST", "/posts", fresh); got != 401 {
				t.Errorf("a revoked key = %d, want 401", got)
			}
			if body := anna.do("GET", accounts+"?done=revoked", "").Body.String(); !strings.Contains(body, `role="status">The key is revoked.`) || !strings.Contains(body, ">Revoked<") {
				t.Error("the page does not say that the key is revoked")
			}
			if strings.Contains(s.log.String(), key) || strings.Contains(s.log.String(), fresh) {
				t.Error("a key is in the log")
			}
		})
	}
}

// TestPageClosed: who gets no page.
func TestPageClosed(t *testing.T) {
	s := newSite(t, option{})
	nobody := &person{t: t, site: s}
	for _, method := range []string{"GET", "POST"} {
		for _, header := range [][]string{nil, {"X-Api-Key", "x"}, {"Authorization", "Bearer x"}} {
			w := nobody.do(method, accounts, "", header...)
			if w.Code != 303 || w.Header().Get("Location") != "/auth/login?return_to=%2Fauth%2Faccount" {
				t.Errorf("%s without a session = %d %v, want 303 to the login", method, w.Code, w.Header())
			}
		}
	}
	// A link of another site brings no Strict cookie: a page of ours asks anew.
	w := nobody.do("GET", accounts, "", "Sec-Fetch-Site", "cross-site")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `content="0;url=/auth/account"`) {
		t.Errorf("from another site = %d %s", w.Code, w.Body)
	}
	w = nobody.do("POST", accounts, "", "Sec-Fetch-Site", "cross-site")
	if w.Code != 303 {
		t.Errorf("POST from another site without a session = %d, want 303", w.Code)
	}
}

// TestFormsRefused: forms that are not the page's, or cannot be read, change
// nothing.
func TestFormsRefused(t *testing.T) {
	s := newSite(t, option{})
	anna, bert := s.person(t, "anna", "posts:write"), s.person(t, "bert", "posts:write")
	mine, other := anna.make("laptop"), bert.make("other")
	create := newKey(anna.once())
	revoke := url.Values{"action": {"revoke"}, "key": {mine.Record.ID}}
	for name, c := range map[string]struct {
		form   url.Values
		header []string
		status int
	}{
		"another site":       {revoke, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a sibling":          {create, []string{"Sec-Fetch-Site", "same-site"}, 403},
		"nothing said":       {create, []string{"Sec-Fetch-Site", ""}, 403},
		"another origin":     {create, []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, 403},
		"text":               {revoke, []string{"Content-Type", "text/plain"}, 415},
		"multipart":          {revoke, []string{"Content-Type", "multipart/form-data; boundary=x"}, 415},
		"no type":            {revoke, []string{"Content-Type", ""}, 400},
		"no action":          {values(revoke, "action", ""), nil, 400},
		"unknown action":     {values(revoke, "action", "delete"), nil, 400},
		"twice":              {url.Values{"action": {"revoke"}, "key": {mine.Record.ID, mine.Record.ID}}, nil, 400},
		"two actions":        {url.Values{"action": {"revoke", "revoke"}, "key": {mine.Record.ID}}, nil, 400},
		"a field too many":   {values(revoke, "label", "x"), nil, 400},
		"a large one":        {values(revoke, "key", strings.Repeat("x", 70000)), nil, 413},
		"another's key":      {values(revoke, "key", other.Record.ID), nil, 404},
		"an unknown key":     {values(revoke, "key", "0123456789abc"), nil, 404},
		"no once":            {values(create, "once", ""), nil, 400},
		"a short once":       {values(create, "once", "x"), nil, 400},
		"an odd once":        {values(create, "once", "../../../../../../../a"), nil, 400},
		"another's session":  {url.Values{"action": {"end"}, "session": {"x"}}, nil, 400},
		"no label":           {values(newKey(anna.once()), "label", " "), nil, 422},
		"a scope not held":   {values(newKey(anna.once()), "scope", "posts:edit"), nil, 422},
		"an environment":     {values(newKey(anna.once()), "environment", "prod"), nil, 422},
		"never":              {values(newKey(anna.once()), "expires", "never"), nil, 422},
		"too long":           {values(newKey(anna.once()), "expires", "400d"), nil, 422},
		"a label of nothing": {url.Values{"action": {"relabel"}, "key": {mine.Record.ID}, "label": {""}}, nil, 422},
		"an overlap":         {url.Values{"action": {"rotate"}, "once": {"0123456789abcdefghijkl"}, "key": {mine.Record.ID}, "overlap": {"99d"}}, nil, 422},
		"an overlap of none": {url.Values{"action": {"rotate"}, "once": {"0123456789abcdefghijkm"}, "key": {mine.Record.ID}, "overlap": {"x"}}, nil, 422},
	} {
		w := anna.form(c.form, c.header...)
		if w.Code != c.status || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || keyText.MatchString(w.Body.String()) {
			t.Errorf("%s = %d %v\n%s\nwant %d", name, w.Code, w.Header(), w.Body, c.status)
		}
		if c.status == 422 && !strings.Contains(w.Body.String(), `role="alert" id="fault">Nothing was changed`) {
			t.Errorf("%s: the page does not say what is wrong", name)
		}
	}
	for _, p := range []*person{anna, bert} {
		if got := p.list(); len(got) != 1 || got[0].State != "active" || got[0].Label == "x" {
			t.Errorf("keys afterwards = %+v", got)
		}
	}
}

// What was filled in stands there again where something is wrong with it.
func TestFilledIn(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna", "posts:write", "posts:read")
	f := values(newKey(anna.once()), "label", strings.Repeat("ü", 101), "environment", "test", "expires", "7d")
	body := anna.form(f).Body.String()
	for _, want := range []string{
		`value="` + strings.Repeat("ü", 101) + `"`, `value="posts:write" checked`, `value="test" checked`, `value="7d" selected`, `<details class="fold" open>`, `aria-describedby="label-hint fault"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(body, `value="posts:read" checked`) || strings.Contains(body, `value="live" checked`) {
		t.Error("the page has something checked that was not")
	}
	if strings.Contains(body, f.Get("once")) {
		t.Error("the form is the same once more")
	}
	mine := anna.make("laptop")
	body = anna.form(url.Values{"action": {"relabel"}, "key": {mine.Record.ID}, "label": {strings.Repeat("y", 101)}}).Body.String()
	if !strings.Contains(body, `value="`+strings.Repeat("y", 101)+`" required maxlength="100" autocomplete="off" spellcheck="false" aria-invalid="true" aria-describedby="fault"`) || !strings.Contains(body, `<details class="more" open>`) {
		t.Errorf("the label that is wrong is not shown:\n%s", body)
	}
}

// Without a recent login the page shows who one is and the sessions, which can
// be ended, and nothing of the keys.
func TestPageNotRecent(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna", "posts:write")
	mine := anna.make("laptop")
	once := anna.once()
	s.pass(16 * time.Minute)
	other := s.person(t, "anna", "posts:write")
	body := anna.page()
	for _, want := range []string{"Anna Example", "Sign in again to see and change your keys", `href="/auth/login?fresh=1&amp;provider=main&amp;return_to=%2Fauth%2Faccount"`, "15 minutes", "This browser", ">End<"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, not := range []string{mine.Record.ID, "laptop", `value="create"`} {
		if strings.Contains(body, not) {
			t.Errorf("the page has %q", not)
		}
	}
	for _, f := range []url.Values{newKey(once), {"action": {"revoke"}, "key": {mine.Record.ID}}, {"action": {"relabel"}, "key": {mine.Record.ID}, "label": {"x"}}, {"action": {"rotate"}, "once": {once}, "key": {mine.Record.ID}, "overlap": {"0"}}} {
		w := anna.form(f)
		if w.Code != 403 || !strings.Contains(w.Body.String(), "sign in again first") || keyText.MatchString(w.Body.String()) {
			t.Errorf("%v = %d\n%s", f, w.Code, w.Body)
		}
	}
	if got := other.list(); len(got) != 1 || got[0].State != "active" || got[0].Label != "laptop" {
		t.Errorf("keys = %+v", got)
	}
	current, err := s.sessions.List(t.Context(), anna.rec.ID)
	if err != nil || len(current) != 2 {
		t.Fatalf("sessions = %v, %v", current, err)
	}
	if w := anna.form(url.Values{"action": {"end"}, "session": {current[0].ID.String()}}); w.Code != 303 {
		t.Errorf("ending a session = %d", w.Code)
	}
	if w := other.do("GET", accounts, ""); w.Code != 303 {
		t.Errorf("the session that was ended gets %d, want 303", w.Code)
	}
}

// TestEndSessions: one's own, and nobody else's.
func TestEndSessions(t *testing.T) {
	s := newSite(t, option{})
	anna, tablet, bert := s.person(t, "anna"), s.person(t, "anna"), s.person(t, "bert")
	id := func(p *person) string {
		t.Helper()
		r := httptest.NewRequest("GET", origin, nil)
		r.AddCookie(p.cookie)
		sess, err := s.sessions.Current(r)
		if err != nil {
			t.Fatal(err)
		}
		return sess.ID.String()
	}
	mine, its, berts := id(anna), id(tablet), id(bert)
	w := anna.form(url.Values{"action": {"end"}, "session": {berts}})
	if w.Code != 303 || bert.do("GET", accounts, "").Code != 200 {
		t.Errorf("ending another's session = %d", w.Code)
	}
	w = anna.form(url.Values{"action": {"end"}, "session": {its}})
	if w.Code != 303 || w.Header().Get("Location") != accounts+"?done=session-ended" || tablet.do("GET", accounts, "").Code != 303 {
		t.Errorf("ending a session = %d %v", w.Code, w.Header())
	}
	s.log.wants(t, "audit=true", `msg="session ended"`, "session="+its, "by="+mine, "user="+anna.rec.ID)
	if strings.Contains(s.log.String(), "session="+berts+" by=") {
		t.Error("the log says that another's session was ended")
	}
	w = anna.form(url.Values{"action": {"end"}, "session": {its}})
	if w.Code != 303 {
		t.Errorf("ending it again = %d", w.Code)
	}
	w = anna.form(url.Values{"action": {"end"}, "session": {mine}})
	if w.Code != 303 || w.Header().Get("Location") != "/auth/logout" || anna.do("GET", accounts, "").Code != 303 || !strings.Contains(fmt.Sprint(w.Header()["Set-Cookie"]), "Max-Age=0") {
		t.Errorf("ending one's own = %d %v", w.Code, w.Header())
	}
	sealed := newSite(t, option{kind: session.Sealed})
	carl := sealed.person(t, "carl")
	if w := carl.form(url.Values{"action": {"end"}, "session": {its}}); w.Code != 501 {
		t.Errorf("ending a sealed session = %d, want 501", w.Code)
	}
}

// The store's silence is a page that says so.
func TestPageSilentStore(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna", "posts:write")
	mine := anna.make("laptop")
	once := anna.once()
	s.down.Store(true)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"GET":     anna.do("GET", accounts, ""),
		"create":  anna.form(newKey(once)),
		"relabel": anna.form(url.Values{"action": {"relabel"}, "key": {mine.Record.ID}, "label": {"x"}}),
		"revoke":  anna.form(url.Values{"action": {"revoke"}, "key": {mine.Record.ID}}),
		"end":     anna.form(url.Values{"action": {"end"}, "session": {session.ID{1}.String()}}),
	} {
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "Try again") || strings.Contains(w.Body.String(), "down") {
			t.Errorf("%s = %d %v\n%s", name, w.Code, w.Header(), w.Body)
		}
	}
	s.down.Store(false)
	if got := anna.list(); len(got) != 1 || got[0].State != "active" || got[0].Label != "laptop" {
		t.Errorf("keys = %+v", got)
	}
	s.down.keys.Store(true)
	if w := anna.form(url.Values{"action": {"relabel"}, "key": {mine.Record.ID}, "label": {"x"}}); w.Code != 503 || !strings.Contains(w.Body.String(), "Try again") {
		t.Errorf("relabel with the keys down = %d\n%s", w.Code, w.Body)
	}
	s.pass(20 * time.Minute) // nobody asks for keys then
	if w := anna.do("GET", accounts, ""); w.Code != 200 {
		t.Errorf("the page, not recent, with the keys down = %d", w.Code)
	}
	s.pass(-20 * time.Minute)
	s.down.keys.Store(false)
	s.down.sessions.Store(true)
	if w := anna.do("GET", accounts, ""); w.Code != 503 {
		t.Errorf("the page without the list of sessions = %d, want 503", w.Code)
	}
	s.down.sessions.Store(false)
	s.down.create.Store(true) // what became of it nobody knows
	if w := anna.form(newKey(anna.once())); w.Code != 503 || !strings.Contains(w.Body.String(), "Try again") || strings.Contains(w.Body.String(), "Nothing was changed") {
		t.Errorf("create with no answer of the store = %d\n%s", w.Code, w.Body)
	}
	s.down.create.Store(false)
	s.down.marks.Store(true)
	if w := anna.form(newKey(once)); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("create with the marks down = %d\n%s", w.Code, w.Body)
	}
	s.down.marks.Store(false)
	// The form was not sent, as far as the store knows.
	if w := anna.form(newKey(once)); w.Code != 200 {
		t.Errorf("the form afterwards = %d", w.Code)
	}
}

// No text of an address is shown.
func TestDone(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna")
	for query, want := range map[string]bool{
		"done=revoked": true, "done=renamed": true, "done=session-ended": true,
		"done=": false, "done=Hacked": false, "done=revoked&x=y": false, "x=y&done=revoked": false, "done=%3Cb%3E": false, "Done=revoked": false,
	} {
		body := anna.do("GET", accounts+"?"+query, "").Body.String()
		if got := strings.Contains(body, `role="status"`); got != want || strings.Contains(body, "Hacked") {
			t.Errorf("with %q the page says what was done: %v, want %v", query, got, want)
		}
	}
}

// TestNames: what people type stays text, and each button has a name of its own.
func TestNames(t *testing.T) {
	s := newSite(t, option{})
	s.person(t, "anna")
	s.person(t, "anna")
	anna := s.person(t, "anna", "posts:write")
	for _, label := range []string{`</code><script>alert(1)</script>`, `" autofocus onfocus="alert(1)`, "{{.Prefix}}", "same", "same", "日本語"} {
		anna.make(label, "posts:write")
	}
	if _, err := s.stores.Users().Ensure(t.Context(), issuer, "anna", user.Profile{Name: `<b>Anna</b> & "Co"`, Email: `"><img src=x>`}); err != nil {
		t.Fatal(err)
	}
	body := anna.page()
	for _, not := range []string{"<script", "<b>", "<img", `onfocus="alert`, "ZgotmplZ"} {
		if strings.Contains(body, not) {
			t.Errorf("the page has %s", not)
		}
	}
	if !strings.Contains(body, "&lt;b&gt;Anna&lt;/b&gt; &amp; &#34;Co&#34;") || !strings.Contains(body, ">{{.Prefix}}<") {
		t.Error("the page does not show what was typed")
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?s)<(button|summary)[^>]*>(.*?)</`).FindAllStringSubmatch(strings.ReplaceAll(body, "</span>", ""), -1) {
		name := strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(m[2], ""))), " ")
		if name == "" || seen[name] {
			t.Errorf("the name %q is there twice, or empty", name)
		}
		seen[name] = true
	}
	if len(seen) < 6*4 {
		t.Errorf("there are %d buttons: %v", len(seen), seen)
	}
}

// Ids of a page are there once, and what refers to one finds it.
func TestReferences(t *testing.T) {
	s := newSite(t, option{})
	anna := s.person(t, "anna", "posts:write", "posts:read")
	one, two := anna.make("laptop"), anna.make("phone")
	anna.do("DELETE", keysPath+"/"+two.Record.ID, "")
	s.person(t, "anna", "posts:write")
	for name, body := range map[string]string{
		"page":  anna.page(),
		"fault": anna.form(url.Values{"action": {"relabel"}, "key": {one.Record.ID}, "label": {""}}).Body.String(),
		"made":  anna.form(newKey(anna.once())).Body.String(),
	} {
		ids := map[string]int{}
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if ids[m[1]]++; ids[m[1]] > 1 {
				t.Errorf("%s: id %s is there twice", name, m[1])
			}
		}
		for _, m := range regexp.MustCompile(` (?:for|aria-labelledby|aria-describedby)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			for _, id := range strings.Fields(m[1]) {
				if ids[id] == 0 {
					t.Errorf("%s: %s finds nothing", name, m[0])
				}
			}
		}
		for _, m := range regexp.MustCompile(`<(?:input type="text"|select|textarea)[^>]*>`).FindAllString(body, -1) {
			id := regexp.MustCompile(` id="([^"]*)"`).FindStringSubmatch(m)
			if id == nil || !strings.Contains(body, `for="`+id[1]+`"`) {
				t.Errorf("%s: %s has no label", name, m)
			}
		}
		for _, not := range []string{"<script", "style=", " onclick", "ZgotmplZ", "javascript:"} {
			if strings.Contains(body, not) {
				t.Errorf("%s: the page has %q", name, not)
			}
		}
	}
}

// A site without keys has sessions all the same.
func TestWithoutKeys(t *testing.T) {
	s := newSite(t, option{config: func(c *account.Config) { c.Keys = nil }})
	anna := s.person(t, "anna")
	body := anna.page()
	if strings.Contains(body, "API keys") || !strings.Contains(body, "This browser") {
		t.Errorf("the page:\n%s", body)
	}
	refused(t, "GET "+keysPath, anna.do("GET", keysPath, ""), 404, "not_found")
	if w := anna.form(url.Values{"action": {"revoke"}, "key": {"0123456789abc"}}); w.Code != 400 {
		t.Errorf("a form for keys = %d", w.Code)
	}
}

// The page has the application's look.
func TestLook(t *testing.T) {
	look, err := page.NewLook("The Daily Gate", "", "#9f1239")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, option{config: func(c *account.Config) { c.Look = look }})
	anna, nobody := s.person(t, "anna", "posts:write"), &person{t: t, site: s}
	for name, body := range map[string]string{
		"page": anna.page(), "made": anna.form(newKey(anna.once())).Body.String(), "refused": anna.form(url.Values{}).Body.String(),
		"moment": nobody.do("GET", accounts, "", "Sec-Fetch-Site", "cross-site").Body.String(),
		"silent": func() string {
			s.down.Store(true)
			defer s.down.Store(false)
			return anna.do("GET", accounts, "").Body.String()
		}(),
	} {
		if !strings.Contains(body, "The Daily Gate") || !strings.Contains(body, "--fill: #9f1239;") {
			t.Errorf("%s lacks the application's look", name)
		}
	}
}

func TestHandler(t *testing.T) {
	s := newSite(t, option{})
	h := s.account.Handler(s.api)
	a, ok := h.(interface{ Answers(string) bool })
	p, ok2 := h.(interface{ Patterns() []string })
	if !ok || !ok2 {
		t.Fatal("the handler does not tell what it answers")
	}
	for path, want := range map[string]bool{accounts: true, keysPath: true, keysPath + "/a": true, keysPath + "/a/rotate": true, "/me": true, "/": false, "/auth/other": false, keysPath + "/a/b": false} {
		if got := a.Answers(path); got != want {
			t.Errorf("Answers(%q) = %v, want %v", path, got, want)
		}
	}
	if got := p.Patterns(); len(got) != 2 {
		t.Errorf("Patterns() = %q, want those of the API", got)
	}
	bare := s.account.Handler(http.NotFoundHandler())
	if bare.(interface{ Answers(string) bool }).Answers("/me") || bare.(interface{ Patterns() []string }).Patterns() != nil {
		t.Error("the handler speaks for what is behind it")
	}
}

func TestNew(t *testing.T) {
	s := newSite(t, option{})
	_, err := account.New(account.Config{PublicURL: "http://blog.example", Prefix: "auth", Recent: -1, Example: account.Example{Path: "me"}})
	for _, want := range []string{"public URL", `prefix "auth"`, "sessions missing", "marks missing", "less than no time", "example"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want %q in it", err, want)
		}
	}
	good := account.Config{PublicURL: origin, Sessions: s.sessions, Marks: s.stores.Marks()}
	if _, err := account.New(good); err != nil {
		t.Errorf("New = %v", err)
	}
	for _, prefix := range []string{"//evil.example", "/auth/", "/a b", "/a?b", "/", "https://x"} {
		cfg := good
		cfg.Prefix = prefix
		if _, err := account.New(cfg); err == nil {
			t.Errorf("New takes the prefix %q", prefix)
		}
	}
}

// TestCurl: the line of a new key reads it from the environment, wherever it goes.
func TestCurl(t *testing.T) {
	for place, want := range map[gate.Place]string{
		{In: gate.InHeader, Name: "X-Api-Key"}: `printf 'X-Api-Key: %s\n' "$API_KEY" | curl -H @- 'https://blog.example/it'\''s'`,
		{In: gate.InQuery, Name: "api key"}:    `printf 'get\ndata = "api+key=%s"\n' "$API_KEY" | curl -K - 'https://blog.example/it'\''s'`,
		{In: gate.InCookie, Name: "key"}:       `printf 'Cookie: key=%s\n' "$API_KEY" | curl -H @- 'https://blog.example/it'\''s'`,
		gate.Authorization("bearer"):           `printf 'Authorization: Bearer %s\n' "$API_KEY" | curl -H @- 'https://blog.example/it'\''s'`,
		gate.Authorization(""):                 `printf 'Authorization: %s\n' "$API_KEY" | curl -H @- 'https://blog.example/it'\''s'`,
		gate.Authorization("basic"):            `printf 'user = "apikey:%s"\n' "$API_KEY" | curl -K - 'https://blog.example/it'\''s'`,
	} {
		s := newSite(t, option{config: func(c *account.Config) { c.Example = account.Example{Place: place, Path: "/it's"} }})
		anna := s.person(t, "anna", "posts:write")
		if body := html.UnescapeString(anna.form(newKey(anna.once())).Body.String()); !strings.Contains(body, want) {
			t.Errorf("%v: the page lacks %s:\n%s", place, want, body)
		}
	}
}

// A key of the other environment can be made; the page says what that means.
func TestOtherEnvironment(t *testing.T) {
	s := newSite(t, option{keys: func(c *apikey.Config) { c.Environment = apikey.Test }})
	anna := s.person(t, "anna", "posts:write")
	f := newKey(anna.once())
	body := anna.form(f).Body.String()
	if key := keyText.FindString(body); !strings.HasPrefix(key, "gw_live_") || !strings.Contains(body, "takes only test keys") || s.call("POST", "/posts", key) != 401 {
		t.Errorf("a live key on a test server:\n%s", body)
	}
	if body := anna.page(); !strings.Contains(body, "live, not taken here") || !strings.Contains(body, `value="test" checked`) {
		t.Errorf("the page:\n%s", body)
	}
}
