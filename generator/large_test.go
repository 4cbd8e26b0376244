package generator

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// largeDocument is a document of more than 10 MB: many operations with long
// descriptions, and one schema each.
func largeDocument(operations int) []byte {
	var b bytes.Buffer
	b.WriteString("openapi: 3.1.0\ninfo: {title: Large, version: '1'}\nsecurity: [{key: []}]\npaths:\n")
	text := strings.Repeat("Much is to be said about this. ", 10<<20/31/operations+1)
	for i := range operations {
		fmt.Fprintf(&b, "  /things/%d/{id}:\n    get:\n      operationId: op%d\n      description: %s\n"+
			"      parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n"+
			"      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/S%d'}}}}}\n", i, i, text, i)
	}
	b.WriteString("components:\n  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}\n  schemas:\n")
	for i := range operations {
		fmt.Fprintf(&b, "    S%d: {type: object, required: [a], properties: {a: {type: string}, b: {$ref: '#/components/schemas/S%d'}}}\n", i, (i+1)%operations)
	}
	return b.Bytes()
}

func TestLargeDocument(t *testing.T) {
	text := largeDocument(1000)
	if len(text) < 10<<20 {
		t.Fatalf("%d bytes", len(text))
	}
	res, err := generate(t, text, "error")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(res.API.Operations); n != 1000 {
		t.Errorf("%d operations, want 1000", n)
	}
	if err := inspectAll(res); err != nil {
		t.Error(err)
	}
	// Cut off in the middle it is a finding with a place, and no files.
	res, err = generate(t, append(text[:len(text)/2:len(text)/2], "\n  \t: ["...), "error")
	if err == nil || len(res.Diagnostics) == 0 || res.Files != nil {
		t.Errorf("half of it: %v, %d findings, %d files", err, len(res.Diagnostics), len(res.Files))
	}
}
