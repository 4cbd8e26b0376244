package samples_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/samples"
	"github.com/gatewright/gatewright/internal/testenv"
)

// read analyses a document.
func read(t testing.TB, text string) *model.API {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openapi.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, found := load.Load(context.Background(), load.Config{Path: path})
	if doc == nil || model.HasErrors(found) {
		t.Fatalf("Load = %+v", found)
	}
	api, found := analyze.Analyze(doc, analyze.Config{})
	if model.HasErrors(found) {
		t.Fatalf("Analyze = %+v", found)
	}
	return api
}

// places is a document with an operation for each way to carry a credential.
const places = `
openapi: 3.1.0
info: {title: Things API, version: "1"}
servers: [{url: 'https://things.example/v1'}]
paths:
  /public: {get: {operationId: public, security: [], responses: {'200': {description: ok}}}}
  /optional: {get: {operationId: optional, security: [{header: []}, {}], responses: {'200': {description: ok}}}}
  /header: {get: {operationId: header, security: [{header: []}], parameters: [{name: x-api-key, in: header, required: true, schema: {type: string}}], responses: {'200': {description: ok}}}}
  /query: {get: {operationId: query, security: [{query: []}], parameters: [{name: q, in: query, required: true, example: 'a b', schema: {type: string}}], responses: {'200': {description: ok}}}}
  /cookie: {get: {operationId: cookie, security: [{cookie: []}], parameters: [{name: lang, in: cookie, required: true, example: en, schema: {type: string}}], responses: {'200': {description: ok}}}}
  /word: {get: {operationId: word, security: [{word: []}], responses: {'200': {description: ok}}}}
  /whole: {get: {operationId: whole, security: [{whole: []}], responses: {'200': {description: ok}}}}
  /basic: {get: {operationId: basic, security: [{basic: []}], responses: {'200': {description: ok}}}}
  /own: {get: {operationId: own, security: [{own: []}], responses: {'200': {description: ok}}}}
  /bearer: {get: {operationId: bearer, security: [{bearer: []}], responses: {'200': {description: ok}}}}
  /machine: {get: {operationId: machine, security: [{machine: [read, write]}], responses: {'200': {description: ok}}}}
  /two: {get: {operationId: two, security: [{header: [], query: []}], responses: {'200': {description: ok}}}}
  /mixed: {post: {operationId: mixed, security: [{bearer: [], cookie: []}], requestBody: {required: true, content: {application/json: {schema: {type: object, required: [a], properties: {a: {type: string, example: "it's"}}}}}}, responses: {'200': {description: ok}}}}
  /cheapest: {get: {operationId: cheapest, security: [{own: []}, {query: []}, {login: []}, {header: []}, {bearer: []}], responses: {'200': {description: ok}}}}
  /person: {get: {operationId: person, security: [{login: []}], responses: {'200': {description: ok}}}}
  /odd: {get: {operationId: odd, security: [{odd: []}], responses: {'200': {description: ok}}}}
  /files: {post: {operationId: files, security: [{header: []}], requestBody: {required: true, content: {multipart/form-data: {schema: {type: object}}}}, responses: {'200': {description: ok}}}}
  /pattern/{id}: {get: {operationId: pattern, security: [{header: []}], parameters: [{name: id, in: path, required: true, schema: {type: string, pattern: '^x+$'}}], responses: {'200': {description: ok}}}}
  /head: {head: {operationId: head, security: [{header: []}], responses: {'200': {description: ok}}}}
  /appkey: {get: {operationId: appkey, security: [{appkey: []}], responses: {'200': {description: ok}}}}
  /appquery: {get: {operationId: appquery, security: [{appquery: []}], responses: {'200': {description: ok}}}}
components:
  securitySchemes:
    header: {type: apiKey, in: header, name: X-API-Key}
    query: {type: apiKey, in: query, name: 'the key'}
    cookie: {type: apiKey, in: cookie, name: key, x-gatewright: {kind: apikey}}
    word: {type: http, scheme: apikey}
    whole: {type: apiKey, in: header, name: Authorization}
    basic: {type: http, scheme: basic}
    own: {type: http, scheme: basic, x-gatewright: {kind: custom}}
    bearer: {type: http, scheme: bearer, bearerFormat: JWT}
    machine: {type: oauth2, flows: {clientCredentials: {tokenUrl: 'https://id.example/token', scopes: {read: r, write: w}}}}
    login: {type: openIdConnect, openIdConnectUrl: 'https://id.example/.well-known/openid-configuration'}
    odd: {type: http, scheme: digest}
    appkey: {type: apiKey, in: header, name: X-App, x-gatewright: {kind: custom}}
    appquery: {type: apiKey, in: query, name: app, x-gatewright: {kind: custom}}
`

