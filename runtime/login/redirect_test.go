package login_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/gatewright/gatewright/runtime/gatetest"
)

// What a browser is told where the API asks for a session or something else.
func TestUnauthorizedInBrowser(t *testing.T) {
	idp := gatetest.NewProvider(t)
	a := newApp(t, option{}, idp.Config("main"))
	script := http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}}
	page := http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
	for _, c := range []struct {
		name, method string
		header       http.Header
		asked, want  []string
		status       int
	}{
		{"a script", "POST", script, []string{"Cookie", `Basic realm="x"`, "ApiKey"}, []string{"Cookie", "ApiKey"}, 401},
		{"a script, another case", "GET", script, []string{`BASIC realm="x"`, "Cookie"}, []string{"Cookie"}, 401},
		{"a form", "POST", page, []string{"Cookie", "Basic"}, []string{"Cookie"}, 401},
		{"a page", "GET", page, []string{"Cookie", "Basic"}, nil, 303},
		{"a script, where a session does not help", "GET", script, []string{`Basic realm="x"`}, []string{`Basic realm="x"`}, 401},
		{"a page, where a session does not help", "GET", page, []string{`Basic realm="x"`}, []string{`Basic realm="x"`}, 401},
		{"no browser", "GET", nil, []string{"Cookie", `Basic realm="x"`}, []string{"Cookie", `Basic realm="x"`}, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := a.login.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Www-Authenticate"] = c.asked
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write([]byte("no"))
			}))
			r := httptest.NewRequest(c.method, a.url+"/posts", nil)
			if c.header != nil {
				r.Header = c.header
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Header()["Www-Authenticate"]; w.Code != c.status || !slices.Equal(got, c.want) {
				t.Errorf("answered %d, WWW-Authenticate %q, want %d %q", w.Code, got, c.status, c.want)
			}
		})
	}
}
