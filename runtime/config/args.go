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

// filePath tells which file to read.
func filePath(args []string, getenv func(string) string) (string, error) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	path := flags.String("config", getenv(envConfig), "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return "", helpError{}
	case err != nil:
		return "", single("", err.Error(), "-config FILE names the configuration, -help tells the rest")
	case flags.NArg() > 0:
		return "", single("", fmt.Sprintf("argument %q is not understood", flags.Arg(0)), "-config FILE names the configuration, -help tells the rest")
	case *path != "":
		return *path, nil
	}
	if _, err := os.Stat(defaultFile); errors.Is(err, fs.ErrNotExist) {
		return "", single("", "there is no configuration", "name the file by -config FILE or "+envConfig+", or put "+defaultFile+" into the working directory")
	}
	return defaultFile, nil
}

// helpError is what the server's -help prints.
type helpError struct{}

// Is makes a helpError flag.ErrHelp.
func (helpError) Is(target error) bool { return target == flag.ErrHelp }

// Error is the help.
func (helpError) Error() string {
	var b strings.Builder
	b.WriteString("usage: [-config FILE]\n\n" +
		"The configuration is a YAML file: FILE, else $" + envConfig + ", else ./" + defaultFile + ".\n" +
		"Each setting is overridden by the variable beside it.\n\n")
	for _, s := range settings {
		fmt.Fprintf(&b, "  %-21s %-31s %s\n", s.name, variable(s.name), s.help)
	}
	fmt.Fprintf(&b, "  %-21s %-31s %s\n", "", envSecret, "the secret itself, in place of a file")
	fmt.Fprintf(&b, "  %-21s %-31s %s", "", envDev, "true: development, loopback only")
	return b.String()
}

// unknownVariables finds variables of environ, in the form of os.Environ, that
// begin with GATEWRIGHT_, that getenv knows, and that name no setting.
func unknownVariables(environ []string, getenv func(string) string) []Mistake {
	known := []string{envConfig, envDev, envSecret}
	for _, s := range settings {
		known = append(known, variable(s.name))
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
		for _, l := range later {
			if name == variable(l) || strings.HasPrefix(name, variable(l)+"_") {
				m.Message, m.Hint = "is not supported by this version yet", ""
			}
		}
		found = append(found, m)
	}
	slices.SortFunc(found, func(a, b Mistake) int { return strings.Compare(a.Place, b.Place) })
	return found
}
