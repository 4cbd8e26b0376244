// Package templates holds the text of the files that a person goes on editing
// after init has written them once. It has no logic.
package templates

import "embed"

// FS holds the templates by file name.
//
//go:embed *.tmpl
var FS embed.FS
