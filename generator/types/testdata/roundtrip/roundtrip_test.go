package api

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// again reads a text into T and writes it again, canonically.
func again[T any](t *testing.T, text string) (T, string) {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("Unmarshal(%s): %v", text, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("Marshal(%+v): %v", v, err)
	}
	out := jsontext.Value(b)
	if err := out.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	return v, string(out)
}

func TestThing(t *testing.T) {
	for name, text := range map[string]string{
		"least":               `{"id":1,"note":null,"tags":null}`,
		"empty is not absent": `{"id":1,"labels":[],"name":"","note":"","tags":[]}`,
		"case is told apart":  `{"Name":"B","id":1,"name":"a","note":"n","tags":["x"]}`,
		"formats":             `{"blob":"AAE=","born":"2024-02-29","free":{"a":[1]},"id":9007199254740991,"note":null,"seen":"2024-02-29T01:02:03Z","tags":null}`,
	} {
		if _, got := again[Thing](t, text); got != text {
			t.Errorf("%s: %s became %s", name, text, got)
		}
	}
	var v Thing
	for name, text := range map[string]string{
		"member twice": `{"id":1,"id":2}`,
		"no number":    `{"id":"1"}`,
		"no date":      `{"born":"2024-02-30"}`,
	} {
		if err := json.Unmarshal([]byte(text), &v); err == nil {
			t.Errorf("%s: Unmarshal(%s) = %+v, want an error", name, text, v)
		}
	}
	v = Thing{}
	if err := json.Unmarshal([]byte(`{"ID":7}`), &v); err != nil || v.ID != 0 {
		t.Errorf("Unmarshal took ID for id: %+v, %v", v, err)
	}
}

func TestOpen(t *testing.T) {
	text := `{"known":"a","x":1,"y":2}`
	v, got := again[Open](t, text)
	if got != text || v.AdditionalProperties["y"] != 2 || v.Known != "a" {
		t.Errorf("%s became %s by way of %+v", text, got, v)
	}
	if err := json.Unmarshal([]byte(`{"known":"a","x":"1"}`), &v); err == nil {
		t.Error("a member of another type was taken")
	}
}

func TestPet(t *testing.T) {
	text := `{"kind":"cat","lives":9}`
	v, got := again[Pet](t, text)
	if got != text {
		t.Errorf("%s became %s", text, got)
	}
	if cat, err := v.AsCat(); err != nil || cat.Lives != 9 {
		t.Errorf("AsCat = %+v, %v", cat, err)
	}
	if one, err := v.ValueByDiscriminator(); err != nil || one.(Cat).Lives != 9 {
		t.Errorf("ValueByDiscriminator = %+v, %v", one, err)
	}
	var p Pet
	if err := p.FromDog(Dog{Bark: "wau"}); err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(p); err != nil || string(b) != `{"bark":"wau","kind":"dog"}` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
	if err := json.Unmarshal([]byte(`{"kind":"cat","kind":"dog"}`), &p); err == nil {
		t.Error("a member given twice was taken")
	}
	if err := json.Unmarshal([]byte(`{"kind":"eel"}`), &p); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ValueByDiscriminator(); err == nil || !strings.Contains(err.Error(), "eel") {
		t.Errorf("ValueByDiscriminator = %v, want an error that names eel", err)
	}
}

func TestTagged(t *testing.T) {
	text := `{"bark":"wau","kind":"dog","note":"","tag":"t"}`
	v, got := again[Tagged](t, text)
	if got != text || v.Tag != "t" || v.Note == nil {
		t.Errorf("%s became %s by way of %+v", text, got, v)
	}
	if dog, err := v.AsDog(); err != nil || dog.Bark != "wau" {
		t.Errorf("AsDog = %+v, %v", dog, err)
	}
	v.Note, v.Tag = nil, "u"
	if b, err := json.Marshal(v); err != nil || string(b) != `{"bark":"wau","kind":"dog","tag":"u"}` {
		t.Errorf("Marshal = %s, %v: a field that was taken out must go", b, err)
	}
	made := Tagged{Tag: "t"}
	if err := made.FromCat(Cat{Kind: "cat", Lives: 9}); err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(made); err != nil || string(b) != `{"kind":"cat","lives":9,"tag":"t"}` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
}

func TestHolder(t *testing.T) {
	text := `{"pet":{"kind":"cat","lives":9}}`
	if v, got := again[Holder](t, text); got != text || v.Other != nil {
		t.Errorf("%s became %s", text, got)
	}
	if _, got := again[Value](t, `"x"`); got != `"x"` {
		t.Errorf("a union of a string and a number became %s", got)
	}
}
