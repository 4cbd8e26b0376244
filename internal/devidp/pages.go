package devidp

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	loginPath     = "/login"
	signedOutPath = "/signed-out"
	endPath       = "/end"
)

// The page's style stands in the page, so that the policy can name it by its
// hash and nothing else needs to be fetched.
var (
	//go:embed page.css
	style string
	//go:embed page.html
	pageText string

	page = template.Must(template.New("page").Parse(pageText))
)

// A view is what a page shows.
type view struct {
	Title, App, Issuer, Text string
	Style                    template.CSS
	Request                  string // the sign-in that a user is picked for
	Users                    []User
	Sessions                 []session
}

type session struct{ SID, Name, Since string }

// pages answers ours and hands the rest to the protocol.
func (p *Provider) pages(protocol *op.Provider) http.Handler {
	policy := p.policy()
	write := func(w http.ResponseWriter, status int, v view) {
		v.App, v.Issuer, v.Style = p.cfg.Title, p.issuer, template.CSS(style)
		var out bytes.Buffer
		if err := page.Execute(&out, v); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		w.WriteHeader(status)
		_, _ = w.Write(out.Bytes())
	}

	ours := http.NewServeMux()
	ours.HandleFunc("GET "+loginPath, func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("id")
		if !p.store.pending(id) {
			write(w, http.StatusBadRequest, view{Title: "Sign in", Text: sentence(errOver)})
			return
		}
		write(w, http.StatusOK, view{Title: "Sign in", Request: id, Users: p.store.listUsers()})
	})
	ours.HandleFunc("POST "+loginPath, func(w http.ResponseWriter, r *http.Request) {
		id := r.PostFormValue("id")
		if err := p.store.pick(id, r.PostFormValue("user")); err != nil {
			write(w, http.StatusBadRequest, view{Title: "Sign in", Text: sentence(err)})
			return
		}
		back := op.AuthCallbackURL(protocol)(op.ContextWithIssuer(r.Context(), p.issuer), id)
		http.Redirect(w, r, back, http.StatusSeeOther)
	})
	ours.HandleFunc("GET "+signedOutPath, func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, view{Title: "Signed out", Text: "You can close this page."})
	})
	ours.HandleFunc("POST "+endPath, func(w http.ResponseWriter, r *http.Request) {
		p.store.endSession(r.PostFormValue("sid"))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	ours.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		v := view{Title: "Who is signed in", Text: "Nobody is."}
		for _, g := range p.store.sessions() {
			v.Text = ""
			v.Sessions = append(v.Sessions, session{SID: g.sid, Name: g.name, Since: g.authTime.Format("15:04:05")})
		}
		write(w, http.StatusOK, v)
	})
	// A page elsewhere must not be able to pick for its visitor.
	guarded := http.NewCrossOriginProtection().Handler(ours)

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		switch r.URL.Path {
		case "/", loginPath, signedOutPath, endPath:
			guarded.ServeHTTP(w, r)
		default:
			// Errors of the protocol are text, and quote what was asked.
			h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
			protocol.ServeHTTP(w, r)
		}
	})
}

// policy lets the page be what it is and no more. Browsers hold redirects that
// follow a form to form-action, and the sign-in ends at the application.
func (p *Provider) policy() string {
	sum := sha256.Sum256([]byte(style))
	targets := []string{"'self'"}
	for _, uri := range p.cfg.RedirectURIs {
		if u, err := url.Parse(uri); err == nil {
			if origin := u.Scheme + "://" + u.Host; !slices.Contains(targets, origin) {
				targets = append(targets, origin)
			}
		}
	}
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action " +
		strings.Join(targets, " ") + "; base-uri 'none'; frame-ancestors 'none'"
}

// sentence writes an error for people.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
