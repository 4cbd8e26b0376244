package clientcert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/dunglas/httpsfv"

	"github.com/gatewright/gatewright/runtime/problem"
)

const (
	certHeader  = "Client-Cert"       // RFC 9440, section 2.2
	chainHeader = "Client-Cert-Chain" // section 2.3
)

// FromProxies has next see the certificate in the header Client-Cert (RFC 9440),
// with the chain in Client-Cert-Chain, as that of the client's own connection,
// where the request comes from a proxy, which isProxy tells by its address in the
// form of http.Request.RemoteAddr; a proxy's own certificate never counts as a
// client's. One that cannot be read is answered 400. From everybody else the
// headers are nothing, and in either case they do not reach next (section 4).
func FromProxies(isProxy func(remote string) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaf, chain := r.Header[certHeader], r.Header[chainHeader]
		trusted := isProxy(r.RemoteAddr)
		if leaf == nil && chain == nil && !trusted {
			next.ServeHTTP(w, r)
			return
		}
		passed := r.Clone(r.Context())
		passed.Header.Del(certHeader)
		passed.Header.Del(chainHeader)
		if trusted {
			certs, err := parse(leaf, chain)
			if err != nil {
				problem.Write(w, r, &problem.Error{
					Status: http.StatusBadRequest, Code: "client_cert_unreadable", Title: "The proxy's header Client-Cert cannot be read.", Cause: err,
				})
				return
			}
			passed.TLS = forwarded(r.TLS, certs)
		}
		next.ServeHTTP(w, passed)
	})
}

// forwarded is the state of the proxy's connection with the client's certificates.
func forwarded(state *tls.ConnectionState, certs []*x509.Certificate) *tls.ConnectionState {
	var s tls.ConnectionState
	if state != nil {
		s = *state // others use it too
	}
	s.PeerCertificates, s.VerifiedChains = certs, nil
	return &s
}

// parse reads the headers: an item that is a byte sequence, and a list of such.
func parse(leaf, chain []string) ([]*x509.Certificate, error) {
	if len(leaf) == 0 {
		if len(chain) > 0 {
			return nil, errors.New("clientcert: a chain, and no certificate")
		}
		return nil, nil
	}
	if len(leaf) > 1 {
		return nil, errors.New("clientcert: several certificates")
	}
	item, err := httpsfv.UnmarshalItem(leaf)
	if err != nil {
		return nil, errors.New("clientcert: the header is no byte sequence")
	}
	items := []httpsfv.Item{item}
	if len(chain) > 0 {
		list, err := httpsfv.UnmarshalList(chain)
		if err != nil || len(list) >= maxChain {
			return nil, errors.New("clientcert: the chain is no list of byte sequences, or too long")
		}
		for _, member := range list {
			one, ok := member.(httpsfv.Item)
			if !ok {
				return nil, errors.New("clientcert: the chain is no list of byte sequences")
			}
			items = append(items, one)
		}
	}
	var certs []*x509.Certificate
	for _, item := range items {
		der, ok := item.Value.([]byte)
		if !ok {
			return nil, errors.New("clientcert: what should be a byte sequence is something else")
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errors.New("clientcert: a certificate cannot be read")
		}
		certs = append(certs, cert)
	}
	return certs, nil
}
