package gatetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A probe is one request and what has to come of it.
type probe struct {
	name   string
	op     Operation
	method string
	papers []sent
	site   string // Sec-Fetch-Site, "" for none
	want   outcome
	sample Request // what else is sent; none: something that fits most operations
	wrong  bool    // sample is not valid, so the operation must not run
}

// countedBody counts what is read of it.
type countedBody struct {
	io.Reader
	read int
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

func (c *countedBody) Close() error { return nil }

// request writes p as a request. If it must be refused it has a body, so that a
// refusal that reads it is seen.
func (b *bench) request(p probe) (*http.Request, *countedBody) {
	q := p.sample
	if q.Path == "" {
		q.Path = b.path(p.op)
	}
	if q.ContentType == "" && (p.sample.Path == "" || !p.want.in) {
		q.ContentType, q.Body = "application/json", `{}`
	}
	body := &countedBody{Reader: strings.NewReader(q.Body)}
	r := httptest.NewRequest(p.method, "https://gatetest.example"+q.Path, body)
	r.URL.RawQuery = q.Query
	r.ContentLength = int64(len(q.Body))
	for name, value := range q.Header {
		r.Header.Set(name, value)
	}
	if q.ContentType != "" {
		r.Header.Set("Content-Type", q.ContentType)
	}
	if p.site != "" {
		r.Header.Set("Sec-Fetch-Site", p.site)
	}
	for _, s := range p.papers {
		b.put(r, s)
		if s.paper.silent {
			r = r.WithContext(context.WithValue(r.Context(), down{}, true))
		}
	}
	return r, body
}

// put writes a paper into its place.
func (b *bench) put(r *http.Request, s sent) {
	text := s.paper.text
	switch s.place.In {
	case gate.InHeader:
		r.Header.Add(s.place.Name, text)
	case gate.InQuery:
		pair := url.Values{s.place.Name: {text}}.Encode()
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+pair, "&")
	case gate.InCookie:
		r.Header.Set("Cookie", strings.TrimPrefix(r.Header.Get("Cookie")+"; "+s.place.Name+"="+text, "; "))
	case gate.InAuthorization:
		if s.place.Name == "basic" && s.paper.isKey {
			text = base64.StdEncoding.EncodeToString([]byte("apikey:" + text))
		}
		if s.place == gate.Authorization("dpop") && s.paper.bound != "" {
			text = s.paper.bound
			b.prove(r, s.paper)
		}
		r.Header.Add("Authorization", strings.TrimPrefix(s.place.Name+" "+text, " "))
	case gate.InCertificate:
		c := s.paper.cert
		if c == nil {
			c = b.ring.registry.strange.cert
		}
		r.TLS = &tls.ConnectionState{
			Version: tls.VersionTLS13, HandshakeComplete: true,
			PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}},
		}
	}
}

// prove writes the proof of a token that is sent under DPoP.
func (b *bench) prove(r *http.Request, p *paper) {
	path := r.URL.EscapedPath()
	switch p.proof {
	case noProof:
		return
	case strangeProof:
		path += "/other"
	}
	proof, err := b.ring.issuer.prove(r.Method, path, p.bound)
	if err != nil {
		b.errs = append(b.errs, err)
	}
	r.Header.Set("DPoP", proof)
}

// gateCodes are the codes that only refusals carry.
var gateCodes = []string{
	"credential_missing", "credential_invalid", "credential_duplicate", "insufficient_scope",
	"origin_missing", "identities_differ", "too_many_failures", "verifier_unavailable", "scheme_unverified",
	"not_found", "method_not_allowed", "internal",
}

// try sends a probe and returns what is wrong with the answer.
func (b *bench) try(p probe) []error {
	if len(b.errs) > 0 {
		errs := b.errs
		b.errs = nil
		return errs
	}
	b.ran = nil
	r, body := b.request(p)
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	errs := b.checkCookie(p, w)
	switch {
	case p.wrong:
		return append(errs, b.checkWrong(p, w)...)
	case p.want.in:
		return append(errs, b.checkLetIn(p, w)...)
	}
	return append(errs, b.checkRefused(p, w, body)...)
}

