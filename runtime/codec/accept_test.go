package codec_test

import (
	"net/http/httptest"
	"testing"

	"github.com/gatewright/gatewright/runtime/codec"
)

func TestNegotiate(t *testing.T) {
	both := []string{"application/json", "text/csv"}
	for _, c := range []struct {
		name   string
		accept []string
		offers []string
		want   string // "" for none
	}{
		{"no field", nil, both, "application/json"},
		{"empty field", []string{""}, both, "application/json"},
		{"nothing readable", []string{"json, ;q=1, */json"}, both, "application/json"},
		{"anything", []string{"*/*"}, both, "application/json"},
		{"exact", []string{"text/csv"}, both, "text/csv"},
		{"case", []string{"Text/CSV"}, both, "text/csv"},
		{"range", []string{"text/*"}, both, "text/csv"},
		{"other", []string{"text/html"}, both, ""},
		{"other range", []string{"image/*"}, both, ""},
		{"weights", []string{"application/json;q=0.5, text/csv;q=0.6"}, both, "text/csv"},
		{"weights in capitals", []string{"application/json;Q=0.5, text/csv"}, both, "text/csv"},
		{"equal weights: ours", []string{"text/csv, application/json"}, both, "application/json"},
		{"several lines", []string{"text/html", "text/csv"}, both, "text/csv"},
		{"zero forbids", []string{"application/json;q=0"}, both, ""},
		{"zero forbids one", []string{"application/json;q=0, */*;q=0.1"}, both, "text/csv"},
		{"specific before general", []string{"*/*, application/json;q=0.1, text/*;q=0.2"}, both, "text/csv"},
		{"general zero", []string{"*/*;q=0, text/csv"}, both, "text/csv"},
		{"all forbidden", []string{"*/*;q=0.0"}, both, ""},
		{"malformed weight is passed over", []string{"application/json;q=2, text/csv"}, both, "text/csv"},
		{"weight with too many digits", []string{"application/json;q=0.1234, text/csv"}, both, "text/csv"},
		{"smallest weight", []string{"application/json;q=0.001"}, both, "application/json"},
		{"parameters are not compared", []string{"application/json; charset=utf-8"}, both, "application/json"},
		{"a variant forbidden forbids nothing else", []string{"application/json;v=2;q=0, */*"}, both, "application/json"},
		{"comma in quotes", []string{`text/csv;x="a,b"`}, both, "text/csv"},
		{"quote escaped", []string{`text/csv;x="\",b"`}, both, "text/csv"},
		{"browser", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}, both, "application/json"},
		{"suffix is no wildcard", []string{"application/*+json"}, both, ""},
		{"offered range", []string{"image/png"}, []string{"image/*"}, "image/*"},
		{"offered range, other", []string{"text/csv"}, []string{"image/*"}, ""},
		{"offered anything", []string{"text/csv"}, []string{"*/*"}, "*/*"},
		{"offered range, part forbidden", []string{"image/png;q=0, */*"}, []string{"image/*"}, "image/*"},
		{"offer with parameters", []string{"text/csv"}, []string{"text/csv; charset=utf-8"}, "text/csv; charset=utf-8"},
		{"nothing offered", []string{"*/*"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			for _, line := range c.accept {
				r.Header.Add("Accept", line)
			}
			got, ok := codec.Negotiate(r, c.offers...)
			if got != c.want || ok != (c.want != "") {
				t.Errorf("Negotiate(%q, %q) = %q, %v, want %q", c.accept, c.offers, got, ok, c.want)
			}
		})
	}
}

func TestAccept(t *testing.T) {
	const refused = "Not Acceptable, not_acceptable"
	for _, c := range []struct {
		name, accept, query string
		offers              []string
		want                string
	}{
		{"allowed", "application/json", "", []string{"application/json"}, "ok"},
		{"refused", "text/html", "", []string{"application/json"}, refused},
		{"nothing offered", "text/html", "", nil, "ok"},
		{"after the parameters", "text/html", "a=x", []string{"application/json"}, unreadable + ", /query/a type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/?"+c.query, nil)
			r.Header.Set("Accept", c.accept)
			var a *int
			d := codec.New(httptest.NewRecorder(), r, nil, nil)
			d.Param(codec.Param{Name: "a", In: codec.Query, Shape: of("integer")}, &a)
			d.Accept(c.offers...)
			if got := told(d.Err()); got != c.want {
				t.Errorf("Accept(%q) = %s, want %s", c.offers, got, c.want)
			}
		})
	}
}
