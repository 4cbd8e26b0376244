package apikey_test

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

func TestNewRefuses(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	must(t, err)
	defer s.Close()
	good := apikey.Config{Store: s.Keys(), Users: s.Users(), Environment: apikey.Live, Schemes: []string{"a"}}
	for name, c := range map[string]struct {
		change func(*apikey.Config)
		want   []string
	}{
		"nothing wrong":        {func(*apikey.Config) {}, nil},
		"prefix of 16":         {func(c *apikey.Config) { c.Prefix = "abcdefghijklmn09" }, nil},
		"no store":             {func(c *apikey.Config) { c.Store = nil }, []string{"store is missing"}},
		"no users":             {func(c *apikey.Config) { c.Users = nil }, []string{"user store is missing"}},
		"no environment":       {func(c *apikey.Config) { c.Environment = "" }, []string{"environment"}},
		"other environment":    {func(c *apikey.Config) { c.Environment = "prod" }, []string{`"prod"`}},
		"prefix with digit":    {func(c *apikey.Config) { c.Prefix = "1a" }, []string{"prefix"}},
		"prefix in upper case": {func(c *apikey.Config) { c.Prefix = "Gw" }, []string{"prefix"}},
		"prefix with _":        {func(c *apikey.Config) { c.Prefix = "g_w" }, []string{"prefix"}},
		"prefix not ASCII":     {func(c *apikey.Config) { c.Prefix = "gé" }, []string{"prefix"}},
		"long prefix":          {func(c *apikey.Config) { c.Prefix = "abcdefghijklmnopq" }, []string{"prefix"}},
		"scopes of no scheme":  {func(c *apikey.Config) { c.Scopes = map[string][]string{"b": nil} }, []string{`"b"`}},
		"negative limit":       {func(c *apikey.Config) { c.Limits.KeyBurst = -1 }, []string{"negative"}},
		"everything": {func(c *apikey.Config) { *c = apikey.Config{Prefix: "_", Limits: limit.Limits{Entries: -1}} },
			[]string{"prefix", "negative", "store is missing", "user store", "environment"}},
	} {
		cfg := good
		c.change(&cfg)
		_, err := apikey.New(cfg)
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: New() = %v, want %q", name, err, c.want)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: New() = %v, want %q in it", name, err, w)
			}
		}
	}
}

func TestCreate(t *testing.T) {
	f := setup(t, func(c *apikey.Config) {
		c.Prefix, c.Environment = "blog", apikey.Test
		c.Scopes = map[string][]string{"apiKey": {"posts:write"}, "basic": {"admin"}}
	})
	ada := f.user(t)
	req := apikey.CreateRequest{
		Owner:   apikey.Owner{User: ada.ID},
		Label:   "Ada's laptop ✓",
		Schemes: []string{"apiKey", "basic"},
		Scopes:  []string{"posts:write", "admin"},
		Expires: f.now.Add(time.Hour + time.Microsecond),
	}
	key, rec, err := f.keys.Create(t.Context(), req)
	if err != nil {
		t.Fatalf("Create() = %v", err)
	}
	if !strings.HasPrefix(key.Reveal(), "blog_test_"+rec.ID+"_") {
		t.Errorf("Create() made a key that begins with %.24s, want blog_test_%s_", key.Reveal(), rec.ID)
	}
	if got := fmt.Sprintf("%v %+v %#v %s %+v", key, key, key, key, rec); strings.Contains(got, key.Reveal()[24:]) {
		t.Errorf("a key or record prints the secret: %s", got)
	}
	loaded, err := f.keys.Load(t.Context(), rec.ID)
	if err != nil || fmt.Sprintf("%+v", loaded) != fmt.Sprintf("%+v", rec) {
		t.Errorf("Load() = %+v, %v, want %+v", loaded, err, rec)
	}
	if !rec.Expires.Equal(f.now.Add(time.Hour)) || !rec.Created.Equal(f.now) || !rec.LastUsed.IsZero() || !rec.Revoked.IsZero() {
		t.Errorf("Create() = times of %+v", rec)
	}
	// The record is its own: what the caller does later changes nothing.
	req.Scopes[0] = "changed"
	if rec.Scopes[0] != "posts:write" {
		t.Error("the record shares its scopes with the request")
	}
}

