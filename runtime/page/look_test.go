package page

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// logoFile writes a file and returns where it is.
func logoFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pngOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, width, height)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	svgText = `<?xml version="1.0" encoding="UTF-8"?><!-- ours --><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>` + "\n"
	// One pixel, lossless.
	webpText = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
)

func webp(t *testing.T) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(webpText)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNewLookLogo(t *testing.T) {
	gray := pngOf(t, 8, 8)
	for _, c := range []struct {
		name    string
		content []byte
		media   string // "": refused
	}{
		{"logo.svg", []byte(svgText), "image/svg+xml"},
		{"logo.SVG", []byte(svgText), "image/svg+xml"},
		{"logo.png", gray, "image/png"},
		{"logo.jpg", jpegOf(t, 8, 8), "image/jpeg"},
		{"logo.jpeg", jpegOf(t, 8, 8), "image/jpeg"},
		{"logo.webp", webp(t), "image/webp"},
		{"most.svg", []byte(svgText + strings.Repeat(" ", maxLogo-len(svgText))), "image/svg+xml"},

		{"more.svg", []byte(svgText + strings.Repeat(" ", maxLogo-len(svgText)+1)), ""},
		{"logo", gray, ""},
		{"logo.gif", []byte("GIF89a"), ""},
		{"png.svg", gray, ""},
		{"svg.png", []byte(svgText), ""},
		{"jpeg.png", jpegOf(t, 8, 8), ""},
		{"png.jpg", gray, ""},
		{"png.webp", gray, ""},
		{"html.svg", []byte("<html><body/></html>"), ""},
		{"no-namespace.svg", []byte("<svg/>"), ""},
		{"two.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"/><svg xmlns="http://www.w3.org/2000/svg"/>`), ""},
		{"text.svg", []byte("hello" + svgText[38:]), ""},
		{"behind.svg", []byte(svgText + "hello"), ""},
		{"open.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg">`), ""},
		{"crossed.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><g></svg></g>`), ""},
		{"entities.svg", []byte(`<!DOCTYPE svg [<!ENTITY a "aa">]><svg xmlns="http://www.w3.org/2000/svg"/>`), ""},
		{"empty.svg", nil, ""},
		{"empty.png", nil, ""},
		{"cut.png", gray[:len(gray)-20], ""},
		{"cut.jpg", jpegOf(t, 8, 8)[:40], ""},
		{"end.jpg", jpegOf(t, 256, 256)[:700], ""},
		{"wide.png", pngOf(t, maxSide+1, 1), ""},
		{"high.jpg", jpegOf(t, 1, maxSide+1), ""},
		{"cut.webp", webp(t)[:24], ""},
		{"long.webp", append(webp(t), 0, 0), ""},
		{"wave.webp", []byte("RIFF\x0c\x00\x00\x00WAVEfmt \x00\x00\x00\x00"), ""},
		{"other.webp", []byte("RIFF\x0c\x00\x00\x00WEBPABCD\x00\x00\x00\x00"), ""},
		{"chunk.webp", []byte("RIFF\x0c\x00\x00\x00WEBPVP8L\x09\x00\x00\x00"), ""},
	} {
		path := logoFile(t, c.name, c.content)
		look, err := NewLook("Blog", path, "")
		if (err == nil) != (c.media != "") {
			t.Errorf("NewLook with %s = %v, want it taken: %v", c.name, err, c.media != "")
			continue
		}
		if err != nil {
			if !strings.Contains(err.Error(), c.name) {
				t.Errorf("NewLook with %s = %v, which does not name the file", c.name, err)
			}
			if look != (Look{}) {
				t.Errorf("NewLook with %s fails and returns %+v", c.name, look)
			}
			continue
		}
		if want := "data:" + c.media + ";base64," + base64.StdEncoding.EncodeToString(c.content); string(look.Logo()) != want {
			t.Errorf("NewLook with %s: Logo() = %.60q, want %.60q", c.name, look.Logo(), want)
		}
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "missing.png"), func() string {
		dir := filepath.Join(t.TempDir(), "folder.png")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}()} {
		if _, err := NewLook("", path, ""); err == nil {
			t.Errorf("NewLook takes %s", path)
		}
	}
}

// A logo without a name beside it has a text of its own.
func TestLogoText(t *testing.T) {
	path := logoFile(t, "logo.svg", []byte(svgText))
	for name, want := range map[string]string{"": "Logo", "Blog": ""} {
		look, err := NewLook(name, path, "")
		if err != nil {
			t.Fatal(err)
		}
		if body := write(t, "GET", Page{Title: "x", Look: look}).Body.String(); !strings.Contains(body, ` alt="`+want+`">`) {
			t.Errorf("with the name %q the logo is not called %q", name, want)
		}
	}
}

