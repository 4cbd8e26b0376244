// Publish is a service that publishes a post, with an access token that it gets
// for itself. It knows the blog's URL and its own credentials; where tokens come
// from the blog says (RFC 9728). Credentials come from the environment and from
// files, never from arguments, which other users of a machine can see.
//
//	BLOG_URL=https://blog.example BLOG_CLIENT_ID=publisher \
//	BLOG_CLIENT_SECRET_FILE=publisher.secret publish TITLE TEXT
//
// BLOG_ISSUER, if set, is the one issuer that is shown the secret, whatever the
// blog says.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: publish TITLE TEXT")
	}
	blog, id := os.Getenv("BLOG_URL"), os.Getenv("BLOG_CLIENT_ID")
	secret, err := clientSecret()
	if err != nil {
		log.Fatal(err)
	}
	if blog == "" || id == "" || secret == "" {
		log.Fatal("set BLOG_URL, BLOG_CLIENT_ID, and BLOG_CLIENT_SECRET_FILE or BLOG_CLIENT_SECRET")
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	location, err := publish(ctx, blog, id, secret, os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(location)
}

// clientSecret is what stands in a file or, where there is none, in the environment.
func clientSecret() (string, error) {
	file := os.Getenv("BLOG_CLIENT_SECRET_FILE")
	if file == "" {
		return os.Getenv("BLOG_CLIENT_SECRET"), nil
	}
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

// client follows no redirect, which would take a credential along.
var client = &http.Client{
	Timeout:       10 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// publish publishes a post and returns where it is.
func publish(ctx context.Context, blog, id, secret, title, text string) (string, error) {
	if !strings.HasPrefix(blog, "https://") {
		return "", fmt.Errorf("BLOG_URL is no https URL: %s", blog)
	}
	operation := strings.TrimSuffix(blog, "/") + "/posts"
	resource, token, err := findTokenEndpoint(ctx, operation)
	if err != nil {
		return "", err
	}
	cfg := clientcredentials.Config{
		ClientID: id, ClientSecret: secret, TokenURL: token, Scopes: []string{"posts:write"},
		EndpointParams: url.Values{"resource": {resource}}, // RFC 8707
		AuthStyle:      oauth2.AuthStyleInHeader,           // and not tried in other ways
	}
	body, err := json.Marshal(map[string]string{"title": title, "text": text})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, operation, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := cfg.Client(context.WithValue(ctx, oauth2.HTTPClient, client)).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("the blog answers %s", res.Status)
	}
	return res.Header.Get("Location"), nil
}

// metadataURL finds the resource's metadata in a challenge (RFC 9728, section 5.1).
var metadataURL = regexp.MustCompile(`(?i)^Bearer (?:.*[ ,])?resource_metadata="([^"]+)"`)

// findTokenEndpoint asks an operation without a credential, and follows what it
// says: to the metadata of the resource (RFC 9728), and to those of its
// authorization server (RFC 8414). It returns the resource's name there and the
// token endpoint.
func findTokenEndpoint(ctx context.Context, operation string) (resource, endpoint string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, operation, nil)
	if err != nil {
		return "", "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	var found string
	for _, challenge := range res.Header.Values("WWW-Authenticate") {
		if m := metadataURL.FindStringSubmatch(challenge); m != nil {
			found = m[1]
		}
	}
	if res.StatusCode != http.StatusUnauthorized || found == "" {
		return "", "", fmt.Errorf("%s answers %s, and does not say where tokens come from", operation, res.Status)
	}
	if !sameOrigin(found, operation) {
		return "", "", fmt.Errorf("%s has its metadata elsewhere: %s", operation, found)
	}
	var of struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
	}
	if err := getJSON(ctx, found, &of); err != nil {
		return "", "", err
	}
	// Metadata of somebody else would have us ask for a token that is for them
	// (RFC 9728, section 7.3).
	if !sameOrigin(of.Resource, operation) || !strings.HasPrefix(operation, strings.TrimSuffix(of.Resource, "/")+"/") {
		return "", "", fmt.Errorf("the metadata at %s are those of %s and not of %s", found, of.Resource, operation)
	}
	issuer, err := chooseIssuer(of.Servers)
	if err != nil {
		return "", "", err
	}
	var server struct {
		Issuer string `json:"issuer"`
		Token  string `json:"token_endpoint"`
	}
	err = getJSON(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &server)
	if err != nil {
		return "", "", err
	}
	if server.Issuer != issuer || !strings.HasPrefix(server.Token, "https://") {
		return "", "", fmt.Errorf("the metadata of %s are not its own", issuer)
	}
	return of.Resource, server.Token, nil
}

// chooseIssuer chooses who is shown the secret: of those that the blog names the
// first, or BLOG_ISSUER alone, since a blog that was taken over might name anybody.
func chooseIssuer(named []string) (string, error) {
	want := os.Getenv("BLOG_ISSUER")
	switch {
	case len(named) == 0:
		return "", errors.New("the blog names no issuer")
	case want == "":
		return named[0], nil
	case !slices.Contains(named, want):
		return "", fmt.Errorf("the blog does not name the issuer %s", want)
	}
	return want, nil
}

func sameOrigin(a, b string) bool {
	x, xerr := url.Parse(a)
	y, yerr := url.Parse(b)
	return xerr == nil && yerr == nil && x.Scheme == "https" && x.Scheme == y.Scheme && x.Host == y.Host
}

func getJSON(ctx context.Context, from string, into any) error {
	if !strings.HasPrefix(from, "https://") {
		return errors.New("metadata are taken over https alone")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", from, res.Status)
	}
	return json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(into)
}
