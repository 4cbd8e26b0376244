package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gatewright/gatewright/runtime/secret"
)

// readYAML takes the settings from the file's content.
func (d *draft) readYAML(content []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) { // a file without settings
			d.malformed(err)
		}
		return
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		d.at(&second, "", "a second document", "a configuration is one document: take out the line ---")
	} else if !errors.Is(err, io.EOF) {
		d.malformed(err)
	}
	d.readGroup("", doc.Content[0])
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// malformed notes what the YAML library says, its line made a place.
func (d *draft) malformed(err error) {
	place, text := d.file, err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		place, text = place+":"+m[1], text[len(m[0]):]
	}
	text = strings.TrimPrefix(text, "yaml: ")
	d.mistakes = append(d.mistakes, Mistake{Place: place, Message: "is not YAML: " + text})
}

// at notes a mistake at a node.
func (d *draft) at(n *yaml.Node, setting, message, hint string) {
	d.mistakes = append(d.mistakes, Mistake{Place: d.place(n), Setting: setting, Message: message, Hint: hint})
}

func (d *draft) place(n *yaml.Node) string {
	return d.file + ":" + strconv.Itoa(n.Line) + ":" + strconv.Itoa(n.Column)
}

// readGroup takes the settings of a mapping; group is its name, "" at the top.
func (d *draft) readGroup(group string, n *yaml.Node) {
	d.eachPair(group, n, func(key, value *yaml.Node) {
		name := key.Value
		if group != "" {
			name = group + "." + name
		}
		d.readSetting(group, name, key, value)
	})
}

// eachPair takes the pairs of a mapping whose names are text, each name once.
func (d *draft) eachPair(group string, n *yaml.Node, take func(key, value *yaml.Node)) {
	n = follow(n)
	if n.Kind != yaml.MappingNode {
		d.at(n, group, "has to be a list of settings, and is "+kindOf(n), "")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.at(key, group, "a setting's name has to be text, and is "+kindOf(key), "")
			continue
		}
		if seen[key.Value] {
			d.at(key, strings.TrimPrefix(group+"."+key.Value, "."), "is set twice", "keep one of the two")
			continue
		}
		seen[key.Value] = true
		take(key, value)
	}
}

func (d *draft) readSetting(group, name string, key, value *yaml.Node) {
	if s, ok := find(name); ok {
		d.places[name] = d.place(value)
		d.readValue(s, follow(value))
		return
	}
	if f, ok := findFamily(name); ok {
		d.readFamily(f, value)
		return
	}
	switch {
	case slices.Contains(later, name):
		d.at(key, name, "is not supported by this version yet", "")
	case len(children(name)) > 0:
		d.readGroup(name, value)
	case name == "secret":
		d.at(key, name, "a secret does not stand in this file", "write it to a file of its own and name that in secret_file, or set "+envSecret)
	case name == "dev":
		d.at(key, name, "development is not switched on in this file", "set "+envDev+"=true where the server is started")
	default:
		known := children(group)
		hint := "settings here: " + strings.Join(known, ", ")
		if near := nearest(key.Value, known); near != "" {
			hint = "did you mean " + near + "?"
		} else if other, ok := elsewhere(key.Value); ok {
			hint = "did you mean " + other + "?"
		}
		d.at(key, name, "there is no such setting", hint)
	}
}

// elsewhere finds a setting of that name in another group.
func elsewhere(name string) (string, bool) {
	for _, s := range settings {
		if s.name[strings.LastIndexByte(s.name, '.')+1:] == name {
			return s.name, true
		}
	}
	return "", false
}

// readValue takes one value, or several where the setting is a list.
func (d *draft) readValue(s setting, n *yaml.Node) {
	if s.isMap(d) {
		d.readMap(s, n)
		return
	}
	base := filepath.Dir(d.file)
	if _, list := s.into(d).(*[]string); list && n.Kind == yaml.SequenceNode {
		if len(n.Content) == 0 && !s.none {
			d.at(n, s.name, "is an empty list", "")
		}
		for _, item := range n.Content {
			d.readScalar(s, follow(item), base)
		}
		return
	}
	d.readScalar(s, n, base)
}

func (d *draft) readScalar(s setting, n *yaml.Node, base string) {
	want, tags := s.written(d)
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.ShortTag()) {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" && strings.HasPrefix(want, "text") {
			hint = "if that is what is meant, put it in quotes"
		}
		d.at(n, s.name, "has to be "+want+", and is "+kindOf(n), hint)
		return
	}
	if err := s.assign(d, n.Value, base); err != nil {
		d.at(n, s.name, err.Error(), "")
	}
}

// written tells how a setting is written in YAML: for people, and as the tags
// of its scalars.
func (s setting) written(d *draft) (want string, tags []string) {
	switch s.into(d).(type) {
	case *bool:
		return "true or false", []string{"!!bool"}
	case *int64:
		return "a size such as 64KiB", []string{"!!int", "!!str"}
	case *int:
		return "a number", []string{"!!int"}
	case *[]string:
		return "text or a list of texts", []string{"!!str"}
	case *string:
		return "text", []string{"!!str"}
	default:
		if s.zero {
			return "a duration such as 30s, or 0", []string{"!!int", "!!str"}
		}
		return "a duration such as 30s", []string{"!!str"}
	}
}

