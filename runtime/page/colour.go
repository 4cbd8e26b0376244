package page

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// A colour is one of sRGB.
type colour struct{ r, g, b uint8 }

func parseColour(text string) (colour, error) {
	digits, ok := strings.CutPrefix(text, "#")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != 3 {
		return colour{}, fmt.Errorf("%q is no colour like #1f4fbf", text)
	}
	return colour{b[0], b[1], b[2]}, nil
}

func (c colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// luminance is the relative luminance (WCAG 2.2).
func (c colour) luminance() float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}

// contrast is the contrast ratio of two colours, from 1 to 21 (WCAG 2.2).
func contrast(a, b colour) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// mix is a with so much of b in it, from 0 to 1.
func mix(a, b colour, part float64) colour {
	of := func(x, y uint8) uint8 { return uint8(math.Round(float64(x) + part*(float64(y)-float64(x)))) }
	return colour{of(a.r, b.r), of(a.g, b.g), of(a.b, b.b)}
}

// steps is how finely toward goes.
const steps = 200

// toward is c with as little of end in it as it takes for a contrast of ratio
// to each of backs; end itself where nothing less does.
func toward(c, end colour, ratio float64, backs ...colour) colour {
	for i := range steps {
		got := mix(c, end, float64(i)/steps)
		enough := true
		for _, back := range backs {
			enough = enough && contrast(got, back) >= ratio
		}
		if enough {
			return got
		}
	}
	return end
}

var (
	black = colour{0, 0, 0}
	white = colour{0xff, 0xff, 0xff}
)

// What can be read, and what can be seen (WCAG 2.2, 1.4.3 and 1.4.11, AA);
// what follows an accent has a little more of it.
const (
	readable = 4.5
	seen     = 3
	ample    = 1.1
)

// A scheme is the colours that do not depend on an accent, in the light or in
// the dark.
type scheme struct {
	back, card, text, soft, line, hair colour
	good, warn, bad                    colour // what is said of a key
	goodBack, warnBack, badBack        colour // and the ground it stands on
	end                                colour // what an accent is mixed with to be read
	tint                               float64
	shade                              string
}

var (
	light = scheme{
		back: colour{0xf3, 0xf4, 0xf7}, card: white, text: colour{0x1a, 0x20, 0x30}, soft: colour{0x56, 0x5f, 0x72},
		line: colour{0x78, 0x81, 0x92}, hair: colour{0xe1, 0xe4, 0xea},
		good: colour{0x12, 0x65, 0x35}, warn: colour{0x7a, 0x4a, 0x00}, bad: colour{0xb0, 0x1f, 0x1f},
		goodBack: colour{0xe3, 0xf5, 0xe9}, warnBack: colour{0xfd, 0xf1, 0xd8}, badBack: colour{0xfd, 0xe9, 0xe7},
		end: black, tint: 0.07, shade: "0 1px 2px rgb(20 30 60 / 8%), 0 12px 32px rgb(20 30 60 / 8%)",
	}
	dark = scheme{
		back: colour{0x11, 0x14, 0x1b}, card: colour{0x1b, 0x20, 0x2a}, text: colour{0xe8, 0xeb, 0xf1}, soft: colour{0xa9, 0xb2, 0xc1},
		line: colour{0x82, 0x8c, 0x9d}, hair: colour{0x2e, 0x35, 0x42},
		good: colour{0x86, 0xdf, 0xa7}, warn: colour{0xf3, 0xc9, 0x7a}, bad: colour{0xff, 0xb0, 0xa8},
		goodBack: colour{0x17, 0x33, 0x25}, warnBack: colour{0x39, 0x2d, 0x15}, badBack: colour{0x42, 0x22, 0x22},
		end: white, tint: 0.10, shade: "0 0 0 1px #2a313d",
	}
)

// css is a rule for selector that names all colours with an accent.
//
// act is what can be clicked or has the focus, to be read on back, card and
// wash. fill is the ground of the main button: the accent itself, in the dark
// made lighter until it stands out; onFill is what is written on it, fillOver
// the ground below the pointer.
func (s scheme) css(accent colour, selector string) string {
	wash := mix(s.card, toward(accent, s.end, seen, s.card), s.tint)
	act := toward(accent, s.end, readable*ample, s.back, s.card, wash)
	fill := accent
	if s.end == white {
		fill = toward(accent, white, seen*ample, s.card)
	}
	onFill, away := white, black
	if contrast(fill, black) > contrast(fill, white) {
		onFill, away = black, white
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s {\n", selector)
	for _, v := range []struct {
		name string
		is   colour
	}{
		{"back", s.back}, {"card", s.card}, {"text", s.text}, {"soft", s.soft}, {"line", s.line}, {"hair", s.hair},
		{"good", s.good}, {"warn", s.warn}, {"bad", s.bad},
		{"good-back", s.goodBack}, {"warn-back", s.warnBack}, {"bad-back", s.badBack},
		{"wash", wash}, {"act", act}, {"fill", fill}, {"fill-over", mix(fill, away, 0.14)}, {"on-fill", onFill},
	} {
		fmt.Fprintf(&b, "\t--%s: %s;\n", v.name, v.is)
	}
	fmt.Fprintf(&b, "\t--shade: %s;\n}\n", s.shade)
	return b.String()
}
