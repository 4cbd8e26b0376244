package schema

import (
	"strings"
	"testing"
)

// BenchmarkCheck checks a list of posts, the size of a usual large body.
func BenchmarkCheck(b *testing.B) {
	p := compile(b, `{"type":"array","items":{"$ref":"#/$defs/Post"},"$defs":{"Post":{"type":"object","required":["id","title"],
		"properties":{"id":{"type":"integer","minimum":1},"title":{"type":"string","maxLength":80},"state":{"enum":["draft","public"]},
		"author":{"anyOf":[{"$ref":"#/$defs/Author"},{"type":"null"}]},"tags":{"type":"array","items":{"type":"string","pattern":"^[a-z]+$"}}},
		"additionalProperties":false},"Author":{"type":"object","required":["name"],"properties":{"name":{"type":"string","minLength":1}}}}}`)
	post := `{"id":17,"title":"A title of usual length","state":"draft","author":{"name":"Ada"},"tags":["one","two","three"]}`
	value := []byte("[" + strings.Repeat(post+",", 99) + post + "]")
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Check(value); err != nil {
			b.Fatal(err)
		}
	}
}
