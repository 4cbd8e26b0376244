package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/runtime/secret"
)

// find finds the project's folder, or the document that one is made for.
func (d *developer) find(path, undeclared string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(abs); err != nil {
		return usage("dev takes a folder with a %s or an OpenAPI document: %w", generator.SettingsFile, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(abs))
	d.state = filepath.Join(cache, "gatewright", "dev", projectName(abs)+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(d.state, 0o700); err != nil {
		return err
	}
	if isDir(abs) {
		d.dir = abs
		if undeclared != "" {
			return usage("-undeclared goes with a document; a project says it in %s", generator.SettingsFile)
		}
		return nil
	}
	d.doc, d.undeclared = abs, undeclared
	if undeclared == "" {
		d.undeclared = "error"
	}
	return nil
}

func projectName(path string) string {
	return folderName(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
}

// tree is the folder whose Go files are the author's; none for a document
// alone.
func (d *developer) tree() string {
	if d.doc != "" {
		return ""
	}
	return d.dir
}

// A version is the project at one moment, built.
type version struct {
	turn   int // 0 or 1: its place among what dev keeps
	api    *model.API
	dir    string // the project's folder
	binary string
	config string // the configuration that it is served with
}

// prepare generates and builds the project as it stands, and has its files
// watched, whatever is wrong with it. What serves is not touched: this version
// lies in the other of two places.
func (d *developer) prepare(ctx context.Context, watched *watcher) (*version, error) {
	v := &version{turn: 1 - d.turn, dir: d.dir}
	place := fmt.Sprintf("%d-%d", d.port, v.turn)
	if d.doc != "" {
		v.dir = filepath.Join(d.state, "made-"+place, projectName(d.doc))
	}
	settings, err := d.generate(ctx, watched, v)
	if err == nil && v.api == nil {
		err = errors.New("the document changed while it was read")
	}
	if err != nil {
		return nil, err
	}
	v.binary, err = d.build(ctx, v.dir, "server-"+place)
	if d.doc == "" { // also where it does not compile
		watched.embedded(embeddedFiles(ctx, v.dir))
	}
	if err != nil {
		return nil, err
	}
	if err := d.signIn(ctx, settings, v.api); err != nil {
		return nil, err
	}
	if v.config, err = d.configure(v.api); err != nil {
		return nil, err
	}
	return v, d.ensureKey(ctx, v)
}

// generate brings the project's generated files up to date, or makes the
// project for a document, and fills in v.api.
func (d *developer) generate(ctx context.Context, watched *watcher, v *version) (generator.Settings, error) {
	if d.doc != "" {
		watched.file(d.doc)
		settings := generator.Settings{Document: d.doc, Package: "api", Output: "internal/api", Undeclared: d.undeclared, RemoteRefs: "error"}
		v.api = watchDocument(ctx, watched, generator.Config{Settings: settings})
		// What stands in a project made earlier is derived from the document
		// alone, so it is made anew rather than brought up to date.
		if err := os.RemoveAll(v.dir); err != nil {
			return settings, err
		}
		in := initializer{doc: d.doc, dir: v.dir, undeclared: d.undeclared, remoteRefs: "error", format: "text", stdout: io.Discard, stderr: d.stderr}
		_, err := in.make(ctx)
		return settings, err
	}
	path := filepath.Join(d.dir, generator.SettingsFile)
	watched.file(path)
	settings, dir, err := settingsFile(path)
	if err != nil {
		return settings, err
	}
	v.api = watchDocument(ctx, watched, generator.Config{Dir: dir, Settings: settings})
	err = generate(ctx, path, false, "text", d.stderr, d.stderr)
	watched.settle(filepath.Join(d.dir, settings.Output))
	return settings, err
}

// watchDocument has all files watched that a document consists of, as far as
// it can be read: one with a mistake, too, or nobody would notice when that is
// put right. It returns nil where there is one, and tells nothing, since the
// generator does.
func watchDocument(ctx context.Context, watched *watcher, cfg generator.Config) *model.API {
	document := cfg.Settings.Document
	if !filepath.IsAbs(document) {
		document = filepath.Join(cfg.Dir, document)
	}
	watched.file(document)
	res, err := generator.Analyze(ctx, cfg)
	names := res.Sources
	for _, found := range res.Diagnostics {
		names = append(names, found.Pos.File)
	}
	for _, name := range names {
		if name != "" && !strings.HasPrefix(name, "https://") {
			watched.file(name)
		}
	}
	if err != nil {
		return nil
	}
	return res.API
}

// configure makes the secret that development serves with, and returns the
// configuration.
func (d *developer) configure(api *model.API) (string, error) {
	secretFile := filepath.Join(d.state, "server.secret")
	if !exists(secretFile) {
		if err := os.WriteFile(secretFile, []byte(secret.Random(32).Reveal()+"\n"), 0o600); err != nil {
			return "", err
		}
	}
	text := "public_url: " + d.url() + "\nlisten: 127.0.0.1:" + strconv.Itoa(d.port) + "\ntls: {dev: true}\n" +
		"secret_file: server.secret\nstore: sqlite:dev.db\nenvironment: test\n"
	certificates, err := d.certificates(api)
	return text + d.providerConfig(api) + certificates, err
}

// configFile is where the configuration is written. A run beside this one has
// a file of its own, and shares the rest.
func (d *developer) configFile() string {
	return filepath.Join(d.state, fmt.Sprintf("dev-%d.yaml", d.port))
}