// follow returns what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias // an anchor is never on an alias
	}
	return n
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	case "!!str":
		return "text"
	}
	return "of another kind (" + n.ShortTag() + ")"
}

// known are all settings, those of the entries that the file has included.
func (d *draft) known() []setting {
	all := slices.Clone(settings)
	for _, e := range d.entries {
		all = append(all, e.settings...)
	}
	return all
}

// readEnv takes the settings that the environment overrides. A certificate
// there replaces the file's whole choice of a certificate.
func (d *draft) readEnv(getenv func(string) string) {
	files := getenv(Variable("tls.cert"))+getenv(Variable("tls.key")) != ""
	dev, proxy := getenv(Variable("tls.dev")) == "true", getenv(Variable("tls.behind_proxy")) != ""
	if files || proxy {
		d.TLS.Dev = false
	}
	if files || dev {
		d.TLS.BehindProxy = nil
	}
	if dev || proxy {
		d.TLS.Cert, d.TLS.Key = nil, nil
	}
	for _, s := range d.known() {
		text := getenv(s.variable())
		if text == "" {
			continue
		}
		d.places[s.name] = s.variable()
		if s.isMap(d) {
			if err := s.assignMap(d, text); err != nil {
				d.wrong(s.name, err.Error(), "")
			}
			continue
		}
		texts := []string{text}
		if list, ok := s.into(d).(*[]string); ok {
			*list, texts = nil, strings.Split(text, ",")
		}
		for _, t := range texts {
			if err := s.assign(d, t, ""); err != nil {
				d.wrong(s.name, err.Error(), "")
			}
		}
	}
	switch dev := getenv(envDev); dev {
	case "", "false":
	case "true":
		d.Dev = true
		d.places["dev"] = envDev
	default:
		d.mistakes = append(d.mistakes, Mistake{Place: envDev, Message: fmt.Sprintf("%q is neither true nor false", dev)})
	}
}

// readClientSecrets reads the secrets of the providers, each from its variable
// or its file.
func (d *draft) readClientSecrets(getenv func(string) string) {
	for _, e := range d.entries {
		if e.provider == nil {
			continue
		}
		name, variable := e.name+".client_secret", e.env+"_CLIENT_SECRET"
		if text := getenv(variable); text != "" {
			if getenv(variable+"_FILE") != "" {
				d.mistakes = append(d.mistakes, Mistake{Place: variable, Message: variable + "_FILE is set too", Hint: "keep one of the two"})
			}
			d.places[name] = variable
			e.provider.ClientSecret = secret.New(text)
			continue
		}
		if e.provider.secretFile == "" {
			continue
		}
		value, err := secret.File(e.provider.secretFile)
		if err != nil {
			hint := ""
			if errors.Is(err, fs.ErrNotExist) {
				hint = "write the secret that the provider gave into it, and chmod 600 it; or set " + variable
			}
			d.wrong(name+"_file", strings.TrimPrefix(err.Error(), "secret: "), hint)
			continue
		}
		d.places[name] = d.places[name+"_file"]
		e.provider.ClientSecret = value
	}
}

// readSecrets reads the secret in the environment, or the files.
func (d *draft) readSecrets(getenv func(string) string) {
	if text := getenv(envSecret); text != "" {
		if getenv(Variable("secret_file")) != "" {
			d.mistakes = append(d.mistakes, Mistake{Place: envSecret, Message: Variable("secret_file") + " is set too", Hint: "keep one of the two"})
		}
		d.places["secret"] = envSecret
		d.Secrets = []secret.Value{secret.New(text)}
		return
	}
	for _, path := range d.secretFiles {
		value, err := secret.File(path)
		if err != nil {
			hint := ""
			if errors.Is(err, fs.ErrNotExist) {
				hint = makeSecret(path)
			}
			d.wrong("secret_file", strings.TrimPrefix(err.Error(), "secret: "), hint)
			continue
		}
		d.Secrets = append(d.Secrets, value)
		d.origins = append(d.origins, path)
	}
}

// readStores reads the URLs of stores that stand in files of their own, and
// refuses a password in the configuration, which is no secret file.
func (d *draft) readStores() {
	for _, c := range []struct {
		setting string
		file    string
		into    *string
	}{
		{"store", d.storeFile, &d.Store},
		{"sessions_store", d.sessionsStoreFile, &d.SessionsStore},
	} {
		switch {
		case c.file != "" && *c.into != "":
			d.wrong(c.setting, c.setting+"_file is set too", "keep one of the two")
		case c.file != "":
			value, err := secret.File(c.file)
			if err != nil {
				d.wrong(c.setting+"_file", strings.TrimPrefix(err.Error(), "secret: "), "")
				continue
			}
			*c.into = value.Reveal()
		case d.places[c.setting] != Variable(c.setting) && holdsPassword(*c.into):
			d.wrong(c.setting, "holds a password", "put the URL into a file of its own and name that with "+c.setting+"_file, or set "+Variable(c.setting))
			*c.into = "" // nothing is to quote it
		}
	}
}

// holdsPassword tells whether a URL has one, before its host or among its
// parameters. What cannot be read as a URL is told by where one would stand.
func holdsPassword(store string) bool {
	if strings.HasPrefix(store, "sqlite:") {
		return false
	}
	u, err := url.Parse(store)
	if err != nil {
		return strings.Contains(store, "@") || strings.Contains(store, "password")
	}
	_, there := u.User.Password()
	return there || u.Query().Has("password")
}
