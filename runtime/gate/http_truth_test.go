package gate_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gatewright/gatewright/runtime/gate"
)

// A speaker verifies what its credential says of it: "a:3 b:0" is of kind 3
// for scheme a and of kind 0 for scheme b.
type speaker struct {
	name  string
	place gate.Place
}

func (a speaker) Find(r *http.Request) (gate.Credential, bool, error) { return a.place.Find(r) }

func (a speaker) Verify(_ context.Context, _ *http.Request, c gate.Credential) (gate.Identity, error) {
	for word := range strings.FieldsSeq(c.Value) {
		if name, n, _ := strings.Cut(word, ":"); name == a.name {
			var i int
			fmt.Sscan(n, &i)
			switch k := allKinds[i]; k.state.Outcome {
			case gate.Valid:
				return k.state.Identity, nil
			case gate.Invalid:
				return gate.Identity{}, gate.ErrInvalid
			case gate.Limited:
				return gate.Identity{}, &gate.LimitError{}
			case gate.Unavailable:
				return gate.Identity{}, errors.New("down")
			}
			break
		}
	}
	return gate.Identity{}, gate.ErrAbsent
}

func (a speaker) Challenge(cause error) string { return a.place.Challenge(cause) }

// httpPlaces are where the credentials lie, by their number in a sharing: one
// of each sort, and the cookie first, which alone can lack proof of origin.
var httpPlaces = []gate.Place{{In: gate.InCookie, Name: "s"}, {In: gate.InAuthorization, Name: "bearer"}, {In: gate.InQuery, Name: "k"}}

// TestTruthTableHTTP asks a sample of the truth table again over HTTP.
func TestTruthTableHTTP(t *testing.T) {
	slog.SetLogLoggerLevel(slog.LevelError + 1)
	defer slog.SetLogLoggerLevel(slog.LevelInfo)
	rules, all := rulesOf(entriesOf(true), 3), scenes(allKinds)
	step := 211
	if testing.Short() || raceEnabled {
		step = 2111
	}
	seen := make(map[string]int)
	cases := 0
	for i := 0; i < len(rules); i += step {
		for _, sharing := range sharings {
			s := newSampler(t, rules[i], sharing)
			for j := i % 97; j < len(all); j += 97 {
				if all[j].places != sharing || !speakable(all[j]) {
					continue
				}
				cases++
				seen[s.ask(t, all[j], cases%2 == 0)]++
			}
			s.server.Close()
		}
	}
	t.Logf("%d requests: %v", cases, seen)
}

// speakable tells whether a request can show the scene: one credential is
// there twice for all who claim it, and only a cookie lacks proof of origin,
// for all who claim it.
func speakable(s *scene) bool {
	for i, k := range s.kinds {
		for j, l := range s.kinds {
			if s.shows[j].credential == 0 || s.places[i] != s.places[j] {
				continue
			}
			if k.shown.said == good && k.shown.noProof && s.places[i] != 1 {
				return false
			}
			if (k.shown.said == twice) != (l.shown.said == twice) {
				return false
			}
			if k.shown.said == good && l.shown.said == good && k.shown.noProof != l.shown.noProof {
				return false
			}
		}
	}
	return true
}

// A sampler is a server with one operation.
type sampler struct {
	rule   rule
	server *httptest.Server
	called atomic.Bool
	read   atomic.Bool
}

// watched notes when a body is read.
type watched struct{ read *atomic.Bool }

func (w watched) Read([]byte) (int, error) {
	w.read.Store(true)
	return 0, errors.New("read")
}

func (watched) Close() error { return nil }

func newSampler(t *testing.T, ru rule, sharing [3]int) *sampler {
	t.Helper()
	s := &sampler{rule: ru}
	op := &gate.Operation{ID: "op", Pattern: "POST /", Policy: ru.policy}
	cfg := gate.Config{Operations: []*gate.Operation{op}, Authenticators: make(map[string]gate.Authenticator)}
	for i, name := range schemeNames {
		place := httpPlaces[sharing[i]-1]
		cfg.Schemes = append(cfg.Schemes, gate.Scheme{Name: name, Places: []gate.Place{place}})
		cfg.Authenticators[name] = speaker{name, place}
	}
	g, err := gate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			r.Body = watched{&s.read}
		}
		who, ok := g.Admit(w, r, op)
		if !ok {
			return
		}
		s.called.Store(true)
		if who != nil {
			w.Header()["X-Via"] = who.Via()
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	return s
}

