package main

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/secret"
)

const carrierSecret = "a carrier's secret of more than 32 bytes"

func someCarriers(t *testing.T) *carriers {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "carrier-swift.secret"), []byte(carrierSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readCarriers(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// delivery is a request as swift sends it, and its credential.
func delivery(change func(*http.Request)) (*http.Request, gate.Credential) {
	r := httptest.NewRequest("POST", "https://partners.example/deliveries?x=1", strings.NewReader("{}"))
	r.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	r.Header.Set("Content-Digest", "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:")
	if change != nil {
		change(r)
	}
	text := "swift:" + base64.RawURLEncoding.EncodeToString(sign(secret.New(carrierSecret), r))
	return r, gate.Credential{Place: gate.Authorization("hmac"), Value: text}
}

func TestCarriers(t *testing.T) {
	c := someCarriers(t)
	r, cred := delivery(nil)
	who, err := c.VerifyRequest(t.Context(), r, cred)
	if err != nil || who.Client == nil || who.Client.ID != "carrier:swift" {
		t.Fatalf("VerifyRequest() = %+v, %v", who, err)
	}
	if _, err := c.VerifyRequest(t.Context(), r, cred); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("the same request again = %v, want ErrInvalid", err)
	}
}

func TestCarriersRefuse(t *testing.T) {
	at := func(d time.Duration) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Date", time.Now().Add(d).UTC().Format(http.TimeFormat)) }
	}
	for name, c := range map[string]struct {
		before, after func(*http.Request) // it is signed
		value         string
	}{
		"another method":  {after: func(r *http.Request) { r.Method = "PUT" }},
		"another query":   {after: func(r *http.Request) { r.URL.RawQuery = "x=2" }},
		"another date":    {after: at(time.Second)},
		"another digest":  {after: func(r *http.Request) { r.Header.Set("Content-Digest", "sha-256=:AAAA:") }},
		"no digest":       {before: func(r *http.Request) { r.Header.Del("Content-Digest") }},
		"no date":         {before: func(r *http.Request) { r.Header.Del("Date") }},
		"long ago":        {before: at(-signatureLife - 2*time.Second)},
		"yet to come":     {before: at(signatureLife + 2*time.Second)},
		"unknown carrier": {value: "slow:AAAA"},
		"no name":         {value: "AAAA"},
		"no signature":    {value: "swift:"},
		"not base64url":   {value: "swift:!"},
	} {
		t.Run(name, func(t *testing.T) {
			r, cred := delivery(c.before)
			if c.after != nil {
				c.after(r)
			}
			if c.value != "" {
				cred.Value = c.value
			}
			if who, err := someCarriers(t).VerifyRequest(t.Context(), r, cred); !errors.Is(err, gate.ErrInvalid) || who.Client != nil {
				t.Errorf("VerifyRequest() = %+v, %v, want ErrInvalid", who, err)
			}
		})
	}
}

// An unknown carrier's key is the empty one, which anybody can sign with.
func TestCarriersRefuseTheEmptyKey(t *testing.T) {
	r, cred := delivery(nil)
	cred.Value = "slow:" + base64.RawURLEncoding.EncodeToString(sign(secret.New(""), r))
	if _, err := someCarriers(t).VerifyRequest(t.Context(), r, cred); !errors.Is(err, gate.ErrInvalid) {
		t.Errorf("VerifyRequest() = %v, want ErrInvalid", err)
	}
}

func TestReadCarriersRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
	}{"short": {"short\n", 0o600}, "open to others": {carrierSecret, 0o644}} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "carrier-x.secret"), []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := readCarriers(dir); err == nil {
			t.Errorf("%s: readCarriers() = nil, want an error", name)
		}
	}
}
