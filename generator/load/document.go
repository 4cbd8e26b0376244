// Package load reads an OpenAPI document, and the files it refers to, into
// nodes that know their place. It takes YAML and JSON from untrusted hands:
// whatever the bytes are, it gives a document or diagnostics, never a panic.
package load

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gatewright/gatewright/generator/model"
)

// Config says what to load.
type Config struct {
	// Path is the document's file. Positions name it as it is given here.
	Path string
	// AllowRemote lets $refs fetch https addresses. Without it such a $ref
	// is an error that says so. Local files are read wherever they are, so
	// that a document may share parts with its neighbours; Document.Files
	// lists what was read.
	AllowRemote bool
	// MaxBytes bounds all files together; 0 stands for 64 MiB.
	MaxBytes int64
}

// DefaultMaxBytes is used where Config.MaxBytes is 0.
const DefaultMaxBytes = 64 << 20

// A Document is an OpenAPI document with every file read so far. Its methods
// may be called concurrently.
type Document struct {
	Root    *Node
	Version string // 3.0, 3.1 or 3.2
	Path    string // the root's file, as positions name it

	cfg      Config
	ctx      context.Context
	mu       sync.Mutex
	sources  map[string]*source
	left     int64 // bytes that may still be read
	reported map[*Node]bool
}

// A source is one file: its text and, if it could be read, its nodes.
type source struct {
	name  string
	text  []byte
	lines []int // offset of each line's first byte
	root  *Node
	diags []model.Diagnostic

	anchors map[string]*Node // filled when first asked for
}

// Load reads the document and every file that its operations reach by $ref.
// The document is nil where nothing can be said about its content; otherwise
// it can be analysed further even if there are errors, so that the user sees
// all findings at once. Diagnostics are sorted.
func Load(ctx context.Context, cfg Config) (*Document, []model.Diagnostic) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	d := &Document{
		Path:     filepath.ToSlash(filepath.Clean(cfg.Path)),
		cfg:      cfg,
		ctx:      ctx,
		sources:  map[string]*source{},
		left:     cfg.MaxBytes,
		reported: map[*Node]bool{},
	}
	src := d.source(d.Path)
	diags := src.diags
	if src.root != nil {
		d.Root = src.root
		diags = append(diags, d.identify()...)
	}
	usable := d.Version != ""
	if usable {
		diags = append(diags, d.checkRefs()...)
	}
	for i := range diags {
		if diags[i].Help == "" {
			diags[i].Help = waysOut[diags[i].Rule]
		}
		diags[i].Excerpt = d.Excerpt(diags[i].Pos)
	}
	model.Sort(diags)
	if !usable {
		return nil, diags
	}
	return d, diags
}

// identify sets Version, or says why this is no document to read.
func (d *Document) identify() []model.Diagnostic {
	if !d.Root.Is(Object) {
		return []model.Diagnostic{{
			Rule: RuleNotOpenAPI, Pos: d.Root.Pos,
			Message: "not an OpenAPI document: its top is " + d.Root.Kind.String() + ", not an object",
			Help:    "an OpenAPI document starts with a member such as `openapi: 3.1.0`",
		}}
	}
	if v := d.Root.Get("swagger"); v != nil && d.Root.Get("openapi") == nil {
		return []model.Diagnostic{{
			Rule: RuleVersion, Pos: v.Pos,
			Message: "Swagger 2.0 is not read yet",
			Help:    "convert it once, for example with `npx swagger2openapi --yaml -o openapi.yaml " + filepath.Base(d.Path) + "`, and read the security of the result",
		}}
	}
	v := d.Root.Get("openapi")
	if v == nil {
		return []model.Diagnostic{{
			Rule: RuleNotOpenAPI, Pos: d.Root.Pos,
			Message: "not an OpenAPI document: it has no member \"openapi\"",
			Help:    "an OpenAPI document says its version at the top: `openapi: 3.1.0`",
		}}
	}
	if v.Is(String) || v.Is(Number) {
		for _, known := range []string{"3.0", "3.1", "3.2"} {
			if v.Text == known || strings.HasPrefix(v.Text, known+".") {
				d.Version = known
				return nil
			}
		}
	}
	return []model.Diagnostic{{
		Rule: RuleVersion, Pos: v.Pos,
		Message: fmt.Sprintf("OpenAPI version %s is not supported", Quote(v.Text)),
		Help:    "supported are 3.0, 3.1 and 3.2",
	}}
}

// At returns the node of that Location, or nil if no file read so far has it.
func (d *Document) At(location string) *Node {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, c := range location {
		if c != '#' { // both file names and pointers may hold more of them
			continue
		}
		if src := d.sources[location[:i]]; src != nil && src.root != nil {
			if n, err := src.root.follow(location[i+1:]); err == nil {
				return n
			}
		}
	}
	return nil
}

// Files lists the files and addresses read so far, sorted.
func (d *Document) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.sources))
}

// Digest is a SHA-256, in hexadecimal, over the names (relative to the
// document's folder) and contents of all files read so far. It does not
// depend on where the document lies.
func (d *Document) Digest() string {
	h := sha256.New()
	for _, name := range d.Files() {
		d.mu.Lock()
		src := d.sources[name]
		d.mu.Unlock()
		if rel, err := filepath.Rel(filepath.Dir(d.Path), name); err == nil && !isURL(name) {
			name = filepath.ToSlash(rel)
		}
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, len(src.text))
		h.Write(src.text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// source reads and parses a file once. The result is never nil; what went
// wrong is in its diags, and then its root is nil.
func (d *Document) source(name string) *source {
	d.mu.Lock()
	defer d.mu.Unlock()
	if src := d.sources[name]; src != nil {
		return src
	}
	src := &source{name: name}
	d.sources[name] = src
	text, err := d.read(name)
	if err != nil {
		src.fail(RuleUnreadable, model.Position{File: name}, printable(err.Error()), "")
		return src
	}
	d.left -= int64(len(text))
	src.text = text
	src.parse()
	return src
}

// read returns the bytes of a file or address within what is left of MaxBytes.
func (d *Document) read(name string) ([]byte, error) {
	if err := d.ctx.Err(); err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	r, err := open(d.ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, d.left+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if int64(len(text)) > d.left {
		return nil, fmt.Errorf("too large: all files together may have %d bytes", d.cfg.MaxBytes)
	}
	return text, nil
}

// fail notes an error about the file.
func (s *source) fail(rule string, pos model.Position, message, help string) {
	s.diags = append(s.diags, model.Diagnostic{Rule: rule, Pos: pos, Message: message, Help: help})
}
