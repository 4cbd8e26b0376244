package main

import (
	"embed"
	"io/fs"
)

//go:embed front
var frontFiles embed.FS

// front are the pages for the browser: public files beside the API.
var front = sub(frontFiles, "front")

func sub(fsys fs.FS, dir string) fs.FS {
	s, err := fs.Sub(fsys, dir)
	if err != nil {
		panic(err) // the name is a constant
	}
	return s
}
