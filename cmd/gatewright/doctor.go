package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"golang.org/x/net/publicsuffix"

	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/discovery"
	"github.com/gatewright/gatewright/runtime/fetch"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/store/redis"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/tlsconf"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what the server will need: settings, certificate, providers, clock, store",
		Long: `Reads server.yaml and the environment as the server does, and looks at what
they name: certificates and their dates, files and who may read them, each
provider's metadata, clock and redirect URI, what browsers do with the cookies,
and the store and its tables. It changes nothing. Exit code 1 where the server
would not start, or not work.`,
		Args: between("no arguments", 0, 0),
	}
	path := cmd.Flags().String("config", "server.yaml", "the server's configuration")
	format := formatFlag(cmd, []string{"text", "json"})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkFormat(*format, []string{"text", "json"}); err != nil {
			return err
		}
		d := &doctor{now: time.Now}
		d.examine(cmd.Context(), *path)
		if err := d.print(cmd.OutOrStdout(), *format); err != nil {
			return err
		}
		if d.failed() {
			return &exitError{code: exitFailed}
		}
		return nil
	}
	return cmd
}

// A finding is one thing that doctor has looked at.
type finding struct {
	Check   string `json:"check"` // what was looked at: settings, certificate…
	Level   string `json:"level"` // ok, warning or error
	Message string `json:"message"`
	Help    string `json:"help,omitempty"` // what to do
}

const (
	levelOK      = "ok"
	levelWarning = "warning"
	levelError   = "error"
)

// A doctor looks at what a configuration names.
type doctor struct {
	now   func() time.Time
	found []finding
}

func (d *doctor) ok(check, format string, args ...any) {
	d.found = append(d.found, finding{check, levelOK, fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(check, help, format string, args ...any) {
	d.found = append(d.found, finding{check, levelWarning, fmt.Sprintf(format, args...), help})
}

func (d *doctor) wrong(check, help, format string, args ...any) {
	d.found = append(d.found, finding{check, levelError, fmt.Sprintf(format, args...), help})
}

func (d *doctor) failed() bool {
	for _, f := range d.found {
		if f.Level == levelError {
			return true
		}
	}
	return false
}

func (d *doctor) print(w io.Writer, format string) error {
	if format == "json" {
		return json.MarshalWrite(w, d.found, json.Deterministic(true), jsontext.WithIndent("  "))
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range d.found {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", f.Level, f.Check, printable(f.Message))
		if f.Help != "" {
			fmt.Fprintf(tw, "\t\t-> %s\n", printable(f.Help))
		}
	}
	return tw.Flush()
}

// examine looks at everything that the configuration at path names.
func (d *doctor) examine(ctx context.Context, path string) {
	cfg, err := config.Load([]string{"-config", path}, os.Getenv)
	var mistakes *config.Error
	switch {
	case errors.As(err, &mistakes):
		for _, m := range mistakes.Mistakes {
			help := m.Hint
			m.Hint = ""
			d.wrong("settings", help, "%s", m)
		}
		return // what was meant is not known
	case err != nil:
		d.wrong("settings", "", "%v", err)
		return
	}
	d.ok("settings", "%s is well; its secrets are long enough and closed to others", path)
	d.file(path)
	d.certificates(cfg)
	d.cookies(cfg)
	for _, p := range cfg.Providers {
		d.provider(ctx, cfg, p)
	}
	d.stores(ctx, cfg)
}

// file looks at who may change the settings.
func (d *doctor) file(path string) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		d.warn("settings", "chmod go-w "+path, "%s can be changed by group or others (mode %04o)", path, info.Mode().Perm())
	}
}

// soon is how long before its end a certificate should have been renewed: two
// weeks, or a quarter of its life where that is short.
func soon(c *x509.Certificate) time.Duration {
	return min(14*24*time.Hour, c.NotAfter.Sub(c.NotBefore)/4)
}

func (d *doctor) certificates(cfg config.Config) {
	const check = "certificate"
	switch {
	case cfg.TLS.Dev:
		d.ok(check, "one for development, good on this machine alone")
	case len(cfg.TLS.BehindProxy) > 0:
		d.ok(check, "a proxy at %s has it", strings.Join(cfg.TLS.BehindProxy, ", "))
	}
	for _, p := range cfg.TLS.Pairs() {
		pair, err := tlsconf.Load(p.Cert, p.Key)
		if err != nil {
			d.wrong(check, "", "%v", err)
			continue
		}
		left := pair.Leaf.NotAfter.Sub(d.now())
		names := strings.Join(pair.Leaf.DNSNames, ", ")
		if left < soon(pair.Leaf) {
			d.warn(check, "renew it; the server takes the new files over by itself", "%s, for %s, runs out at %s", p.Cert, names, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
		} else {
			d.ok(check, "%s is for %s, until %s", p.Cert, names, pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
		}
		pool := x509.NewCertPool()
		for _, der := range pair.Certificate[1:] {
			if c, err := x509.ParseCertificate(der); err == nil {
				pool.AddCert(c)
			}
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Intermediates: pool, CurrentTime: d.now()}); err != nil {
			d.warn(check, "put the chain into the file, the server's own first, as fullchain.pem of certbot is; or have clients know its authority", "clients of this machine would not trust %s: %v", p.Cert, err)
		}
	}
}

// cookies looks at what browsers do with __Host- cookies that are SameSite=Strict.
func (d *doctor) cookies(cfg config.Config) {
	const check = "cookies"
	u, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return // config.Load has parsed it
	}
	site := siteOf(u.Hostname())
	switch {
	case site == "" && !tlsconf.IsLoopback(u.Hostname()):
		d.warn(check, "give the server a name", "%s is an address: every other server there shares its site", u.Hostname())
	case site == "":
		d.ok(check, "on this machine")
	default:
		d.ok(check, "are of %s alone; pages of %s are the same site, of others they come without a session", cfg.PublicURL, site)
	}
	for _, origin := range cfg.CORS.Origins {
		if o, err := url.Parse(origin); err == nil && cfg.CORS.Credentials && siteOf(o.Hostname()) != site {
			d.warn(check, "serve the page from a host below "+site+", or take cors.credentials out", "pages of %s may read what cookies bring, and browsers send none from there: it is another site", origin)
		}
	}
}

// siteOf is the part of a host that its neighbours share (the registrable
// domain), "" where there is none.
func siteOf(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	return site
}

// skew is how far clocks may be apart before tokens are refused, and drift
// before somebody should look.
const (
	skew  = time.Minute
	drift = 5 * time.Second
)

func (d *doctor) provider(ctx context.Context, cfg config.Config, p provider.Config) {
	check := "provider " + p.Name
	p, err := p.Complete()
	if err != nil {
		d.wrong(check, "", "%v", err)
		return
	}
	client, err := fetch.New(fetch.Config{CA: p.CA})
	if err != nil {
		d.wrong(check, "", "%v", err)
		return
	}
	authorize := p.AuthorizationURL
	if p.OpenID() {
		m, err := discovery.Ask(ctx, client, p.MetadataURL, p.Issuer, "jwks_uri")
		switch {
		case errors.Is(err, discovery.ErrMismatch):
			d.wrong(check, "set issuer to what the provider calls itself, to the letter", "%v", err)
			return
		case err != nil:
			d.wrong(check, "can this machine reach it, and does it trust the certificate (ca)?", "%v", err)
			return
		}
		d.ok(check, "%s answers, and is who it is said to be", p.Issuer)
		authorize = m.AuthorizationEndpoint
		d.clock(ctx, check, client, p.MetadataURL)
	}
	if p.ClientID != "" && !p.NoSignIn && authorize != "" {
		d.redirect(ctx, check, client, cfg, p, authorize)
	}
}

// clock compares this machine's with the Date of an answer, which counts seconds.
func (d *doctor) clock(ctx context.Context, check string, client *http.Client, at string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return
	}
	before := d.now()
	res, err := client.Do(r)
	if err != nil {
		return // it answered a moment ago, and is looked at above
	}
	defer res.Body.Close()
	after := d.now()
	theirs, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		d.warn(check, "", "its answers have no Date to compare clocks by")
		return
	}
	var apart time.Duration
	if early := before.Add(-time.Second).Sub(theirs); early > 0 {
		apart = early
	} else if late := theirs.Sub(after); late > 0 {
		apart = late
	}
	apart = apart.Round(time.Second)
	switch {
	case apart > skew:
		d.wrong(check, "set this machine's clock (NTP): tokens count as not yet valid, or as over", "clocks are %s apart", apart)
	case apart > drift:
		d.warn(check, "is this machine's clock kept by NTP?", "clocks are %s apart", apart)
	default:
		d.ok(check, "clocks agree")
	}
}

