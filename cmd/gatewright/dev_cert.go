package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gatewright/gatewright/generator/model"
)

// devClientName is the common name of the certificate for trying out.
const devClientName = "dev"

// certificates makes an authority for client certificates and one certificate
// of it, where the document takes any, and returns the configuration that has
// them taken. They are made anew at each change: nothing else relies on them.
func (d *developer) certificates(api *model.API) (string, error) {
	schemes := api.CertificateSchemes()
	if len(schemes) == 0 {
		return "", nil
	}
	if err := d.writeCertificates(); err != nil {
		return "", err
	}
	var scopes []string
	for _, s := range schemes {
		scopes = append(scopes, api.ScopesOf(s)...)
	}
	slices.Sort(scopes)
	text := fmt.Sprintf("client_certs:\n  ca: %q\n  subject: cn\n", d.stateFile("client-ca.pem"))
	if scopes = slices.Compact(scopes); len(scopes) > 0 {
		var quoted []string
		for _, s := range scopes {
			quoted = append(quoted, fmt.Sprintf("%q", s))
		}
		text += fmt.Sprintf("  scopes: {%q: [%s]}\n", "cn:"+devClientName, strings.Join(quoted, ", "))
	}
	return text, nil
}

func (d *developer) writeCertificates() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, kerr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err = errors.Join(err, kerr); err != nil {
		return err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gatewright dev, certificates of clients"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: devClientName}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	write := func(what, kind string, der []byte) error {
		return os.WriteFile(d.stateFile(what), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	return errors.Join(
		write("client-ca.pem", "CERTIFICATE", caDER), write("client.pem", "CERTIFICATE", leafDER), write("client.key", "PRIVATE KEY", keyDER))
}

// introduceCertificate says where the certificate for trying out lies.
func (d *developer) introduceCertificate(api *model.API) {
	if len(api.CertificateSchemes()) > 0 {
		fmt.Fprintf(d.stdout, "\nA client certificate for trying out: curl --cacert %s --cert %s --key %s …\n",
			quote(d.ca.CertFile()), quote(d.stateFile("client.pem")), quote(d.stateFile("client.key")))
	}
}
