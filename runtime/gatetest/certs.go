package gatetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gatewright/gatewright/runtime/clientcert"
	"github.com/gatewright/gatewright/runtime/user"
)

// A registry makes real client certificates.
type registry struct {
	certificates *clientcert.Certificates
	ours         authority           // certificates from it are taken
	mute         authority           // and from it, but nobody says what it revoked
	strange      authority           // is nobody's
	scopes       map[string][]string // of clients, by their id
	key          *ecdsa.PrivateKey   // of all certificates
	serial       int64
}

// An authority is a certificate authority.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// revokedSerial is the number of the certificate that was revoked.
var revokedSerial = big.NewInt(666)

// newRegistry makes authorities for those of schemes that take certificates;
// nil where there are none.
func newRegistry(dir string, schemes []Scheme) (*registry, error) {
	if !slices.ContainsFunc(schemes, func(s Scheme) bool { return s.Verifier == "certificate" }) {
		return nil, nil
	}
	r := &registry{scopes: make(map[string][]string), serial: 1000}
	var errs [7]error
	r.key, errs[0] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.ours, errs[1] = newAuthority("ours")
	r.mute, errs[2] = newAuthority("mute")
	r.strange, errs[3] = newAuthority("strange")
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	var crl []byte
	crl, errs[4] = x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: revokedSerial, RevocationTime: time.Now()}},
	}, r.ours.cert, r.ours.key)
	pems := slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.ours.cert.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.mute.cert.Raw}))
	errs[5] = os.WriteFile(filepath.Join(dir, "clients-ca.pem"), pems, 0o600)
	errs[6] = os.WriteFile(filepath.Join(dir, "clients.crl"), crl, 0o600)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	var err error
	r.certificates, err = clientcert.New(clientcert.Config{
		CA: filepath.Join(dir, "clients-ca.pem"), CRL: filepath.Join(dir, "clients.crl"), Scopes: r.scopes, Logger: slog.New(slog.DiscardHandler),
	})
	return r, err
}

func newAuthority(name string) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return authority{cert, key}, err
}

// certificate returns a certificate in the state that kind names, and the id of
// the client that it names.
func (r *registry) certificate(kind string, scopes []string, who user.Record) (*x509.Certificate, string, error) {
	r.serial++
	name := fmt.Sprintf("client %d of %s", r.serial, who.ID)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(r.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	by := r.ours
	switch kind {
	case unknown:
		by = r.strange
	case expired:
		template.NotAfter = time.Now().Add(-time.Hour)
	case revoked:
		template.SerialNumber = revokedSerial
	case broken:
		by = r.mute
	case forServers:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &r.key.PublicKey, by.key)
	if err != nil {
		return nil, "", err
	}
	r.scopes["cn:"+name] = scopes
	cert, err := x509.ParseCertificate(der)
	return cert, "cn:" + name, err
}