// checkCookie checks that the cookie of an ended session is cleared, and no
// other touched.
func (b *bench) checkCookie(p probe, w *httptest.ResponseRecorder) []error {
	name := cookieOf(b.api.Schemes)
	cleared := false
	for _, c := range w.Result().Cookies() {
		if c.Name == name && b.ring.porter != nil {
			cleared = c.MaxAge < 0
		}
	}
	want := p.want != methodUnknown && clears(b.api.Schemes, p.op, p.papers)
	if cleared != want {
		return []error{fmt.Errorf("%s %s: session cookie cleared: %v, want %v", p.method, p.op.Path, cleared, want)}
	}
	return nil
}

// checkLetIn checks an answer that must not be a refusal: the operation ran, or
// there is an excuse for it not to.
func (b *bench) checkLetIn(p probe, w *httptest.ResponseRecorder) []error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s %s: "+format, append([]any{p.method, p.op.Path}, args...)...))
	}
	code := problemCode(w)
	if slices.Contains([]int{401, 403, 405, 429, 503}, w.Code) || slices.Contains(gateCodes, code) {
		wrong("%d %s, want to be let in", w.Code, code)
		return errs
	}
	if len(b.ran) == 0 {
		if b.excuses(p, w.Code, w.Body.Bytes()) {
			b.unsure[p.op.ID] = true
			return nil
		}
		wrong("%d %s and no operation ran, want %q to run", w.Code, code, p.op.ID)
		return errs
	}
	if len(b.ran) > 1 {
		wrong("%d operations ran, want one", len(b.ran))
	}
	for _, c := range b.ran {
		if c.operation != p.op.ID {
			wrong("operation %q ran, want %q", c.operation, p.op.ID)
		} else if got, want := identity(c.who), p.want; got != want {
			wrong("the operation was told %+v calls, want %+v", got, want)
		}
	}
	if w.Code != http.StatusNotImplemented {
		wrong("%d %s, want the operation's own 501", w.Code, code)
	}
	return errs
}

// identity says who is let in as a principal.
func identity(who *gate.Principal) outcome {
	o := outcome{in: true}
	if who == nil {
		return o
	}
	user, _ := who.User()
	client, _ := who.Client()
	o.via, o.user, o.client = strings.Join(who.Via(), "+"), user.ID, client.ID
	if o == letIn {
		o.via = "nothing" // a principal who is nobody is not nil
	}
	return o
}

// checkWrong checks the answer to a request that is not valid.
func (b *bench) checkWrong(p probe, w *httptest.ResponseRecorder) []error {
	var errs []error
	if len(b.ran) > 0 {
		errs = append(errs, fmt.Errorf("%s %s: operation %q ran on a request that is not valid", p.method, p.op.Path, b.ran[0].operation))
	}
	if w.Code != http.StatusBadRequest && w.Code != http.StatusUnprocessableEntity {
		errs = append(errs, fmt.Errorf("%s %s: %d to a request that is not valid, want 400 or 422", p.method, p.op.Path, w.Code))
	}
	return errs
}

// checkRefused checks an answer that must be a refusal.
func (b *bench) checkRefused(p probe, w *httptest.ResponseRecorder, body *countedBody) []error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s %s: "+format, append([]any{p.method, p.op.Path}, args...)...))
	}
	if len(b.ran) > 0 {
		wrong("operation %q ran, want %d %s", b.ran[0].operation, p.want.status, p.want.code)
	}
	if body.read > 0 {
		wrong("%d bytes of the body were read before the refusal", body.read)
	}
	code := problemCode(w)
	if p.method == http.MethodHead {
		code = p.want.code // which has no body to stand in
	}
	if w.Code != p.want.status || code != p.want.code {
		wrong("%d %s, want %d %s", w.Code, code, p.want.status, p.want.code)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		wrong("Cache-Control is %q, want no-store", got)
	}
	if got := w.Header().Get("Connection"); got != "close" {
		wrong("Connection is %q after a body that was not read, want close", got)
	}
	if w.Code == 401 {
		if got, want := challenges(w.Header()), b.wantChallenges(p.op); !slices.Equal(got, want) {
			wrong("challenges are %q, want %q", got, want)
		}
		under := func(line string) bool { return strings.HasPrefix(line, "DPoP ") }
		if b.refusesBound(p) && !slices.ContainsFunc(w.Header().Values("WWW-Authenticate"), under) {
			wrong("no challenge is under DPoP, as the token was that is refused")
		}
	}
	if w.Code == 405 {
		if got, want := w.Header().Get("Allow"), strings.Join(b.allow(p.op), ", "); got != want {
			wrong("Allow is %q, want %q", got, want)
		}
	}
	if w.Code == 503 && w.Header().Get("Retry-After") == "" {
		wrong("503 without Retry-After")
	}
	return errs
}

