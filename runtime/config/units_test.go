package config

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30m": 30 * time.Minute, "12h": 12 * time.Hour, "90d": 90 * 24 * time.Hour, "1h30m": 90 * time.Minute, "500ms": 500 * time.Millisecond,
		"1d12h": 36 * time.Hour, "0h5s": 5 * time.Second,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "s", "-5s", "+5s", "1.5h", "5 s", "0s", "5S", "5w", "5s3", "106752d", "106751d24h", "9223372036854775808s"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "512B": 512, "64kB": 64000, "64KiB": 65536, "1MB": 1e6, "1MiB": 1 << 20, "2GB": 2e9, "1GiB": 1 << 30,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "0kB", "-1", "+1", "1 MB", "1KB", "1mb", "1.5MB", "1e3", "0x10", "9223372036854775808", "9223372036854775807kB", "9007199254740992MiB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %v, want an error", text, got)
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{"lisen": "listen", "pubilc_url": "public_url", "tsl": "tls", "zzzz": ""} {
		if got := nearest(name, children("")); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
