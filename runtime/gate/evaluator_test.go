package gate_test

// The evaluator answers what the design says of one request, read sentence by
// sentence: a list of questions of which the first to be answered yes decides.
// It looks at credentials where Decide looks at schemes, and shares no code or
// type with it.

// shown is what a request shows of one scheme.
type shown struct {
	credential int // which of the request's credentials the scheme claims; 0: none
	said       said
	scope      bool // it holds the one scope there is
	user       string
	client     string
	record     string
	noProof    bool // it needs proof of origin, and there is none
}

// said is what the verifier of a scheme said of a credential.
type said int

const (
	good said = iota + 1
	bad
	silent // the store or the provider does not answer
	twice
	limited
)

// asked is one entry's demand on each of three schemes.
type asked [3]struct{ named, scope bool }

type situation struct {
	entries []asked
	shows   [3]shown
}

type verdict struct {
	status int // 200: let in
	code   string
	entry  int // which entry let the caller in; -1: none, or the empty one
}

type question struct {
	status int
	code   string
	yes    func(s *situation) bool
}

var questions = []question{
	{429, "too_many_failures", func(s *situation) bool {
		return s.anyCredential(func(c int) bool { return s.saidOf(c, limited) > 0 })
	}},
	{400, "credential_duplicate", func(s *situation) bool {
		return s.anyCredential(func(c int) bool { return s.saidOf(c, twice) > 0 })
	}},
	// Where several schemes claim the same credential it is invalid only if
	// all refuse it.
	{401, "credential_invalid", func(s *situation) bool {
		return s.anyCredential(func(c int) bool { return s.saidOf(c, bad) == s.claimants(c) })
	}},
	// Where several schemes claim the same credential one success suffices.
	{503, "verifier_unavailable", func(s *situation) bool {
		return s.anyCredential(func(c int) bool { return s.saidOf(c, silent) > 0 && s.saidOf(c, good) == 0 })
	}},
	{200, "", func(s *situation) bool { return s.firstEntry() >= 0 }},
	{200, "", func(s *situation) bool {
		return s.anyEntry(func(e asked) bool { return e == asked{} }) && !s.anyCredential(func(int) bool { return true })
	}},
	// Not known whether one of the schemes that share a credential takes it:
	// never 401.
	{503, "verifier_unavailable", func(s *situation) bool {
		return s.anyCredential(func(c int) bool { return s.saidOf(c, silent) > 0 })
	}},
	{403, "origin_missing", func(s *situation) bool {
		return s.anyEntry(func(e asked) bool {
			return s.allGood(e) && s.oneUser(e) && s.oneClient(e) && s.scopesHeld(e)
		})
	}},
	{403, "identities_differ", func(s *situation) bool {
		return s.anyEntry(func(e asked) bool { return s.allGood(e) && !(s.oneUser(e) && s.oneClient(e)) })
	}},
	{403, "insufficient_scope", func(s *situation) bool {
		return s.anyEntry(func(e asked) bool { return s.allGood(e) && !s.scopesHeld(e) })
	}},
}

// evaluate asks the questions in order. What none of them settles is 401.
func evaluate(s *situation) verdict {
	for _, q := range questions {
		if q.yes(s) {
			return verdict{q.status, q.code, s.firstEntry()}
		}
	}
	return verdict{401, "credential_missing", -1}
}

// firstEntry is the first entry that lets the caller in, or -1.
func (s *situation) firstEntry() int {
	for i, e := range s.entries {
		if s.allGood(e) && s.scopesHeld(e) && s.proven(e) && s.oneUser(e) && s.oneClient(e) {
			return i
		}
	}
	return -1
}

// anyCredential asks f of each credential that some scheme of the operation
// claims. What the operation does not name is not looked at.
func (s *situation) anyCredential(f func(credential int) bool) bool {
	for c := 1; c <= 3; c++ {
		if s.claimants(c) > 0 && f(c) {
			return true
		}
	}
	return false
}

func (s *situation) anyEntry(f func(asked) bool) bool {
	for _, e := range s.entries {
		if f(e) {
			return true
		}
	}
	return false
}

// operationNames tells whether some entry names the scheme.
func (s *situation) operationNames(scheme int) bool {
	return s.anyEntry(func(e asked) bool { return e[scheme].named })
}

func (s *situation) claimants(credential int) int {
	n := 0
	for i, sh := range s.shows {
		if sh.credential == credential && s.operationNames(i) {
			n++
		}
	}
	return n
}

func (s *situation) saidOf(credential int, what said) int {
	n := 0
	for i, sh := range s.shows {
		if sh.credential == credential && sh.said == what && s.operationNames(i) {
			n++
		}
	}
	return n
}

// allGood: every name has a good credential, and no key satisfies two.
func (s *situation) allGood(e asked) bool {
	names, goods := 0, 0
	var keys []string
	for i := range e {
		if !e[i].named {
			continue
		}
		names++
		if s.shows[i].credential != 0 && s.shows[i].said == good {
			goods++
		}
		if k := s.shows[i].record; k != "" {
			keys = append(keys, k)
		}
	}
	return names > 0 && names == goods && distinct(keys) == len(keys)
}

func (s *situation) scopesHeld(e asked) bool {
	for i := range e {
		if e[i].scope && !s.shows[i].scope {
			return false
		}
	}
	return true
}

func (s *situation) proven(e asked) bool {
	for i := range e {
		if e[i].named && s.shows[i].noProof {
			return false
		}
	}
	return true
}

func (s *situation) oneUser(e asked) bool   { return distinct(s.users(e)) <= 1 }
func (s *situation) oneClient(e asked) bool { return distinct(s.clients(e)) <= 1 }

func (s *situation) users(e asked) []string {
	var users []string
	for i := range e {
		if e[i].named && s.shows[i].user != "" {
			users = append(users, s.shows[i].user)
		}
	}
	return users
}

func (s *situation) clients(e asked) []string {
	var clients []string
	for i := range e {
		if e[i].named && s.shows[i].client != "" {
			clients = append(clients, s.shows[i].client)
		}
	}
	return clients
}

// holdsScope tells whether the principal of an entry holds the scope: by the
// person's credentials where there is a person, else by the client's.
func (s *situation) holdsScope(e asked) bool {
	person := len(s.users(e)) > 0
	for i := range e {
		if e[i].named && s.shows[i].scope && (s.shows[i].user != "" || !person) {
			return true
		}
	}
	return false
}

func distinct(words []string) int {
	n := 0
	for i, w := range words {
		seen := false
		for _, before := range words[:i] {
			seen = seen || before == w
		}
		if !seen {
			n++
		}
	}
	return n
}
