package types

import (
	"embed"
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oapi-codegen/oapi-codegen/v2/pkg/codegen"
)

//go:embed templates/*.tmpl
var templates embed.FS

// library serialises the calls of oapi-codegen, which keeps global state.
var library sync.Mutex

// generate lets oapi-codegen print the component schemas of spec. It uses no
// more of the library than its models.
func generate(spec *openapi3.T, pkg string) (text string, err error) {
	own := map[string]string{}
	for _, base := range []string{"imports.tmpl", "additional-properties.tmpl", "union.tmpl"} {
		t, err := templates.ReadFile("templates/" + base)
		if err != nil {
			return "", err
		}
		own[base] = string(t)
	}
	library.Lock()
	defer library.Unlock()
	// A panic of the library is one more way to refuse a schema.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("oapi-codegen: %v", r)
		}
	}()
	text, err = codegen.Generate(spec, codegen.Configuration{
		PackageName: pkg,
		Generate:    codegen.GenerateOptions{Models: true},
		Compatibility: codegen.CompatibilityOptions{
			AlwaysPrefixEnumValues: true,
		},
		OutputOptions: codegen.OutputOptions{
			SkipFmt:                   true,
			SkipPrune:                 true,
			ResolveTypeNameCollisions: true,
			DisableTypeAliasesForType: []string{"array"},
			UserTemplates:             own,
			TypeMapping:               typeMapping(),
		},
	})
	if err != nil {
		return "", fmt.Errorf("oapi-codegen: %w", err)
	}
	return text, nil
}
