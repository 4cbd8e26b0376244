package apikey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxName  = 100 // characters of a label, a client's id or name, a scope
	maxNames = 100 // schemes, or scopes, of one key
)

// check tells everything that is wrong with a request.
func (k *Keys) check(req CreateRequest, now time.Time) error {
	errs := []error{checkOwner(req.Owner), checkName("label", req.Label)}
	if req.Environment != Live && req.Environment != Test {
		errs = append(errs, fmt.Errorf("environment %q is not live or test", req.Environment))
	}
	if req.Bound && req.Owner.User == "" {
		errs = append(errs, errors.New("only a user bounds a key by what they hold"))
	}
	for _, name := range req.Schemes {
		if !slices.Contains(k.cfg.Schemes, name) {
			errs = append(errs, fmt.Errorf("scheme %q takes no keys; those that do: %s", name, list(k.cfg.Schemes)))
		}
	}
	for _, scope := range req.Scopes {
		errs = append(errs, k.checkScope(scope, req.Schemes))
	}
	errs = append(errs, checkSet("schemes", req.Schemes), checkSet("scopes", req.Scopes))
	errs = append(errs, checkExpiry(storable(req.Expires), now))
	return errors.Join(errs...)
}

func checkExpiry(at, now time.Time) error {
	switch {
	case at.IsZero():
		return nil
	case !at.After(now):
		return fmt.Errorf("expiry %s is not in the future", at.Format(time.RFC3339))
	case at.Year() > 9999:
		return errors.New("expiry is after the year 9999")
	}
	return nil
}

func checkOwner(o Owner) error {
	switch {
	case (o.User == "") == (o.Client == ""):
		return errors.New("the owner is either a user or a client")
	case o.User != "" && o.ClientName != "":
		return errors.New("a user has no client name")
	case o.User != "":
		return nil
	case o.ClientName == "":
		return checkName("client id", o.Client)
	}
	return errors.Join(checkName("client id", o.Client), checkName("client name", o.ClientName))
}

// checkScope tells what is wrong with a scope of a key that serves schemes.
func (k *Keys) checkScope(scope string, schemes []string) error {
	if err := checkName("scope", scope); err != nil {
		return err
	}
	if len(schemes) == 0 {
		schemes = k.cfg.Schemes
	}
	var known []string
	for _, name := range schemes {
		scopes, named := k.cfg.Scopes[name]
		if !named || slices.Contains(scopes, scope) {
			return nil
		}
		known = append(known, scopes...)
	}
	if len(known) == 0 && k.cfg.Scopes == nil {
		return nil
	}
	slices.Sort(known)
	return fmt.Errorf("scope %q is unknown; those there are: %s", scope, list(slices.Compact(known)))
}

// checkName takes 1 to 100 characters that can be seen in a list, blanks among
// them but not at either end.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the %s is empty", what)
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("the %s has more than %d characters", what, maxName)
	case !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }), strings.TrimSpace(name) != name:
		return fmt.Errorf("the %s %q has characters that do not print, or blanks at an end", what, name)
	}
	return nil
}

func checkSet(what string, names []string) error {
	if len(names) > maxNames {
		return fmt.Errorf("more than %d %s", maxNames, what)
	}
	sorted := slices.Sorted(slices.Values(names))
	if len(slices.Compact(sorted)) != len(names) {
		return fmt.Errorf("%s are named twice", what)
	}
	return nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
