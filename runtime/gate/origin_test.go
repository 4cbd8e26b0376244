package gate_test

import (
	"testing"

	"github.com/gatewright/gatewright/runtime/gate"
)

// Where no public origin is configured, ours is https:// and the Host.
func TestOriginOfHost(t *testing.T) {
	const own, with443, port = "blog.example", "Blog.example:443", "blog.example:8443"
	for _, c := range []struct {
		name  string
		host  string
		lines []string
		basic bool // Basic is let in
		proof bool // so is a cookie, for POST
	}{
		{"nothing said", own, nil, true, false},
		{"own Origin", own, []string{"Origin: https://blog.example"}, true, true},
		{"own Origin, same-origin", own, []string{"Origin: https://blog.example", "Sec-Fetch-Site: same-origin"}, true, true},
		{"own Origin, by the person", own, []string{"Origin: https://blog.example", "Sec-Fetch-Site: none"}, true, true},
		{"own Origin, default port in Host", with443, []string{"Origin: https://blog.example"}, true, true},
		{"own Origin, port", port, []string{"Origin: https://blog.example:8443"}, true, true},
		{"own Origin, IPv6", "[::1]:8443", []string{"Origin: https://[::1]:8443"}, true, true},
		{"own Origin, same-site", own, []string{"Origin: https://blog.example", "Sec-Fetch-Site: same-site"}, false, false},
		{"own Origin, cross-site", own, []string{"Origin: https://blog.example", "Sec-Fetch-Site: cross-site"}, false, false},
		{"foreign", own, []string{"Origin: https://evil.example"}, false, false},
		{"foreign, same-origin", own, []string{"Origin: https://evil.example", "Sec-Fetch-Site: same-origin"}, false, true},
		{"foreign that begins with ours", own, []string{"Origin: https://blog.example.evil.example"}, false, false},
		{"own and foreign", own, []string{"Origin: https://blog.example", "Origin: https://evil.example"}, false, false},
		{"null", own, []string{"Origin: null"}, false, false},
		{"empty", own, []string{"Origin: "}, false, false},
		{"http scheme", own, []string{"Origin: http://blog.example"}, false, false},
		{"other port", own, []string{"Origin: https://blog.example:8443"}, false, false},
		{"no port", port, []string{"Origin: https://blog.example"}, false, false},
		{"no Host", "", []string{"Origin: https://"}, false, false},
		{"no Host, no scheme", "", []string{"Origin: "}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range []struct {
				place      gate.Place
				credential string
				want       bool
			}{
				{basic, "Authorization: Basic good", c.basic},
				{gate.Place{In: gate.InCookie, Name: "s"}, "Cookie: s=good", c.proof},
				{gate.Authorization("bearer"), "Authorization: Bearer good", true},
			} {
				op := &gate.Operation{ID: "op", Policy: gate.Require(need("s"))}
				g, err := gate.New(gate.Config{
					Operations: []*gate.Operation{op}, Schemes: []gate.Scheme{{Name: "s", Places: []gate.Place{s.place}}},
					Authenticators: map[string]gate.Authenticator{"s": &tester{places: []gate.Place{s.place}}},
				})
				if err != nil {
					t.Fatal(err)
				}
				r := request(t, "", append(c.lines, s.credential)...)
				r.Host = c.host
				w, code, _, ok := admit(t, g, op, r)
				if ok != s.want || !ok && (w.Code != 403 || code != "origin_missing") {
					t.Errorf("Host %q, %q, %q = %v, %d %q, want %v", c.host, s.credential, c.lines, ok, w.Code, code, s.want)
				}
			}
		})
	}
}
