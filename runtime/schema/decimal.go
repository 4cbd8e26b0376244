package schema

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
	"strconv"
)

// A decimal is a JSON number, exactly: 0.DIGITS × 10^exp, negative or not.
// digits neither begins nor ends with 0, and is empty for zero.
type decimal struct {
	neg    bool
	digits []byte
	exp    int
}

// maxExponent bounds exponents. Nothing here computes 10^exp, so that it only
// has to keep sums of exponents and lengths within an int32.
const maxExponent = 1_000_000_000

// parseDecimal reads a JSON number literal. It is false where the exponent is
// beyond maxExponent. The result may share the literal's memory.
func parseDecimal(literal []byte) (decimal, bool) {
	mantissa, exponent := literal, []byte(nil)
	if i := bytes.IndexAny(literal, "eE"); i >= 0 {
		mantissa, exponent = literal[:i], literal[i+1:]
	}
	mantissa, neg := bytes.CutPrefix(mantissa, []byte("-"))
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	digits := whole
	if len(fraction) > 0 {
		digits = append(append(make([]byte, 0, len(mantissa)), whole...), fraction...)
	}
	significant := bytes.TrimLeft(digits, "0")
	shift := len(whole) - (len(digits) - len(significant))
	significant = bytes.TrimRight(significant, "0")
	if len(significant) == 0 {
		return decimal{}, true
	}
	exp := 0
	if len(exponent) > 0 {
		var err error
		exp, err = strconv.Atoi(string(exponent))
		if err != nil || exp > maxExponent || exp < -maxExponent {
			return decimal{}, false
		}
	}
	return decimal{neg: neg, digits: significant, exp: exp + shift}, true
}

// cmp compares as numbers do.
func (d decimal) cmp(e decimal) int {
	if d.sign() != e.sign() {
		return cmp.Compare(d.sign(), e.sign())
	}
	size := cmp.Or(cmp.Compare(d.exp, e.exp), bytes.Compare(d.digits, e.digits))
	if d.neg {
		return -size
	}
	return size
}

func (d decimal) sign() int {
	switch {
	case len(d.digits) == 0:
		return 0
	case d.neg:
		return -1
	default:
		return 1
	}
}

// integral tells whether d has no fraction: 1, 1.0 and 1e2 have none.
func (d decimal) integral() bool { return d.exp >= len(d.digits) }

// count returns d as an int where it is whole and not negative; the largest
// one where it is beyond that.
func (d decimal) count() (int, bool) {
	switch {
	case d.neg || !d.integral():
		return 0, false
	case len(d.digits) == 0:
		return 0, true
	case d.exp > maxCountDigits:
		return math.MaxInt, true
	}
	n, _ := strconv.Atoi(string(d.digits))
	for range d.exp - len(d.digits) {
		n *= 10
	}
	return n, true
}

// maxCountDigits is how many decimal digits an int surely holds.
const maxCountDigits = 18

// multipleOf tells whether d is a multiple of e, which is not zero. Its time
// grows with the digits of d, not with its exponent.
func (d decimal) multipleOf(e decimal) bool {
	if len(d.digits) == 0 {
		return true
	}
	shift := (d.exp - len(d.digits)) - (e.exp - len(e.digits))
	if shift < 0 {
		// d / e = D / (E × 10^-shift), and 10 does not divide D.
		return false
	}
	divisor, _ := new(big.Int).SetString(string(e.digits), 10)
	rest := new(big.Int)
	part := new(big.Int)
	const step = 18 // decimal digits that fit an int64
	for digits := d.digits; len(digits) > 0; {
		n := min(step, len(digits))
		value, _ := strconv.ParseInt(string(digits[:n]), 10, 64)
		rest.Mul(rest, pow10(n)).Add(rest, part.SetInt64(value)).Mod(rest, divisor)
		digits = digits[n:]
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(shift)), divisor)
	return rest.Mul(rest, power).Mod(rest, divisor).Sign() == 0
}

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// append writes d so that equal numbers have equal texts.
func (d decimal) append(dst []byte) []byte {
	if d.neg {
		dst = append(dst, '-')
	}
	dst = append(dst, '.')
	dst = append(dst, d.digits...)
	dst = append(dst, 'e')
	return strconv.AppendInt(dst, int64(d.exp), 10)
}