// A heard request is one that came to the server of a test.
type heard struct {
	method, uri, body string
	header            http.Header
}

// listen runs a server over TLS that answers 200 and keeps what it hears.
func listen(t *testing.T, ca *testenv.CA, answer http.HandlerFunc) (string, func() []heard) {
	var mu sync.Mutex
	var all []heard
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, heard{r.Method, r.RequestURI, string(body), r.Header.Clone()})
		mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "localhost")}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	at := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	return at, func() []heard {
		mu.Lock()
		defer mu.Unlock()
		got := all
		all = nil
		return got
	}
}

// secrets are what the variables of places hold: letters that every language
// treats in its own way.
var secrets = map[string]string{
	"THINGS_API_KEY": "gw_test_abc_0123", "THINGS_HEADER_API_KEY": "gw_test_one_1", "THINGS_QUERY_API_KEY": "gw_test_two_2",
	"THINGS_BEARER_TOKEN": "ey.J0-_~+/=", "THINGS_MACHINE_TOKEN": "opaque",
	"THINGS_USER": `o'na"me\`, "THINGS_PASSWORD": "p$(x)`\\\"'ä #&",
	"THINGS_APPKEY_KEY": `a"b\c'd$e`, "THINGS_APPQUERY_KEY": `a"b\c&d=e f+`,
}

