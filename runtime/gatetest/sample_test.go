package gatetest

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/codec"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/route"
	"github.com/gatewright/gatewright/runtime/schema"
)

const checks = `{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{
	"Post":{"type":"object","required":["title"]},
	"Pay":{"type":"object","required":["sum"]},
	"ID":{"type":"string","pattern":"^[a-z]{8}$"},
	"Count":{"type":"integer"}}}`

// samples are requests that the operations take. getMine has none, and that of
// comment is wrong.
var samples = map[string]Request{
	"listPosts":   {Path: "/v1/posts"},
	"createPost":  {Path: "/v1/posts", ContentType: "application/json", Body: `{"title":"x"}`, Def: "Post"},
	"getPost":     {Path: "/v1/posts/abcdefgh"},
	"deletePost":  {Path: "/v1/posts/abcdefgh", Query: "count=1"},
	"getFeed":     {Path: "/v1/feed.rss", Header: map[string]string{"X-Since": "1"}},
	"comment":     {Path: "/v1/comment", ContentType: "application/json", Body: `[]`, Def: "Post"},
	"transfer":    {Path: "/v1/transfer", ContentType: "application/json", Body: `{"sum":1}`, Def: "Pay"},
	"twoKeys":     {Path: "/v1/two", Header: map[string]string{"Cookie": "c=1"}},
	"keyAndLogin": {Path: "/v1/three"},
	"never":       {Path: "/v1/never"},
	"raw":         {Path: "/v1/raw"},
}

var wrongs = map[string]Request{
	"listPosts": {Path: "/v1/posts", Query: "count=x"},
	"getPost":   {Path: "/v1/posts/x"},
}

func declared() []gate.Scheme {
	var all []gate.Scheme
	for _, s := range schemes {
		all = append(all, gate.Scheme{Name: s.Name, Places: slices.Clone(s.Places)})
	}
	return all
}

// read checks a request of an operation as generated code does.
func read(op string, w http.ResponseWriter, r *http.Request, vars route.Vars) error {
	program, err := schema.Compile([]byte(checks))
	if err != nil {
		return err
	}
	in := codec.New(w, r, vars, program)
	text := func(in codec.In, name, def string, required bool) codec.Param {
		return codec.Param{Name: name, In: in, Required: required, Style: "simple", Def: def}
	}
	count := text(codec.Query, "count", "Count", op == "deletePost")
	count.Shape = codec.Shape{Types: []string{"integer"}}
	body := func(def string) {
		var into any
		in.Body(codec.Body{Required: true, Contents: []codec.Content{{MediaType: "application/json", Kind: codec.JSON, Def: def, Into: &into}}})
	}
	var s string
	var n int
	switch op {
	case "listPosts":
		in.Param(count, &n)
	case "createPost", "comment":
		body("Post")
	case "getPost":
		in.Param(text(codec.Path, "post", "ID", true), &s)
	case "deletePost":
		in.Param(text(codec.Path, "id", "ID", true), &s)
		in.Param(count, &n)
	case "getFeed":
		in.Param(text(codec.Header, "X-Since", "", true), &s)
	case "twoKeys":
		in.Param(text(codec.Cookie, "c", "", true), &s)
	case "transfer":
		body("Pay")
	}
	return in.Err()
}

// serves is the handler of an operation as it is generated.
func serves(op string, called func(string, *gate.Principal)) route.Handler {
	return func(w http.ResponseWriter, r *http.Request, vars route.Vars, who *gate.Principal) {
		err := read(op, w, r, vars)
		if err == nil {
			called(op, who)
			err = problem.New(http.StatusNotImplemented, "not_implemented", "Not implemented.")
		}
		problem.Write(w, r, err)
	}
}

// Operations that were not seen to run are known.
func TestUnsure(t *testing.T) {
	ring, err := newKeyring(t.TempDir(), schemes)
	if err != nil {
		t.Fatal(err)
	}
	defer ring.close()
	b, err := newBench((&server{policies: policies(), sampled: []string{"comment", "getPost"}}).api(), ring)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for _, op := range b.api.Operations {
		for _, p := range b.probes(op) {
			if errs := b.try(p); len(errs) > 0 {
				t.Errorf("%s/%s: %v", op.ID, p.name, errs)
			}
		}
	}
	for op, want := range map[string]bool{"comment": true, "createPost": true, "getPost": false, "listPosts": false} {
		if b.unsure[op] != want {
			t.Errorf("unsure of %s = %v, want %v", op, b.unsure[op], want)
		}
	}
}

