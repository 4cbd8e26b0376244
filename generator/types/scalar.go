package types

import (
	"github.com/oapi-codegen/oapi-codegen/v2/pkg/codegen"

	"github.com/gatewright/gatewright/generator/model"
)

// Import paths of what generated models use.
const (
	codecPath    = "github.com/gatewright/gatewright/runtime/codec"
	jsonPath     = "github.com/go-json-experiment/json"
	jsontextPath = "github.com/go-json-experiment/json/jsontext"
)

// goScalars are the Go types of JSON types and formats. Every other format is
// that of its type alone: it says what a value means, and validation checks
// it. There is no uint8: a slice of those is base64 text in JSON.
var goScalars = map[string]model.GoType{
	"string ":          {Name: "string"},
	"string date-time": {Path: "time", Name: "Time"},
	"string date":      {Path: codecPath, Name: "Date"},
	"string byte":      {Slices: 1, Name: "byte", Nillable: true},
	"integer ":         {Name: "int"},
	"integer int8":     {Name: "int8"},
	"integer int16":    {Name: "int16"},
	"integer int32":    {Name: "int32"},
	"integer int64":    {Name: "int64"},
	"integer uint16":   {Name: "uint16"},
	"integer uint32":   {Name: "uint32"},
	"integer uint64":   {Name: "uint64"},
	"number ":          {Name: "float64"},
	"number float":     {Name: "float32"},
	"number double":    {Name: "float64"},
	"boolean ":         {Name: "bool"},
}

// rawFormat is the format of oapi-codegen that prints json.RawMessage.
const rawFormat = "json"

// typeMapping tells oapi-codegen about goScalars.
func typeMapping() *codegen.TypeMapping {
	return &codegen.TypeMapping{
		Number: codegen.FormatMapping{Default: codegen.SimpleTypeSpec{Type: "float64"}},
		String: codegen.FormatMapping{Formats: map[string]codegen.SimpleTypeSpec{
			"date": {Type: "codec.Date"},
		}},
	}
}
