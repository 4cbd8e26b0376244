package clientcert

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// maxFile is the largest file read, in bytes.
const maxFile = 32 << 20

// A trust is what the files say.
type trust struct {
	roots *x509.CertPool
	lists map[string]*list // by subject and key id of who revokes; nil: nothing is revoked
}

// A list is what one authority revoked.
type list struct {
	next    time.Time // when there will be another
	revoked map[string]bool
}

// readTrust reads the files.
func readTrust(ca, crl string, now time.Time) (*trust, error) {
	if ca == "" {
		return nil, errors.New("clientcert: there is no file of authorities: set client_certs.ca")
	}
	authorities, err := readAuthorities(ca, now)
	if err != nil {
		return nil, err
	}
	t := &trust{roots: x509.NewCertPool()}
	for _, a := range authorities {
		t.roots.AddCert(a)
	}
	if crl == "" {
		return t, nil
	}
	t.lists, err = readLists(crl, authorities)
	return t, err
}

// readAuthorities reads the certificates of a PEM file. Each has to be of an
// authority, and good now: one passed over in silence is a puzzle later.
func readAuthorities(path string, now time.Time) ([]*x509.Certificate, error) {
	rest, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	var errs []error
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			errs = append(errs, fmt.Errorf("clientcert: %s holds a %s beside certificates: take it out", path, block.Type))
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("clientcert: %s: certificate %d cannot be read: %w", path, len(all)+1, err))
			continue
		case !cert.BasicConstraintsValid || !cert.IsCA:
			errs = append(errs, fmt.Errorf("clientcert: %s: %q is no authority's certificate", path, cert.Subject.CommonName))
		case now.After(cert.NotAfter):
			errs = append(errs, fmt.Errorf("clientcert: %s: the authority %q expired on %s", path, cert.Subject.CommonName, cert.NotAfter.Format(time.DateOnly)))
		}
		all = append(all, cert)
	}
	if len(all) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("clientcert: %s holds no certificate in PEM", path))
	}
	return all, errors.Join(errs...)
}

// readLists reads revocation lists, one in DER or several in PEM, each signed by
// one of the authorities.
func readLists(path string, authorities []*x509.Certificate) (map[string]*list, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	ders := [][]byte{data}
	if block, rest := pem.Decode(data); block != nil {
		ders = nil
		for ; block != nil; block, rest = pem.Decode(rest) {
			ders = append(ders, block.Bytes)
		}
	}
	all := make(map[string]*list)
	var errs []error
	for n, der := range ders {
		crl, err := x509.ParseRevocationList(der)
		if err != nil {
			errs = append(errs, fmt.Errorf("clientcert: %s: list %d cannot be read: %w", path, n+1, err))
			continue
		}
		signer := signerOf(crl, authorities)
		if signer == nil {
			errs = append(errs, fmt.Errorf("clientcert: %s: list %d is signed by none of the authorities", path, n+1))
			continue
		}
		if err := complete(crl); err != nil {
			errs = append(errs, fmt.Errorf("clientcert: %s: list %d, of %q, %w", path, n+1, signer.Subject.CommonName, err))
			continue
		}
		l := &list{next: crl.NextUpdate, revoked: make(map[string]bool, len(crl.RevokedCertificateEntries))}
		for _, e := range crl.RevokedCertificateEntries {
			l.revoked[e.SerialNumber.String()] = true
		}
		name := string(signer.RawSubject) + string(signer.SubjectKeyId)
		if all[name] != nil {
			errs = append(errs, fmt.Errorf("clientcert: %s has two lists of %q: keep the newer one", path, signer.Subject.CommonName))
		}
		all[name] = l
	}
	return all, errors.Join(errs...)
}

// complete tells whether crl names all that its issuer revoked, and nothing else.
// A list that is one of several, or holds the changes alone, or speaks of other
// issuers' certificates, says so in a critical extension, and does not count
// where that is not understood (RFC 5280, sections 5.2 and 5.3).
func complete(crl *x509.RevocationList) error {
	for _, e := range crl.Extensions {
		if e.Critical {
			return fmt.Errorf("has the critical extension %s: take the authority's complete list, not a delta or a part of it", e.Id)
		}
	}
	for _, revoked := range crl.RevokedCertificateEntries {
		for _, e := range revoked.Extensions {
			if e.Critical {
				return fmt.Errorf("has entries with the critical extension %s: take a list of the authority's own certificates alone", e.Id)
			}
		}
	}
	return nil
}

func signerOf(crl *x509.RevocationList, authorities []*x509.Certificate) *x509.Certificate {
	for _, a := range authorities {
		if crl.CheckSignatureFrom(a) == nil {
			return a
		}
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("clientcert: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("clientcert: %s is larger than %d bytes", path, maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("clientcert: %w", err)
	}
	return data, nil
}
