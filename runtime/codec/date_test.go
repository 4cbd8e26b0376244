package codec_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/codec"
)

func TestParseDate(t *testing.T) {
	for _, c := range []struct {
		s    string
		want codec.Date
		ok   bool
	}{
		{"2024-02-29", codec.Date{Year: 2024, Month: 2, Day: 29}, true},
		{"0000-01-01", codec.Date{Year: 0, Month: 1, Day: 1}, true},
		{"9999-12-31", codec.Date{Year: 9999, Month: 12, Day: 31}, true},
		{s: "2023-02-29"}, {s: "2024-13-01"}, {s: "2024-00-01"}, {s: "2024-01-00"}, {s: "2024-1-1"},
		{s: "24-01-01"}, {s: "2024/01/01"}, {s: "2024-01-01T00:00:00Z"}, {s: " 2024-01-01"}, {s: "2024-01-01\n"},
		{s: "-024-01-01"}, {s: "+024-01-01"}, {s: "2024-01-1x"}, {s: ""}, {s: "２024-01-"},
	} {
		got, err := codec.ParseDate(c.s)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("ParseDate(%q) = %v, %v, want %v, %v", c.s, got, err, c.want, c.ok)
		}
		if err != nil && c.s != "" && strings.Contains(err.Error(), c.s) {
			t.Errorf("ParseDate(%q) = %v: the error echoes the text", c.s, err)
		}
		if c.ok && got.String() != c.s {
			t.Errorf("ParseDate(%q).String() = %q", c.s, got)
		}
	}
}

func TestDateJSON(t *testing.T) {
	type post struct {
		Day  codec.Date            `json:"day"`
		Next codec.Date            `json:"next,omitzero"`
		Per  map[codec.Date]string `json:"per,omitempty"`
	}
	const text = `{"day":"2024-02-29","per":{"2024-03-01":"x"}}`
	var p post
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(p)
	if err != nil || string(out) != text {
		t.Errorf("Marshal = %s, %v, want %s", out, err, text)
	}
	for _, d := range []codec.Date{{}, {Year: 2023, Month: 2, Day: 29}, {Year: 10000, Month: 1, Day: 1}, {Year: -1, Month: 1, Day: 1}} {
		if out, err := json.Marshal(d); err == nil {
			t.Errorf("Marshal(%v) = %s, want an error", d, out)
		}
	}
	if err := json.Unmarshal([]byte(`{"day":"2023-02-29"}`), &p); err == nil {
		t.Error("Unmarshal of a day that does not exist = nil")
	}
}

func TestDateTime(t *testing.T) {
	zone := time.FixedZone("east", 5*3600)
	d := codec.DateOf(time.Date(2024, 3, 1, 23, 0, 0, 0, zone))
	if want := time.Date(2024, 3, 1, 0, 0, 0, 0, zone); !d.Time(zone).Equal(want) {
		t.Errorf("Time() = %v, want %v", d.Time(zone), want)
	}
	if d.IsZero() || !(codec.Date{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}
