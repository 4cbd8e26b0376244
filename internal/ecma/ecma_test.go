package ecma

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name, pattern, text string
		want, backtracks    bool
	}{
		{"not anchored", `b+`, "abbc", true, false},
		{"end is the end", `a$`, "a\n", false, false},
		{"digits are ASCII", `^\d$`, "\u07c0", false, false},
		{"words are ASCII", `^\w$`, "é", false, false},
		{"space is Unicode", `^\s$`, "\u00a0", true, false},
		{"vertical tab is a space", `^\s$`, "\v", true, false},
		{"space in a class", `^[\sx]$`, "\u2028", true, false},
		{"no space", `^\S$`, "\u00a0", false, false},
		{"no space in a class", `^[\Sx]$`, "\u00a0", false, true},
		{"dot stops at a carriage return", `^.$`, "\r", false, false},
		{"dot in a class is a dot", `^[.]$`, "x", false, false},
		{"escaped dot", `^\.$`, "x", false, false},
		{"any character", `^[^]$`, "\n", true, false},
		{"no character", `[]`, "x", false, false},
		{"code unit", `^\u00e9$`, "é", true, false},
		{"code point", `^\u{1f432}$`, "🐲", true, false},
		{"control letter", `^\cJ$`, "\n", true, false},
		{"nul", `^\0$`, "\x00", true, false},
		{"backspace in a class", `^[\b]$`, "\b", true, false},
		{"bracket in a class", `^[\]]$`, "]", true, false},
		{"slash", `^\/$`, "/", true, false},
		{"property", `^\p{L}$`, "é", true, false},
		{"look-ahead", `^(?!a)`, "b", true, true},
		{"look-ahead refuses", `^(?!a)`, "a", false, true},
		{"back-reference", `^(a)\1$`, "aa", true, true},
		{"astral character in a backtracking pattern", `^(?=.).$`, "🐲", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			re, err := Compile(tt.pattern)
			if err != nil {
				t.Fatalf("Compile(%q): %v", tt.pattern, err)
			}
			if got := re.Backtracks(); got != tt.backtracks {
				t.Errorf("Compile(%q).Backtracks() = %v, want %v", tt.pattern, got, tt.backtracks)
			}
			if got := re.Match([]byte(tt.text)); got != tt.want {
				t.Errorf("Compile(%q).Match(%q) = %v, want %v", tt.pattern, tt.text, got, tt.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, pattern := range []string{`(`, `[a`, `*`, `a{2,1}`, `\`} {
		if _, err := Compile(pattern); err == nil {
			t.Errorf("Compile(%q) = nil error, want one", pattern)
		}
	}
}

// A pattern that backtracks without end must come back, with no match.
func TestMatchEnds(t *testing.T) {
	re, err := Compile(`^(?=a)(a+)+$`)
	if err != nil {
		t.Fatal(err)
	}
	if re.Match([]byte(strings.Repeat("a", 64) + "!")) {
		t.Error("Match of a text that the pattern does not match = true, want false")
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`^[\s\S]*\u{1f432}$`, "x")
	f.Add(`^(?!a)[^]\cA`, "a")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 100 || len(text) > 100 {
			return
		}
		if re, err := Compile(pattern); err == nil {
			re.Match([]byte(text))
		}
	})
}
