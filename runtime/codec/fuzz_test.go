package codec

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// FuzzPairs compares our reader with that of net/url, which is meant to refuse
// and to read the same.
func FuzzPairs(f *testing.F) {
	for _, s := range []string{"", "a=1&b=2", "a", "=", "&&", "a=1;b=2", "%zz=1", "a=%2", "a+b=%2B+", "%61=1&a=2", "a=b=c", "\xff=%ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pairs, err := parsePairs(text)
		want, wantErr := url.ParseQuery(text)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("parsePairs(%q) = %v, net/url has %v", text, err, wantErr)
		}
		if err != nil {
			return
		}
		got := url.Values{}
		for _, p := range pairs {
			got.Add(p.name, p.value)
			if raw, err := url.QueryUnescape(p.raw); err != nil || raw != p.value {
				t.Fatalf("parsePairs(%q): %q is sent as %q", text, p.value, p.raw)
			}
		}
		if !maps.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("parsePairs(%q) = %q, net/url has %q", text, got, want)
		}
	})
}

// FuzzForm holds the object of a form against what net/url reads: its members
// are the form's names, each with its texts.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"", "s=a&n=1&l=x&l=y", "n=", "s=1&s=2", "x=1&x=2&y=", "o={}", "o={\"a\":1,\"a\":2}", "o={},\"x\":1", "\"=\"", "%ff=1", "n=1e5&b=true", "m=x", "m=x&m=7"} {
		f.Add(s)
	}
	shape := Shape{Types: []string{"object"}, Props: []Prop{
		{"s", Shape{Types: []string{"string"}}},
		{"n", Shape{Types: []string{"integer", "number"}}},
		{"b", Shape{Types: []string{"boolean"}}},
		{"l", Shape{Types: []string{"array"}}},
		{"o", Shape{Types: []string{"object"}}},
		{"m", Shape{Types: []string{"array", "integer"}}},
	}}
	f.Fuzz(func(t *testing.T, text string) {
		object, wrong := formObject(&shape, text)
		if len(wrong) > 0 {
			return
		}
		values, err := url.ParseQuery(text)
		if err != nil {
			t.Fatalf("formObject(%q) = %s, net/url has %v", text, object, err)
		}
		var members map[string]jsontext.Value
		if err := json.Unmarshal(object, &members); err != nil {
			t.Fatalf("formObject(%q) = %s: %v", text, object, err)
		}
		if len(members) != len(values) {
			t.Fatalf("formObject(%q) = %s, net/url has %q", text, object, values)
		}
		for name, texts := range values {
			checkMember(t, name, members[name], texts)
		}
	})
}

func checkMember(t *testing.T, name string, member jsontext.Value, texts []string) {
	t.Helper()
	items := []jsontext.Value{member}
	if member.Kind() == jsontext.KindBeginArray {
		if err := json.Unmarshal(member, &items); err != nil {
			t.Fatal(err)
		}
	}
	if len(items) != len(texts) {
		t.Fatalf("%q is %s, want %q", name, member, texts)
	}
	for i, item := range items {
		got := string(item)
		if item.Kind() == jsontext.KindString {
			if err := json.Unmarshal(item, &got); err != nil {
				t.Fatal(err)
			}
		}
		if got != texts[i] {
			t.Fatalf("%q is %s, want %q", name, member, texts)
		}
	}
}

// FuzzAccept checks what must hold whatever the field says.
func FuzzAccept(f *testing.F) {
	for _, s := range []string{"", "*/*", "text/*;q=0.5, application/json", "a/b;q=0", `a/b;x="c,d";q=1`, ";;,", "*/json", "a/b;q=1.000", `"`, `a/b;x="\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		offers := []string{"application/json", "text/csv", "image/*"}
		r := &http.Request{Header: http.Header{"Accept": {accept}}}
		chosen, ok := Negotiate(r, offers...)
		if ok != slices.Contains(offers, chosen) {
			t.Fatalf("Negotiate(%q) = %q, %v", accept, chosen, ok)
		}
		for _, m := range acceptRanges([]string{accept}) {
			if m.q < 0 || m.q > 1000 || m.kind == "" || m.sub == "" {
				t.Fatalf("acceptRanges(%q) has %+v", accept, m)
			}
		}
		// An exact range that is liked best decides, unless the field
		// names the type itself or ends inside quotes.
		if n := strings.ToLower(accept); strings.Contains(n, "zz") || strings.ContainsAny(n, `"\`) {
			return
		}
		r.Header.Set("Accept", accept+", application/zz")
		if chosen, ok := Negotiate(r, "application/zz"); !ok {
			t.Fatalf("Negotiate(%q) = %q, %v, want application/zz", accept, chosen, ok)
		}
	})
}

// FuzzParam checks that a parameter of any text is read or refused, and that
// what is read is the text.
func FuzzParam(f *testing.F) {
	for _, s := range []string{"", "1", "-0", "1e5", "true", "null", "a,b", "%2C", "\"", "\xff", "01", "[1]", "{}"} {
		f.Add(s, s)
	}
	types := [][]string{nil, {"integer"}, {"boolean", "number"}, {"array"}, {"array", "integer"}, {"object"}, {"null"}}
	f.Fuzz(func(t *testing.T, query, text string) {
		for _, accepted := range types {
			s := Shape{Types: accepted, Items: &Shape{Types: []string{"integer", "string"}}}
			r := httptest.NewRequest("GET", "/", nil)
			r.URL.RawQuery = query
			r.Header["X-A"] = []string{text}
			r.Header["Cookie"] = []string{text}
			for _, in := range []In{Query, Header, Cookie} {
				var into jsontext.Value
				name := map[In]string{Query: "a", Header: "X-A", Cookie: "a"}[in]
				d := New(nil, r, nil, nil)
				d.Param(Param{Name: name, In: in, Shape: s}, &into)
				if d.Err() == nil && into != nil && !into.IsValid() {
					t.Fatalf("%s %q %q as %v = %s", in, query, text, accepted, into)
				}
			}
			value, ok := s.appendScalar(nil, text)
			if !ok {
				continue
			}
			got := string(value)
			if jsontext.Value(value).Kind() == jsontext.KindString {
				if err := json.Unmarshal(value, &got); err != nil {
					t.Fatal(err)
				}
			}
			if got != text || !jsontext.Value(value).IsValid() {
				t.Fatalf("appendScalar(%q) as %v = %s", text, accepted, value)
			}
		}
	})
}

// FuzzSetHeader checks that no value makes a second field.
func FuzzSetHeader(f *testing.F) {
	for _, s := range []string{"", "a", "a\r\nb: c", "a,b", "\x00", "é", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := httptest.NewRecorder()
		if err := SetHeader(w, "X-A", text); err != nil {
			return
		}
		got := w.Header()["X-A"]
		if len(got) != 1 || got[0] != text || strings.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("SetHeader(%q) set %q", text, got)
		}
	})
}

// FuzzDate checks that what is read as a date is written the same.
func FuzzDate(f *testing.F) {
	for _, s := range []string{"2024-02-29", "2023-02-29", "0000-00-00", "10000-01-01", "2024-1-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDate(s)
		if err != nil {
			return
		}
		text, err := d.MarshalText()
		if err != nil || string(text) != s || len(s) != len("2006-01-02") {
			t.Fatalf("ParseDate(%q) = %v, written %q, %v", s, d, text, err)
		}
	})
}
