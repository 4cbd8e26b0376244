// Publish is a service that publishes a post, with an access token that it gets
// for itself. It knows the blog's URL and its own credentials; where tokens come
// from the blog says.
package main

import (
	"bytes"
	"cmp"
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
	operation := strings.TrimSuffix(blog, "/") + "/posts"
	resource, token, err := findTokenEndpoint(ctx, operation)
	if err != nil {
		return "", err
	}
	cfg := clientcredentials.Config{
		ClientID: id, ClientSecret: secret, TokenURL: token, Scopes: []string{"posts:write"},
		EndpointParams: url.Values{"resource": {resource}}, // RFC 8707
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

// metadata of a challenge (RFC 9728, section 5.1).
var metadataURL = regexp.MustCompile(`(?i)^Bearer .*resource_metadata="([^"]+)"`)

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
	if found == "" {
		return "", "", fmt.Errorf("%s answers %s, and does not say where tokens come from", operation, res.Status)
	}
	var of struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
	}
	if err := getJSON(ctx, found, &of); err != nil {
		return "", "", err
	}
	// Whoever could have the secret sent elsewhere would say so here.
	if !sameOrigin(found, operation) || !sameOrigin(of.Resource, operation) || !strings.HasPrefix(operation, of.Resource) || len(of.Servers) == 0 {
		return "", "", fmt.Errorf("the metadata at %s are not those of %s", found, operation)
	}
	var server struct {
		Issuer string `json:"issuer"`
		Token  string `json:"token_endpoint"`
	}
	issuer := of.Servers[0]
	err = getJSON(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &server)
	if err != nil {
		return "", "", err
	}
	if server.Issuer != issuer || !strings.HasPrefix(server.Token, "https://") {
		return "", "", fmt.Errorf("the metadata of %s are not its own", issuer)
	}
	// A server that is taken over must not choose who gets the secret, either.
	if want := os.Getenv("BLOG_ISSUER"); cmp.Or(want, issuer) != issuer {
		return "", "", fmt.Errorf("the blog names the issuer %s, and BLOG_ISSUER is %s", issuer, want)
	}
	return of.Resource, server.Token, nil
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
