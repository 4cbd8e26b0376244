package types

import (
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatewright/gatewright/generator/name"
)

// goName gives an exported identifier for a name of the document.
func goName(s string) string { return cased(name.Exported(s)) }

// cased leaves of an identifier what oapi-codegen leaves as it is: digits and
// letters that have a case.
func cased(id string) string {
	id = strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, id)
	if first, _ := utf8.DecodeRuneInString(id); !unicode.IsUpper(first) {
		return "X" + id
	}
	return id
}

// structural are the words of a JSON pointer that name a place, not a thing.
var structural = []string{
	"schema", "schemas", "items", "properties", "additionalProperties", "allOf", "oneOf", "anyOf", "content",
	"components", "definitions", "$defs", "paths", "parameters", "responses", "requestBody", "headers", "prefixItems", "not",
}

// placeName names the schema at a location that is no component schema: by the
// last word of its pointer that is a name, or else by its file.
func placeName(location string) string {
	file, pointer, _ := strings.Cut(location, "#")
	words := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for _, w := range slices.Backward(words) {
		w = strings.NewReplacer("~1", "/", "~0", "~").Replace(w)
		if strings.Trim(w, "0123456789") != "" && !slices.Contains(structural, w) {
			return w
		}
	}
	base := path.Base(file)
	return strings.TrimSuffix(base, path.Ext(base))
}

// plain tells whether s may stand in a struct tag and in a string of the code
// that oapi-codegen prints.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return strings.ContainsRune("\"'`\\,", r) || invisible(r)
	})
}

// invisible tells whether r may end a line or change how the text around it
// is shown (CVE-2021-42574).
func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == utf8.RuneError
}