func TestPlaces(t *testing.T) {
	api := read(t, places)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	ca := testenv.NewCA(t)
	at, took := listen(t, ca, nil)
	maker := samples.New(api, "https://things.example")
	for _, c := range []struct {
		op, uri string
		vars    string
		header  map[string]string
		body    string
	}{
		{"public", "/v1/public", "", nil, ""},
		{"optional", "/v1/optional", "", nil, ""},
		{"header", "/v1/header", "THINGS_API_KEY", map[string]string{"X-Api-Key": "gw_test_abc_0123"}, ""},
		{"query", "/v1/query?q=a+b&the+key=gw_test_abc_0123", "THINGS_API_KEY", nil, ""},
		{"cookie", "/v1/cookie", "THINGS_API_KEY", map[string]string{"Cookie": "lang=en; key=gw_test_abc_0123"}, ""},
		{"word", "/v1/word", "THINGS_API_KEY", map[string]string{"Authorization": "apikey gw_test_abc_0123"}, ""},
		{"whole", "/v1/whole", "THINGS_API_KEY", map[string]string{"Authorization": "gw_test_abc_0123"}, ""},
		{"basic", "/v1/basic", "THINGS_API_KEY", map[string]string{"Authorization": basic("apikey", "gw_test_abc_0123")}, ""},
		{"own", "/v1/own", "THINGS_USER THINGS_PASSWORD", map[string]string{"Authorization": basic(secrets["THINGS_USER"], secrets["THINGS_PASSWORD"])}, ""},
		{"bearer", "/v1/bearer", "THINGS_BEARER_TOKEN", map[string]string{"Authorization": "Bearer ey.J0-_~+/="}, ""},
		{"machine", "/v1/machine", "THINGS_MACHINE_TOKEN", map[string]string{"Authorization": "Bearer opaque"}, ""},
		{"two", "/v1/two?the+key=gw_test_two_2", "THINGS_HEADER_API_KEY THINGS_QUERY_API_KEY", map[string]string{"X-Api-Key": "gw_test_one_1"}, ""},
		{"mixed", "/v1/mixed", "THINGS_BEARER_TOKEN THINGS_API_KEY", map[string]string{
			"Authorization": "Bearer ey.J0-_~+/=", "Cookie": "key=gw_test_abc_0123", "Content-Type": "application/json"}, `{"a": "it's"}`},
		{"cheapest", "/v1/cheapest", "THINGS_API_KEY", map[string]string{"X-Api-Key": "gw_test_abc_0123"}, ""},
		{"head", "/v1/head", "THINGS_API_KEY", map[string]string{"X-Api-Key": "gw_test_abc_0123"}, ""},
		{"appkey", "/v1/appkey", "THINGS_APPKEY_KEY", map[string]string{"X-App": secrets["THINGS_APPKEY_KEY"]}, ""},
		{"appquery", "/v1/appquery", "THINGS_APPQUERY_KEY", nil, ""},
	} {
		op := operation(t, api, c.op)
		set := maker.Of(op)
		if set.Why != "" {
			t.Errorf("%s: Why = %q", c.op, set.Why)
			continue
		}
		var vars []string
		for _, v := range set.Variables {
			vars = append(vars, v.Name)
		}
		if got, want := strings.Join(vars, " "), strings.TrimSpace(c.vars+" THINGS_URL"); got != want {
			t.Errorf("%s reads %q, want %q", c.op, got, want)
		}
		for _, s := range set.Samples {
			t.Run(c.op+"/"+s.Label, func(t *testing.T) {
				env := []string{"THINGS_URL=" + at}
				for _, name := range strings.Fields(c.vars) {
					env = append(env, name+"="+secrets[name])
				}
				out, code := run(t, ca, s, env)
				got := took()
				if code != 0 || len(got) != 1 {
					t.Fatalf("exit code %d, %d requests\n%s\n%s", code, len(got), out, s.Source)
				}
				r := got[0]
				uri := r.uri
				if c.op == "appquery" { // of several ways to write it, each is right
					u, err := url.ParseRequestURI(uri)
					if err != nil || u.Query().Get("app") != secrets["THINGS_APPQUERY_KEY"] {
						t.Errorf("asks %s", uri)
					}
					uri = u.Path
				}
				if r.method != op.Method || uri != c.uri || r.body != c.body {
					t.Errorf("sends %s %s %q, want %s %s %q", r.method, r.uri, r.body, op.Method, c.uri, c.body)
				}
				for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-App"} {
					if got := r.header.Get(name); got != c.header[name] {
						t.Errorf("%s: %q, want %q", name, got, c.header[name])
					}
				}
				if len(strings.Fields(c.vars)) == 0 {
					return
				}
				// Without one of the variables nothing is sent.
				for i, name := range strings.Fields(c.vars) {
					without := slices.Delete(slices.Clone(env), 1+i, 2+i)
					out, code := run(t, ca, s, without)
					if n := len(took()); code != 1 || n != 0 || !strings.Contains(out, name+" is not set.") {
						t.Errorf("without %s: exit code %d, %d requests\n%s", name, code, n, out)
					}
				}
			})
		}
	}
}

// Nothing is sent without TLS.
func TestPlainHTTP(t *testing.T) {
	api := read(t, places)
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s without TLS", r.UserAgent()) }))
	defer plain.Close()
	for _, s := range samples.New(api, "https://things.example").Of(operation(t, api, "header")).Samples {
		if out, code := run(t, nil, s, []string{"THINGS_API_KEY=gw_test_x", "THINGS_URL=" + plain.URL}); code == 0 {
			t.Errorf("%s without TLS: exit code 0\n%s", s.Label, out)
		}
	}
}

func operation(t testing.TB, api *model.API, id string) *model.Operation {
	t.Helper()
	for i := range api.Operations {
		if api.Operations[i].ID == id {
			return &api.Operations[i]
		}
	}
	t.Fatalf("no operation %s", id)
	return nil
}

func TestNoSample(t *testing.T) {
	api := read(t, places)
	for _, c := range []struct{ server, op, want string }{
		{"https://things.example", "person", "sign in there"},
		{"https://things.example", "person", "https://things.example/docs"},
		{"", "person", "Open /docs of the server"},
		{"https://things.example", "odd", "the application defines itself"},
		{"https://things.example", "files", "several parts"},
		{"https://things.example", "pattern", "no example of a parameter"},
	} {
		set := samples.New(api, c.server).Of(operation(t, api, c.op))
		if !strings.Contains(set.Why, c.want) || len(set.Samples) != 4 || len(set.Variables) != 0 {
			t.Errorf("%s: Why = %q, %d samples, want %q and 4", c.op, set.Why, len(set.Samples), c.want)
		}
		for _, s := range set.Samples {
			out, code := run(t, nil, s, nil)
			if code != 1 || !strings.Contains(out, set.Why) {
				t.Errorf("%s in %s: exit code %d, says %q, want %q", c.op, s.Label, code, out, set.Why)
			}
		}
	}
}

