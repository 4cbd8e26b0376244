package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/gatewright/gatewright/generator/model"
)

// findingFormats are the formats of everything that finds something.
var findingFormats = []string{"text", "json", "sarif", "github"}

// formatFlag adds -format with the values given, the first being the default.
func formatFlag(cmd *cobra.Command, values []string) *string {
	return cmd.Flags().String("format", values[0], strings.Join(values, ", "))
}

func checkFormat(format string, values []string) error {
	if !slices.Contains(values, format) {
		return usage("format %q is not one of %s", format, strings.Join(values, ", "))
	}
	return nil
}

// report prints diagnostics.
func report(w io.Writer, format string, found []model.Diagnostic) error {
	switch format {
	case "json":
		return reportJSON(w, found)
	case "sarif":
		return reportSARIF(w, found)
	case "github":
		for _, d := range found {
			fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", d.Severity,
				githubProperty(shown(d.Pos.File)), d.Pos.Line, d.Pos.Column, d.Rule, githubData(sentence(d)))
		}
		return nil
	}
	for _, d := range found {
		pos := d.Pos
		pos.File = shown(pos.File)
		severity := ""
		if d.Severity == model.Warning {
			severity = "warning: "
		}
		fmt.Fprintf(w, "%s: %s %s%s\n", printable(pos.String()), d.Rule, severity, printable(subject(d)))
		if d.Excerpt != "" {
			fmt.Fprintf(w, "\t| %s\n", printable(d.Excerpt))
		}
		if d.Help != "" {
			fmt.Fprintf(w, "\t%s\n", printable(d.Help))
		}
	}
	return nil
}

func subject(d model.Diagnostic) string {
	if d.Subject != "" {
		return d.Subject + ": " + d.Message
	}
	return d.Message
}

func sentence(d model.Diagnostic) string {
	if d.Help != "" {
		return subject(d) + "\n" + d.Help
	}
	return subject(d)
}

// shown is a path as a person at this folder would write it.
func shown(path string) string {
	wd, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

type findingJSON struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Subject  string `json:"subject,omitzero"`
	Message  string `json:"message"`
	Help     string `json:"help,omitzero"`
	Excerpt  string `json:"excerpt,omitzero"`
}

func reportJSON(w io.Writer, found []model.Diagnostic) error {
	out := make([]findingJSON, 0, len(found))
	for _, d := range found {
		out = append(out, findingJSON{d.Rule, d.Severity.String(), shown(d.Pos.File), d.Pos.Line, d.Pos.Column,
			d.Subject, d.Message, d.Help, d.Excerpt})
	}
	return writeJSON(w, out)
}

func writeJSON(w io.Writer, v any) error {
	if err := json.MarshalWrite(w, v, jsontext.WithIndent("  "), json.Deterministic(true)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// reportSARIF prints a SARIF 2.1.0 log.
func reportSARIF(w io.Writer, found []model.Diagnostic) error {
	type object = map[string]any
	results := []any{}
	var rules []any
	seen := make(map[string]bool)
	for _, d := range found {
		if !seen[d.Rule] {
			seen[d.Rule] = true
			rules = append(rules, object{"id": d.Rule})
		}
		results = append(results, object{
			"ruleId":  d.Rule,
			"level":   d.Severity.String(),
			"message": object{"text": sentence(d)},
			"locations": []any{object{"physicalLocation": object{
				"artifactLocation": object{"uri": filepath.ToSlash(shown(d.Pos.File))},
				"region":           object{"startLine": max(d.Pos.Line, 1), "startColumn": max(d.Pos.Column, 1)},
			}}},
		})
	}
	return writeJSON(w, object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []any{object{
			"tool":    object{"driver": object{"name": "gatewright", "rules": rules}},
			"results": results,
		}},
	})
}

// githubData and githubProperty escape text of workflow commands.
func githubData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func githubProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(githubData(s))
}
