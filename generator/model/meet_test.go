package model

import "testing"

func TestMeetable(t *testing.T) {
	at := func(in, name string) []Place { return []Place{{In: in, Name: name}} }
	api := &API{Schemes: []Scheme{
		{Name: "basic", Places: at("authorization", "basic")},
		{Name: "bearer", Places: at("authorization", "bearer")},
		{Name: "jwt", Places: at("authorization", "bearer")},
		{Name: "token", Places: []Place{{"authorization", "bearer"}, {"authorization", "dpop"}}},
		{Name: "dpop", Places: at("authorization", "dpop")},
		{Name: "any", Places: at("authorization", "")},
		{Name: "key", Places: at("header", "X-Key")},
		{Name: "login", Places: []Place{{"authorization", "bearer"}, {"cookie", "s"}}},
	}}
	for _, c := range []struct {
		names []string
		want  bool
	}{
		{nil, true},
		{[]string{"basic"}, true},
		{[]string{"basic", "bearer"}, false},
		{[]string{"key", "bearer", "basic"}, false},
		{[]string{"bearer", "jwt"}, true},
		{[]string{"bearer", "token"}, true},
		{[]string{"bearer", "token", "dpop"}, false},
		{[]string{"basic", "token"}, false},
		{[]string{"basic", "any"}, true},
		{[]string{"basic", "key"}, true},
		{[]string{"basic", "login"}, true}, // the session's cookie
	} {
		var alt Alternative
		for _, n := range c.names {
			alt = append(alt, Need{Scheme: n})
		}
		if got := api.Meetable(alt); got != c.want {
			t.Errorf("Meetable(%v) = %v, want %v", c.names, got, c.want)
		}
	}
}
