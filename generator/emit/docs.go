package emit

import (
	"github.com/dave/jennifer/jen"
)

// documentFile is the document that a server shows, beside the Go files.
const documentFile = "openapi.gen.json"

// docs prints what embeds the document.
func (p *printer) docs(f *jen.File) {
	f.Anon("embed")
	f.Comment("// openAPIDocument is the document as the server shows it: one file of JSON, with")
	f.Comment("// code samples at each operation.")
	f.Comment("//")
	f.Comment("//go:embed " + documentFile)
	f.Var().Id("openAPIDocument").Index().Byte()
}
