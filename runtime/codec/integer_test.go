package codec_test

import (
	"fmt"
	"math/big"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatewright/gatewright/runtime/codec"
)

// stars is an integer type as generated code has them.
type stars int8

// numbers are fields of several kinds, deep enough to have a pointer.
type numbers struct {
	Int    *int64           `json:"int,omitzero"`
	Uint   uint64           `json:"uint,omitzero"`
	Stars  []stars          `json:"stars,omitzero"`
	Float  float64          `json:"float,omitzero"`
	Text   string           `json:"text,omitzero"`
	Any    any              `json:"any,omitzero"`
	Quoted int              `json:"quoted,string,omitzero"`
	ByName map[string]stars `json:"byName,omitzero"`
}

func TestIntegersInBodies(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{"int":1}`, "1 0 [] 0"},
		{`{"int":1.0}`, "1 0 [] 0"},
		{`{"int":1e2}`, "100 0 [] 0"},
		{`{"int":-1.50E+1}`, "-15 0 [] 0"},
		{`{"int":0.0}`, "0 0 [] 0"},
		{`{"int":-0.0}`, "0 0 [] 0"},
		{`{"int":0e999999999999999999999}`, "0 0 [] 0"},
		{`{"int":1200e-2}`, "12 0 [] 0"},
		{`{"int":9223372036854775807.0}`, "9223372036854775807 0 [] 0"},
		{`{"int":-9.223372036854775808e18}`, "-9223372036854775808 0 [] 0"},
		{`{"int":9007199254740993.0}`, "9007199254740993 0 [] 0"}, // no float64
		{`{"uint":18446744073709551615.0}`, "0 18446744073709551615 [] 0"},
		{`{"uint":1e19}`, "0 10000000000000000000 [] 0"},
		{`{"stars":[1,2.0,1.27e2]}`, "0 0 [1 2 127] 0"},
		{`{"byName":{"a":1.0}}`, "0 0 [] 0"},
		{`{"int":1.0,"float":-0.5,"text":"1.0","any":1.0,"quoted":"7"}`, "1 0 [] -0.5"},
		{`{"int":1.5}`, unreadableBody + ", /body/int type"},
		{`{"int":1e-1}`, unreadableBody + ", /body/int type"},
		{`{"int":9223372036854775808.0}`, unreadableBody + ", /body/int type"},
		{`{"int":1e19}`, unreadableBody + ", /body/int type"},
		{`{"int":1e999999999999999999999}`, unreadableBody + ", /body/int type"},
		{`{"int":1e999999999}`, unreadableBody + ", /body/int type"},
		{`{"int":"1.0"}`, unreadableBody + ", /body/int type"},
		{`{"uint":-1.0}`, unreadableBody + ", /body/uint type"},
		{`{"uint":18446744073709551616.0}`, unreadableBody + ", /body/uint type"},
		{`{"stars":[1.0,128.0]}`, unreadableBody + ", /body/stars/1 type"},
		{`{"int":1.0,"text":1.0}`, unreadableBody + ", /body/text type"},
	} {
		var into numbers
		r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		d := codec.New(httptest.NewRecorder(), r, nil, nil)
		d.Body(codec.Body{Contents: []codec.Content{{MediaType: "application/json", Kind: codec.JSON, Into: &into}}})
		got := told(d.Err())
		if got == "ok" {
			n := int64(0)
			if into.Int != nil {
				n = *into.Int
			}
			got = fmt.Sprint(n, into.Uint, into.Stars, into.Float)
		}
		if got != c.want {
			t.Errorf("Body(%s) = %s, want %s", c.body, got, c.want)
		}
	}
}

// What the schema calls an integer is one for the field too.
func TestIntegersInParameters(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"7", "7"},
		{"1.0", "1"},
		{"1e2", "100"},
		{"1.5", invalid + ", /query/a type"},
		{"1e3", invalid + ", /query/a maximum"},
	} {
		var into *stars
		d := codec.New(httptest.NewRecorder(), httptest.NewRequest("GET", "/?a="+c.text, nil), nil, compile(t))
		d.Param(codec.Param{Name: "a", In: codec.Query, Shape: of("integer"), Def: "small"}, &into)
		got := told(d.Err())
		if got == "ok" {
			got = fmt.Sprint(*into)
		}
		if got != c.want {
			t.Errorf("Param(%s) = %s, want %s", c.text, got, c.want)
		}
	}
}

// FuzzInteger compares with exact arithmetic.
func FuzzInteger(f *testing.F) {
	for _, s := range []string{"1", "1.0", "1e2", "-15E-1", "9223372036854775807.0", "1e19", "0.000e5", "120e-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok {
			if n, err := strconv.Atoi(exponent); err != nil || n > 1000 || n < -1000 {
				return // too much for exact arithmetic
			}
		}
		var got int64
		r := httptest.NewRequest("POST", "/", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
		d := codec.New(httptest.NewRecorder(), r, nil, nil)
		d.Body(codec.Body{Required: true, Contents: []codec.Content{{MediaType: "application/json", Kind: codec.JSON, Into: &got}}})
		text = strings.Trim(text, " \t\r\n")
		if !jsontext.Value(text).IsValid() || jsontext.Value(text).Kind() != '0' {
			return
		}
		want, _ := new(big.Rat).SetString(text)
		fits := want.IsInt() && want.Num().IsInt64()
		if fits != (d.Err() == nil) || fits && want.Num().Int64() != got {
			t.Errorf("%q was read as %d, %v", text, got, d.Err())
		}
	})
}
