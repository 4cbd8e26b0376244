package load

import (
	"math/big"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gatewright/gatewright/generator/model"
)

// maxNumber is the longest number taken, in characters.
const maxNumber = 1000

var (
	coreInt      = regexp.MustCompile(`^[-+]?[0-9]+$`)
	coreRadix    = regexp.MustCompile(`^(0o[0-7]+|0x[0-9a-fA-F]+)$`)
	coreFloat    = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	coreNotJSON  = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
	coreNullText = map[string]bool{"": true, "~": true, "null": true, "Null": true, "NULL": true}
	coreBoolText = map[string]string{
		"true": "true", "True": "true", "TRUE": "true",
		"false": "false", "False": "false", "FALSE": "false",
	}
)

func plain(y *yaml.Node) bool {
	return y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// scalar gives n the JSON value of y by the core schema (YAML 1.2.2, section
// 10.3.2). The library's own reading is that of YAML 1.1, where 0777 is octal
// and a date is no string.
func (r *yamlReader) scalar(n *Node, y *yaml.Node) {
	n.Kind, n.Text = String, y.Value
	if y.Style&yaml.TaggedStyle == 0 {
		if plain(y) {
			r.resolve(n, y)
		}
		return
	}
	want := map[string]Kind{"!!null": Null, "!!bool": Bool, "!!int": Number, "!!float": Number}
	switch tag := y.ShortTag(); tag {
	case "!", "!!str", "!!timestamp", "!!binary":
	case "!!null", "!!bool", "!!int", "!!float":
		r.resolve(n, y)
		if n.Kind != want[tag] {
			r.badTag(y)
		}
	default:
		r.badTag(y)
	}
}

// resolve finds out what an unquoted value is.
func (r *yamlReader) resolve(n *Node, y *yaml.Node) {
	text := y.Value
	switch {
	case coreNullText[text]:
		n.Kind, n.Text = Null, ""
	case coreBoolText[text] != "":
		n.Kind, n.Text = Bool, coreBoolText[text]
	case coreNotJSON.MatchString(text):
		r.diags = append(r.diags, model.Diagnostic{
			Rule: RuleNotJSON, Pos: n.Pos,
			Message: Quote(text) + " is no JSON number",
			Help:    "quote it if a string is meant",
		})
	case !coreInt.MatchString(text) && !coreRadix.MatchString(text) && !coreFloat.MatchString(text):
	case len(text) > maxNumber:
		r.diags = append(r.diags, model.Diagnostic{
			Rule: RuleNotJSON, Pos: n.Pos,
			Message: "a number is too long",
			Help:    "quote it if a string is meant",
		})
	case coreRadix.MatchString(text):
		i, _ := new(big.Int).SetString(text, 0)
		n.Kind, n.Text = Number, i.String()
	default:
		n.Kind, n.Text = Number, jsonNumber(text)
	}
}

// jsonNumber writes a YAML decimal as JSON has it: no plus, no leading zeros,
// digits on both sides of the point.
func jsonNumber(text string) string {
	sign := ""
	if text[0] == '-' {
		sign = "-"
	}
	text = strings.TrimLeft(text, "+-")
	exp := ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		text, exp = text[:i], text[i:]
	}
	whole, frac, point := strings.Cut(text, ".")
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if point && frac == "" {
		point = false
	}
	if point {
		whole += "." + frac
	}
	return sign + whole + exp
}
