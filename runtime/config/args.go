package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// defaultFile is read where nobody names a file.
const defaultFile = "server.yaml"

// parseArgs tells which file to read, and whether the server that runs is to be
// asked how it is.
func parseArgs(args []string, getenv func(string) string) (path string, healthCheck bool, err error) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&path, "config", getenv(envConfig), "")
	flags.BoolVar(&healthCheck, "healthcheck", false, "")
	const help = "-config FILE names the configuration, -help tells the rest"
	err = flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return "", false, helpError{}
	case err != nil:
		return "", false, single("", err.Error(), help)
	case flags.NArg() > 0:
		return "", false, single("", fmt.Sprintf("argument %q is not understood", flags.Arg(0)), help)
	case path != "":
		return path, healthCheck, nil
	}
	if _, err := os.Stat(defaultFile); errors.Is(err, fs.ErrNotExist) {
		return "", false, single("", "there is no configuration", "name the file by -config FILE or "+envConfig+", or put "+defaultFile+" into the working directory")
	}
	return defaultFile, healthCheck, nil
}

// helpError is what the server's -help prints.
type helpError struct{}

// Is makes a helpError flag.ErrHelp.
func (helpError) Is(target error) bool { return target == flag.ErrHelp }

// Error is the help.
func (helpError) Error() string {
	var b strings.Builder
	b.WriteString("usage: [-config FILE] [-healthcheck]\n\n" +
		"With -healthcheck the server that runs is asked whether it is ready, and the\n" +
		"answer is the exit code: 0 if so.\n\n" +
		"The configuration is a YAML file: FILE, else $" + envConfig + ", else ./" + defaultFile + ".\n" +
		"Each setting is overridden by the variable beside it; there, lists are parted by\n" +
		"commas, and mappings are written NAME=VALUE,NAME=VALUE.\n\n")
	line := func(name, variable, help string) { fmt.Fprintf(&b, "  %-21s %-31s %s\n", name, variable, help) }
	for _, s := range settings {
		line(s.name, s.variable(), s.help)
	}
	line("", envSecret, "the secret itself, in place of a file")
	line("", envDev, "true: development, loopback only")
	for _, f := range families {
		e := f.entry("NAME")
		fmt.Fprintf(&b, "\nEach %s has these, and NAME has to stand in the file:\n\n", e.name)
		for _, s := range e.settings {
			name := strings.TrimPrefix(s.name, e.name+".")
			fmt.Fprintf(&b, "  %-18s %-44s %s\n", name, s.variable(), s.help)
		}
		if e.provider != nil {
			fmt.Fprintf(&b, "  %-18s %-44s %s\n", "", e.env+"_CLIENT_SECRET", "the secret itself, in place of a file")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// unknownVariables finds variables of environ, in the form of os.Environ, that
// begin with GATEWRIGHT_, that getenv knows, and that name no setting.
func (d *draft) unknownVariables(environ []string, getenv func(string) string) []Mistake {
	known := []string{envConfig, envDev, envSecret}
	for _, s := range d.known() {
		known = append(known, s.variable())
	}
	for _, e := range d.entries {
		if e.provider != nil {
			known = append(known, e.env+"_CLIENT_SECRET")
		}
	}
	var found []Mistake
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "GATEWRIGHT_") || slices.Contains(known, name) || value == "" || getenv(name) != value {
			continue
		}
		m := Mistake{Place: name, Message: "there is no such setting", Hint: "-help lists them"}
		if near := nearest(name, known); near != "" {
			m.Hint = "did you mean " + near + "?"
		}
		for _, f := range families {
			if strings.HasPrefix(name, Variable(f.name)+"_") && !d.isEntry(f, name) {
				m.Message, m.Hint = "there is no such entry in "+f.name, "it has to stand in the file before a variable can override it"
			}
		}
		for _, l := range later {
			if name == Variable(l) || strings.HasPrefix(name, Variable(l)+"_") {
				m.Message, m.Hint = "is not supported by this version yet", ""
			}
		}
		found = append(found, m)
	}
	slices.SortFunc(found, func(a, b Mistake) int { return strings.Compare(a.Place, b.Place) })
	return found
}

// isEntry tells whether a variable could be of an entry that the file has.
func (d *draft) isEntry(f family, name string) bool {
	return slices.ContainsFunc(d.entries, func(e *entry) bool {
		return e.family.name == f.name && strings.HasPrefix(name, e.env+"_")
	})
}
