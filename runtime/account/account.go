// Package account lets people see to their own account: the page where they see
// who they are, end their sessions and look after their API keys, and the
// endpoints for programs of the site's own pages that do the same.
//
//	GET    /auth/account           the page
//	POST   /auth/account           its forms
//	GET    /auth/keys              the person's keys
//	POST   /auth/keys              makes one
//	GET    /auth/keys/{id}
//	PATCH  /auth/keys/{id}         changes its label
//	POST   /auth/keys/{id}/rotate  makes one that takes its place
//	DELETE /auth/keys/{id}         revokes it
//
// A browser's session is all that counts here, and for keys only while its
// login is recent. A key never makes, changes or lists keys: headers that hold
// one are not looked at.
package account

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/problem"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/session"
)

// A Config is what the account page and the key endpoints work on.
type Config struct {
	// PublicURL is the origin under which browsers reach the server.
	PublicURL string
	Prefix    string // of the paths. Default /auth
	Sessions  *session.Sessions
	// Keys may be nil: the API takes none. There are no endpoints for them
	// then, and the page does not speak of them.
	Keys  *apikey.Keys
	Marks session.Marks // forms that make a key are used once
	// Recent is how long after a login a person may see and change their
	// keys. Default: 15 minutes.
	Recent time.Duration
	// KeyVariable is the variable of the environment in which programs look
	// for a key, as code samples of the API do. Default API_KEY
	KeyVariable string
	// Example is how a program calls the API with a key: it is shown with a
	// new one. Its zero value: not shown.
	Example Example
	Look    page.Look
	Logger  *slog.Logger     // nil: slog.Default() at the time of use
	Now     func() time.Time // nil: time.Now
}

// An Example is a GET that takes a key.
type Example struct {
	Place gate.Place // where the key lies
	Path  string     // of the operation, such as /posts
}

// variableForm matches what every shell takes for a variable.
var variableForm = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// An Account answers at the paths of the account page and of people's own
// keys. Its methods may be called concurrently.
type Account struct {
	cfg Config
}

// New returns the account that cfg describes. Its error names everything that
// is wrong with cfg.
func New(cfg Config) (*Account, error) {
	cfg.Prefix = cmp.Or(cfg.Prefix, "/auth")
	cfg.KeyVariable = cmp.Or(cfg.KeyVariable, "API_KEY")
	cfg.Recent = cmp.Or(cfg.Recent, 15*time.Minute)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var errs []error
	if u, err := url.Parse(cfg.PublicURL); err != nil || u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != cfg.PublicURL {
		errs = append(errs, errors.New("account: the public URL is not like https://blog.example"))
	}
	if u, err := url.Parse(cfg.Prefix); err != nil || !strings.HasPrefix(cfg.Prefix, "/") || strings.HasPrefix(cfg.Prefix, "//") || strings.HasSuffix(cfg.Prefix, "/") || u.EscapedPath() != cfg.Prefix {
		errs = append(errs, fmt.Errorf("account: the prefix %q is no path like /auth", cfg.Prefix))
	}
	if cfg.Sessions == nil {
		errs = append(errs, errors.New("account: sessions missing"))
	}
	if cfg.Marks == nil {
		errs = append(errs, errors.New("account: marks missing"))
	}
	if !variableForm.MatchString(cfg.KeyVariable) {
		errs = append(errs, fmt.Errorf("account: %q is no name of a variable", cfg.KeyVariable))
	}
	if cfg.Recent < 0 {
		errs = append(errs, errors.New("account: a login cannot be recent for less than no time"))
	}
	if e := cfg.Example; e != (Example{}) && (!strings.HasPrefix(e.Path, "/") || e.Place.In == "" || e.Place.In == gate.InCertificate) {
		errs = append(errs, errors.New("account: the example has no path, or no place for a key"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Account{cfg: cfg}, nil
}

// An endpoint is what answers at one path, by method.
type endpoint map[string]func(w http.ResponseWriter, r *http.Request, id string)

// endpoint returns what answers at a path as it was sent, and the id of the key
// that it names; nil where that is not ours.
func (a *Account) endpoint(path string) (e endpoint, id string) {
	rest, ok := strings.CutPrefix(path, a.cfg.Prefix+"/")
	if !ok {
		return nil, ""
	}
	if rest == "account" {
		return endpoint{http.MethodGet: a.show, http.MethodPost: a.submit}, ""
	}
	first, id, below := strings.Cut(rest, "/")
	if first != "keys" || a.cfg.Keys == nil {
		return nil, ""
	}
	if !below {
		return endpoint{http.MethodGet: a.listKeys, http.MethodPost: a.createKey}, ""
	}
	id, what, further := strings.Cut(id, "/")
	switch {
	case id == "", further && what != "rotate":
		return nil, ""
	case further:
		return endpoint{http.MethodPost: a.rotateKey}, id
	}
	return endpoint{http.MethodGet: a.showKey, http.MethodPatch: a.relabelKey, http.MethodDelete: a.revokeKey}, id
}

// answer answers r, or says which methods the path takes.
func (e endpoint) answer(w http.ResponseWriter, r *http.Request, id string) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	handle, ok := e[method]
	if !ok {
		methods := slices.Collect(maps.Keys(e))
		if e[http.MethodGet] != nil {
			methods = append(methods, http.MethodHead)
		}
		slices.Sort(methods)
		w.Header().Set("Allow", strings.Join(methods, ", "))
		problem.Write(w, r, problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not take the method."))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	handle(w, r, id)
}

// Handler answers at the paths of the account, and has next answer at all
// others. It stands behind the handler of the sessions, which that of a login
// is.
func (a *Account) Handler(next http.Handler) http.Handler { return handler{a, next} }

// A handler is what Handler returns.
type handler struct {
	account *Account
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e, id := h.account.endpoint(r.URL.EscapedPath()); e != nil {
		e.answer(w, r, id)
		return
	}
	h.next.ServeHTTP(w, r)
}

// Answers tells whether the account or what is behind it answers at path.
func (h handler) Answers(path string) bool {
	if e, _ := h.account.endpoint(path); e != nil {
		return true
	}
	n, ok := h.next.(interface{ Answers(path string) bool })
	return ok && n.Answers(path)
}

// Patterns lists the routes of what is behind it, where that does.
func (h handler) Patterns() []string {
	if p, ok := h.next.(interface{ Patterns() []string }); ok {
		return p.Patterns()
	}
	return nil
}

func (a *Account) now() time.Time { return a.cfg.Now() }

// logger is the default of log/slog as it is by now: servers set theirs late.
func (a *Account) logger() *slog.Logger { return cmp.Or(a.cfg.Logger, slog.Default()) }

// isID tells whether text can be the id of a key.
func isID(text string) bool { return len(text) <= 32 && secret.IsBase62(text) }
