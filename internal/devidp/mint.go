package devidp

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/secret"
)

// GrantUser is the grant type by which the application gets an access token for
// a user named in the parameter user, who is not asked. It is for trying out.
const GrantUser = "urn:gatewright:dev:user"

const (
	tokenPath      = "/oauth/token"
	introspectPath = "/oauth/introspect"
	// mintedLife is how long access tokens for programs last.
	mintedLife = time.Hour
	maxMinted  = 10000
)

// A Program is a client that gets access tokens for itself, by the client
// credentials grant (RFC 6749, section 4.4).
type Program struct {
	ID     string
	Scopes []string // what it may do
}

// A mint issues JWT access tokens (RFC 9068), which package op has no form of.
type mint struct {
	p *Provider

	mu     sync.Mutex
	minted map[string]map[string]any // what was said in each token, for who asks
}

// handler answers token requests of programs, and questions about their tokens,
// and has next answer all others.
func (m *mint) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != tokenPath && r.URL.Path != introspectPath || r.ParseForm() != nil {
			next.ServeHTTP(w, r)
			return
		}
		switch grant := r.PostForm.Get("grant_type"); {
		case r.URL.Path == introspectPath:
			if !m.introspect(w, r) {
				next.ServeHTTP(w, r)
			}
		case grant == "client_credentials":
			m.forProgram(w, r)
		case grant == GrantUser:
			m.forUser(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
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
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="devidp"`)
	}
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, map[string]string{"error": code, "error_description": description})
}

// forProgram gives a program a token that speaks of itself.
func (m *mint) forProgram(w http.ResponseWriter, r *http.Request) {
	id, password := credentials(r)
	programs := *m.p.programs.Load()
	i := slices.IndexFunc(programs, func(c Program) bool { return c.ID == id })
	if i < 0 || !equal(password, m.p.cfg.ProgramSecret) {
		refuse(w, http.StatusUnauthorized, "invalid_client", "unknown program or wrong secret")
		return
	}
	m.issue(w, r, id, id, programs[i].Scopes)
}

// forUser gives the application a token that speaks of a user.
func (m *mint) forUser(w http.ResponseWriter, r *http.Request) {
	id, password := credentials(r)
	if id != m.p.cfg.ClientID || !equal(password, m.p.cfg.ClientSecret) {
		refuse(w, http.StatusUnauthorized, "invalid_client", "unknown client or wrong secret")
		return
	}
	users := m.p.store.listUsers()
	i := slices.IndexFunc(users, func(u User) bool { return u.Name == r.PostForm.Get("user") })
	if i < 0 {
		refuse(w, http.StatusBadRequest, "invalid_grant", "there is no such user")
		return
	}
	m.issue(w, r, users[i].subject(), id, users[i].Scopes)
}

// issue answers with an access token for the scopes asked for, or all.
func (m *mint) issue(w http.ResponseWriter, r *http.Request, subject, client string, may []string) {
	if asked := r.PostForm["resource"]; len(asked) > 1 || len(asked) == 1 && asked[0] != m.p.cfg.Audience { // RFC 8707
		refuse(w, http.StatusBadRequest, "invalid_target", "there are tokens for "+m.p.cfg.Audience+" alone")
		return
	}
	scopes := strings.Fields(r.PostForm.Get("scope"))
	if len(scopes) == 0 {
		scopes = may
	}
	for _, s := range scopes {
		if !slices.Contains(may, s) {
			refuse(w, http.StatusBadRequest, "invalid_scope", "it may not have the scope "+s)
			return
		}
	}
	now := m.p.cfg.Now()
	claims := map[string]any{
		"iss": m.p.issuer, "sub": subject, "client_id": client, "aud": m.p.cfg.Audience, "iat": now.Unix(), "exp": now.Add(mintedLife).Unix(),
		"jti": secret.ID(24), "scope": strings.Join(scopes, " "), "scopes": append([]string{}, scopes...),
	}
	text, err := m.sign(claims)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "server_error", "no token can be made")
		return
	}
	m.keep(text, claims, now)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.MarshalWrite(w, map[string]any{
		"access_token": text, "token_type": "Bearer", "expires_in": int(mintedLife.Seconds()), "scope": claims["scope"],
	})
}

func (m *mint) sign(claims map[string]any) (string, error) {
	key := m.p.store.key
	opts := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", key.id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key.key}, opts)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// keep remembers what a token says until it has expired.
func (m *mint) keep(text string, claims map[string]any, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for old, said := range m.minted {
		if exp, _ := said["exp"].(int64); exp < now.Unix() || len(m.minted) > maxMinted {
			delete(m.minted, old)
		}
	}
	m.minted[text] = claims
}

// introspect tells the application of a token that was minted here (RFC 7662);
// false where it was not.
func (m *mint) introspect(w http.ResponseWriter, r *http.Request) bool {
	id, password := credentials(r)
	m.mu.Lock()
	claims, ours := m.minted[r.PostForm.Get("token")]
	m.mu.Unlock()
	if !ours {
		return false
	}
	if id != m.p.cfg.ClientID || !equal(password, m.p.cfg.ClientSecret) {
		refuse(w, http.StatusUnauthorized, "invalid_client", "unknown client or wrong secret")
		return true
	}
	answer := map[string]any{"active": true, "token_type": "Bearer"}
	for name, v := range claims {
		answer[name] = v
	}
	if exp, _ := claims["exp"].(int64); exp < m.p.cfg.Now().Unix() {
		answer = map[string]any{"active": false}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.MarshalWrite(w, answer)
	return true
}
