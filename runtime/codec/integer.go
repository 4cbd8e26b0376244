package codec

import (
	"encoding"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// unmarshal decodes data. An integer may be written as any JSON number without
// a fraction, so 1.0 and 1e2 too: that is what JSON Schema calls an integer
// (draft 2020-12, section 6.3 of the core). It must fit the field exactly.
func unmarshal(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	if _, ok := errors.AsType[*json.SemanticError](err); ok {
		// Rare enough that other requests need not pay for it.
		return json.Unmarshal(data, into, json.WithUnmarshalers(integers))
	}
	return err
}

// integers decode numbers into fields of the integer kinds that do not decode
// themselves.
var integers = json.UnmarshalFromFunc(func(dec *jsontext.Decoder, into any) error {
	if dec.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	switch into.(type) {
	case json.Unmarshaler, json.UnmarshalerFrom, encoding.TextUnmarshaler:
		return errors.ErrUnsupported
	}
	field := reflect.ValueOf(into).Elem()
	if !field.CanInt() && !field.CanUint() {
		return errors.ErrUnsupported
	}
	literal, err := dec.ReadValue()
	if err != nil {
		return err
	}
	digits, ok := whole(string(literal))
	if !ok {
		return errInteger
	}
	if field.CanInt() {
		n, err := strconv.ParseInt(digits, 10, field.Type().Bits())
		if err != nil {
			return errInteger // its own text holds what was sent
		}
		field.SetInt(n)
		return nil
	}
	n, err := strconv.ParseUint(digits, 10, field.Type().Bits())
	if err != nil {
		return errInteger
	}
	field.SetUint(n)
	return nil
})

var errInteger = errors.New("codec: not an integer of this size")

// maxZeros is how many zeros end the largest power of ten in 64 bits.
const maxZeros = 19

// whole writes a JSON number without fraction and exponent. It returns false
// where it has a fraction, or more zeros than any integer type holds.
func whole(literal string) (string, bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(literal), "e")
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	units, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(units+fraction, "0")
	if digits == "" {
		return "0", true
	}
	zeros := 0
	if exponent != "" {
		var err error
		if zeros, err = strconv.Atoi(exponent); err != nil {
			return "", false
		}
	}
	significant := strings.TrimRight(digits, "0")
	zeros += len(digits) - len(significant) - len(fraction)
	if zeros < 0 || zeros > maxZeros {
		return "", false
	}
	text := significant + strings.Repeat("0", zeros)
	if negative {
		text = "-" + text
	}
	return text, true
}
