package page

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Look is what sets the pages of one application apart. Its zero value, and
// one with a Name alone, is fine.
type Look struct {
	Name string // of the application. Empty: not shown

	logo  template.URL // a data: URI. Empty: none
	drawn *drawing     // nil: that without an accent
}

// A drawing is what a look makes of the style sheets.
type drawing struct {
	colours      string // rules that name them
	narrow, wide sheet
}

// A sheet is a style sheet and the content policy that allows it: it lets a
// page have that sheet, the look's logo, forms to its own origin, and nothing
// else: no script, no frame around it.
type sheet struct {
	style  template.CSS
	policy string
}

// maxLookName is how many characters a name has at most.
const maxLookName = 60

// NewLook returns the look of the application called name. logoFile is a
// picture beside the name: SVG, PNG, JPEG or WebP, by its ending and by its
// content, of at most 64 KiB; it is read now and stands in the pages. accent
// is the colour #rrggbb of buttons, links and what has the focus; it is made
// darker or lighter where it could not be read. All may be empty. The error
// names everything that is wrong.
func NewLook(name, logoFile, accent string) (Look, error) {
	look := Look{Name: name}
	var errs []error
	if utf8.RuneCountInString(name) > maxLookName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		errs = append(errs, fmt.Errorf("page: the name %q has more than %d characters, or some that do not print", name, maxLookName))
	}
	if logoFile != "" {
		var err error
		if look.logo, err = readLogo(logoFile); err != nil {
			errs = append(errs, err)
		}
	}
	c, err := parseColour(cmp.Or(accent, defaultAccent))
	if err != nil {
		errs = append(errs, fmt.Errorf("page: the accent %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return Look{}, err
	}
	look.drawn = draw(c, look.logo != "")
	return look, nil
}

// Logo is the picture beside the name; empty for none.
func (l Look) Logo() template.URL { return l.logo }

// Colours is the beginning of a style sheet: it gives the look's colours names,
// as --act and --text, in the light and in the dark.
func (l Look) Colours() string { return cmp.Or(l.drawn, plain).colours }

// LogoText says for the logo what it shows, where the name beside it does not.
func (l Look) LogoText() string {
	if l.Name == "" {
		return "Logo"
	}
	return ""
}

// defaultAccent is a blue.
const defaultAccent = "#1f4fbf"

var plain = func() *drawing {
	c, err := parseColour(defaultAccent)
	if err != nil {
		panic(err)
	}
	return draw(c, false)
}()

func (l Look) narrow() sheet { return cmp.Or(l.drawn, plain).narrow }
func (l Look) wide() sheet   { return cmp.Or(l.drawn, plain).wide }

// draw makes the style sheets of an accent.
func draw(accent colour, logo bool) *drawing {
	colours := light.css(accent, ":root") + dark.css(accent, "@media (prefers-color-scheme: dark) { :root") + "}\n"
	base := colours + mustRead("style.css")
	return &drawing{colours: colours, narrow: newSheet(base, logo), wide: newSheet(base+mustRead("parts.css"), logo)}
}

func newSheet(css string, logo bool) sheet {
	policy := "default-src 'none'; style-src '" + hash(css) + "'; "
	if logo {
		policy += "img-src data:; "
	}
	return sheet{template.CSS(css), policy + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}
}

// hash is the source expression of a policy that allows exactly text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
