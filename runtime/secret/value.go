// Package secret keeps secrets out of logs, errors and answers: a [Value]
// prints as *** wherever it is printed, and has to be asked for its text.
package secret

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
)

// hidden is what every way of printing a Value gives.
const hidden = "***"

// A Value is a secret text. It prints as *** under every verb of fmt, in slog,
// as JSON and as text, also as a field of another value. Its zero value is the
// empty secret. Values are not compared with ==.
type Value struct {
	// fmt cannot call methods of an unexported field and would print a
	// string found there; of a pointer it prints the address.
	text *string
}

// New makes a Value of text.
func New(text string) Value { return Value{text: &text} }

// Random returns n bytes from crypto/rand as base64url without padding, fit
// for a file or an environment variable.
func Random(n int) Value {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return New(base64.RawURLEncoding.EncodeToString(b))
}

// Reveal returns the secret itself.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// IsZero tells whether the secret is empty.
func (v Value) IsZero() bool { return v.Reveal() == "" }

// String returns ***.
func (v Value) String() string { return hidden }

// GoString returns ***.
func (v Value) GoString() string { return hidden }

// Format writes *** whatever the verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue returns ***.
func (v Value) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns ***.
func (v Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON returns the string ***.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
