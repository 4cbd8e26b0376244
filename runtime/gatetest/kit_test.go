package gatetest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/gatetest"
)

func TestPrincipal(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	who := gatetest.Principal(gate.Identity{
		User:   &gate.User{ID: "usr_1", Name: "Ann"},
		Client: &gate.Client{ID: "cron"},
		Scopes: gate.Scopes{"posts:write"}, AuthTime: at, Record: "k",
	}, "login", "cert")
	u, isUser := who.User()
	c, isClient := who.Client()
	if !isUser || u.Name != "Ann" || !isClient || c.ID != "cron" {
		t.Errorf("User() = %v, %v; Client() = %v, %v; want Ann and cron", u, isUser, c, isClient)
	}
	if !who.Scopes().Has("posts:write") || !who.AuthTime().Equal(at) || !slices.Equal(who.Via(), []string{"login", "cert"}) {
		t.Errorf("Scopes() = %v, AuthTime() = %v, Via() = %v", who.Scopes(), who.AuthTime(), who.Via())
	}
}

func ExamplePrincipal() {
	ann := gatetest.Principal(gate.Identity{User: &gate.User{ID: "usr_ann"}, Scopes: gate.Scopes{"posts:write"}})
	u, _ := ann.User()
	fmt.Println(u.ID, ann.Scopes())
	// Output: usr_ann [posts:write]
}

func TestFake(t *testing.T) {
	bearer, cookie := gate.Authorization("bearer"), gate.Place{In: gate.InCookie, Name: "s"}
	down := errors.New("down")
	for _, c := range []struct {
		name     string
		verifier string
		place    gate.Place
		spoil    error
		unknown  bool
		want     error
	}{
		{"issued", "token", bearer, nil, false, nil},
		{"unknown", "token", bearer, nil, true, gate.ErrInvalid},
		{"expired", "token", bearer, gate.ErrInvalid, false, gate.ErrInvalid},
		{"down", "token", bearer, down, false, down},
		{"unknown session as a token", "session", bearer, nil, true, gate.ErrInvalid},
		{"unknown session", "session", cookie, nil, true, gate.ErrAbsent},
		{"ended session", "session", cookie, gate.ErrInvalid, false, gate.ErrAbsent},
		{"session store down", "session", cookie, down, false, down},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := gatetest.NewFake(gatetest.Scheme{Name: "x", Verifier: c.verifier, Places: []gate.Place{bearer, cookie}})
			token := fake.Issue(gate.Identity{User: &gate.User{ID: "usr_1"}})
			if c.spoil != nil {
				fake.Spoil(token, c.spoil)
			}
			if c.unknown {
				token = "unknown"
			}
			r := httptest.NewRequest("GET", "/", nil)
			if c.place == cookie {
				r.AddCookie(&http.Cookie{Name: "s", Value: token})
			} else {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			cred, found, err := fake.Find(r)
			if !found || err != nil || cred.Place != c.place {
				t.Fatalf("Find() = %v, %v, %v, want one in %v", cred, found, err, c.place)
			}
			id, err := fake.Verify(t.Context(), r, cred)
			if !errors.Is(err, c.want) || (err == nil) != (id.User != nil) {
				t.Errorf("Verify() = %v, %v, want %v", id, err, c.want)
			}
		})
	}
}
