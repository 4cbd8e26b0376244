package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runToken runs gatewright token in a folder of a person whose home that is.
func runToken(t *testing.T, home string, args ...string) (out, errs string, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"token"}, args...)...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), append(goEnv(t), "GWTEST_RUN=1", "HOME="+home,
		"XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "XDG_CACHE_HOME="+filepath.Join(home, ".cache"))...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return strings.TrimSpace(stdout.String()), stderr.String(), err
}

// TestToken has dev serve a document that takes access tokens of every kind and
// certificates, and calls it with what token and dev give for trying out.
func TestToken(t *testing.T) {
	home := t.TempDir()
	doc := filepath.Join(home, "api.yaml")
	text := `openapi: 3.1.0
info: {title: Things, version: "1"}
paths:
  /jwt: {get: {operationId: jwt, security: [{jwt: [read]}], responses: {'200': {description: ok}}}}
  /opaque: {get: {operationId: opaque, security: [{opaque: []}], responses: {'200': {description: ok}}}}
  /machine: {get: {operationId: machine, security: [{machine: [run]}], responses: {'200': {description: ok}}}}
  /login: {get: {operationId: login, security: [{login: []}], responses: {'200': {description: ok}}}}
  /cert: {get: {operationId: cert, security: [{cert: [stock]}], responses: {'200': {description: ok}}}}
  /both: {get: {operationId: both, security: [{cert: [], jwt: []}], responses: {'200': {description: ok}}}}
components:
  securitySchemes:
    jwt: {type: http, scheme: bearer, bearerFormat: JWT}
    opaque: {type: http, scheme: bearer, x-gatewright: {kind: introspection}}
    machine: {type: oauth2, flows: {clientCredentials: {tokenUrl: https://id.example/token, scopes: {run: Run things}}}}
    login: {type: openIdConnect, openIdConnectUrl: https://id.example/.well-known/openid-configuration}
    cert: {type: mutualTLS}
`
	if err := os.WriteFile(doc, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	token := func(args ...string) (string, string, error) {
		return runToken(t, home, append(append([]string{"-port", port}, args...), doc)...)
	}
	if out, errs, err := token(); err == nil || out != "" || !strings.Contains(errs, "start gatewright dev") {
		t.Errorf("token without dev = %q, %v: %s", out, err, errs)
	}
	s := startDev(t, home, "-port", port, doc)
	program, errs, err := token()
	if err != nil {
		t.Fatalf("token = %v: %s\n%s", err, errs, s.text())
	}
	person, errs, err := token("-user", "writer")
	if err != nil {
		t.Fatalf("token -user = %v: %s", err, errs)
	}
	lesser, errs, err := token("-scope", "run")
	if err != nil {
		t.Fatalf("token -scope = %v: %s", err, errs)
	}
	for _, c := range [][]string{{"-client", "nobody"}, {"-user", "nobody"}, {"-scope", "admin"}, {"-client", "service", "-user", "writer"}, {"-format", "xml"}} {
		if out, errs, err := token(c...); err == nil || out != "" || errs == "" {
			t.Errorf("token %v = %q, %v: %s", c, out, err, errs)
		}
	}
	ca := filepath.Join(home, ".config", "gatewright", "ca", "ca.pem")
	certs, err := filepath.Glob(filepath.Join(home, ".cache", "gatewright", "dev", "*", "dev-"+port+".client.pem"))
	if err != nil || len(certs) != 1 {
		t.Fatalf("dev made the certificates %v, %v", certs, err)
	}
	cert := " --cert " + certs[0] + " --key " + strings.TrimSuffix(certs[0], "pem") + "key"
	for _, c := range []struct{ name, path, with, status, code string }{
		{"a program", "/jwt", program, "501", "not_implemented"},
		{"a person", "/jwt", person, "501", "not_implemented"},
		{"one scope of two", "/jwt", lesser, "403", "insufficient_scope"},
		{"nobody", "/jwt", "", "401", "credential_missing"},
		{"changed", "/jwt", program + "x", "401", "credential_invalid"},
		{"asked about", "/opaque", program, "501", "not_implemented"},
		{"asked about, changed", "/opaque", program + "x", "401", "credential_invalid"},
		{"client credentials", "/machine", lesser, "501", "not_implemented"},
		{"beside a login", "/login", person, "501", "not_implemented"},
		{"a certificate", "/cert", cert, "501", "not_implemented"},
		{"no certificate", "/cert", "", "401", "credential_missing"},
		{"a certificate and a person", "/both", person + cert, "501", "not_implemented"},
		{"a certificate and another program", "/both", program + cert, "403", "identities_differ"},
	} {
		token, cert, _ := strings.Cut(c.with, " ")
		line := "curl --cacert " + ca + " https://localhost:" + port + c.path
		if token != "" {
			line += " -H 'Authorization: Bearer " + token + "'"
		}
		if status, body := curl(t, line+" "+cert); status != c.status || !strings.Contains(body, c.code) {
			t.Errorf("%s: %s = %s %s, want %s %s", c.name, c.path, status, body, c.status, c.code)
		}
	}
	// The line that dev prints calls the command by its name.
	bin := filepath.Join(home, "bin")
	script := "#!/bin/sh\nGWTEST_RUN=1 HOME=" + quote(home) + " XDG_CONFIG_HOME=" + quote(filepath.Join(home, ".config")) +
		" XDG_CACHE_HOME=" + quote(filepath.Join(home, ".cache")) + " exec " + quote(os.Args[0]) + ` "$@"` + "\n"
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "gatewright"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	found := curlInOutput.FindStringSubmatch(s.text())
	if found == nil || !strings.Contains(found[1], "Bearer $(gatewright token -port "+port) {
		t.Fatalf("no curl line with a token in\n%s", s.text())
	}
	if status, body := curl(t, found[1]); status != "501" || !strings.Contains(body, "not_implemented") {
		t.Errorf("%s = %s %s, want 501", found[1], status, body)
	}
	if strings.Contains(s.text(), program) {
		t.Error("dev logs a token")
	}
	s.stop(t)
	if _, errs, err := token(); err == nil || !strings.Contains(errs, "start gatewright dev") {
		t.Errorf("token after dev = %v: %s", err, errs)
	}
}