func TestNewLookRefuses(t *testing.T) {
	_, err := NewLook("a\nb", "logo.gif", "blue")
	for _, want := range []string{"the name", "the logo logo.gif", `"blue" is no colour`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewLook = %v, want %q in it", err, want)
		}
	}
	for _, accent := range []string{"1f4fbf", "#1f4fb", "#1f4fbff", "#1f4fbg", "#fff", "red", "#1f4fbf;", " #1f4fbf", "#+1+1+1"} {
		if _, err := NewLook("", "", accent); err == nil {
			t.Errorf("NewLook takes the accent %q", accent)
		}
	}
	for name, want := range map[string]bool{"": true, strings.Repeat("ä", 60): true, strings.Repeat("ä", 61): false, "\xff": false, "a\tb": false, "Tom & <Jerry>": true} {
		if _, err := NewLook(name, "", "#1F4FBF"); (err == nil) != want {
			t.Errorf("NewLook(%q) = %v, want it taken: %v", name, err, want)
		}
	}
}

// variables reads the colours that a style sheet names, those of the light
// first, then those of the dark.
func variables(t *testing.T, css string) [2]map[string]colour {
	t.Helper()
	bright, dim, ok := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("the style sheet has nothing for the dark")
	}
	var all [2]map[string]colour
	for i, part := range []string{bright, dim} {
		all[i] = map[string]colour{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(part, -1) {
			c, err := parseColour(m[2])
			if err != nil {
				t.Fatal(err)
			}
			if _, twice := all[i][m[1]]; twice {
				t.Fatalf("--%s is there twice", m[1])
			}
			all[i][m[1]] = c
		}
	}
	return all
}

// TestContrast computes the contrast of what stands on what, for accents from
// all over, by the style sheet as it is sent (WCAG 2.2, AA).
func TestContrast(t *testing.T) {
	accents := []colour{black, white, {0xff, 0xd4, 0}, {0x80, 0x80, 0x80}, {0x76, 0x76, 0x76}, {0x77, 0x77, 0x77}, {0x1b, 0x20, 0x2a}}
	for r := 0; r <= 255; r += 51 {
		for g := 0; g <= 255; g += 51 {
			for b := 0; b <= 255; b += 51 {
				accents = append(accents, colour{uint8(r), uint8(g), uint8(b)})
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		accents = append(accents, colour{uint8(rng.UintN(256)), uint8(rng.UintN(256)), uint8(rng.UintN(256))})
	}
	type pair struct {
		on, of string
		least  float64
	}
	var pairs []pair
	for _, back := range []string{"back", "card", "wash"} {
		pairs = append(pairs,
			pair{"text", back, 4.5}, pair{"soft", back, 4.5}, pair{"act", back, 4.5}, pair{"bad", back, 4.5},
			pair{"line", back, 3}, // the edge of what one types into
		)
	}
	pairs = append(pairs,
		pair{"text", "good-back", 4.5}, pair{"text", "warn-back", 4.5}, pair{"text", "bad-back", 4.5},
		pair{"good", "good-back", 4.5}, pair{"warn", "warn-back", 4.5}, pair{"bad", "bad-back", 4.5},
		pair{"on-fill", "fill", 4.5}, pair{"on-fill", "fill-over", 4.5},
	)
	for _, accent := range accents {
		look, err := NewLook("", "", accent.String())
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range variables(t, string(look.wide().style)) {
			for _, p := range pairs {
				on, ok := c[p.on]
				of, ok2 := c[p.of]
				if !ok || !ok2 {
					t.Fatalf("the style sheet lacks --%s or --%s", p.on, p.of)
				}
				if got := contrast(on, of); got < p.least {
					t.Errorf("accent %v, %s: --%s %v on --%s %v has a contrast of %.2f, want %v", accent, []string{"light", "dark"}[i], p.on, on, p.of, of, got, p.least)
				}
			}
		}
	}
	if t.Failed() {
		return
	}
	t.Logf("%d accents", len(accents))
}

// An accent that can be read is taken as it is.
func TestAccentKept(t *testing.T) {
	for _, accent := range []string{"#1f4fbf", "#9f1239", "#14532d"} {
		look, err := NewLook("", "", accent)
		if err != nil {
			t.Fatal(err)
		}
		if c := variables(t, string(look.narrow().style))[0]; c["act"].String() != accent || c["fill"].String() != accent {
			t.Errorf("accent %s: act = %v, fill = %v", accent, c["act"], c["fill"])
		}
	}
	look, err := NewLook("", "", "#ffd400")
	if err != nil {
		t.Fatal(err)
	}
	if c := variables(t, string(look.narrow().style))[0]; c["fill"].String() != "#ffd400" || c["on-fill"] != black {
		t.Errorf("yellow: fill = %v with %v on it, want it as it is with black", c["fill"], c["on-fill"])
	}
}

func TestContrastOf(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want string
	}{{"#000000", "#ffffff", "21.00"}, {"#ffffff", "#ffffff", "1.00"}, {"#767676", "#ffffff", "4.54"}, {"#0000ff", "#ffffff", "8.59"}} {
		a, _ := parseColour(c.a)
		b, _ := parseColour(c.b)
		if got := fmt.Sprintf("%.2f", contrast(a, b)); got != c.want {
			t.Errorf("contrast(%s, %s) = %s, want %s", c.a, c.b, got, c.want)
		}
	}
}
