package analyze

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
)

const baseHelp = "set base_path in gatewright.yaml to the path that routes start with, for example base_path: /v1"

// basePath is what every route starts with: the settings' word, else the path
// of the document's first server.
func (a *analyzer) basePath() string {
	if a.cfg.BasePath != nil {
		base := strings.TrimRight(*a.cfg.BasePath, "/")
		if !plainPath(base) {
			a.setting(fmt.Sprintf("base_path: %s is not a path such as /v1", load.Quote(*a.cfg.BasePath)))
			return ""
		}
		return base
	}
	base, _ := a.firstServer(a.doc.Root)
	return base
}

// otherServers notes servers of a path item or operation whose path differs:
// a route has one place.
func (a *analyzer) otherServers(n *load.Node) {
	if n.Get("servers") == nil || a.cfg.BasePath != nil {
		return
	}
	base, ok := a.firstServer(n)
	if ok && base != a.api.BasePath {
		a.errorf(ruleServers, n.Get("servers"), baseHelp,
			"the path %s of these servers is not that of the document's first server, %s", load.Quote(base), load.Quote(a.api.BasePath))
	}
}

// firstServer gives the path of the first of n's servers; "" and true where
// there is none, false where it cannot be told.
func (a *analyzer) firstServer(n *load.Node) (string, bool) {
	servers := n.Get("servers")
	if servers == nil {
		return "", true
	}
	if !servers.Is(load.Array) {
		a.errorf(ruleType, servers, "", "servers is %s, not a list", servers.Kind)
		return "", false
	}
	if len(servers.Items) == 0 {
		return "", true
	}
	server, ok := a.object(servers.Items[0], "a server")
	if !ok {
		return "", false
	}
	at := server.Get("url")
	if !at.Is(load.String) {
		a.errorf(ruleServerURL, server, baseHelp, "the server has no url")
		return "", false
	}
	text, ok := a.substitute(server, at)
	if !ok {
		return "", false
	}
	base := urlPath(text)
	if !plainPath(base) {
		a.errorf(ruleServerURL, at, baseHelp, "the path %s cannot be matched", load.Quote(base))
		return "", false
	}
	return base, true
}

// urlPath takes the path out of a server's URL, without slashes at its end. Of
// the rest nothing is needed, and documents write much there that is no URL.
func urlPath(text string) string {
	text, _, _ = strings.Cut(text, "#")
	text, _, _ = strings.Cut(text, "?")
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	} else if rest, ok := strings.CutPrefix(text, "//"); ok {
		text = rest
	} else {
		if text == "." {
			return ""
		}
		text = strings.TrimPrefix(text, "./")
		return strings.TrimRight("/"+strings.TrimPrefix(text, "/"), "/")
	}
	i := strings.IndexByte(text, '/')
	if i < 0 {
		return ""
	}
	return strings.TrimRight(text[i:], "/")
}

// plainPath tells whether base can start routes: "" or as in /v1.
func plainPath(base string) bool {
	if base == "" {
		return true
	}
	_, err := url.PathUnescape(base)
	return err == nil && strings.HasPrefix(base, "/") && !strings.Contains(base, "//") && !hasDots(base) &&
		!strings.ContainsAny(base, "{}?#") && printableWord(base)
}

// substitute puts the defaults of a server's variables into its URL.
func (a *analyzer) substitute(server, at *load.Node) (string, bool) {
	parts, ok := template(at.Text)
	if !ok {
		a.errorf(ruleServerURL, at, baseHelp, "the braces of %s do not pair", load.Quote(at.Text))
		return "", false
	}
	var b strings.Builder
	for _, p := range parts {
		if !p.variable {
			b.WriteString(p.text)
			continue
		}
		def := server.Get("variables").Get(p.text).Get("default")
		if def == nil {
			a.errorf(ruleServerURL, at, baseHelp, "variable %s of the server has no default", load.Quote(p.text))
			return "", false
		}
		b.WriteString(def.Text)
	}
	return b.String(), true
}

// claimed lists what the server answers itself, below AuthPrefix; a star is
// any one segment.
var claimed = []string{
	"login", "callback/*", "finish", "logout", "backchannel-logout/*", "session", "sessions", "sessions/*",
	"keys", "keys/*", "keys/*/rotate", "account",
}

// reserved notes a path that belongs to the server itself.
func (a *analyzer) reserved(path string, pos model.Position) {
	switch {
	case len(a.api.TokenSchemes()) > 0 && isMetadata(path):
		a.add(model.Diagnostic{Rule: ruleClaimed, Pos: pos,
			Message: fmt.Sprintf("path %s is taken by the server's own %s", load.Quote(path), model.MetadataPath),
			Help:    "take the path out of the document, or move it: what the server says there is made of the document's security (RFC 9728)"})
		return
	case path == "/docs", path == "/openapi.json":
		a.add(model.Diagnostic{Rule: ruleShadowed, Severity: model.Warning, Pos: pos,
			Message: "the server can show its own page at " + path,
			Help:    "in development the document's operation goes before; elsewhere leave docs: true out of the server's configuration, or it does not start"})
		return
	}
	rest, below := strings.CutPrefix(path, a.cfg.AuthPrefix+"/")
	if !below {
		return
	}
	for _, c := range claimed {
		if overlap(strings.Split(rest, "/"), strings.Split(c, "/")) {
			a.add(model.Diagnostic{Rule: ruleClaimed, Pos: pos,
				Message: fmt.Sprintf("path %s is taken by the server's own %s/%s", load.Quote(path), a.cfg.AuthPrefix, c),
				Help:    "move the operation to another path"})
			return
		}
	}
}

// isMetadata tells whether some path that a template matches is that of the
// metadata, or lies below it. One that begins with a variable is for other paths.
func isMetadata(template string) bool {
	own := strings.Split(model.MetadataPath, "/")
	segments := strings.Split(template, "/")
	return len(segments) >= len(own) && segments[1] == own[1] && overlap(segments[:len(own)], own)
}

// overlap tells whether some path matches both templates.
func overlap(x, y []string) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] && y[i] != "*" && !strings.Contains(x[i], "{") {
			return false
		}
	}
	return true
}

func hasDots(path string) bool {
	for s := range strings.SplitSeq(path, "/") {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}
