// Package generator turns an OpenAPI document into the Go code of a server
// that enforces what the document says about who may call what.
package generator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gatewright/gatewright/generator/analyze"
	"github.com/gatewright/gatewright/generator/bundle"
	"github.com/gatewright/gatewright/generator/emit"
	"github.com/gatewright/gatewright/generator/load"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/generator/publish"
	"github.com/gatewright/gatewright/generator/types"
)

// A Config says what to generate from.
type Config struct {
	Dir      string // folder that Settings are relative to
	Settings Settings
}

// A Result is what came of a document. Files is nil where a diagnostic is an
// error: nothing is written then.
type Result struct {
	API         *model.API
	Files       map[string][]byte // generated files by path relative to Config.Dir
	Diagnostics []model.Diagnostic
	Sources     []string // every document file that was read
	Server      string   // origin of the document's first server, "" where that is not https
}

// ErrDocument means that the document cannot be generated from as it is; the
// diagnostics say why.
var ErrDocument = errors.New("generator: the document has errors")

// Analyze reads and analyses the document without generating. The Result has
// no Files. It returns ErrDocument where a diagnostic is an error.
func Analyze(ctx context.Context, cfg Config) (*Result, error) {
	_, res, err := read(ctx, cfg)
	return res, err
}

func read(ctx context.Context, cfg Config) (*load.Document, *Result, error) {
	res := &Result{}
	path := cfg.Settings.Document
	if !filepath.IsAbs(path) {
		path = filepath.Join(cfg.Dir, path)
	}
	doc, found := load.Load(ctx, load.Config{Path: path, AllowRemote: cfg.Settings.RemoteRefs == "fetch"})
	res.Diagnostics = found
	if err := ctx.Err(); err != nil {
		return nil, res, err
	}
	if doc == nil {
		model.Sort(res.Diagnostics)
		return nil, res, ErrDocument
	}
	res.Sources = doc.Files()
	res.Server = publish.Origin(doc)
	api, found := analyze.Analyze(doc, analyze.Config{
		Undeclared: cfg.Settings.Undeclared,
		Schemes:    cfg.Settings.Schemes,
		BasePath:   cfg.Settings.BasePath,
		File:       SettingsFile,
	})
	res.API = api
	res.Diagnostics = append(res.Diagnostics, found...)
	model.Sort(res.Diagnostics)
	if model.HasErrors(res.Diagnostics) {
		return nil, res, ErrDocument
	}
	return doc, res, nil
}

// Generate makes the files in memory. It returns ErrDocument where a
// diagnostic is an error. The same document gives the same bytes.
func Generate(ctx context.Context, cfg Config) (*Result, error) {
	doc, res, err := read(ctx, cfg)
	if err != nil {
		return res, err
	}
	requests, found, err := bundle.Build(doc, res.API)
	res.Diagnostics = append(res.Diagnostics, found...)
	if err != nil {
		return res, fmt.Errorf("generator: %w", err)
	}
	models, found, err := types.Generate(doc, res.API, types.Config{
		Package:  cfg.Settings.Package,
		Source:   res.API.Source,
		Reserved: emit.Reserved(res.API),
	})
	res.Diagnostics = append(res.Diagnostics, found...)
	if err != nil {
		return res, fmt.Errorf("generator: %w", err)
	}
	model.Sort(res.Diagnostics)
	if model.HasErrors(res.Diagnostics) {
		return res, ErrDocument
	}
	document, err := publish.Document(doc, res.API)
	if err != nil {
		return res, fmt.Errorf("generator: %w", err)
	}
	files, err := emit.Files(emit.Config{Package: cfg.Settings.Package, API: res.API, Bundle: requests, Document: document})
	if err != nil {
		return res, fmt.Errorf("generator: %w", err)
	}
	files["models.gen.go"] = models
	res.Files = make(map[string][]byte, len(files))
	for base, text := range files {
		res.Files[filepath.Join(cfg.Settings.Output, base)] = text
	}
	return res, nil
}
