package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gatewright/gatewright/runtime/provider"
)

// A family is a group whose members have names of the user's own, and each of
// them the same settings.
type family struct {
	name string       // in the file
	add  func(*entry) // gives a new entry its settings, named as below it
}

// families are all that there are.
var families = []family{
	{name: "providers", add: func(e *entry) {
		e.provider = &providerDraft{}
		e.settings = providerSettings(e.provider)
	}},
	{name: "schemes", add: func(e *entry) {
		e.binding = &provider.Binding{}
		e.settings = schemeSettings(e.binding)
	}},
}

// A providerDraft is a provider whose secret is not read yet.
type providerDraft struct {
	provider.Config
	secretFile string
}

// An entry is one member of a family.
type entry struct {
	family   family
	key      string    // its name in the file
	name     string    // as mistakes have it: providers.main
	env      string    // begins its variables: GATEWRIGHT_PROVIDERS_MAIN
	settings []setting // with their whole names
	provider *providerDraft
	binding  *provider.Binding
}

func findFamily(name string) (family, bool) {
	i := slices.IndexFunc(families, func(f family) bool { return f.name == name })
	if i < 0 {
		return family{}, false
	}
	return families[i], true
}

func (f family) entry(key string) *entry {
	e := &entry{family: f, key: key, name: entryName(f.name, key), env: entryEnv(f.name, key)}
	f.add(e)
	for i, s := range e.settings {
		e.settings[i].env = e.env + "_" + inVariable(s.name)
		e.settings[i].name = e.name + "." + s.name
	}
	return e
}

// entryName names a member of a family in mistakes, quoted where its end could
// not be told otherwise.
func entryName(family, key string) string {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r != '-' && r != '_' && !isLetterOrDigit(r) }) {
		key = strconv.Quote(key)
	}
	return family + "." + key
}

// entryEnv begins the variables of a member of a family.
func entryEnv(family, key string) string { return Variable(family) + "_" + inVariable(key) }

func isLetterOrDigit(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// inVariable is text as a part of a variable's name.
func inVariable(text string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if isLetterOrDigit(r) {
			return r
		}
		return '_'
	}, text))
}

// find returns the entry's setting of that name, such as client_id.
func (e *entry) find(name string) (setting, bool) {
	i := slices.IndexFunc(e.settings, func(s setting) bool { return s.name == e.name+"."+name })
	if i < 0 {
		return setting{}, false
	}
	return e.settings[i], true
}

// readFamily takes the entries of a mapping.
func (d *draft) readFamily(f family, n *yaml.Node) {
	before := len(d.entries)
	d.eachPair(f.name, n, func(key, value *yaml.Node) {
		e := f.entry(key.Value)
		d.places[e.name] = d.place(key)
		for _, other := range d.entries[before:] {
			if other.env == e.env {
				d.at(key, e.name, "and "+other.name+" would have one name in the environment, "+e.env+"_…", "call one of them otherwise")
				return
			}
		}
		d.entries = append(d.entries, e)
		d.readEntry(e, value)
	})
}

// readEntry takes the settings of one entry.
func (d *draft) readEntry(e *entry, n *yaml.Node) {
	d.eachPair(e.name, n, func(key, value *yaml.Node) {
		name := e.name + "." + key.Value
		if s, ok := e.find(key.Value); ok {
			d.places[name] = d.place(value)
			d.readValue(s, follow(value))
			return
		}
		if e.provider != nil && key.Value == "client_secret" {
			d.at(key, name, "a secret does not stand in this file", "write it to a file of its own and name that in client_secret_file, or set "+e.env+"_CLIENT_SECRET")
			return
		}
		var known []string
		for _, s := range e.settings {
			known = append(known, strings.TrimPrefix(s.name, e.name+"."))
		}
		hint := "settings here: " + strings.Join(known, ", ")
		if near := nearest(key.Value, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		d.at(key, name, "there is no such setting", hint)
	})
}

// readMap takes a setting that is a mapping of texts to texts, or to lists.
func (d *draft) readMap(s setting, n *yaml.Node) {
	count := len(d.mistakes)
	s.empty(d)
	d.eachPair(s.name, n, func(key, value *yaml.Node) {
		items := []*yaml.Node{follow(value)}
		if _, lists := s.into(d).(*map[string][]string); lists && items[0].Kind == yaml.SequenceNode {
			items = items[0].Content
		}
		if len(items) == 0 {
			d.at(value, s.name, fmt.Sprintf("%q has an empty list", key.Value), "leave it out")
		}
		for _, item := range items {
			if item = follow(item); item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" {
				hint := ""
				if item.Kind == yaml.ScalarNode && item.ShortTag() != "!!null" {
					hint = "if that is what is meant, put it in quotes"
				}
				d.at(item, s.name, fmt.Sprintf("%q has to be text, and is %s", key.Value, kindOf(item)), hint)
				continue
			}
			if err := s.put(d, key.Value, item.Value); err != nil {
				d.at(item, s.name, err.Error(), "")
			}
		}
	})
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 && len(d.mistakes) == count {
		d.at(n, s.name, "is an empty mapping", "leave it out")
	}
}

// empty makes a mapping ready to be put into.
func (s setting) empty(d *draft) {
	switch into := s.into(d).(type) {
	case *map[string]string:
		*into = map[string]string{}
	case *map[string][]string:
		*into = map[string][]string{}
	}
}

// put enters one value into a setting that is a mapping.
func (s setting) put(d *draft, key, value string) error {
	if key == "" || value == "" {
		return fmt.Errorf("%q: %q: neither may be empty", key, value)
	}
	switch into := s.into(d).(type) {
	case *map[string]string:
		(*into)[key] = value
	case *map[string][]string:
		(*into)[key] = append((*into)[key], value)
	}
	return nil
}

// isMap tells whether a setting is a mapping.
func (s setting) isMap(d *draft) bool {
	switch s.into(d).(type) {
	case *map[string]string, *map[string][]string:
		return true
	}
	return false
}

// assignMap reads a mapping from a variable: key=value,key=value, where several
// values of one key are parted by blanks.
func (s setting) assignMap(d *draft, text string) error {
	s.empty(d)
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("%q is not like name=value,name=value", text)
		}
		values := []string{value}
		if _, lists := s.into(d).(*map[string][]string); lists {
			values = strings.Fields(value)
		}
		if len(values) == 0 {
			values = []string{""}
		}
		for _, v := range values {
			if err := s.put(d, key, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// assemble makes the providers and schemes of the entries, once the
// environment has been read.
func (d *draft) assemble() {
	for _, e := range d.entries {
		switch {
		case e.provider != nil:
			e.provider.Name = e.key
			d.Providers = append(d.Providers, e.provider.Config)
		case e.binding != nil:
			if d.Schemes == nil {
				d.Schemes = map[string]provider.Binding{}
			}
			d.Schemes[e.key] = *e.binding
		}
	}
}