// redirect asks for a sign-in as the server would, and goes no further: a
// provider tells at once where it does not know client or redirect URI.
func (d *doctor) redirect(ctx context.Context, check string, client *http.Client, cfg config.Config, p provider.Config, authorize string) {
	callback := cfg.PublicURL + model.AuthPrefix + "/callback/" + p.Name
	u, err := url.Parse(authorize)
	if err != nil {
		d.wrong(check, "", "its authorization endpoint is no URL: %v", err)
		return
	}
	q := u.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": p.ClientID, "redirect_uri": callback, "scope": "openid", "state": "doctor",
		// The challenge of a verifier that nobody keeps (RFC 7636, appendix B).
		"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256",
	} {
		q.Set(name, value)
	}
	if !p.OpenID() {
		q.Del("scope")
	}
	u.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return
	}
	res, err := fetch.Unredirected(client, r)
	if err != nil {
		d.wrong(check, "", "its authorization endpoint does not answer: %v", err)
		return
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		d.wrong(check, "register the redirect URI "+callback+" there, to the letter, for client_id "+p.ClientID, "it refuses to sign people in for this server: %s", res.Status)
		return
	}
	d.ok(check, "takes client %s with redirect URI %s", p.ClientID, callback)
}

func (d *doctor) stores(ctx context.Context, cfg config.Config) {
	for _, s := range []struct{ setting, url string }{{"store", cfg.Store}, {"sessions_store", cfg.SessionsStore}} {
		if s.url == "" {
			continue
		}
		schema, err := store.Inspect(ctx, s.url, sqlite.Driver, postgres.Driver, redis.Driver)
		switch {
		case err != nil:
			d.wrong(s.setting, "", "%v", err)
		case schema.Version > schema.Known:
			d.wrong(s.setting, "use the program that made its tables, or a newer one", "its tables have version %d, this program knows up to %d", schema.Version, schema.Known)
		case schema.Known == 0:
			d.ok(s.setting, "answers")
		case schema.Version == 0:
			d.ok(s.setting, "can be used; its tables are made at the first start")
		case schema.Version < schema.Known:
			d.ok(s.setting, "answers; its tables are brought from version %d to %d at the next start", schema.Version, schema.Known)
		default:
			d.ok(s.setting, "answers, with tables of version %d", schema.Version)
		}
	}
}
