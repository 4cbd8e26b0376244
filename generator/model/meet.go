package model

import "slices"

// Meetable tells whether a request can meet all needs of alt: not if two of
// them claim the one Authorization header and have no scheme word in common.
func (a *API) Meetable(alt Alternative) bool {
	var words []string // that the header can have; nil: any
	for _, n := range alt {
		own := a.Scheme(n.Scheme).words()
		switch {
		case own == nil:
		case words == nil:
			words = own
		default:
			words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !slices.Contains(own, w) })
			if len(words) == 0 {
				return false
			}
		}
	}
	return true
}

// words are the scheme words of which the scheme needs one in Authorization;
// nil where its credential may lie elsewhere, or under any word.
func (s *Scheme) words() []string {
	if s == nil {
		return nil
	}
	var words []string
	for _, p := range s.Places {
		if p.In != "authorization" || p.Name == "" {
			return nil
		}
		words = append(words, p.Name)
	}
	return words
}
