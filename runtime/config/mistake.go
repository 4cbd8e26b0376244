package config

import (
	"fmt"
	"strings"
)

// A Mistake is one thing that is wrong with a configuration.
type Mistake struct {
	Place   string // file:line:col, the file alone, or a variable's name; may be empty
	Setting string // such as tls.cert; empty where it concerns no single one
	Message string
	Hint    string // a way out; may be empty
}

// String gives place, setting and message, and the hint on a line of its own.
func (m Mistake) String() string {
	var parts []string
	for _, p := range []string{m.Place, m.Setting, m.Message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	text := strings.Join(parts, ": ")
	if m.Hint != "" {
		text += "\n\t" + m.Hint
	}
	return text
}

// An Error is everything that is wrong with a configuration.
type Error struct {
	Mistakes []Mistake // at least one
}

// Error gives the mistakes, a line and perhaps a hint each. No secret is quoted.
func (e *Error) Error() string {
	count := fmt.Sprintf("%d mistakes", len(e.Mistakes))
	if len(e.Mistakes) == 1 {
		count = "1 mistake"
	}
	var b strings.Builder
	b.WriteString("config: " + count + " in the server's configuration")
	for _, m := range e.Mistakes {
		b.WriteString("\n" + m.String())
	}
	return b.String()
}

func single(place, message, hint string) *Error {
	return &Error{Mistakes: []Mistake{{Place: place, Message: message, Hint: hint}}}
}

// nearest returns the name that is most like the one given, "" where none is
// much like it.
func nearest(name string, known []string) string {
	best, least := "", len(name)/3+2
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the characters to insert, delete, replace or swap with their
// neighbour to make b of a.
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
