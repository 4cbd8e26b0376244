package name

import (
	"go/token"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestExported(t *testing.T) {
	for in, want := range map[string]string{
		"listPosts":              "ListPosts",
		"list-posts":             "ListPosts",
		"list posts":             "ListPosts",
		"USER_ID":                "UserID",
		"userId":                 "UserID",
		"user_ids":               "UserIDs",
		"userIDs":                "UserIDs",
		"HTTPServer":             "HTTPServer",
		"getJSONValue":           "GetJSONValue",
		"getURLs":                "GetURLs",
		"2fa":                    "N2fa",
		"":                       "Unnamed",
		"--- ///":                "Unnamed",
		"type":                   "Type",
		"error":                  "Error",
		"страница":               "Страница",
		"世界":                     "X世界",
		"a\";os.Exit(1)//":       "AOsExit1",
		"*/ panic(`x`)":          "PanicX",
		"\xff\xfe":               "Unnamed",
		"X-Rate-Limit":           "XRateLimit",
		"post /users/{id}":       "PostUsersID",
		"v1.users.get":           "V1UsersGet",
		strings.Repeat("a", 500): "A" + strings.Repeat("a", 79),
	} {
		if got := Exported(in); got != want {
			t.Errorf("Exported(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUnexported(t *testing.T) {
	for in, want := range map[string]string{
		"ListPosts": "listPosts",
		"URL":       "url",
		"URLPath":   "urlPath",
		"IDs":       "ids",
		"type":      "type_",
		"string":    "string_",
		"nil":       "nil_",
		"2fa":       "n2fa",
		"":          "unnamed",
	} {
		if got := Unexported(in); got != want {
			t.Errorf("Unexported(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSetUnique(t *testing.T) {
	var s Set
	s.Reserve("Body")
	for i, c := range []struct{ in, want string }{
		{"Post", "Post"}, {"Post", "Post2"}, {"Post2", "Post22"}, {"Post", "Post3"}, {"Body", "Body2"},
	} {
		if got := s.Unique(c.in); got != c.want {
			t.Errorf("%d: Unique(%q) = %q, want %q", i, c.in, got, c.want)
		}
	}
}

func FuzzExported(f *testing.F) {
	for _, s := range []string{"", "a b", "2fa", "ǆ", "ßa", "İd", "世界", "a\u202eb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, id := range []string{Exported(s), Unexported(s)} {
			if !token.IsIdentifier(id) || utf8.RuneCountInString(id) > maxRunes+2 {
				t.Errorf("%q gives %q, which is no good identifier", s, id)
			}
		}
		if id := Exported(s); !token.IsExported(id) {
			t.Errorf("Exported(%q) = %q, which is not exported", s, id)
		}
	})
}
