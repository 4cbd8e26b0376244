package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/samples"
)

// operationsDir holds a file for each operation.
const operationsDir = "operations"

func docsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "docs DOC -o DIR",
		Short: "Write the API's reference as Markdown, with code samples",
		Long: `Writes DIR/README.md and a file for each operation below DIR/operations: who may
call it, what it takes and answers, and a program that calls it with curl,
Python, JavaScript and Go. The programs read their credentials from the
environment.

Files are written only if they changed, all or none, and those of operations
that are gone are removed. A file that this command did not write is left alone,
and nothing is written then.`,
		Args: between("a document, or a folder with a gatewright.yaml", 1, 1),
	}
	out := cmd.Flags().StringP("output", "o", "", "the folder to write to")
	undeclared := undeclaredFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *out == "" {
			return usage("say where to write with -o DIR")
		}
		return writeDocs(cmd.Context(), args[0], *undeclared, *out, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func writeDocs(ctx context.Context, doc, undeclared, out string, stdout, stderr io.Writer) error {
	settings, dir, err := settingsFor(doc, undeclared)
	if err != nil {
		return err
	}
	res, err := generator.Analyze(ctx, generator.Config{Dir: dir, Settings: settings})
	if err := tell(stderr, "text", res, err); err != nil {
		return err
	}
	files := markdownFiles(res.API, res.Server)
	gone, err := foreign(out, files)
	if err != nil {
		return err
	}
	written, err := (&generator.Result{Files: files}).Write(out)
	if err != nil {
		return err
	}
	for _, name := range written {
		fmt.Fprintln(stdout, filepath.Join(out, name))
	}
	for _, name := range gone {
		if err := os.Remove(filepath.Join(out, name)); err != nil {
			return err
		}
		fmt.Fprintln(stdout, filepath.Join(out, name)+" (removed: the operation is gone)")
	}
	return nil
}

// foreign returns the files below dir that an earlier run wrote and files has
// no more. It is an error if one that files has was written by somebody else.
func foreign(dir string, files map[string][]byte) (gone []string, err error) {
	var errs []error
	for name := range files {
		ours, err := written(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			errs = append(errs, err)
		case !ours:
			errs = append(errs, fmt.Errorf("%s was not written by gatewright docs; move it away or choose another folder", filepath.Join(dir, name)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("nothing was written: %w", err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, operationsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		name := filepath.Join(operationsDir, e.Name())
		if _, has := files[name]; has || !e.Type().IsRegular() || filepath.Ext(name) != ".md" {
			continue
		}
		if ours, err := written(filepath.Join(dir, name)); err == nil && ours {
			gone = append(gone, name)
		}
	}
	return gone, nil
}

// written tells whether the file at path is one of this command's.
func written(path string) (bool, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, nil
	}
	text, err := os.ReadFile(path)
	return bytes.HasPrefix(text, []byte(generator.DocsMark)), err
}

// markdownFiles are the files of the reference by their path.
func markdownFiles(api *model.API, server string) map[string][]byte {
	maker := samples.New(api, server)
	files := make(map[string][]byte)
	taken := make(map[string]bool)
	var index strings.Builder
	var variables []samples.Variable
	for i := range api.Operations {
		op := &api.Operations[i]
		set := maker.Of(op)
		name := fileName(op.ID, taken)
		files[filepath.Join(operationsDir, name)] = []byte(generator.DocsMark + operationPage(api, op, set))
		fmt.Fprintf(&index, "| [%s](%s) | %s | %s |\n", mdLine(op.ID), path.Join(operationsDir, name), mdCodeCell(op.Method+" "+op.Path), mdLine(mayCall(api, op.Policy)))
		variables = addVariables(variables, set.Variables)
	}
	var b strings.Builder
	b.WriteString(generator.DocsMark)
	title := api.Title
	if title == "" {
		title = "API"
	}
	fmt.Fprintf(&b, "\n# %s\n\n", mdLine(title))
	if api.Description != "" {
		b.WriteString(mdText(api.Description) + "\n\n")
	}
	if server != "" {
		fmt.Fprintf(&b, "The server is %s.\n\n", mdCode(server))
	}
	b.WriteString(credentialsPart(api, variables))
	b.WriteString("## Operations\n\n")
	if index.Len() == 0 {
		b.WriteString("There are none.\n")
	} else {
		b.WriteString("| Operation | Request | Who may call |\n| --- | --- | --- |\n" + index.String())
	}
	files["README.md"] = []byte(b.String())
	return files
}

// addVariables adds those of more that all lacks.
func addVariables(all, more []samples.Variable) []samples.Variable {
	for _, v := range more {
		known := false
		for _, have := range all {
			known = known || have.Name == v.Name
		}
		if !known {
			all = append(all, v)
		}
	}
	return all
}

// credentialsPart says how to get a credential, where to put it, and where not.
func credentialsPart(api *model.API, variables []samples.Variable) string {
	var b strings.Builder
	b.WriteString("## Credentials\n\n")
	secret := ""
	for _, v := range variables {
		if v.Secret && secret == "" {
			secret = v.Name
		}
	}
	if len(api.KeySchemes()) > 0 {
		if len(api.LoginSchemes()) > 0 {
			fmt.Fprintf(&b, "Make an API key on the account page of the server, `%s/account`, or ask whoever runs it.", model.AuthPrefix)
		} else {
			b.WriteString("Whoever runs the server makes API keys with `gatewright keys create`.")
		}
		b.WriteString(" A key is shown once. Give it no more scopes than it needs, and an end. For trying things out use a test key.\n\n")
	}
	if len(api.LoginSchemes()) > 0 {
		b.WriteString("People sign in with a browser: at `/docs` of the server each operation can be tried as the person who has signed in.\n\n")
	}
	if secret == "" {
		b.WriteString("The programs here need no credential.\n\n")
	} else {
		fmt.Fprintf(&b, "The programs here read it from the environment. Without it they say so and send nothing. In bash and zsh, `read` takes\nwhat is pasted, shows nothing of it, and leaves nothing in the history:\n\n```sh\nread -rs %s\nexport %s\n```\n\n", secret, secret)
		b.WriteString("Never write it into a program or a file of a repository, into a URL that you share, or on a command line, which other\nusers of the machine can see. " +
			"On a server, have its secret store set the variable. A key that others may have seen is\nrevoked, and another made: that takes a minute.\n\n")
	}
	if len(variables) > 0 {
		b.WriteString("| Variable | Holds |\n| --- | --- |\n")
		for _, v := range variables {
			about := strings.TrimPrefix(strings.TrimPrefix(v.About, "an "), "the ")
			if i := strings.Index(about, " with the scope"); i >= 0 {
				about = about[:i]
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", v.Name, mdLine(about))
		}
		b.WriteString("\nA server whose certificate comes from an authority of your own is trusted by naming that authority's file: " +
			"`CURL_CA_BUNDLE`\nfor curl, `REQUESTS_CA_BUNDLE` for Python, `NODE_EXTRA_CA_CERTS` for Node.js, `SSL_CERT_FILE` for Go.\n\n")
	}
	return b.String()
}

func operationPage(api *model.API, op *model.Operation, set samples.Set) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n# %s\n\n%s\n\n", mdLine(op.ID), mdCode(op.Method+" "+op.Path))
	if op.Deprecated {
		b.WriteString("**Deprecated.**\n\n")
	}
	for _, text := range []string{op.Summary, op.Description} {
		if text != "" {
			b.WriteString(mdText(text) + "\n\n")
		}
	}
	fmt.Fprintf(&b, "Who may call: %s.\n\n", mdLine(mayCall(api, op.Policy)))
	if len(op.Params) > 0 {
		b.WriteString("## Parameters\n\n| Name | In | Required | |\n| --- | --- | --- | --- |\n")
		for _, q := range op.Params {
			required := ""
			if q.Required {
				required = "yes"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", mdCodeCell(q.Name), q.In, required, mdLine(q.Description))
		}
		b.WriteString("\n")
	}
	if op.Body != nil {
		b.WriteString("## Body\n\n")
		if op.Body.Description != "" {
			b.WriteString(mdText(op.Body.Description) + "\n\n")
		}
		for _, c := range op.Body.Contents {
			fmt.Fprintf(&b, "- %s\n", mdCode(c.MediaType))
		}
		b.WriteString("\n")
	}
	if len(op.Responses) > 0 {
		b.WriteString("## Answers\n\n| Status | |\n| --- | --- |\n")
		for _, r := range op.Responses {
			fmt.Fprintf(&b, "| %s | %s |\n", mdLine(r.Status), mdLine(r.Description))
		}
		b.WriteString("\n")
	}
	b.WriteString("## Samples\n\n")
	if set.Why != "" {
		b.WriteString(mdText(set.Why) + "\n")
		return b.String()
	}
	for i, s := range set.Samples {
		if i > 0 {
			b.WriteString("\n")
		}
		lang := map[string]string{"Shell": "sh", "Python": "python", "JavaScript": "js", "Go": "go"}[s.Lang]
		fence := strings.Repeat("`", max(3, longestRun(s.Source, '`')+1))
		fmt.Fprintf(&b, "### %s\n\n%s%s\n%s%s\n", s.Label, fence, lang, s.Source, fence)
	}
	return b.String()
}

// fileName makes a name of an operation's id that no other has, on file systems
// that do not tell capital letters apart either.
func fileName(id string, taken map[string]bool) string {
	var b strings.Builder
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
			b.WriteByte(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 80 {
			break
		}
	}
	base := strings.Trim(b.String(), "-")
	if base == "" {
		base = "operation"
	}
	name := base
	for i := 2; taken[strings.ToLower(name)]; i++ {
		name = base + "-" + strconv.Itoa(i)
	}
	taken[strings.ToLower(name)] = true
	return name + ".md"
}

// mdText writes a document's text as paragraphs of plain text: nothing in it
// becomes markup.
func mdText(s string) string {
	var paragraphs []string
	for para := range strings.SplitSeq(strings.ReplaceAll(s, "\r\n", "\n"), "\n\n") {
		if line := mdLine(para); line != "" {
			paragraphs = append(paragraphs, line)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// mdLine writes text as one line of plain text.
func mdLine(s string) string {
	line := strings.Join(strings.Fields(printable(s)), " ")
	var b strings.Builder
	for i, r := range line {
		// What begins a heading, a list or a rule does so at the start alone.
		start := strings.Trim(line[:i], "0123456789") == ""
		if strings.ContainsRune("\\`*_[]<>|&~$^{}", r) || start && strings.ContainsRune("#+-=.):", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mdCode writes text as code in a line.
func mdCode(s string) string {
	s = strings.Join(strings.Fields(printable(s)), " ")
	fence := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || s == "" {
		s = " " + s + " "
	}
	return fence + s + fence
}

// mdCodeCell is mdCode for a cell of a table, where a bar ends the cell even
// in code.
func mdCodeCell(s string) string { return strings.ReplaceAll(mdCode(s), "|", `\|`) }

// longestRun is the length of the longest run of c in s.
func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] == c {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	return longest
}
