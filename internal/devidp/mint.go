package devidp

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/gatewright/gatewright/runtime/secret"
)

// GrantUser is the grant type by which the application gets an access token for
// a user named in the parameter user, who is not asked. It is for trying out.
const GrantUser = "urn:gatewright:dev:user"

const (
	tokenPath = "/oauth/token"
	// mintedLife is how long access tokens without a login last.
	mintedLife = time.Hour
)

// A Program is a client that gets access tokens for itself, by the client
// credentials grant (RFC 6749, section 4.4).
type Program struct {
	ID     string
	Scopes []string // what it may do
}

// minting answers token requests of programs and those for [GrantUser], and says
// in the metadata that there are programs; all else is next's.
func (p *Provider) minting(next http.Handler, protocol *op.Provider) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	for _, kind := range []string{"openid-configuration", "oauth-authorization-server"} { // the latter: RFC 8414
		mux.HandleFunc("GET /.well-known/"+kind, func(w http.ResponseWriter, r *http.Request) {
			metadata := op.CreateDiscoveryConfig(op.ContextWithIssuer(r.Context(), p.issuer), protocol, p.store)
			if p.cfg.Audience != "" {
				metadata.GrantTypesSupported = append(metadata.GrantTypesSupported, oidc.GrantTypeClientCredentials)
			}
			op.Discover(w, metadata)
		})
	}
	mux.HandleFunc("POST "+tokenPath, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			refuse(w, http.StatusBadRequest, "invalid_request", "the form cannot be read")
			return
		}
		switch r.PostForm.Get("grant_type") {
		case string(oidc.GrantTypeClientCredentials):
			p.forProgram(w, r)
		case GrantUser:
			p.forUser(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
	return mux
}

// credentials are the client's id and secret, of Basic or of the form (RFC 6749,
// section 2.3.1).
func credentials(r *http.Request) (id, password string) {
	id, password, ok := r.BasicAuth()
	if !ok {
		return r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	id, ierr := url.QueryUnescape(id)
	password, perr := url.QueryUnescape(password)
	if ierr != nil || perr != nil {
		return "", ""
	}
	return id, password
}

func equal(text string, s secret.Value) bool {
	return !s.IsZero() && subtle.ConstantTimeCompare([]byte(text), []byte(s.Reveal())) == 1
}

// refuse answers as RFC 6749, section 5.2, has it.
func refuse(w http.ResponseWriter, status int, code, description string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="devidp"`)
	}
	tell(w, status, map[string]any{"error": code, "error_description": description})
}

func tell(w http.ResponseWriter, status int, answer map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, answer)
}

// forProgram gives a program a token that speaks of itself. Who does not know
// the programs' secret does not learn either which there are.
func (p *Provider) forProgram(w http.ResponseWriter, r *http.Request) {
	id, password := credentials(r)
	if !equal(password, p.cfg.ProgramSecret) {
		refuse(w, http.StatusUnauthorized, "invalid_client", "wrong secret")
		return
	}
	p.store.mu.Lock()
	program, known := p.store.program(id)
	p.store.mu.Unlock()
	if !known {
		refuse(w, http.StatusUnauthorized, "invalid_client", "there is no such program")
		return
	}
	p.issue(w, r, program.ID, program.ID, program.Scopes)
}

// forUser gives the application a token that speaks of a user.
func (p *Provider) forUser(w http.ResponseWriter, r *http.Request) {
	id, password := credentials(r)
	if id != p.cfg.ClientID || !equal(password, p.cfg.ClientSecret) {
		refuse(w, http.StatusUnauthorized, "invalid_client", "unknown client or wrong secret")
		return
	}
	users := p.store.listUsers()
	i := slices.IndexFunc(users, func(u User) bool { return u.Name == r.PostForm.Get("user") })
	if i < 0 {
		names := make([]string, len(users))
		for n, u := range users {
			names[n] = u.Name
		}
		refuse(w, http.StatusBadRequest, "invalid_grant", "there is no such user but "+strings.Join(names, ", "))
		return
	}
	p.issue(w, r, users[i].subject(), id, users[i].Scopes)
}

// issue answers with an access token for the scopes asked for, or all.
func (p *Provider) issue(w http.ResponseWriter, r *http.Request, subject, client string, may []string) {
	if p.cfg.Audience == "" {
		refuse(w, http.StatusBadRequest, "unauthorized_client", "access tokens are for nobody here")
		return
	}
	if asked := r.PostForm["resource"]; len(asked) > 1 || len(asked) == 1 && asked[0] != p.cfg.Audience { // RFC 8707
		refuse(w, http.StatusBadRequest, "invalid_target", "there are tokens for "+p.cfg.Audience+" alone")
		return
	}
	scopes := strings.Fields(r.PostForm.Get("scope"))
	for _, s := range scopes {
		if !slices.Contains(may, s) {
			refuse(w, http.StatusBadRequest, "invalid_scope", "one of the scopes asked for is none of "+strings.Join(may, " "))
			return
		}
	}
	if len(scopes) == 0 {
		scopes = slices.Clone(may)
	}
	now := p.cfg.Now()
	t := token{subject: subject, client: client, scopes: scopes, may: scopes, issued: now, expires: now.Add(mintedLife)}
	text, err := p.sign(p.store.mint(t), t)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "server_error", "no token can be made")
		return
	}
	tell(w, http.StatusOK, map[string]any{
		"access_token": text, "token_type": oidc.BearerToken, "expires_in": int(mintedLife.Seconds()), "scope": strings.Join(scopes, " "),
	})
}
