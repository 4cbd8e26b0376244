package gatetest

import (
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// A ProviderRequest is one that a [Provider] was sent. It holds secrets.
type ProviderRequest struct {
	Method string
	Path   string
	Header http.Header
	Query  url.Values
	Form   url.Values // of the body; nil where it is no form
}

// params are those of the query, or of the body of a POST.
func (r ProviderRequest) params() url.Values {
	if r.Method == http.MethodPost {
		return r.Form
	}
	return r.Query
}

// twice returns a parameter that is given more than once, "" for none
// (RFC 6749, section 3.1).
func twice(v url.Values) string {
	for name, values := range v {
		if len(values) > 1 {
			return name
		}
	}
	return ""
}

// Requests returns how often a path was asked for, whether anything is there
// or not.
func (p *Provider) Requests(path string) int { return len(p.Asked(path)) }

// Asked returns the requests for a path, the oldest first.
func (p *Provider) Asked(path string) []ProviderRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	var asked []ProviderRequest
	for _, r := range p.requests {
		if r.Path == path {
			asked = append(asked, r)
		}
	}
	return asked
}

// Grants returns how often the token endpoint was asked for a grant, such as
// authorization_code or refresh_token, with success or without.
func (p *Provider) Grants(grantType string) int {
	n := 0
	for _, r := range p.Asked("/token") {
		if r.Form.Get("grant_type") == grantType {
			n++
		}
	}
	return n
}

// now is the time by the provider's clock.
func (p *Provider) now() time.Time { return p.cfg.Now() }

// A reply is what an endpoint says before anything is spoilt.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (p *Provider) jsonReply(status int, v any) reply {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil { // a hook of the test put something in that is not JSON
		return p.fail(err)
	}
	return reply{status, http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}, body}
}

func textReply(status int, text string) reply {
	return reply{status, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, []byte(text)}
}

func redirectReply(to string) reply {
	return reply{http.StatusFound, http.Header{"Location": {to}, "Cache-Control": {"no-store"}}, nil}
}

// fail fails the test: its hooks made something that cannot be sent, and the
// client would refuse what comes out for no reason that the test meant.
func (p *Provider) fail(err error) reply {
	p.t.Errorf("gatetest: %v", err)
	return textReply(http.StatusInternalServerError, "gatetest: the test went wrong")
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if e := recover(); e == http.ErrAbortHandler {
			panic(e)
		} else if e != nil {
			p.fail(fmt.Errorf("panic: %v", e))
		}
	}()
	req := ProviderRequest{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Query: r.URL.Query()}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		req.Form, _ = url.ParseQuery(string(body)) // what cannot be read is missing then
	}
	p.mu.Lock()
	p.requests = append(p.requests, req)
	m := p.mischief
	p.mu.Unlock()
	p.send(w, r, m.Faults[req.Path], p.answer(req, &m))
}

func (p *Provider) answer(r ProviderRequest, m *Mischief) reply {
	endpoints := map[string]struct {
		methods []string
		answer  func(ProviderRequest, *Mischief) reply
	}{
		"/.well-known/openid-configuration": {[]string{"GET"}, p.discovery},
		"/authorize":                        {[]string{"GET", "POST"}, p.authorize},
		"/token":                            {[]string{"POST"}, p.token},
		"/userinfo":                         {[]string{"GET", "POST"}, p.userInfo},
		"/user":                             {[]string{"GET"}, p.oauthUser},
		"/user/emails":                      {[]string{"GET"}, p.oauthEmails},
		"/jwks":                             {[]string{"GET"}, p.keySet},
		"/introspect":                       {[]string{"POST"}, p.introspect},
		"/logout":                           {[]string{"GET", "POST"}, p.logout},
	}
	e, there := endpoints[r.Path]
	switch {
	case !there:
		return textReply(http.StatusNotFound, "gatetest: nothing is here")
	case !slices.Contains(e.methods, r.Method):
		return textReply(http.StatusMethodNotAllowed, "gatetest: not with this method")
	}
	return e.answer(r, m)
}

// send writes an answer as f spoils it.
func (p *Provider) send(w http.ResponseWriter, r *http.Request, f Fault, a reply) {
	if !p.pause(r, f.Delay) || f.Drop {
		panic(http.ErrAbortHandler) // closes the connection
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if f.Type != "" {
		w.Header().Set("Content-Type", f.Type)
	}
	if f.Location != "" {
		a.status = http.StatusTemporaryRedirect // which keeps method and body
		w.Header().Set("Location", f.Location)
	}
	if f.Status != 0 {
		a.status = f.Status
	}
	if f.Body != nil {
		a.body = f.Body(a.body)
	}
	out := io.Writer(w)
	if f.Gzip {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		out = z
	} else if f.Pad == 0 && f.Trickle == 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if f.Trickle > 0 {
		for i := range a.body {
			if _, err := out.Write(a.body[i : i+1]); err != nil || http.NewResponseController(w).Flush() != nil || !p.pause(r, f.Trickle) {
				panic(http.ErrAbortHandler)
			}
		}
	} else if _, err := out.Write(a.body); err != nil {
		return
	}
	blanks := make([]byte, 32<<10)
	for i := range blanks {
		blanks[i] = ' '
	}
	for left := f.Pad; left > 0; left -= len(blanks) {
		if _, err := out.Write(blanks[:min(left, len(blanks))]); err != nil {
			return // the client has had enough
		}
	}
}

// pause waits for d. It is false where the client left or the test ended first.
func (p *Provider) pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-p.stop:
	}
	return false
}
