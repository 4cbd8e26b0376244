package codec

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"io"
	"net/http"

	"github.com/dunglas/httpsfv"

	"github.com/gatewright/gatewright/runtime/problem"
)

// digests are the algorithms of Content-Digest that are not deprecated (RFC
// 9530, section 5).
var digests = map[string]func() hash.Hash{"sha-256": sha256.New, "sha-512": sha512.New}

// digested returns body such that its end is an error unless it has the digests
// that the header Content-Digest names (RFC 9530, section 2). A signature may
// cover that header, and has then been taken for one of the body: a header with
// no digest that can be compared is refused too.
func digested(h http.Header, body io.ReadCloser) (io.ReadCloser, error) {
	lines := h["Content-Digest"]
	if len(lines) == 0 {
		return body, nil
	}
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return nil, digestError("It is no dictionary of byte sequences.")
	}
	d := &digesting{ReadCloser: body}
	for _, name := range dict.Names() {
		member, _ := dict.Get(name)
		item, ok := member.(httpsfv.Item)
		want, isBytes := item.Value.([]byte)
		if !ok || !isBytes {
			return nil, digestError("It is no dictionary of byte sequences.")
		}
		if make, known := digests[name]; known {
			d.all = append(d.all, digest{make(), want})
		}
	}
	if len(d.all) == 0 {
		e := digestError("It has neither sha-256 nor sha-512.")
		e.Header = http.Header{"Want-Content-Digest": {"sha-256=1, sha-512=1"}} // RFC 9530, section 4
		return nil, e
	}
	return d, nil
}

// absentDigest compares the header's digests where there is no body: one that
// was signed may have been taken away.
func absentDigest(h http.Header) error {
	body, err := digested(h, http.NoBody)
	if err == nil {
		_, err = io.Copy(io.Discard, body)
	}
	return err
}

// A digest is a hash under way, and what it has to be.
type digest struct {
	hash.Hash
	want []byte
}

// A digesting body compares its digests when it ends.
type digesting struct {
	io.ReadCloser
	all []digest
}

// Read implements io.Reader.
func (d *digesting) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	for _, one := range d.all {
		_, _ = one.Write(p[:n]) // a hash takes everything
		if err == io.EOF && !bytes.Equal(one.Sum(nil), one.want) {
			err = digestError("The body is another.")
		}
	}
	return n, err
}

func digestError(detail string) *problem.Error {
	e := refusal(http.StatusBadRequest, codeDigest, "The request's Content-Digest does not hold.")
	e.Detail = detail
	return e
}
