package testenv

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A Person signs in at a service, with the cookies of a browser.
type Person struct {
	service *Service
	client  *http.Client
}

// Person returns somebody who has not been to the service yet.
func (s *Service) Person(t testing.TB) *Person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := s.Client()
	client.Jar = jar
	return &Person{s, client}
}

var (
	formTag  = regexp.MustCompile(`(?is)<form\b[^>]*>.*?</form>`)
	action   = regexp.MustCompile(`(?i)\baction="([^"]*)"`)
	inputTag = regexp.MustCompile(`(?i)<(?:input|button)\b[^>]*>`)
	nameAttr = regexp.MustCompile(`(?i)\bname="([^"]*)"`)
	valAttr  = regexp.MustCompile(`(?i)\bvalue="([^"]*)"`)
)

// SignIn opens a URL of the service, such as an authorization request, follows
// its redirects and sends its forms with the name and the password of user,
// until the service sends the browser elsewhere. It returns where to, without
// going there.
func (p *Person) SignIn(t testing.TB, start, user string) *url.URL {
	t.Helper()
	login, password := p.service.signIn(user)
	at, err := url.Parse(start)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := url.Parse(p.service.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	method, body := http.MethodGet, ""
	for range 20 {
		if at.Host != issuer.Host {
			return at
		}
		req, err := http.NewRequest(method, at.String(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		res, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if next, err := res.Location(); err == nil {
			at, method, body = next, http.MethodGet, ""
			continue
		}
		form := formTag.FindString(string(page))
		if form == "" {
			t.Fatalf("testenv: %s answers %s without a form:\n%s", at.Path, res.Status, page)
		}
		fields := url.Values{}
		for _, tag := range inputTag.FindAllString(form, -1) {
			name := nameAttr.FindStringSubmatch(tag)
			if name == nil {
				continue
			}
			var value string
			if v := valAttr.FindStringSubmatch(tag); v != nil {
				value = html.UnescapeString(v[1])
			}
			switch name[1] {
			case "login":
				value = login
			case "password":
				value = password
			}
			fields.Set(name[1], value)
		}
		if to := action.FindStringSubmatch(form); to != nil {
			if at, err = at.Parse(html.UnescapeString(to[1])); err != nil {
				t.Fatal(err)
			}
		}
		method, body = http.MethodPost, fields.Encode()
	}
	t.Fatalf("testenv: %s does not come to an end with %s", p.service.name, at)
	return nil
}