// request shows the scene. A credential that is there for no scheme is not sent.
func (s *sampler) request(t *testing.T, sc *scene, body bool) *http.Request {
	t.Helper()
	said := map[int]string{}
	times := map[int]int{}
	proof := "same-origin"
	for i, k := range sc.kinds {
		c := sc.shows[i].credential
		if c == 0 {
			continue
		}
		n := slices.IndexFunc(allKinds, func(l kind) bool { return l.name == k.name })
		said[c] += fmt.Sprintf("%s:%d ", schemeNames[i], n)
		times[c] = 1
		if k.shown.said == twice {
			times[c] = 2
		}
		if k.shown.noProof {
			proof = "cross-site"
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.server.URL, nil)
	if body {
		r, err = http.NewRequestWithContext(t.Context(), "POST", s.server.URL, strings.NewReader("body"))
	}
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", proof)
	for c, value := range said {
		for range times[c] {
			switch c {
			case 1:
				r.Header.Add("Cookie", "s="+strings.TrimSpace(value))
			case 2:
				r.Header.Add("Authorization", "Bearer "+value)
			case 3:
				r.URL.RawQuery += "&k=" + strings.ReplaceAll(value, " ", "+")
			}
		}
	}
	return r
}

// ask sends the scene and compares the answer with the evaluator's. It
// returns the code of the answer.
func (s *sampler) ask(t *testing.T, sc *scene, body bool) string {
	t.Helper()
	sit := situation{entries: s.rule.entries, shows: sc.shows}
	want := evaluate(&sit)
	s.called.Store(false)
	res, err := s.server.Client().Do(s.request(t, sc, body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct {
		Code string `json:"code"`
	}
	status := res.StatusCode
	if status == http.StatusNoContent {
		status = 200
	} else if err := json.UnmarshalRead(res.Body, &got); err != nil {
		t.Errorf("body: %v", err)
	}
	if status != want.status || got.Code != want.code {
		t.Errorf("%v, %v = %d %q, want %d %q", s.rule.entries, sc, status, got.Code, want.status, want.code)
	}
	if s.called.Load() != (want.status == 200) || s.read.Load() {
		t.Errorf("%v, %v: handler called %v, body read %v", s.rule.entries, sc, s.called.Load(), s.read.Load())
	}
	if want.status == 200 && want.entry >= 0 && res.Header.Get("X-Via") == "" {
		t.Errorf("%v, %v: let in as nobody", s.rule.entries, sc)
	}
	if res.Close != (body && want.status != 200) {
		t.Errorf("%v, %v: connection closed %v, status %d, body %v", s.rule.entries, sc, res.Close, status, body)
	}
	if !s.challenged(&sit, sc.places, want.status, res.Header["Www-Authenticate"]) {
		t.Errorf("%v, %v: %d with %q", s.rule.entries, sc, status, res.Header["Www-Authenticate"])
	}
	return fmt.Sprint(status, " ", got.Code)
}

// challenged tells whether a 401 has one challenge for each place of the
// operation, and no other answer but 403 any.
func (s *sampler) challenged(sit *situation, places [3]int, status int, lines []string) bool {
	if status == 403 {
		return len(lines) == 0 || len(lines) == 1 && strings.HasPrefix(lines[0], "Bearer ") && strings.Contains(lines[0], `error="insufficient_scope", scope="s"`)
	}
	if status == 400 {
		return len(lines) == 0 || len(lines) == 1 && strings.HasPrefix(lines[0], "Bearer ") && strings.HasSuffix(lines[0], `error="invalid_request"`)
	}
	var want []string
	for i := range schemeNames {
		word := []string{"Cookie", "Bearer ", `ApiKey in="query"`}[places[i]-1]
		if status == 401 && sit.operationNames(i) && !slices.Contains(want, word) {
			want = append(want, word)
		}
	}
	for _, word := range want {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, word) }) {
			return false
		}
	}
	return (len(want) > 0) == (len(lines) > 0)
}
