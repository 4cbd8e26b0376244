package account

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/page"
	"github.com/gatewright/gatewright/runtime/session"
)

//go:embed account.html made.html
var files embed.FS

var tmpl = template.Must(template.New("").Funcs(template.FuncMap{
	"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"date":    func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04") },
}).ParseFS(files, "account.html", "made.html"))

// An outcome is what came of a form: what was done, or what is wrong and what
// was filled in.
type outcome struct {
	done, fault string

	creating    bool   // it was the form for a new key
	at          string // or that of the label of this one
	label       string
	scopes      []string
	environment string
	expires     string
}

// A view is what the template of the page sees.
type view struct {
	Prefix      string
	Done, Fault string
	Who         whoView
	Recent      bool
	Again       string // where one signs in again
	Window      string // how long a login is recent
	Keys        *keysView
	Sessions    []sessionView
	Sealed      bool
}

type whoView struct {
	Name, Email, ID string
	Initials        string
	At              string // where they signed in
	Proved          time.Time
	Expires         time.Time
}

type keysView struct {
	Live, Dead []keyView
	Create     createView
	Overlaps   []choice
	Full       bool // there are as many as there can be
}

type createView struct {
	Once         string
	Open         bool
	Label        string
	Scopes       []choice
	Environments []choice
	Expires      []choice
	Wrong        bool
}

// A choice is one of several.
type choice struct {
	Value, Label, Hint string
	On                 bool
}

type keyView struct {
	ID, Label, Hint, Name string // Name: as no other key of the page is called
	Environment           string
	Foreign               bool // the server does not take keys of its environment
	Scopes                []string
	State, Badge, Kind    string
	Created, LastUsed     time.Time
	Expires, Revoked      time.Time
	Rotatable             bool
	Once                  string
	Open                  bool // what changes it
	Typed                 string
	Wrong                 bool
}

type sessionView struct {
	ID, Agent, Name string
	Created, Used   time.Time
	Current         bool
}

// render answers with the page.
func (a *Account) render(w http.ResponseWriter, r *http.Request, status int, c caller, o outcome) {
	v := view{
		Prefix: a.cfg.Prefix, Done: o.done, Fault: o.fault, Who: whoOf(c), Recent: c.recent,
		Again: a.signInAgain(c), Window: spanWords(a.cfg.Recent),
	}
	var err error
	if v.Sessions, err = a.sessionsOf(r, c); errors.Is(err, session.ErrSealed) {
		v.Sealed = true
	} else if err != nil {
		a.unavailable(w, r, err)
		return
	}
	if a.cfg.Keys != nil {
		v.Keys = &keysView{}
		if c.recent {
			if v.Keys, err = a.keysOf(r, c, o); err != nil {
				a.unavailable(w, r, err)
				return
			}
		}
	}
	a.write(w, r, status, "Your account", "account.html", v)
}

// write answers with what a template makes of v.
func (a *Account) write(w http.ResponseWriter, r *http.Request, status int, title, name string, v any) {
	var buf bytes.Buffer
	if err := tmpl.ExecuteTemplate(&buf, name, v); err != nil {
		panic(fmt.Errorf("account: %w", err))
	}
	// It was written by package html/template.
	page.WriteBody(w, r, status, page.Body{Title: title, HTML: template.HTML(buf.String()), Look: a.cfg.Look})
}

func whoOf(c caller) whoView {
	v := whoView{Name: cmp.Or(c.User.Name, c.User.Email, "Without a name"), ID: c.User.ID, At: c.Provider, Proved: provedAt(c.Session), Expires: c.Expires}
	if c.User.Name != "" {
		v.Email = c.User.Email
	}
	if u, err := url.Parse(c.Issuer); err == nil && u.Host != "" {
		v.At = u.Host
	}
	v.Initials = initials(v.Name)
	return v
}

// initials are the first letters of the first word of a name and of its last.
func initials(name string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(name, " "), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
	if len(words) > 2 {
		words = []string{words[0], words[len(words)-1]}
	}
	var out []rune
	for _, word := range words {
		first, _ := utf8.DecodeRuneInString(word)
		out = append(out, unicode.ToUpper(first))
	}
	return string(out)
}

