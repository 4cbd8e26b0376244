package load

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gatewright/gatewright/generator/model"
)

// maxSteps bounds how many $refs may stand between a $ref and its value.
const maxSteps = 64

// A RefError is a $ref that cannot be followed.
type RefError struct {
	Rule    string // RuleRefNowhere, RuleRefCircle, RuleRefRemote or RuleTooDeep
	Pos     model.Position
	Message string
	Help    string
}

func (e *RefError) Error() string { return "load: " + e.Pos.String() + ": " + e.Message }

// Resolve returns what n stands for: n itself or, where n is an object with a
// member $ref, what that leads to, however many steps it takes. Members beside
// $ref are not looked at. Files that were not read yet are read. The error is
// a *RefError.
func (d *Document) Resolve(n *Node) (*Node, error) {
	var passed []*Node
	for at := n; ; {
		ref := at.Ref()
		if ref == nil {
			return at, nil
		}
		if slices.Contains(passed, at) {
			return nil, &RefError{RuleRefCircle, ref.Pos, "$ref leads back to itself and to no value", ""}
		}
		if passed = append(passed, at); len(passed) > maxSteps {
			return nil, &RefError{RuleTooDeep, n.Ref().Pos, fmt.Sprintf("$ref leads through more than %d others", maxSteps), ""}
		}
		next, err := d.target(ref)
		if err != nil {
			return nil, err
		}
		at = next
	}
}

// Reported tells whether Load has already reported that the $ref of n cannot
// be followed.
func (d *Document) Reported(n *Node) bool { return d.reported[n] }

// Ref returns the value of n's member $ref, or nil if n is not a reference.
func (n *Node) Ref() *Node {
	if !n.Is(Object) {
		return nil
	}
	return n.Get("$ref")
}

// target follows the one reference ref.
func (d *Document) target(ref *Node) (*Node, error) {
	if ref.Kind != String {
		return nil, &RefError{RuleRefNowhere, ref.Pos, "$ref is " + ref.Kind.String() + ", not a string", ""}
	}
	u, err := url.Parse(ref.Text)
	if err != nil {
		return nil, &RefError{RuleRefNowhere, ref.Pos, "$ref " + Quote(ref.Text) + " is not a reference", ""}
	}
	src := ref.file
	if u.Scheme != "" || u.Host != "" || u.Path != "" || u.RawQuery != "" {
		if src, err = d.other(ref, u); err != nil {
			return nil, err
		}
	}
	n, err := d.point(src, u.Fragment)
	if err != nil {
		return nil, &RefError{RuleRefNowhere, ref.Pos, "$ref " + Quote(ref.Text) + " leads nowhere: " + err.Error(), ""}
	}
	return n, nil
}

// other returns the file that u names, seen from where ref stands.
func (d *Document) other(ref *Node, u *url.URL) (*source, error) {
	name, err := d.fileName(ref, u)
	if err != nil {
		return nil, err
	}
	src := d.source(name)
	if src.root != nil {
		return src, nil
	}
	why := "it cannot be read"
	if len(src.diags) > 0 {
		first := src.diags[0]
		why = printable(first.Pos.String()) + ": " + first.Message
	}
	return nil, &RefError{RuleRefNowhere, ref.Pos, "$ref " + Quote(ref.Text) + " leads nowhere: " + why, ""}
}

func (d *Document) fileName(ref *Node, u *url.URL) (string, error) {
	if isURL(ref.file.name) {
		base, err := url.Parse(ref.file.name)
		if err != nil {
			return "", &RefError{RuleRefNowhere, ref.Pos, "$ref " + Quote(ref.Text) + " is not a reference", ""}
		}
		u = base.ResolveReference(u)
	}
	if u.Scheme == "" && u.Host == "" {
		if path.IsAbs(u.Path) {
			return path.Clean(u.Path), nil
		}
		return filepath.ToSlash(filepath.Join(filepath.Dir(ref.file.name), u.Path)), nil
	}
	if u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "" {
		return "", &RefError{RuleRefNowhere, ref.Pos, "$ref " + Quote(ref.Text) + " leads nowhere: only files and https addresses are read", "refer to a file by its path"}
	}
	if !d.cfg.AllowRemote {
		return "", &RefError{RuleRefRemote, ref.Pos, "$ref " + Quote(ref.Text) + " leads to another host, and nothing is fetched without being told",
			"keep a copy beside the document and refer to that; or say `remote_refs: fetch` in gatewright.yaml"}
	}
	if u.Scheme != "https" {
		return "", &RefError{RuleRefRemote, ref.Pos, "$ref " + Quote(ref.Text) + " is not https", "keep a copy beside the document and refer to that"}
	}
	address := *u
	address.Fragment, address.RawFragment = "", ""
	return address.String(), nil
}

// point finds what a decoded fragment names: a JSON pointer or a schema's
// $anchor.
func (d *Document) point(src *source, fragment string) (*Node, error) {
	if fragment == "" || strings.HasPrefix(fragment, "/") {
		return src.root.follow(fragment)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if src.anchors == nil {
		src.anchors = map[string]*Node{}
		src.root.anchors(src.anchors)
	}
	if found := src.anchors[fragment]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("there is no $anchor %s", Quote(fragment))
}

// follow walks a decoded JSON pointer (RFC 6901).
func (n *Node) follow(pointer string) (*Node, error) {
	if pointer == "" {
		return n, nil
	}
	if !strings.HasPrefix(pointer, "/") {
		return nil, errors.New("a pointer starts with /")
	}
	at := n
	for token := range strings.SplitSeq(pointer[1:], "/") {
		key := unescapePointer(token)
		var next *Node
		switch at.Kind {
		case Object:
			next = at.Get(key)
		case Array:
			if i, err := strconv.Atoi(key); err == nil && strconv.Itoa(i) == key && i >= 0 && i < len(at.Items) {
				next = at.Items[i]
			}
		}
		if next == nil {
			return nil, missing(at, key)
		}
		at = next
	}
	return at, nil
}

func missing(at *Node, key string) error {
	if at.Kind == Object && at.Ref() != nil {
		return fmt.Errorf("%s is itself a $ref, which has no member %s", printable(at.Location()), Quote(key))
	}
	if at.Kind != Object && at.Kind != Array {
		return errors.New(printable(at.Location()) + " is " + at.Kind.String())
	}
	near := ""
	if at.Kind == Object {
		near = at.nearest(key)
	}
	return fmt.Errorf("%s has no member %s%s", printable(at.Location()), Quote(key), near)
}

// anchors collects the schemas below n that carry an $anchor, the first of
// each name.
func (n *Node) anchors(into map[string]*Node) {
	if name := n.Str("$anchor"); name != "" && into[name] == nil {
		into[name] = n
	}
	for _, it := range n.Items {
		it.anchors(into)
	}
	for _, m := range n.Members {
		m.Value.anchors(into)
	}
}

var pointerUnescaper = strings.NewReplacer("~1", "/", "~0", "~")

func unescapePointer(token string) string { return pointerUnescaper.Replace(token) }
