package bearer

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/problem"
)

// MetadataPath is where the metadata of the resource lie (RFC 9728, section 3).
const MetadataPath = "/.well-known/oauth-protected-resource"

// metadata are those of a protected resource (RFC 9728, section 2).
type metadata struct {
	Resource    string   `json:"resource"`
	Name        string   `json:"resource_name,omitempty"`
	Servers     []string `json:"authorization_servers"`
	Scopes      []string `json:"scopes_supported,omitempty"`
	Methods     []string `json:"bearer_methods_supported"`
	Proofs      []string `json:"dpop_signing_alg_values_supported"`
	Certificate bool     `json:"tls_client_certificate_bound_access_tokens"`
}

// Handler answers at [MetadataPath], to everybody, with the metadata of the
// resource (RFC 9728), and has next answer at all other paths. The resource is
// the public URL, which challenges name; that is what issuers know the server
// by, and what audiences are made of. For a client that knows an operation's
// URL alone and takes RFC 9728, section 3.3, to the letter, the same is told
// below that path, of the URL with the rest of it, where next answers there, as
// far as next says so by a method Answers(path string) bool. Where no scheme
// takes tokens, Handler returns next.
func (t *Tokens) Handler(next http.Handler) http.Handler {
	m := metadata{
		Resource: t.cfg.PublicURL, Name: t.cfg.Title, Servers: []string{}, Methods: []string{"header"},
		Proofs: t.proofs.Algorithms(), Certificate: true,
	}
	for _, s := range t.schemes {
		if s.refused != "" {
			continue
		}
		m.Scopes = append(m.Scopes, s.Scheme.Scopes...)
		for _, i := range s.issuers {
			if !slices.Contains(m.Servers, i.Issuer) && len(i.Tenants) == 0 {
				m.Servers = append(m.Servers, i.Issuer)
			}
		}
	}
	if !slices.ContainsFunc(t.schemes, func(s *scheme) bool { return s.refused == "" }) {
		return next
	}
	slices.Sort(m.Scopes)
	m.Scopes = slices.Compact(m.Scopes)
	return handler{m, next}
}

// A handler is what Handler returns.
type handler struct {
	metadata metadata
	next     http.Handler
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if !h.answers(path) {
		h.next.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		problem.Write(w, r, problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not take the method."))
		return
	}
	m := h.metadata
	m.Resource += strings.TrimPrefix(path, MetadataPath)
	body, err := json.Marshal(m)
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "max-age=300")
	// It is public, and browsers' clients are to read it too.
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // who left does not read it
	}
}

// answers tells whether path is the metadata's.
func (h handler) answers(path string) bool {
	rest, below := strings.CutPrefix(path, MetadataPath)
	if !below || rest == "" {
		return below
	}
	return strings.HasPrefix(rest, "/") && h.nextAnswers(rest)
}

func (h handler) nextAnswers(path string) bool {
	n, ok := h.next.(interface{ Answers(path string) bool })
	return ok && n.Answers(path)
}

// Answers tells whether the metadata or what is behind them answers at path.
func (h handler) Answers(path string) bool { return h.answers(path) || h.nextAnswers(path) }

// Patterns lists the routes of what is behind, where it does.
func (h handler) Patterns() []string {
	if p, ok := h.next.(interface{ Patterns() []string }); ok {
		return p.Patterns()
	}
	return nil
}
