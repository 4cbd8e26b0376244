// Package discovery asks an issuer what it says of itself: OpenID Connect
// Discovery 1.0, section 4, and RFC 8414, section 3, where an issuer knows only
// OAuth 2.0.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatewright/gatewright/runtime/fetch"
)

// ErrMismatch means that an issuer answered, and that what it says of itself
// must not be used.
var ErrMismatch = errors.New("metadata do not match the configuration")

// Metadata are what an issuer says of itself. What it says of algorithms is
// never taken for leave to use them.
type Metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	PromisesIssuer        bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207, section 3
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms            []string `json:"id_token_signing_alg_values_supported"`
}

// Ask fetches the metadata of an issuer from where they lie, and checks that
// they are of that issuer, to the letter, that every endpoint they name is an
// https URL, and that those of required are there, by their names in JSON. The
// error wraps ErrMismatch where the issuer answered with what must not be used.
func Ask(ctx context.Context, client *http.Client, where, issuer string, required ...string) (Metadata, error) {
	var m Metadata
	if err := fetch.JSON(ctx, client, where, nil, &m); err != nil {
		return Metadata{}, fmt.Errorf("looking up %s: %w", where, err)
	}
	var errs []error
	if m.Issuer != issuer {
		errs = append(errs, fmt.Errorf("they name the issuer %.200q, and %q is configured (to the letter, a slash at the end included)", m.Issuer, issuer))
	}
	for _, e := range []struct{ name, value string }{
		{"authorization_endpoint", m.AuthorizationEndpoint},
		{"token_endpoint", m.TokenEndpoint},
		{"jwks_uri", m.JWKSURI},
		{"userinfo_endpoint", m.UserInfoEndpoint},
		{"end_session_endpoint", m.EndSessionEndpoint},
		{"introspection_endpoint", m.IntrospectionEndpoint},
	} {
		u, err := url.Parse(e.value)
		if (e.value != "" || slices.Contains(required, e.name)) && (err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "") {
			errs = append(errs, fmt.Errorf("%s is %.200q, not an https URL", e.name, e.value))
		}
	}
	if len(errs) > 0 {
		return Metadata{}, fmt.Errorf("%w: %s: %w", ErrMismatch, where, errors.Join(errs...))
	}
	return m, nil
}