// Where the document names no server with TLS, the address is asked for.
func TestNoServer(t *testing.T) {
	api := read(t, places)
	for _, server := range []string{"", "http://things.example", "https://a b", "https://$(x)", "ftp://x", "https://x/path"} {
		for _, s := range samples.New(api, server).Of(operation(t, api, "public")).Samples {
			out, code := run(t, nil, s, nil)
			if code != 1 || !strings.Contains(out, "THINGS_URL is not set.") {
				t.Errorf("server %q in %s: exit code %d, says %q", server, s.Label, code, out)
			}
		}
	}
}

// A redirect is not followed: it would take headers along.
func TestRedirect(t *testing.T) {
	api := read(t, places)
	ca := testenv.NewCA(t)
	other, elsewhere := listen(t, ca, nil)
	at, took := listen(t, ca, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other+"/taken", http.StatusFound) })
	for _, s := range samples.New(api, "").Of(operation(t, api, "header")).Samples {
		out, _ := run(t, ca, s, []string{"THINGS_URL=" + at, "THINGS_API_KEY=gw_test_x"})
		if len(took()) != 1 || len(elsewhere()) != 0 {
			t.Errorf("%s follows a redirect\n%s", s.Label, out)
		}
	}
}

// What fails is told by the exit code, and without the key.
func TestFailure(t *testing.T) {
	api := read(t, places)
	ca, stranger := testenv.NewCA(t), testenv.NewCA(t)
	at, _ := listen(t, ca, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	const key = "gw_test_never_shown"
	for _, op := range []string{"header", "query"} {
		for _, s := range samples.New(api, "").Of(operation(t, api, op)).Samples {
			for name, c := range map[string]struct {
				ca  *testenv.CA
				url string
			}{
				"403": {ca, at}, "unknown authority": {stranger, at}, "nobody there": {ca, "https://127.0.0.1:1"}, "no address": {ca, "https://[::"},
			} {
				out, code := run(t, c.ca, s, []string{"THINGS_URL=" + c.url, "THINGS_API_KEY=" + key})
				if code == 0 || strings.Contains(out, key) {
					t.Errorf("%s, %s in %s: exit code %d\n%s", name, op, s.Label, code, out)
				}
			}
		}
	}
}

// TestArguments: nobody who lists processes sees a key. A program in the place
// of curl writes down its arguments.
func TestArguments(t *testing.T) {
	api := read(t, places)
	dir := t.TempDir()
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >>\"$RECORD\"\n"
	for _, name := range []string{"curl", "sed", "printf"} {
		text := script
		if name == "sed" {
			text += "exec /bin/sed \"$@\"\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range api.Operations {
		op := &api.Operations[i]
		s := samples.New(api, "https://things.example").Of(op).Samples[0]
		record := filepath.Join(t.TempDir(), "arguments")
		env := []string{"PATH=" + dir + ":/usr/bin:/bin", "RECORD=" + record}
		for name := range secrets {
			env = append(env, name+"=gw_live_secretsecret")
		}
		_, code := run(t, nil, s, env)
		text, err := os.ReadFile(record)
		if code == 0 && err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "secret") {
			t.Errorf("%s shows the key: %s", op.ID, text)
		}
	}
}

// run runs a sample with nothing but env in its environment.
func run(t testing.TB, ca *testenv.CA, s samples.Sample, env []string) (string, int) {
	t.Helper()
	if ca != nil {
		env = append(testenv.Trusting(ca.File), env...)
	}
	cmd := prepare(t, s).Command(env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// prepared are the programs of a test, each built once.
var prepared sync.Map

func prepare(t testing.TB, s samples.Sample) *testenv.Program {
	t.Helper()
	key := t.Name() + "\n" + s.Lang + s.Source
	if p, ok := prepared.Load(key); ok {
		return p.(*testenv.Program)
	}
	p := testenv.Prepare(t, s.Lang, s.Source)
	prepared.Store(key, p)
	return p
}

// hostile are texts that try to leave the literal they are put into.
var hostile = []string{
	`'; touch PWNED; '`, `"; touch PWNED; "`, "$(touch PWNED)", "`touch PWNED`", "${x:-$(touch PWNED)}", "x\nEOF\ntouch PWNED\n", "\n)\ntouch PWNED\n(",
	`""" + open("PWNED", "w").name + """`, `"+open("PWNED","w")+"`, `\`, `\"`, `\'`, "` + require('fs').writeFileSync('PWNED','') + `", "${process.exit(0)}",
	"%s%d{0}{{.}}", "</script>", "\u2028\u2029\u202e\u200b\ufeff", "a\\u0022b", "🎈é\u00a0", "#", "!x", "-d @/etc/passwd", "@/etc/passwd", "; url = \"https://evil.example\"",
}

// hostileDocument puts s wherever a sample can take text from.
func hostileDocument(t testing.TB, s string) (*model.API, *model.Operation) {
	t.Helper()
	type object = map[string]any
	text, err := json.Marshal(object{
		"openapi": "3.1.0", "info": object{"title": "Things " + s, "version": "1"}, "servers": []any{object{"url": "https://things.example"}},
		"paths": object{"/a/{p}": object{"post": object{
			"operationId": "op" + s, "summary": s, "description": s, "security": []any{object{"k" + s: []any{"scope"}}},
			"parameters": []any{
				object{"name": "p", "in": "path", "required": true, "example": "p" + s, "schema": object{"type": "string"}},
				object{"name": "q" + s, "in": "query", "required": true, "example": s, "schema": object{"type": "string"}},
			},
			"requestBody": object{"required": true, "content": object{"application/json": object{"example": object{"text " + s: []any{s, strings.Repeat(s, 8)}}}}},
			"responses":   object{"200": object{"description": s}},
		}}},
		"components": object{"securitySchemes": object{"k" + s: object{"type": "apiKey", "in": "query", "name": "k" + s}}},
	}, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	api := read(t, string(text))
	return api, &api.Operations[0]
}

func TestHostile(t *testing.T) {
	ca := testenv.NewCA(t)
	at, took := listen(t, ca, nil)
	for i, text := range hostile {
		api, op := hostileDocument(t, text)
		set := samples.New(api, "https://things.example").Of(op)
		if set.Why != "" {
			t.Errorf("%q: Why = %q", text, set.Why)
			continue
		}
		var first *heard
		for _, s := range set.Samples {
			if s.Lang == "Go" && i%4 != 0 {
				continue // each takes a second to build
			}
			env := []string{}
			for _, v := range set.Variables {
				if v.Secret {
					env = append(env, v.Name+"=gw_test_x")
				} else {
					env = append(env, v.Name+"="+at)
				}
			}
			cmd := prepare(t, s).Command(append(testenv.Trusting(ca.File), env...)...)
			out, err := cmd.CombinedOutput()
			got := took()
			if err != nil || len(got) != 1 {
				t.Errorf("%q in %s: %v, %d requests\n%s\n%s", text, s.Label, err, len(got), out, s.Source)
				continue
			}
			if _, err := os.Stat(filepath.Join(cmd.Dir, "PWNED")); err == nil {
				t.Errorf("%q in %s was carried out", text, s.Label)
			}
			var body map[string][]string
			if err := json.Unmarshal([]byte(got[0].body), &body); err != nil || !slices.Equal(body["text "+text], []string{text, strings.Repeat(text, 8)}) {
				t.Errorf("%q in %s sends %q, %v", text, s.Label, got[0].body, err)
			}
			u, err := url.ParseRequestURI(got[0].uri)
			if err != nil || u.Path != "/a/p"+text || u.Query().Get("q"+text) != text || u.Query().Get("k"+text) != "gw_test_x" {
				t.Errorf("%q in %s asks %s", text, s.Label, got[0].uri)
			}
			if first == nil {
				first = &got[0]
			} else if got[0].body != first.body {
				t.Errorf("%q: %s sends %q, curl %q", text, s.Label, got[0].body, first.body)
			}
		}
	}
}

// TestOddNames: names of headers and cookies may hold what shells and other
// languages read as more than text.
func TestOddNames(t *testing.T) {
	api := read(t, `
openapi: 3.1.0
info: {title: Odd, version: '1'}
paths:
  /x:
    get:
      security: [{a: [], b: []}]
      parameters:
        - {name: "X-'$HOME#`+"`id`"+`", in: header, required: true, example: "'$HOME`+"`id`"+`\"", schema: {type: string}}
        - {name: "c'$HOME`+"`id`"+`", in: cookie, required: true, example: "v", schema: {type: string}}
      responses: {'200': {description: ok}}
components:
  securitySchemes:
    a: {type: apiKey, in: header, name: "K-'$HOME`+"`id`"+`"}
    b: {type: apiKey, in: cookie, name: "k'$HOME`+"`id`"+`", x-gatewright: {kind: apikey}}`)
	ca := testenv.NewCA(t)
	at, took := listen(t, ca, nil)
	for _, s := range samples.New(api, "").Of(&api.Operations[0]).Samples {
		out, code := run(t, ca, s, []string{"ODD_URL=" + at, "ODD_A_API_KEY=gw_test_1", "ODD_B_API_KEY=gw_test_2"})
		got := took()
		if code != 0 || len(got) != 1 {
			t.Errorf("%s: exit code %d, %d requests\n%s\n%s", s.Label, code, len(got), out, s.Source)
			continue
		}
		for name, want := range map[string]string{
			"X-'$HOME#`id`": "'$HOME`id`\"", "K-'$HOME`id`": "gw_test_1", "Cookie": "c'$HOME`id`=v; k'$HOME`id`=gw_test_2",
		} {
			if is := got[0].header.Get(name); is != want {
				t.Errorf("%s: %s is %q, want %q", s.Label, name, is, want)
			}
		}
	}
}

// TestGoIsFormatted: the Go program is as gofmt leaves it.
func TestGoIsFormatted(t *testing.T) {
	api := read(t, places)
	for i := range api.Operations {
		source := samples.New(api, "").Of(&api.Operations[i]).Samples[3].Source
		if _, err := parser.ParseFile(token.NewFileSet(), "x.go", source, 0); err != nil {
			t.Error(err)
		}
		if got, err := format.Source([]byte(source)); err != nil || string(got) != source {
			t.Errorf("%s is not formatted (%v):\n%s", api.Operations[i].ID, err, source)
		}
	}
}

// No text of the document stands in a comment: shells carry out what they take
// for none.
func TestNoComments(t *testing.T) {
	api := read(t, places)
	for i := range api.Operations {
		for line := range strings.Lines(samples.New(api, "").Of(&api.Operations[i]).Samples[0].Source) {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				t.Errorf("%s has the comment %q", api.Operations[i].ID, line)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ title, want string }{
		{"Blog", "BLOG_URL"}, {"", "API_URL"}, {"API", "API_URL"}, {"Museum API", "MUSEUM_URL"}, {"The REST API", "THE_URL"},
		{"3 Things", "API_3_THINGS_URL"}, {"Ünïcode", "N_CODE_URL"}, {"$(x)", "X_URL"}, {strings.Repeat("long ", 40), "LONG_LONG_LONG_LONG_LONG_LONG_LONG_LONG_L_URL"},
	} {
		api := read(t, fmt.Sprintf("{openapi: 3.1.0, info: {title: %q, version: '1'}, paths: {/x: {get: {security: [], responses: {'200': {description: ok}}}}}}", c.title))
		vars := samples.New(api, "").Of(&api.Operations[0]).Variables
		if len(vars) != 1 || vars[0].Name != c.want {
			t.Errorf("variables of %q = %v, want %s", c.title, vars, c.want)
		}
	}
	// Schemes whose names are told apart by no letter of a variable.
	api := read(t, `
openapi: 3.1.0
info: {title: T, version: '1'}
paths: {/x: {get: {operationId: x, security: [{a-b: [], a_b: []}], responses: {'200': {description: ok}}}}}
components: {securitySchemes: {a-b: {type: apiKey, in: header, name: A}, a_b: {type: apiKey, in: header, name: B}}}`)
	if got := fmt.Sprint(samples.New(api, "").Of(&api.Operations[0]).Variables); !strings.Contains(got, "{T_A_B_API_KEY ") || !strings.Contains(got, "{T_A_B_2_API_KEY ") {
		t.Errorf("variables = %s", got)
	}
}
