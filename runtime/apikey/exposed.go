package apikey

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gatewright/gatewright/runtime/limit"
)

// maxExposed bounds how many keys of one request are looked at.
const maxExposed = 4

// Exposed returns the ids of the keys that r holds and that are good: in
// Authorization, any other header, a cookie or the query, wherever the document
// has its keys. It is asked of requests that came in the clear, whose keys
// others can have read. It lets nobody in, and what is no key, or no good one,
// is not told: guesses count as in Verify.
func (k *Keys) Exposed(r *http.Request) (ids []string) {
	from := limit.Address(r)
	looked := make(map[string]bool)
	for _, text := range texts(r) {
		key, err := parse(k.cfg.Prefix, text)
		if err != nil || looked[key.text] || len(looked) == maxExposed {
			continue
		}
		looked[key.text] = true
		if k.limit.Before(from, key.id) != nil {
			continue
		}
		_, err = k.find(r.Context(), key)
		if _, refused := errors.AsType[*refusal](err); refused {
			_ = k.limit.Failed(r.Context(), from, key.id, err)
		}
		if err == nil {
			ids = append(ids, key.id)
		}
	}
	return ids
}

// texts are the parts of a request that may be a key.
func texts(r *http.Request) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			all = append(all, value)
			if _, after, ok := strings.Cut(value, " "); ok { // Authorization
				after = strings.Trim(after, " ")
				all = append(all, after)
				if key, err := password(after); err == nil {
					all = append(all, key)
				}
			}
		}
	}
	for _, c := range r.Cookies() {
		all = append(all, c.Value)
	}
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		all = append(all, query[name]...)
	}
	return all
}
