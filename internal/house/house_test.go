// Package house keeps the arrows between packages as they are meant to be.
package house

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/internal/testenv"
)

const module = "github.com/gatewright/gatewright"

// goList runs go list in the checkout and returns its lines.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = testenv.Root()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, &stderr)
	}
	return strings.Fields(string(out))
}

// imports returns what each package of the module imports itself, tests apart.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	for _, line := range goList(t, "-f", `{{.ImportPath}}={{join .Imports ","}}`, "./...") {
		pkg, list, _ := strings.Cut(line, "=")
		out[strings.TrimPrefix(pkg, module+"/")] = strings.Split(list, ",")
	}
	return out
}

func isStd(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func TestArrows(t *testing.T) {
	pkgs := imports(t)
	if len(pkgs) < 20 {
		t.Fatalf("go list found %d packages", len(pkgs))
	}
	only := map[string][]string{ // external module -> who may import it
		"github.com/getkin/kin-openapi":    {"generator/load", "generator/types"},
		"github.com/oapi-codegen":          {"generator/types"},
		"github.com/dave/jennifer":         {"generator/emit"},
		"github.com/spf13/cobra":           {"cmd/gatewright"},
		"modernc.org/sqlite":               {"runtime/store/sqlite", "examples/blog"},
		"github.com/dunglas/httpsfv":       {"runtime/clientcert", "runtime/codec"},
		module + "/templates":              {"generator/emit"},
		module + "/runtime/store/sqlite":   {"cmd/gatewright", "runtime/gatetest", "examples/blog", "examples/blog/replicas", "examples/partners"},
		module + "/runtime/store/postgres": {"cmd/gatewright", "examples/blog", "examples/blog/replicas"},
		module + "/runtime/store/redis":    {"cmd/gatewright", "examples/blog", "examples/blog/replicas"},
		"github.com/jackc/pgx":             {"runtime/store/postgres", "examples/blog"},
		"github.com/redis/go-redis":        {"runtime/store/redis"},
		"github.com/swaggest/swgui":        {"runtime/docs"},
		module + "/runtime/gatetest":       {},
		module + "/runtime/serve":          {"examples/blog/internal/api", "examples/partners/internal/api"},
		module + "/runtime/login":          {"examples/blog", "examples/blog/internal/api"},
		module + "/runtime/config":         {"runtime/serve", "cmd/gatewright", "examples/blog", "examples/blog/internal/api", "examples/partners", "examples/partners/internal/api"},
		"github.com/go-jose":               {"runtime/jwks", "runtime/gatetest", "internal/devidp"},
		"github.com/coreos/go-oidc":        {"runtime/idtoken", "runtime/login"},
		"golang.org/x/oauth2":              {"runtime/login", "examples/blog/clients/publish"},
		module + "/generator/emit":         {"generator", "cmd/gatewright"},
		module + "/generator/types":        {"generator"},
		module + "/generator/bundle":       {"generator"},
		module + "/internal/devidp":        {"cmd/gatewright", "examples/blog/replicas"},
		"github.com/zitadel/oidc":          {"internal/devidp"},
		"github.com/fsnotify/fsnotify":     {"cmd/gatewright"},
		module + "/internal/testenv":       {"internal/testenv/browser"},
		"github.com/chromedp":              {"internal/testenv/browser"},
		"github.com/swaggest":              {"runtime/docs"},
	}
	for pkg, list := range pkgs {
		for _, dep := range list {
			inner := strings.TrimPrefix(dep, module+"/")
			switch {
			case strings.HasPrefix(pkg, "runtime/") && strings.HasPrefix(inner, "generator"),
				strings.HasPrefix(pkg, "generator") && strings.HasPrefix(inner, "runtime/"):
				t.Errorf("%s imports %s: runtime and generator know nothing of each other", pkg, inner)
			case strings.HasPrefix(inner, "cmd/"):
				t.Errorf("%s imports the command", pkg)
			}
			for what, who := range only {
				if (dep == what || strings.HasPrefix(dep, what+"/")) && !slices.Contains(who, pkg) {
					t.Errorf("%s imports %s, which only %v may", pkg, dep, who)
				}
			}
		}
	}
	const jsonV2 = "github.com/go-json-experiment/json"
	exact := map[string][]string{ // package -> what it may import beside the standard library
		"generator/model": {},
		"runtime/problem": {jsonV2},
		"runtime/gate":    {module + "/runtime/problem"},
		"runtime/route":   {module + "/runtime/gate", module + "/runtime/problem"},
		"runtime/user":    {module + "/runtime/gate", module + "/runtime/secret"},
		"runtime/session": {
			module + "/runtime/gate", module + "/runtime/user", module + "/runtime/secret", module + "/runtime/audit",
			module + "/runtime/problem", module + "/runtime/cache", jsonV2,
		},
		"runtime/cache": {},
		"runtime/watch": {},
		"runtime/limit": {module + "/runtime/gate", module + "/runtime/cache"},
		"runtime/apikey": {
			module + "/runtime/gate", module + "/runtime/user", module + "/runtime/secret", module + "/runtime/audit", module + "/runtime/cache",
			module + "/runtime/limit",
		},
		"runtime/dpop": {
			module + "/runtime/session", module + "/runtime/secret", module + "/runtime/jwks", module + "/runtime/claims", jsonV2,
		},
		"runtime/bearer": {
			module + "/runtime/gate", module + "/runtime/user", module + "/runtime/session", module + "/runtime/secret", module + "/runtime/provider",
			module + "/runtime/discovery", module + "/runtime/jwks", module + "/runtime/claims", module + "/runtime/fetch", module + "/runtime/cache",
			module + "/runtime/dpop", module + "/runtime/clientcert", module + "/runtime/problem", module + "/runtime/limit", jsonV2, "golang.org/x/sync",
		},
		"runtime/clientcert": {
			module + "/runtime/gate", module + "/runtime/cache", module + "/runtime/problem", module + "/runtime/watch", "github.com/dunglas/httpsfv",
			"golang.org/x/sync",
		},
		"runtime/custom":    {module + "/runtime/gate", module + "/runtime/limit"},
		"runtime/claims":    {jsonV2},
		"runtime/discovery": {module + "/runtime/fetch"},
		"runtime/account": {
			module + "/runtime/apikey", module + "/runtime/session", module + "/runtime/user", module + "/runtime/gate", module + "/runtime/page",
			module + "/runtime/origin", module + "/runtime/problem", module + "/runtime/audit", module + "/runtime/secret", jsonV2,
		},
		"runtime/provider": {module + "/runtime/secret"},
		"runtime/secret":   {"golang.org/x/crypto"},
		"runtime/fetch":    {module + "/runtime/metrics", jsonV2},
		"runtime/metrics":  {"go.opentelemetry.io/otel"},
		"runtime/jwks":     {module + "/runtime/fetch", "github.com/go-jose/go-jose", jsonV2},
		"runtime/idtoken":  {module + "/runtime/jwks", module + "/runtime/claims", "github.com/coreos/go-oidc", jsonV2},
		"runtime/audit":    {},
		"runtime/page":     {},
		"runtime/origin":   {module + "/runtime/gate", "github.com/rs/cors"},
		"templates":        {},
	}
	for pkg, may := range exact {
		list, ok := pkgs[pkg]
		if !ok {
			t.Errorf("there is no package %s", pkg)
		}
		for _, dep := range list {
			allowed := dep == "" || isStd(dep) || slices.ContainsFunc(may, func(m string) bool {
				return dep == m || strings.HasPrefix(dep, m+"/") && !strings.HasPrefix(m, module)
			})
			if !allowed {
				t.Errorf("%s imports %s", pkg, dep)
			}
		}
	}
	if _, ok := pkgs["runtime"]; ok {
		t.Error("a root package runtime would shadow the standard one")
	}
}

// TestServerLinks keeps the generator and its libraries out of servers.
func TestServerLinks(t *testing.T) {
	deps := goList(t, "-deps", "./examples/blog")
	for _, dep := range deps {
		for _, not := range []string{
			module + "/generator", module + "/templates", module + "/cmd", module + "/runtime/gatetest",
			"github.com/getkin", "github.com/oapi-codegen", "github.com/dave/jennifer", "github.com/spf13/cobra",
			module + "/internal/devidp", "github.com/zitadel", "github.com/fsnotify",
			"golang.org/x/tools", "testing",
		} {
			if dep == not || strings.HasPrefix(dep, not+"/") {
				t.Errorf("the blog links %s", dep)
			}
		}
	}
	var ours int
	for _, dep := range deps {
		if strings.HasPrefix(dep, module) {
			ours++
		}
	}
	t.Logf("the blog links %d packages, %d of them of this module", len(deps), ours)
}