func (a *Account) sessionsOf(r *http.Request, c caller) ([]sessionView, error) {
	all, err := a.cfg.Sessions.List(r.Context(), c.User.ID)
	if err != nil {
		return nil, err
	}
	var out []sessionView
	names := newNames()
	for _, s := range all {
		if s.Used.Before(s.Created) {
			s.Used = s.Created // use is noted to the minute
		}
		v := sessionView{ID: s.ID.String(), Agent: agentWords(s.Agent), Created: s.Created, Used: s.Used, Current: s.ID == c.ID}
		v.Name = names.unique(v.Agent + ", signed in " + s.Created.UTC().Format("2 Jan 2006 15:04") + " UTC")
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b sessionView) int {
		return cmp.Or(first(b.Current)-first(a.Current), b.Used.Compare(a.Used))
	})
	return out, nil
}

func first(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// soon is how long before its end a key is said to expire soon.
const soon = 7 * day

func (a *Account) keysOf(r *http.Request, c caller, o outcome) (*keysView, error) {
	recs, err := a.cfg.Keys.ListOf(r.Context(), apikey.Owner{User: c.User.ID})
	if err != nil {
		return nil, err
	}
	now := a.now()
	labels := map[string]int{}
	for _, rec := range recs {
		labels[rec.Label]++
	}
	v := &keysView{Overlaps: choices("24h", overlaps)}
	for _, rec := range recs {
		state := stateOf(rec, now)
		k := keyView{
			ID: rec.ID, Label: rec.Label, Hint: a.cfg.Keys.Hint(rec), Name: "“" + rec.Label + "”", Environment: string(rec.Environment),
			Foreign: rec.Environment != a.cfg.Keys.Environment(), Scopes: rec.Scopes, State: state,
			Created: rec.Created, LastUsed: rec.LastUsed, Expires: rec.Expires, Revoked: rec.Revoked,
			Rotatable: state == active && rec.Bound, Once: newOnce(), Typed: rec.Label,
		}
		if labels[rec.Label] > 1 {
			k.Name += " (" + k.Hint + ")"
		}
		if o.at == rec.ID {
			k.Open, k.Wrong, k.Typed = true, true, o.label
		}
		switch {
		case state == active && !rec.Expires.IsZero() && rec.Expires.Sub(now) < soon:
			k.Badge, k.Kind = "Expires soon", "warn"
		case state == active:
			k.Badge, k.Kind = "Active", "good"
		case state == rotated:
			k.Badge, k.Kind = "Replaced", "warn"
		case state == expired:
			k.Badge, k.Kind = "Expired", "gone"
		default:
			k.Badge, k.Kind = "Revoked", "gone"
		}
		if rec.Alive(now) {
			v.Live = append(v.Live, k)
		} else {
			v.Dead = append(v.Dead, k)
		}
	}
	v.Full = len(v.Live) >= apikey.MaxOwn
	v.Create = a.createView(c, o)
	v.Create.Open = o.creating || len(v.Live) == 0
	return v, nil
}

var (
	lives    = []choice{{Value: "7d", Label: "7 days"}, {Value: "30d", Label: "30 days"}, {Value: "90d", Label: "90 days"}, {Value: "180d", Label: "180 days"}, {Value: "365d", Label: "1 year"}}
	overlaps = []choice{{Value: "0", Label: "Stops at once"}, {Value: "1h", Label: "1 hour"}, {Value: "24h", Label: "24 hours"}, {Value: "7d", Label: "7 days"}, {Value: "30d", Label: "30 days"}}
)

// choices are those of all, with the one of value taken.
func choices(value string, all []choice) []choice {
	out := slices.Clone(all)
	for i := range out {
		out[i].On = out[i].Value == value
	}
	return out
}

func (a *Account) createView(c caller, o outcome) createView {
	v := createView{Once: newOnce(), Label: o.label, Wrong: o.creating, Expires: choices(cmp.Or(o.expires, "90d"), lives)}
	if !o.creating {
		v.Label = ""
	}
	for _, scope := range a.grantable(c) {
		v.Scopes = append(v.Scopes, choice{Value: scope, Label: scope, On: slices.Contains(o.scopes, scope)})
	}
	here := string(a.cfg.Keys.Environment())
	for _, e := range []choice{{Value: string(apikey.Live), Label: "Live", Hint: "for real use"}, {Value: string(apikey.Test), Label: "Test", Hint: "for trying things out"}} {
		e.On = e.Value == cmp.Or(o.environment, here)
		if e.Value != here {
			e.Hint += "; this server takes only " + here + " keys"
		}
		v.Environments = append(v.Environments, e)
	}
	return v
}

// names tells things apart that would be called the same.
type names map[string]int

func newNames() names { return names{} }

func (n names) unique(name string) string {
	n[name]++
	if n[name] > 1 {
		return fmt.Sprintf("%s (%d)", name, n[name])
	}
	return name
}

// spanWords says how long a span is.
func spanWords(d time.Duration) string {
	for _, u := range []struct {
		span time.Duration
		name string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / u.span; n >= 1 && d%u.span == 0 {
			if n == 1 {
				return "one " + u.name
			}
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return d.String()
}

// A madeView is what the template of a new key's page sees.
type madeView struct {
	Prefix   string
	Label    string
	Key      string // shown this once
	Expires  time.Time
	Foreign  string // the environment of a key that this server does not take
	Here     string // the one whose keys it does
	Scopes   []string
	Old      string // hint of the key whose place it takes
	OldUntil time.Time
	OldOver  bool // it is refused already
	Store    string
	Call     string
}

// renderMade shows a new key. It is the only answer of the page that holds one.
func (a *Account) renderMade(w http.ResponseWriter, r *http.Request, m made) {
	v := madeView{
		Prefix: a.cfg.Prefix, Label: m.rec.Label, Key: m.key.Reveal(), Expires: m.rec.Expires, Scopes: m.rec.Scopes,
		Here: string(a.cfg.Keys.Environment()), Store: "read -rs " + a.cfg.KeyVariable + " && export " + a.cfg.KeyVariable,
	}
	if m.rec.Environment != a.cfg.Keys.Environment() {
		v.Foreign = string(m.rec.Environment)
	}
	if m.old.ID != "" {
		v.Old, v.OldUntil, v.OldOver = a.cfg.Keys.Hint(m.old), m.oldUntil, !m.oldUntil.After(a.now())
	}
	if a.cfg.Example != (Example{}) {
		v.Call = curlLine(a.cfg.KeyVariable, a.cfg.Example.Place, a.cfg.PublicURL+a.cfg.Example.Path)
	}
	a.write(w, r, http.StatusOK, "Your new key", "made.html", v)
}

// curlLine calls url with the key that the environment holds in variable. The key goes through a
// pipe: what stands among a program's arguments all users of a machine can read.
func curlLine(variable string, at gate.Place, url string) string {
	header := func(text string) string {
		return "printf " + quote(text+`\n`) + ` "$` + variable + `" | curl -H @- ` + quote(url)
	}
	settings := func(text string) string {
		return "printf " + quote(text+`\n`) + ` "$` + variable + `" | curl -K - ` + quote(url)
	}
	percent := func(s string) string { return strings.ReplaceAll(s, "%", "%%") }
	switch {
	case at.In == gate.InQuery:
		return settings(`get\ndata = "` + percent(queryEscape(at.Name)) + `=%s"`)
	case at.In == gate.InCookie:
		return header("Cookie: " + percent(at.Name) + "=%s")
	case at == gate.Authorization("basic"):
		return settings(`user = "apikey:%s"`)
	case at == gate.Authorization(""):
		return header("Authorization: %s")
	case at.In == gate.InAuthorization:
		return header("Authorization: " + strings.ToUpper(at.Name[:1]) + percent(at.Name[1:]) + " %s")
	}
	return header(percent(at.Name) + ": %s")
}

func queryEscape(name string) string { return url.QueryEscape(name) }

// quote makes one word of a shell's command line (POSIX).
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
