package gate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Unverified returns an error for every scheme whose authenticator is
// [Refuse], naming the scheme, why, and the operations that need it; nil if
// there is none. A server asks it before it starts: what no request can meet
// is better known then.
func Unverified(auths map[string]Authenticator, operations []*Operation) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(auths)) {
		why, refused := Refused(auths[name])
		if !refused {
			continue
		}
		errs = append(errs, fmt.Errorf("gate: scheme %q has no verifier; %s: %s", name, usersOf(name, operations), why))
	}
	return errors.Join(errs...)
}
