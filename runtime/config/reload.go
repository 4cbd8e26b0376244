package config

import (
	"errors"
	"reflect"
	"slices"

	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
)

// A source is what Load was given.
type source struct {
	args   []string
	getenv func(string) string
}

// CanReload tells whether the configuration comes from [Load].
func (c Config) CanReload() bool { return c.source != nil }

// Reload reads the configuration again, from where [Load] read it. Errors are
// those of Load.
func (c Config) Reload() (Config, error) {
	if c.source == nil {
		return Config{}, errors.New("config: it was not read from a file, and cannot be read again")
	}
	return Load(c.source.args, c.source.getenv)
}

// reloadable are settings that a running server takes over.
var reloadable = []string{"log.level", "secret_file"}

// Changed returns the settings that differ in next and that only a new process
// takes over: of the rest, the log's level and all secrets are taken over by a
// running one, and files such as certificates are read again by themselves.
func (c Config) Changed(next Config) (names []string) {
	one, two := &draft{Config: c}, &draft{Config: next}
	for _, s := range settings {
		if slices.Contains(reloadable, s.name) {
			continue
		}
		if !reflect.DeepEqual(s.into(one), s.into(two)) {
			names = append(names, s.name)
		}
	}
	if !reflect.DeepEqual(withoutSecrets(c.Providers), withoutSecrets(next.Providers)) {
		names = append(names, "providers")
	}
	if !reflect.DeepEqual(c.Schemes, next.Schemes) {
		names = append(names, "schemes")
	}
	if c.Dev != next.Dev {
		names = append(names, envDev)
	}
	return names
}

func withoutSecrets(providers []provider.Config) []provider.Config {
	all := slices.Clone(providers)
	for i := range all {
		all[i].ClientSecret = secret.Value{}
	}
	return all
}
