package config

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// units of length are matched in this order, so that ms is not taken for m.
var timeUnits = []struct {
	name string
	span time.Duration
}{{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}}

var sizeUnits = map[string]int64{
	"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

// ParseDuration reads whole numbers with units, such as 30m, 1h30m or 90d. A
// day has 24 hours. Nothing and less is refused.
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no duration: write it as 500ms, 30s, 15m, 1h30m or 90d", text)
	var total time.Duration
	for rest := text; rest != ""; {
		number, after := digits(rest)
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, bad
		}
		var unit time.Duration
		for _, u := range timeUnits {
			if cut, ok := strings.CutPrefix(after, u.name); ok {
				unit, rest = u.span, cut
				break
			}
		}
		if unit == 0 {
			return 0, bad
		}
		if n > int64(math.MaxInt64-total)/int64(unit) {
			return 0, fmt.Errorf("%q is too long", text)
		}
		total += time.Duration(n) * unit
	}
	if total <= 0 {
		return 0, fmt.Errorf("%q is not above zero", text)
	}
	return total, nil
}

// parseSize reads a whole number of bytes, with or without a unit, such as
// 64KiB or 1MB. Nothing and less is refused.
func parseSize(text string) (int64, error) {
	number, name := digits(text)
	unit, known := sizeUnits[name]
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !known {
		return 0, fmt.Errorf("%q is no size: write it as 512B, 64kB, 64KiB, 1MB or 1MiB", text)
	}
	if n <= 0 {
		return 0, fmt.Errorf("%q is not above zero", text)
	}
	if n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return n * unit, nil
}

// digits splits text after the digits it begins with.
func digits(text string) (number, rest string) {
	rest = strings.TrimLeft(text, "0123456789")
	return text[:len(text)-len(rest)], rest
}

// below is path as seen from the folder base, unless it is absolute.
func below(base, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

// storeBelow is below for the file of an SQLite store.
func storeBelow(base, store string) string {
	path, ok := strings.CutPrefix(store, "sqlite:")
	if !ok || path == "" || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "//") {
		return store
	}
	return "sqlite:" + below(base, path)
}
