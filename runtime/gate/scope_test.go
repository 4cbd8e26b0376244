package gate_test

import (
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

// The log names the scheme and the scopes that its credential lacks; the client
// is told the scopes that are needed.
func TestAdmitScopes(t *testing.T) {
	for _, c := range []struct {
		name      string
		policy    gate.Policy
		lines     []string
		log, told string
	}{
		{"all of them", gate.Require(need("key", "s", "t")), []string{"X-Key: plain"},
			`tried.key="valid, lacks the scopes [\"s\" \"t\"]`, `"detail":"It needs the scopes s, t."`},
		{"one of them", gate.Require(need("key", "s", "posts:write")), []string{"X-Key: good"},
			`tried.key="valid, lacks the scopes [\"posts:write\"]`, `"detail":"It needs the scopes s, posts:write."`},
		{"a single one", gate.Require(need("key", "posts:write")), []string{"X-Key: good"},
			`tried.key="valid, lacks the scopes [\"posts:write\"]`, `"detail":"It needs the scope posts:write."`},
		{"of two schemes", gate.Require(need("key", "t"), need("param", "t", "u")), []string{"X-Key: good"},
			`tried.param="valid, lacks the scopes [\"t\" \"u\"]`, `"detail":"It needs the scopes t, u."`},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := &gate.Operation{ID: "op", Policy: c.policy}
			g, _ := guard(t, op, nil)
			for range 3 { // the same each time
				var body string
				out := logged(func() {
					w, code, _, _ := admit(t, g, op, request(t, "key=good", c.lines...))
					if body = w.Body.String(); w.Code != 403 || code != gate.CodeScope {
						t.Errorf("Admit = %d %s", w.Code, body)
					}
					if lines := w.Header()["Www-Authenticate"]; len(lines) > 0 {
						t.Errorf("keys have no challenge for scopes, but there is %q", lines)
					}
				})
				if !strings.Contains(out, c.log) || !strings.Contains(body, c.told) {
					t.Errorf("log %q, body %q, want %s and %s", out, body, c.log, c.told)
				}
			}
		})
	}
	t.Run("only for scopes", func(t *testing.T) {
		op := &gate.Operation{ID: "op", Policy: gate.Require(need("key", "s"))}
		g, _ := guard(t, op, nil)
		if w, _, _, _ := admit(t, g, op, request(t, "")); strings.Contains(w.Body.String(), "detail") {
			t.Errorf("a 401 says %s", w.Body)
		}
	})
}
