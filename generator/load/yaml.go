package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gatewright/gatewright/generator/model"
)

// minExpanded is how many values aliases and merge keys may make out of any
// file; out of a longer one, as many as it has bytes. A few lines of YAML can
// stand for billions.
const minExpanded = 1 << 16

// A yamlReader turns YAML nodes into ours.
type yamlReader struct {
	src      *source
	diags    []model.Diagnostic
	open     map[*yaml.Node]bool // aliases being expanded
	expanded int
	limit    int // of expanded
}

// parseYAML reads the whole file as one YAML document with the meaning of
// YAML 1.2's core schema: yes and dates are strings, 0o17 and 0x1f numbers.
func (s *source) parseYAML() {
	top, d := s.decodeYAML()
	if d != nil {
		s.diags = append(s.diags, *d)
		return
	}
	r := &yamlReader{src: s, open: map[*yaml.Node]bool{}, limit: max(minExpanded, len(s.text))}
	root, err := r.value(top, 0)
	s.diags = append(s.diags, r.diags...)
	if err != nil {
		s.fail(err.rule, err.pos, err.message, err.help)
		return
	}
	s.root = root
}

// decodeYAML returns the one document of the file.
func (s *source) decodeYAML() (top *yaml.Node, diag *model.Diagnostic) {
	// The YAML library reports by panic inside and has let some escape.
	defer func() {
		if recover() != nil {
			top, diag = nil, &model.Diagnostic{Rule: RuleSyntax, Pos: model.Position{File: s.name}, Message: "is not YAML"}
		}
	}()
	text := s.text
	if at := yaml12.FindSubmatchIndex(text); at != nil {
		// The library knows the directive of 1.1 only. How values are read
		// is ours to say anyway.
		text = bytes.Clone(text)
		text[at[2]] = '1'
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, s.yamlError(err)
	}
	if len(doc.Content) == 0 {
		return nil, s.yamlError(io.EOF)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, &model.Diagnostic{
			Rule: RuleSyntax, Pos: s.place(&more),
			Message: "the file holds more than one YAML document",
			Help:    "keep one document a file; remove the line ---",
		}
	} else if !errors.Is(err, io.EOF) {
		return nil, s.yamlError(err)
	}
	return doc.Content[0], nil
}

var yaml12 = regexp.MustCompile(`^(?:[ \t]*(?:#[^\r\n]*)?\r?\n)*%YAML[ \t]+1\.(2)`)

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

