package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/devidp"
	"github.com/gatewright/gatewright/runtime/secret"
)

// tokenFlags are what token takes.
type tokenFlags struct {
	port         int
	client, user string
	scopes       []string
	format       string
}

func tokenCommand() *cobra.Command {
	f := &tokenFlags{}
	cmd := &cobra.Command{
		Use:   "token [DIR or DOC]",
		Short: "Print an access token of the development identity provider",
		Long: `Asks the identity provider of a running gatewright dev for an access token and
prints it, for trying out: TOKEN=$(gatewright token). It is good for an hour, and
for that run alone.

Without -user it is a program's, got by the client credentials grant: one of
dev.clients in gatewright.yaml, the first unless -client names another; where
none are listed, of service, which may do whatever the document asks of tokens.
With -user it speaks of somebody who could sign in there.`,
		Args: between("a folder or a document at most", 0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "."
			if len(args) == 1 {
				path = args[0]
			}
			if f.format != "text" && f.format != "json" {
				return usage("-format is text or json, not %q", f.format)
			}
			if f.user != "" && cmd.Flags().Changed("client") {
				return usage("-client and -user exclude each other: a token speaks of a program or of a person")
			}
			if err := f.run(cmd.Context(), path, cmd.OutOrStdout()); err != nil {
				return err
			}
			if terminal(cmd.OutOrStdout()) {
				fmt.Fprintln(cmd.ErrOrStderr(), "for requests: curl -H \"Authorization: Bearer $(gatewright token …)\" …")
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&f.port, "port", devPort, "the port that dev serves on")
	cmd.Flags().StringVar(&f.client, "client", "", "the program that the token is for")
	cmd.Flags().StringVar(&f.user, "user", "", "the user that the token speaks of")
	cmd.Flags().StringSliceVar(&f.scopes, "scope", nil, "scopes, all that there are unless named")
	cmd.Flags().StringVar(&f.format, "format", "text", "text: the token alone; json: the provider's answer")
	return cmd
}

// terminal tells whether somebody reads what is written to w.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// program chooses one of the programs of the project d.
func (f *tokenFlags) program(d *developer) (id string, err error) {
	var settings generator.Settings
	if d.doc == "" {
		if settings, _, err = settingsFile(filepath.Join(d.dir, generator.SettingsFile)); err != nil {
			return "", err
		}
	}
	var known []string
	for _, p := range devClients(settings, &model.API{}) {
		known = append(known, p.ID)
	}
	id = cmp.Or(f.client, known[0])
	if !slices.Contains(known, id) {
		return "", fmt.Errorf("there is no program %q but %s: dev.clients in %s lists them", id, strings.Join(known, ", "), generator.SettingsFile)
	}
	return id, nil
}

// run asks for a token and prints it.
func (f *tokenFlags) run(ctx context.Context, path string, out io.Writer) error {
	d := developer{port: f.port}
	if err := d.find(path, ""); err != nil {
		return err
	}
	id, err := f.program(&d)
	if err != nil {
		return err
	}
	notRunning := fmt.Errorf("no gatewright dev with access tokens runs for %s on port %d: start gatewright dev %s (another port is told with -port)", path, f.port, path)
	text, err := os.ReadFile(d.stateFile("provider-port"))
	if err != nil {
		return notRunning
	}
	secretFile := d.stateFile("program-secret")
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {strings.Join(f.scopes, " ")}}
	if f.user != "" {
		id, secretFile = providerID, d.clientSecretFile()
		form.Set("grant_type", devidp.GrantUser)
		form.Set("user", f.user)
	}
	password, err := secret.File(secretFile)
	if err != nil {
		return notRunning
	}
	if d.ca, err = authority(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://localhost:"+strings.TrimSpace(string(text))+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(password.Reveal()))
	client := &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.ca.Pool(), MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return notRunning
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return f.print(res, out)
}

// print prints what the provider answered.
func (f *tokenFlags) print(res *http.Response, out io.Writer) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	var answer struct {
		Token       string `json:"access_token"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("the provider answered with status %d and no JSON", res.StatusCode)
	}
	switch {
	case answer.Error == "invalid_client":
		return errors.New("what answers is another project's provider, or gatewright dev has not taken over " + generator.SettingsFile + " as it is now")
	case answer.Error != "":
		return fmt.Errorf("the development provider refuses: %s (%s)", answer.Description, answer.Error)
	case answer.Token == "":
		return fmt.Errorf("the provider answered with status %d and no token", res.StatusCode)
	case f.format == "json":
		_, err = fmt.Fprintln(out, string(body))
		return err
	}
	_, err = fmt.Fprintln(out, answer.Token)
	return err
}
