package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
)

func explainCommand() *cobra.Command {
	formats := []string{"text", "markdown", "json"}
	cmd := &cobra.Command{
		Use:   "explain DOC [OPERATION]",
		Short: "Print the access table: each operation and who may call it",
		Args:  between("a document, and the id of one operation if you like", 1, 2),
	}
	format := formatFlag(cmd, formats)
	undeclared := undeclaredFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkFormat(*format, formats); err != nil {
			return err
		}
		settings, dir, err := settingsFor(args[0], *undeclared)
		if err != nil {
			return err
		}
		res, err := generator.Analyze(cmd.Context(), generator.Config{Dir: dir, Settings: settings})
		if err := tell(cmd.ErrOrStderr(), "text", res, err); err != nil {
			return err
		}
		ops := res.API.Operations
		if len(args) == 2 {
			if ops = onlyOperation(ops, args[1]); len(ops) == 0 {
				return fmt.Errorf("the document has no operation %q; explain without it lists them", args[1])
			}
		}
		return explain(cmd.OutOrStdout(), *format, res.API, ops, len(args) == 2)
	}
	return cmd
}

func undeclaredFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("undeclared", "", "operations without any security statement: error or public")
}

// settingsFor returns the settings for a document or a folder with a
// gatewright.yaml, and the folder they are relative to. A document beside a
// gatewright.yaml that names it is read as that says.
func settingsFor(path, undeclared string) (generator.Settings, string, error) {
	switch undeclared {
	case "", "error", "public":
	default:
		return generator.Settings{}, "", usage("-undeclared is error or public, not %q", undeclared)
	}
	settings, dir, err := settingsAt(path)
	if err == nil && undeclared != "" {
		settings.Undeclared = undeclared
	}
	return settings, dir, err
}

func settingsAt(path string) (generator.Settings, string, error) {
	if isDir(path) {
		s, err := generator.ReadSettings(filepath.Join(path, generator.SettingsFile))
		return s, path, err
	}
	dir := filepath.Dir(path)
	beside := filepath.Join(dir, generator.SettingsFile)
	if exists(beside) {
		s, err := generator.ReadSettings(beside)
		if err != nil {
			return s, dir, err
		}
		if filepath.Clean(s.Document) == filepath.Base(path) {
			return s, dir, nil
		}
	}
	return generator.Settings{Document: path, Package: "api", Output: "internal/api", Undeclared: "error"}, "", nil
}

func onlyOperation(ops []model.Operation, id string) []model.Operation {
	for _, op := range ops {
		if op.ID == id || op.GoName == id || op.Method+" "+op.Path == id {
			return []model.Operation{op}
		}
	}
	return nil
}

// mayCall tells in words who may call an operation.
func mayCall(api *model.API, p model.Policy) string {
	if p.Public {
		if p.Undeclared {
			return "anyone (undeclared)"
		}
		return "anyone"
	}
	var ways []string
	anonymous := ""
	for _, a := range p.Alternatives {
		if len(a) == 0 {
			anonymous = "anyone who presents nothing"
			continue
		}
		var needs []string
		for _, n := range a {
			w := n.Scheme
			if len(n.Scopes) > 0 {
				w += "(" + strings.Join(n.Scopes, " ") + ")"
			}
			needs = append(needs, w)
		}
		way := strings.Join(needs, " + ")
		if !api.Meetable(a) {
			way += " (which no request can meet)"
		}
		ways = append(ways, way)
	}
	if anonymous != "" {
		ways = append(ways, anonymous)
	}
	if len(ways) == 0 {
		return "nobody"
	}
	return strings.Join(ways, " | ")
}

func explain(w io.Writer, format string, api *model.API, ops []model.Operation, whole bool) error {
	switch format {
	case "json":
		return explainJSON(w, api, ops)
	case "markdown":
		fmt.Fprintf(w, "| Operation | Request | Who may call |\n| --- | --- | --- |\n")
		for _, op := range ops {
			fmt.Fprintf(w, "| %s | `%s` | %s |\n", markdown(op.ID), strings.ReplaceAll(op.Method+" "+op.Path, "`", "'"), markdown(mayCall(api, op.Policy)))
		}
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, op := range ops {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", printable(op.Method), printable(op.Path), printable(op.ID), printable(mayCall(api, op.Policy)))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if whole {
		for _, name := range schemesOf(ops) {
			s := api.Scheme(name)
			fmt.Fprintf(w, "\n%s: %s\n", printable(s.Name), printable(schemeText(s)))
		}
	}
	return nil
}

// schemesOf returns the names of the schemes that ops name, in order.
func schemesOf(ops []model.Operation) []string {
	var names []string
	seen := make(map[string]bool)
	for _, op := range ops {
		for _, a := range op.Policy.Alternatives {
			for _, n := range a {
				if !seen[n.Scheme] {
					seen[n.Scheme] = true
					names = append(names, n.Scheme)
				}
			}
		}
	}
	return names
}

func schemeText(s *model.Scheme) string {
	var where, tokens []string
	for _, p := range s.Places {
		text := strings.TrimSpace(p.In + " " + p.Name)
		if s.Verifier == model.VerifySession && p.In != "cookie" {
			tokens = append(tokens, text)
			continue
		}
		where = append(where, text)
	}
	if s.Verifier == model.VerifySession {
		text := s.Type + ", met by signing in at " + model.AuthPrefix + "/login, which leaves a session in " + strings.Join(where, " or ")
		if len(tokens) > 0 {
			text += ", and once its audience is configured by an access token in " + strings.Join(tokens, " or ")
		}
		return text
	}
	return s.Type + ", checked as " + string(s.Verifier) + ", in " + strings.Join(where, " or ")
}

type needJSON struct {
	Scheme string   `json:"scheme"`
	Scopes []string `json:"scopes"`
}

type operationJSON struct {
	ID           string       `json:"id"`
	Method       string       `json:"method"`
	Path         string       `json:"path"`
	Public       bool         `json:"public"`
	Undeclared   bool         `json:"undeclared"`
	Alternatives [][]needJSON `json:"alternatives"`
}

type schemeJSON struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Verifier string   `json:"verifier"`
	Places   []string `json:"places"`
}

func explainJSON(w io.Writer, api *model.API, ops []model.Operation) error {
	out := struct {
		Title      string          `json:"title"`
		Schemes    []schemeJSON    `json:"schemes"`
		Operations []operationJSON `json:"operations"`
	}{Title: api.Title, Schemes: []schemeJSON{}, Operations: []operationJSON{}}
	for _, s := range api.Schemes {
		j := schemeJSON{s.Name, s.Type, string(s.Verifier), []string{}}
		for _, p := range s.Places {
			j.Places = append(j.Places, strings.TrimSpace(p.In+" "+p.Name))
		}
		out.Schemes = append(out.Schemes, j)
	}
	for _, op := range ops {
		j := operationJSON{op.ID, op.Method, op.Path, op.Policy.Public, op.Policy.Undeclared, [][]needJSON{}}
		for _, a := range op.Policy.Alternatives {
			needs := []needJSON{}
			for _, n := range a {
				needs = append(needs, needJSON{n.Scheme, append([]string{}, n.Scopes...)})
			}
			j.Alternatives = append(j.Alternatives, needs)
		}
		out.Operations = append(out.Operations, j)
	}
	return writeJSON(w, out)
}

func markdown(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(printable(s))
}

// printable keeps a document's text from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // controls, line separators and marks of direction too
			return ' '
		}
		return r
	}, s)
}