// problemCode returns the code of a problem, "" for any other answer.
func problemCode(w *httptest.ResponseRecorder) string {
	var doc struct {
		Code string `json:"code"`
	}
	if w.Header().Get("Content-Type") != "application/problem+json" || json.Unmarshal(w.Body.Bytes(), &doc) != nil {
		return ""
	}
	return doc.Code
}

// challenges returns the scheme words of all challenges, sorted. A token that
// came under DPoP is answered under that word, and asked for all the same; what
// is wrong with it may be told once by each scheme that takes tokens.
func challenges(h http.Header) []string {
	var words []string
	for _, line := range h.Values("WWW-Authenticate") {
		word, _, _ := strings.Cut(line, " ")
		if word = strings.ToLower(word); word == "dpop" {
			word = "bearer"
		}
		if word == "bearer" && slices.Contains(words, word) {
			continue
		}
		words = append(words, word)
	}
	slices.Sort(words)
	return words
}

// refusesBound tells whether what is refused of p came under DPoP, for a scheme
// that takes tokens there (RFC 9449, section 7.1). A certificate leaves nothing
// under a word.
func (b *bench) refusesBound(p probe) bool {
	look := lookers(b.api.Schemes, p.op, p.papers)
	return p.want == invalid && slices.ContainsFunc(p.papers, func(s sent) bool {
		return s.place == gate.Authorization("dpop") && s.paper.cert == nil && slices.ContainsFunc(look(s), func(c Scheme) bool { return say(c, s) == bad && b.fakes[c.Name] == nil })
	})
}

// wantChallenges returns one word for each scheme that op accepts, sorted. Two
// schemes for keys, or for sessions, in one place have one challenge.
func (b *bench) wantChallenges(op Operation) []string {
	var words []string
	var asked []gate.Place
	for _, s := range schemesOf(b.api.Schemes, op) {
		if cookie := (gate.Place{In: gate.InCookie, Name: cookieOf([]Scheme{s})}); isSession(s) && asksFor(s) != cookie && !slices.Contains(asked, cookie) {
			// A login takes tokens too, and asks for both.
			asked = append(asked, cookie)
			words = append(words, "cookie")
		}
		if b.fakes[s.Name] == nil {
			place := asksFor(s)
			if slices.Contains(asked, place) {
				continue
			}
			asked = append(asked, place)
		}
		word := challengeWord(s)
		if word == "dpop" {
			word = "bearer"
		}
		// Of several that take tokens it is known that they ask, not how often.
		if word != "bearer" || !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	slices.Sort(words)
	return words
}

// asksFor is the first place that a scheme asks for a credential in: for who has
// no browser, where tokens are taken.
func asksFor(s Scheme) gate.Place {
	for _, place := range s.Places {
		if sortIn(s, place) == aToken {
			return place
		}
	}
	return s.Places[0]
}

// challengeWord is the scheme word of a scheme's challenge.
func challengeWord(s Scheme) string {
	p := asksFor(s)
	switch {
	case p.In == gate.InAuthorization && p.Name != "":
		return p.Name
	case p.In == gate.InCertificate:
		return "mutual"
	case p.In == gate.InCookie:
		return "cookie"
	}
	return "apikey"
}
