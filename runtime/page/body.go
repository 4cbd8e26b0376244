package page

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
)

// A Body is a page with more on it than a [Page] has: several parts below one
// another, forms, tables.
type Body struct {
	Title string
	// HTML stands in the element main. It comes from a template of package
	// html/template and has no script and no style of its own: the policy
	// allows neither. What its classes look like is in parts.css.
	HTML template.HTML
	Look Look
}

// WriteBody answers with the page, as [Write] does. Where it leads is for the
// author of its HTML to check; the policy keeps forms on our own origin.
func WriteBody(w http.ResponseWriter, r *http.Request, status int, b Body) {
	d := b.Look.wide()
	var buf bytes.Buffer
	err := tmpl.ExecuteTemplate(&buf, "body.html", struct {
		Body
		Style template.CSS
	}{b, d.style})
	if err != nil {
		panic(fmt.Errorf("page: %w", err))
	}
	send(w, r, status, d.policy, buf.Bytes())
}