func TestCreateRefuses(t *testing.T) {
	f := setup(t, func(c *apikey.Config) {
		c.Scopes = map[string][]string{"apiKey": {"read", "write"}, "basic": {"admin"}}
	})
	ada := f.user(t)
	off, err := f.stores.Users().Ensure(t.Context(), user.Local, "off", user.Profile{})
	must(t, err)
	must(t, f.stores.Users().SetDisabled(t.Context(), off.ID, true))
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	type req = apikey.CreateRequest
	for name, c := range map[string]struct {
		change func(*req)
		want   string // "": is made
	}{
		"least":                    {func(*req) {}, ""},
		"label of 100":             {func(r *req) { r.Label = strings.Repeat("ü", 100) }, ""},
		"no label":                 {func(r *req) { r.Label = "" }, "label is empty"},
		"label of 101":             {func(r *req) { r.Label = strings.Repeat("ü", 101) }, "more than 100"},
		"label with newline":       {func(r *req) { r.Label = "a\nb" }, "do not print"},
		"label with escape":        {func(r *req) { r.Label = "a\x1b[31m" }, "do not print"},
		"label turned around":      {func(r *req) { r.Label = "a\u202eb" }, "do not print"},
		"label with zero width":    {func(r *req) { r.Label = "a\u200bb" }, "do not print"},
		"label not UTF-8":          {func(r *req) { r.Label = "a\xff" }, "do not print"},
		"label of a blank":         {func(r *req) { r.Label = " " }, "blanks"},
		"no owner":                 {func(r *req) { r.Owner = apikey.Owner{} }, "either a user or a client"},
		"two owners":               {func(r *req) { r.Owner.Client = "c" }, "either a user or a client"},
		"user with client name":    {func(r *req) { r.Owner.ClientName = "c" }, "no client name"},
		"client":                   {func(r *req) { r.Owner = apikey.Owner{Client: "c"} }, ""},
		"client id with newline":   {func(r *req) { r.Owner = apikey.Owner{Client: "c\n"} }, "client id"},
		"client name with newline": {func(r *req) { r.Owner = apikey.Owner{Client: "c", ClientName: "\n"} }, "client name"},
		"unknown user":             {func(r *req) { r.Owner.User = user.NewID() }, "unknown or disabled"},
		"disabled user":            {func(r *req) { r.Owner.User = off.ID }, "unknown or disabled"},
		"unknown scheme":           {func(r *req) { r.Schemes = []string{"login"} }, "apiKey, basic, other"},
		"scheme in other case":     {func(r *req) { r.Schemes = []string{"ApiKey"} }, `"ApiKey"`},
		"scheme twice":             {func(r *req) { r.Schemes = []string{"basic", "basic"} }, "schemes are named twice"},
		"scope of its scheme":      {func(r *req) { r.Schemes, r.Scopes = []string{"apiKey"}, []string{"write"} }, ""},
		"scope of another scheme":  {func(r *req) { r.Schemes, r.Scopes = []string{"apiKey"}, []string{"admin"} }, "read, write"},
		"scope of no scheme":       {func(r *req) { r.Schemes, r.Scopes = []string{"apiKey", "basic"}, []string{"root"} }, "admin, read, write"},
		"scheme that takes any":    {func(r *req) { r.Schemes, r.Scopes = []string{"other"}, []string{"root"} }, ""},
		"all schemes, any scope":   {func(r *req) { r.Scopes = []string{"root"} }, ""},
		"empty scope":              {func(r *req) { r.Scopes = []string{""} }, "scope is empty"},
		"scope with newline":       {func(r *req) { r.Scopes = []string{"a\nb"} }, "do not print"},
		"scope twice":              {func(r *req) { r.Scopes = []string{"a", "b", "a"} }, "scopes are named twice"},
		"101 scopes":               {func(r *req) { r.Scopes = many }, "more than 100 scopes"},
		"expiry now":               {func(r *req) { r.Expires = f.now }, "not in the future"},
		"expiry past":              {func(r *req) { r.Expires = f.now.Add(-time.Hour) }, "not in the future"},
		"expiry in 1970":           {func(r *req) { r.Expires = time.Unix(0, 0) }, "not in the future"},
		"expiry at once":           {func(r *req) { r.Expires = f.now.Add(time.Nanosecond) }, "not in the future"},
		"expiry far off":           {func(r *req) { r.Expires = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }, ""},
		"expiry out of range":      {func(r *req) { r.Expires = time.Unix(math.MaxInt64/2, 0) }, "year 9999"},
	} {
		t.Run(name, func(t *testing.T) {
			r := req{Owner: apikey.Owner{User: ada.ID}, Label: "a key"}
			c.change(&r)
			key, rec, err := f.keys.Create(t.Context(), r)
			if c.want == "" {
				if err != nil || key.IsZero() {
					t.Errorf("Create(%+v) = %v", r, err)
				}
				return
			}
			if !errors.Is(err, apikey.ErrRequest) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Create(%+v) = %v, want ErrRequest with %q", r, err, c.want)
			}
			if !key.IsZero() || rec.ID != "" {
				t.Errorf("Create() = %+v beside an error", rec)
			}
		})
	}
}

