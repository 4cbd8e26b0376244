package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/jwks"
)

// errMetadata means that a provider answered, and that what it says of itself
// must not be used.
var errMetadata = errors.New("metadata do not match the configuration")

// metadata are what a provider says of itself (OpenID Connect Discovery 1.0,
// section 3). What it says of algorithms is never taken for leave to use them.
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	PromisesIssuer        bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207, section 3
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms            []string `json:"id_token_signing_alg_values_supported"`

	keys *jwks.Set
}

// discover fetches the metadata of an issuer from where they lie, and checks them. The error wraps
// errMetadata where the provider answered with what must not be used.
func discover(ctx context.Context, client *http.Client, where, issuer string) (metadata, error) {
	var m metadata
	if err := fetch.JSON(ctx, client, where, nil, &m); err != nil {
		return metadata{}, fmt.Errorf("looking up %s: %w", where, err)
	}
	var errs []error
	if m.Issuer != issuer {
		errs = append(errs, fmt.Errorf("they name the issuer %.200q, and %q is configured (to the letter, a slash at the end included)", m.Issuer, issuer))
	}
	for _, e := range []struct {
		name, value string
		required    bool
	}{
		{"authorization_endpoint", m.AuthorizationEndpoint, true},
		{"token_endpoint", m.TokenEndpoint, true},
		{"jwks_uri", m.JWKSURI, true},
		{"userinfo_endpoint", m.UserInfoEndpoint, false},
		{"end_session_endpoint", m.EndSessionEndpoint, false},
	} {
		u, err := url.Parse(e.value)
		if (e.value != "" || e.required) && (err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "") {
			errs = append(errs, fmt.Errorf("%s is %.200q, not an https URL", e.name, e.value))
		}
	}
	if len(errs) > 0 {
		return metadata{}, fmt.Errorf("%w: %s: %w", errMetadata, where, errors.Join(errs...))
	}
	return m, nil
}
