package route_test

import (
	"fmt"
	"testing"
)

// BenchmarkMatch measures one match in a table of 1,000 operations.
func BenchmarkMatch(b *testing.B) {
	var patterns []string
	for i := range 200 {
		patterns = append(patterns,
			fmt.Sprintf("GET /v1/service%d", i),
			fmt.Sprintf("POST /v1/service%d", i),
			fmt.Sprintf("GET /v1/service%d/{id}", i),
			fmt.Sprintf("POST /v1/service%d/{id}:cancel", i),
			fmt.Sprintf("GET /v1/service%d/{id}/parts/{part}.json", i),
		)
	}
	table := newTable(b, patterns...)
	for _, c := range []struct{ name, method, path string }{
		{"literal", "GET", "/v1/service150"},
		{"variable", "GET", "/v1/service150/42"},
		{"mixed", "POST", "/v1/service150/42:cancel"},
		{"two variables", "GET", "/v1/service150/42/parts/7.json"},
		{"encoded", "GET", "/v1/service150/a%2Fb"},
		{"unknown path", "GET", "/v1/service150/42/parts"},
		{"unknown method", "PUT", "/v1/service150/42"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Match(c.method, c.path)
			}
		})
	}
}