// TestCreateSaysAll: one error names everything that is wrong.
func TestCreateSaysAll(t *testing.T) {
	f := setup(t, nil)
	_, _, err := f.keys.Create(t.Context(), apikey.CreateRequest{Schemes: []string{"x"}, Scopes: []string{""}, Expires: f.now})
	for _, w := range []string{"owner", "label", `"x"`, "scope", "future"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("Create() = %v, want %q in it", err, w)
		}
	}
}

// TestCreateNeedsKnownSchemes: with no schemes configured no key serves one by name.
func TestCreateNeedsKnownSchemes(t *testing.T) {
	f := setup(t, func(c *apikey.Config) { c.Schemes = nil })
	_, _, err := f.keys.Create(t.Context(), apikey.CreateRequest{Owner: apikey.Owner{Client: "c"}, Label: "a", Schemes: []string{"apiKey"}})
	if !errors.Is(err, apikey.ErrRequest) {
		t.Errorf("Create() = %v, want ErrRequest", err)
	}
}

func TestListAndRevoke(t *testing.T) {
	f := setup(t, nil)
	ada := f.user(t)
	for range 3 {
		f.create(t, apikey.CreateRequest{Owner: apikey.Owner{User: ada.ID}})
	}
	_, robots := f.create(t, apikey.CreateRequest{})
	for owner, want := range map[apikey.Owner]int{{}: 4, {User: ada.ID}: 3, {Client: "robot"}: 1, {Client: ada.ID}: 0} {
		if got, err := f.keys.List(t.Context(), apikey.Query{Owner: owner}); err != nil || len(got) != want {
			t.Errorf("List(%+v) = %d records, %v, want %d", owner, len(got), err, want)
		}
	}
	first := f.now
	for range 2 {
		if err := f.keys.Revoke(t.Context(), robots.ID); err != nil {
			t.Errorf("Revoke() = %v", err)
		}
		f.now = f.now.Add(time.Hour)
	}
	if got, err := f.keys.Load(t.Context(), robots.ID); err != nil || !got.Revoked.Equal(first) {
		t.Errorf("Load() = %+v, %v, want it revoked at %v", got, err, first)
	}
	if err := f.keys.Revoke(t.Context(), "0123456789abc"); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Revoke() of an unknown id = %v, want ErrNotFound", err)
	}
	if _, err := f.keys.Load(t.Context(), "0123456789abc"); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Load() of an unknown id = %v, want ErrNotFound", err)
	}
	for _, want := range []string{"api key created", "api key revoked", robots.ID} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, f.log.String())
		}
	}
}
