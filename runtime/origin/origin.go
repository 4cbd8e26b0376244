package origin

import (
	"net/http"
	"slices"

	"github.com/rs/cors"

	"github.com/gatewright/gatewright/runtime/gate"
)

// Proven tells whether r was made by a page of publicOrigin or by the person
// themselves: what a request needs that changes something for the browser it
// comes from. It is the rule of the gate for cookies: Sec-Fetch-Site says
// same-origin or none, or, where a browser does not send it, Origin is ours to
// the letter. A request that says nothing proves nothing.
func Proven(r *http.Request, publicOrigin string) bool {
	return gate.ProvesOrigin(r.Header, publicOrigin)
}

// CORSConfig says which pages of other origins may read the answers.
type CORSConfig struct {
	// Origins are exact, as browsers write them. * alone stands for all.
	Origins []string
	// Credentials lets the browser show those pages also what it answers to
	// cookies. It opens nothing by itself: a cookie still needs proof of
	// origin for an unsafe method. With the origin * it does not count.
	Credentials bool
}

// methods are what pages of other origins may use.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

// exposed are the headers of our answers that their scripts may read beside
// those that every script may.
var exposed = []string{"ETag", "Link", "Location", "Retry-After", "WWW-Authenticate"}

// CORS tells browsers which pages may read the answers of next. A preflight is
// answered here and never reaches next, since browsers send it without
// credentials. All other requests reach it, whatever their origin: who may
// call is not decided here. Where no origin is configured, next is returned as
// it is.
func CORS(cfg CORSConfig, next http.Handler) http.Handler {
	if len(cfg.Origins) == 0 {
		return next
	}
	options := cors.Options{
		AllowedMethods:       methods,
		AllowedHeaders:       []string{"*"}, // what the page asks for: the document's parameters are not known here
		ExposedHeaders:       exposed,
		MaxAge:               600, // seconds that a preflight is good for
		OptionsSuccessStatus: http.StatusNoContent,
	}
	if slices.Contains(cfg.Origins, "*") {
		options.AllowedOrigins = []string{"*"}
		return cors.New(options).Handler(next)
	}
	// The library's own list knows wildcards and no case; ours is exact.
	origins := slices.Clone(cfg.Origins)
	options.AllowCredentials = cfg.Credentials
	options.AllowOriginVaryRequestFunc = func(r *http.Request, origin string) (bool, []string) {
		return len(r.Header["Origin"]) == 1 && slices.Contains(origins, origin), nil
	}
	return cors.New(options).Handler(next)
}