// yamlError turns an error of the YAML library into a finding.
func (s *source) yamlError(err error) *model.Diagnostic {
	d := &model.Diagnostic{Rule: RuleSyntax, Pos: model.Position{File: s.name, Line: 1, Column: 1}}
	if errors.Is(err, io.EOF) {
		d.Message = "the file is empty"
		return d
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	m := yamlLine.FindStringSubmatch(first)
	if m == nil {
		d.Message = "is not YAML"
		return d
	}
	d.Message = "is not YAML: " + printable(m[2])
	d.Pos.Line = s.yamlErrorLine(m[1], m[2])
	// The library names the line before or after the tab.
	for n := d.Pos.Line - 1; n <= d.Pos.Line+1; n++ {
		line := s.line(n)
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if at := strings.IndexByte(indent, '\t'); at >= 0 {
			d.Pos.Line, d.Pos.Column = n, at+1
			d.Message, d.Help = "the line is indented with a tab", "YAML takes spaces only"
			return d
		}
	}
	return d
}

// yamlErrorLine says where an error of the YAML library belongs, given the
// line and the problem that it names.
func (s *source) yamlErrorLine(line, problem string) int {
	n, err := strconv.Atoi(line)
	switch anchor := yamlAnchor.FindStringSubmatch(problem); {
	case anchor != nil: // it names none
		if at := bytes.Index(s.text, []byte("*"+anchor[1])); at >= 0 {
			return s.position(at).Line
		}
	case err != nil:
		return 1
	case yamlParser.MatchString(problem):
		n++ // its parser counts lines from zero, its scanner from one
	}
	n = max(1, min(n, len(s.lines)))
	for n > 1 && strings.TrimSpace(s.line(n)) == "" { // the end of the text
		n--
	}
	return n
}

var (
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	yamlParser = regexp.MustCompile(`^did not find expected (?:<|node content|key|'-' indicator|',' or)|^found (?:duplicate %|undefined tag|incompatible YAML)`)
)

func (s *source) place(y *yaml.Node) model.Position {
	return model.Position{File: s.name, Line: max(1, y.Line), Column: max(1, y.Column)}
}

// value turns a YAML node into ours. Findings that leave a usable value go to
// diags; the error is for what does not.
func (r *yamlReader) value(y *yaml.Node, depth int) (*Node, *placed) {
	pos := r.src.place(y)
	if depth > maxDepth {
		return nil, tooDeep(pos)
	}
	if len(r.open) > 0 {
		if r.expanded++; r.expanded > r.limit {
			return nil, &placed{RuleTooDeep, pos, fmt.Sprintf("aliases expand to more than %d values", r.limit), ""}
		}
	}
	n := &Node{Pos: pos, file: r.src}
	var err *placed
	switch y.Kind {
	case yaml.AliasNode:
		return r.alias(y, depth)
	case yaml.ScalarNode:
		r.scalar(n, y)
	case yaml.SequenceNode:
		n.Kind = Array
		err = r.items(n, y, depth)
	case yaml.MappingNode:
		n.Kind = Object
		err = r.members(n, y, depth)
	}
	if err != nil {
		return nil, err
	}
	n.adopt()
	return n, nil
}

// alias expands *name. Each use is a value of its own, since a value's place
// in the document is part of it.
func (r *yamlReader) alias(y *yaml.Node, depth int) (*Node, *placed) {
	if r.open[y.Alias] {
		return nil, &placed{RuleTooDeep, r.src.place(y), "alias *" + printable(y.Value) + " stands inside what it names", ""}
	}
	r.open[y.Alias] = true
	n, err := r.value(y.Alias, depth+1)
	delete(r.open, y.Alias)
	return n, err
}

func (r *yamlReader) items(n *Node, y *yaml.Node, depth int) *placed {
	r.checkTag(y, "!!seq")
	for _, c := range y.Content {
		it, err := r.value(c, depth+1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, it)
	}
	return nil
}

func (r *yamlReader) members(n *Node, y *yaml.Node, depth int) *placed {
	r.checkTag(y, "!!map")
	seen := map[string]model.Position{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if isMerge(k) {
			if len(merges) > 0 {
				r.diags = append(r.diags, duplicate("<<", r.src.place(merges[0]), r.src.place(k)))
			}
			merges = append(merges, v)
			continue
		}
		pos := r.src.place(k)
		key, ok := scalarKey(k)
		if !ok {
			return &placed{RuleNotJSON, pos, "a member name is not a plain value", "member names are strings"}
		}
		value, err := r.value(v, depth+1)
		if err != nil {
			return err
		}
		if first, twice := seen[key]; twice {
			r.diags = append(r.diags, duplicate(key, first, pos))
			continue
		}
		seen[key] = pos
		n.Members = append(n.Members, Member{Key: key, KeyPos: pos, Value: value})
	}
	for _, m := range merges {
		if err := r.merge(n, m, seen, depth); err != nil {
			return err
		}
	}
	return nil
}

// merge adds the members of what << names, where n lacks them. Earlier ones
// of a list win (yaml.org/type/merge.html).
func (r *yamlReader) merge(n *Node, y *yaml.Node, seen map[string]model.Position, depth int) *placed {
	v, err := r.value(y, depth+1)
	if err != nil {
		return err
	}
	from := []*Node{v}
	if v.Kind == Array {
		from = v.Items
	}
	for _, o := range from {
		if o.Kind != Object {
			return &placed{RuleNotJSON, r.src.place(y), "<< names " + o.Kind.String() + ", not an object", ""}
		}
		for _, m := range o.Members {
			if _, has := seen[m.Key]; !has {
				seen[m.Key] = m.KeyPos
				n.Members = append(n.Members, m)
			}
		}
	}
	return nil
}

func isMerge(k *yaml.Node) bool {
	return k.Kind == yaml.ScalarNode && k.Value == "<<" && (k.Tag == "" || k.Tag == "!" || k.Tag == "!!merge") && plain(k)
}

func scalarKey(k *yaml.Node) (string, bool) {
	if k.Kind == yaml.AliasNode {
		k = k.Alias
	}
	return k.Value, k.Kind == yaml.ScalarNode
}

// checkTag notes a tag that a list or object cannot have.
func (r *yamlReader) checkTag(y *yaml.Node, want string) {
	if y.Style&yaml.TaggedStyle != 0 && y.ShortTag() != want {
		r.badTag(y)
	}
}

func (r *yamlReader) badTag(y *yaml.Node) {
	r.diags = append(r.diags, model.Diagnostic{
		Rule: RuleNotJSON, Pos: r.src.place(y),
		Message: "tag " + Quote(y.Tag) + " is not understood here",
		Help:    "OpenAPI documents hold JSON values only",
	})
}
