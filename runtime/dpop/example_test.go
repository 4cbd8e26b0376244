package dpop_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/dpop"
	"github.com/gatewright/gatewright/runtime/secret"
)

// A resource server of one's own checks the proof once it knows that the access
// token is good, and to which key it is bound.
func Example() {
	ring, err := secret.NewRing(secret.Random(32))
	if err != nil {
		panic(err)
	}
	proofs, err := dpop.New(dpop.Config{
		PublicURL: "https://blog.example",
		Marks:     &memory{}, // Marks of a store, so that replicas share them
		Ring:      ring,
	})
	if err != nil {
		panic(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, jkt := "an.access.token", thumbprint(p256()) // of a token that was verified
		err := proofs.Check(r.Context(), r, token, jkt, true)
		switch {
		case errors.Is(err, dpop.ErrNonce):
			w.Header().Set("DPoP-Nonce", proofs.Nonce())
			w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce", algs="ES256"`)
			w.WriteHeader(http.StatusUnauthorized)
		case errors.Is(err, dpop.ErrInvalid):
			w.Header().Set("WWW-Authenticate", `DPoP error="invalid_dpop_proof", algs="ES256"`)
			w.WriteHeader(http.StatusUnauthorized)
		case err != nil:
			w.WriteHeader(http.StatusServiceUnavailable) // nothing is known
		}
	})

	// A client tries without a nonce, is told one, and tries again; what it
	// sent then does not pass a second time.
	var nonce, last string
	ask := func() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request("GET", "/posts", last))
		fmt.Println(strings.TrimSpace(fmt.Sprintf("%d %s", w.Code, w.Header().Get("WWW-Authenticate"))))
		nonce = w.Header().Get("DPoP-Nonce")
	}
	for range 2 {
		more := object{"iat": time.Now().Unix()}
		if nonce != "" {
			more["nonce"] = nonce
		}
		last = sign(p256(), "ES256", header(p256(), "ES256").json(), claims().with(more).json())
		ask()
	}
	ask()
	// Output:
	// 401 DPoP error="use_dpop_nonce", algs="ES256"
	// 200
	// 401 DPoP error="invalid_dpop_proof", algs="ES256"
}