// A handler that is not the operation's, or does not do as it should, is seen.
func TestRunFailsForWeakHandlers(t *testing.T) {
	ring, err := newKeyring(t.TempDir(), schemes)
	if err != nil {
		t.Fatal(err)
	}
	defer ring.close()
	tell := func(change func(*gate.Principal) *gate.Principal) func(*server) {
		return func(s *server) {
			s.tell = func(op string, who *gate.Principal) *gate.Principal { return change(who) }
		}
	}
	instead := func(op string, h route.Handler) func(*server) {
		return func(s *server) { s.handlers = map[string]route.Handler{op: h} }
	}
	unread := func(op string) func(*server) {
		return func(s *server) { s.unread = op }
	}
	swap := func(op, by string) func(*server) {
		return func(s *server) { s.swaps = map[string]string{op: by} }
	}
	for _, c := range []struct {
		name   string
		weaken func(*server)
		want   string
	}{
		{"one that runs", swap("getPost", "raw"), "getPost/complete_key"},
		{"one that wants another variable", swap("getPost", "deletePost"), "getPost/complete_key"},
		{"one that wants a body", swap("getPost", "createPost"), "getPost/complete_key"},
		{"one that wants another body", swap("transfer", "createPost"), "transfer/complete_login+cert"},
		{"one that wants a variable", swap("listPosts", "getPost"), "listPosts/no_credential"},
		{"one that wants a query", swap("raw", "deletePost"), "raw/complete_token"},
		{"one that wants a header", swap("raw", "getFeed"), "raw/complete_token"},
		{"one that wants a cookie", swap("raw", "twoKeys"), "raw/complete_token"},
		{"one that wants a body, of one without a sample", swap("getMine", "createPost"), "getMine/complete_token"},
		{"one that runs, of one with a wrong sample", swap("comment", "raw"), "comment/no_credential"},
		{"early return", instead("raw", func(http.ResponseWriter, *http.Request, route.Vars, *gate.Principal) {}), "raw/complete_token"},
		{"early return of one without a sample", instead("getMine", func(http.ResponseWriter, *http.Request, route.Vars, *gate.Principal) {}), "getMine/complete_token"},
		{"early refusal", instead("raw", func(w http.ResponseWriter, r *http.Request, _ route.Vars, _ *gate.Principal) {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}), "raw/complete_token"},
		{"another status", func(s *server) {
			s.wrap = after(func(_ http.Header, status int) int {
				if status == 501 {
					return 204
				}
				return status
			})
		}, "raw/complete_token"},
		{"run twice", func(s *server) { s.twice = true }, "raw/complete_token"},
		{"empty principal", tell(func(*gate.Principal) *gate.Principal { return &gate.Principal{} }), "getPost/complete_key"},
		{"empty principal for nobody", tell(func(*gate.Principal) *gate.Principal { return &gate.Principal{} }), "getFeed/no_credential"},
		{"nobody", tell(func(*gate.Principal) *gate.Principal { return nil }), "getFeed/complete_login"},
		{"somebody else", tell(func(who *gate.Principal) *gate.Principal {
			eve := Principal(gate.Identity{User: &gate.User{ID: "eve"}}, "key")
			return &eve
		}), "getPost/complete_key"},
		{"by another scheme", tell(func(who *gate.Principal) *gate.Principal {
			if who == nil {
				return nil
			}
			user, _ := who.User()
			other := Principal(gate.Identity{User: &user}, "raw")
			return &other
		}), "getPost/complete_key"},
		{"client left out", tell(func(who *gate.Principal) *gate.Principal {
			if who == nil {
				return nil
			}
			user, _ := who.User()
			other := Principal(gate.Identity{User: &user}, who.Via()...)
			return &other
		}), "transfer/complete_login+cert"},
		{"query not checked", unread("deletePost"), "deletePost/not_valid"},
		{"header not checked", unread("getFeed"), "getFeed/not_valid"},
		{"cookie not checked", unread("twoKeys"), "twoKeys/not_valid"},
		{"body not checked", unread("createPost"), "createPost/not_valid"},
		{"variable not checked", unread("getPost"), "getPost/not_valid"},
		{"optional query not checked", unread("listPosts"), "listPosts/not_valid"},
		{"place added", func(s *server) {
			s.declared = declared()
			s.declared[0].Places = append(s.declared[0].Places, gate.Place{In: gate.InQuery, Name: "k"})
		}, "schemes"},
		{"place changed", func(s *server) {
			s.declared = declared()
			s.declared[1].Places[0].Name = "k"
		}, "schemes"},
		{"scheme missing", func(s *server) { s.declared = declared()[1:] }, "schemes"},
		{"scheme added", func(s *server) {
			s.declared = append(declared(), gate.Scheme{Name: "k", Places: schemes[0].Places})
		}, "schemes"},
		{"scheme declared twice", func(s *server) { s.declared = append(declared(), declared()[0]) }, "schemes"},
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

func TestReaches(t *testing.T) {
	b := &bench{api: API{Operations: []Operation{
		{ID: "one", Path: "/posts/{id}"}, {ID: "mine", Path: "/posts/mine"}, {ID: "text", Path: "/posts/{id}.txt"},
	}}}
	for _, c := range []struct {
		op   int
		path string
		want bool
	}{
		{0, "/posts/a", true},
		{0, "/posts/mine", false},
		{0, "/posts/%6dine", false},
		{0, "/posts/a.txt", false},
		{0, "/posts/a%2Fb", true},
		{0, "/posts/%", false},
		{0, "", false},
		{1, "/posts/mine", true},
	} {
		if got := b.reaches(b.api.Operations[c.op], Request{Path: c.path}); got != c.want {
			t.Errorf("reaches(%s, %q) = %v, want %v", b.api.Operations[c.op].ID, c.path, got, c.want)
		}
	}
}
