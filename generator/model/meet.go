package model

// Meetable tells whether a request can meet all needs of alt: not if two of
// them claim the one Authorization header under different scheme words.
func (a *API) Meetable(alt Alternative) bool {
	word, claimed := "", false
	for _, n := range alt {
		s := a.Scheme(n.Scheme)
		if s == nil || len(s.Places) != 1 || s.Places[0].In != "authorization" || s.Places[0].Name == "" {
			continue
		}
		if claimed && s.Places[0].Name != word {
			return false
		}
		word, claimed = s.Places[0].Name, true
	}
	return true
}
