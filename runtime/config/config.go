// Package config reads a server's configuration: one YAML file, whose values
// the environment overrides, and secrets that come from the environment or
// from files of their own. All mistakes are reported at once, each with its
// place and a way out.
package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/gatewright/gatewright/runtime/origin"
	"github.com/gatewright/gatewright/runtime/provider"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/tlsconf"
	"github.com/gatewright/gatewright/runtime/user"
	"slices"
)

// A Config is what a server needs to know to run. [Load] fills it; one made by
// hand has to pass [Check], which also fills in the defaults.
type Config struct {
	// PublicURL is the origin under which clients reach the server, as
	// browsers write it: https, a lower-case host, a port unless it is 443,
	// no path.
	PublicURL string
	// Listen is the address to listen on, host:port. An empty host is every
	// address of the machine, port 0 a free one; systemd:NAME is a socket that
	// systemd opened for the process, systemd the only one. Default 127.0.0.1:8443, and
	// 127.0.0.1:8080 behind a proxy that ends TLS.
	Listen string
	TLS    TLS
	// Plain is the listener of plain HTTP.
	Plain Plain
	// ProxyProtocol are the addresses, as CIDR, of balancers that begin each
	// connection with the header of the PROXY protocol, which names the client's
	// address. All of theirs have to, and it counts from nobody else.
	ProxyProtocol []string
	// Secrets are the server's own keys. The first seals, signs and hashes;
	// those after it only open and verify what they once made.
	Secrets []secret.Value
	// Store says where keys, users and sessions are kept, such as sqlite:blog.db
	// or postgres://blog@db.example/blog.
	// Empty where nothing is: a server that needs a store refuses to start.
	Store string
	// SessionsStore is where sessions, revocations, locks and limits are kept
	// instead, such as redis://127.0.0.1:6379/0. Empty: with everything else.
	SessionsStore string
	// Cache is how long a key or session that was good is good without the
	// store being asked again: what is revoked on one replica is in force on
	// all of them within that time, and mostly at once. Below zero, which the
	// file writes as 0: the store is asked for each request. Default 1 s; at
	// most a minute.
	Cache time.Duration
	// Environment is the one whose API keys are taken: live or test.
	// Default live; in development always test.
	Environment string
	Keys        Keys
	// Providers are the identity providers that people sign in at, by name
	// in order.
	Providers []provider.Config
	// Schemes says who answers for the document's schemes, by the name that
	// a scheme has there. One that is not named is left to what is obvious.
	Schemes map[string]provider.Binding
	// Clients gives programs one id each, whatever they present: the id that
	// handlers see, and what it stands for: PROVIDER/CLIENT_ID for the client of
	// an access token, cn:NAME, dns:NAME, email:ADDRESS or the URI itself for
	// the subject of a certificate. One that is not named keeps that text as
	// its id.
	Clients     map[string][]string
	ClientCerts ClientCerts
	Sessions    Sessions
	CORS        CORS
	// Docs serves the API's reference at /docs and the document at
	// /openapi.json, to everybody. In development they always are.
	Docs bool
	// PublicHealth answers /healthz and /readyz to everybody too, with one word
	// each, for platforms that cannot reach the admin listener.
	PublicHealth bool
	// HealthCheck has the program ask the server that runs with this
	// configuration whether it is ready, and end. It comes from the flag
	// -healthcheck.
	HealthCheck bool
	Look        Look
	Admin       Admin
	Limits      Limits
	Shutdown    Shutdown
	Log         Log
	// Dev is the development switch, GATEWRIGHT_DEV=true. It is never read
	// from the file. With it the server listens on loopback only, takes keys
	// of the test environment and starts with schemes that nobody verifies.
	Dev bool

	// Logger takes what the server logs. Nil: one that writes to standard
	// error as Log says. Load leaves it nil.
	Logger *slog.Logger
	// SignIn is asked at every login, before there is a session. It may refuse
	// or enrich the user. May be nil; Load leaves it nil.
	SignIn user.Hook
	// Files are served to everyone beside the API, to GET and HEAD:
	// index.html at /, the others at their paths. Nil: none; Load leaves it
	// nil. Nothing in it is a secret.
	Files fs.FS
	// source is where Load read it. Nil: it was made by hand.
	source *source
	// Listening is called once with the address that the server listens on,
	// for those who chose port 0. May be nil; Load leaves it nil.
	Listening func(net.Addr)
}

// TLS says where the server's certificate comes from: files or development; or
// that a proxy has it.
type TLS struct {
	// Cert are PEM files of chains, the server's own certificate first, one for
	// each host name or for several; one stands for the public URL's. Key are
	// those of their private keys, in the same order, for the owner's eyes only.
	// Both are read again when they change.
	Cert, Key []string
	Dev       bool // a certificate of this user's development authority; loopback only
	// BehindProxy are the addresses, as CIDR, of proxies that end TLS: the
	// server itself then listens for plain HTTP, and takes only what came to
	// them over TLS.
	BehindProxy []string
	// ProxyHeader is what they say it in: x-forwarded, which is X-Forwarded-Proto
	// and X-Forwarded-For, or forwarded (RFC 7239). Default x-forwarded. The
	// other one is not read, since such proxies pass it on as a client wrote it.
	ProxyHeader string
}

// Forwarder reads what the proxies of BehindProxy say.
func (t TLS) Forwarder() origin.Forwarder {
	return origin.Forwarder{Proxies: prefixes(t.BehindProxy), Standard: t.ProxyHeader == "forwarded"}
}

// Plain is a listener for those who come without TLS: pages are redirected, and
// operations refused.
type Plain struct {
	// Listen is its address, host:port. Empty: there is none. Port 0 is a free one.
	Listen string
}

// Pairs are the certificates with their keys.
func (t TLS) Pairs() []tlsconf.Pair {
	pairs := make([]tlsconf.Pair, min(len(t.Cert), len(t.Key)))
	for i := range pairs {
		pairs[i] = tlsconf.Pair{Cert: t.Cert[i], Key: t.Key[i]}
	}
	return pairs
}

// Keys says how the server's API keys look.
type Keys struct {
	Prefix string // begins every key. Default gw
}

// ClientCerts says whose certificates are taken from clients.
type ClientCerts struct {
	CA string // PEM file of the authorities that certificates may come from
	// CRL is a file of what they revoked, PEM or DER. Empty: nothing is.
	CRL string
	// Subject is what a certificate's bearer is called by: cn, uri, dns or
	// email, of which it has to have exactly one. Default cn.
	Subject string
	// Scopes are what clients may do, by their id.
	Scopes map[string][]string
	// Hosts are the host names for which certificates are asked for: browsers
	// then ask people to choose one. They need not be the public URL's: the
	// API is served there too. Default, where CA is set: the public URL's.
	Hosts []string
	// Proxies are the addresses, as CIDR, of those that end TLS in front of
	// this server and tell the client's certificate in the header Client-Cert
	// (RFC 9440). It counts from nobody else.
	Proxies []string
}

// Sessions says what a login leaves behind.
type Sessions struct {
	// Kind is server, where the store keeps them and the cookie holds a
	// random number, or sealed, where the cookie holds all of it and the
	// store only what was revoked. Default server.
	Kind     string
	Idle     time.Duration // a session ends when not used for so long. Default 30 min
	Absolute time.Duration // and after so long in any case. Default 12 h
	// Recent is how long after a sign-in a person may change their keys. Default 15 min.
	Recent time.Duration
}

// Look says how the server's own pages look.
type Look struct {
	Name   string // of the application. Default: the document's title
	Logo   string // file of a picture: SVG, PNG, JPEG or WebP, at most 64 KiB
	Accent string // colour of buttons and links, #rrggbb
}

// CORS says which pages of other origins may read the answers. None by default.
type CORS struct {
	// Origins are exact, as browsers write them: https://app.example. * alone
	// stands for all of them, and then there are no credentials.
	Origins []string
	// Credentials lets those pages read what is answered to cookies too. It
	// gives a cookie no more weight: see origin.CORSConfig.
	Credentials bool
}

// Admin is the listener for those who run the server.
type Admin struct {
	// Listen is its address, host:port, on loopback: it speaks plain HTTP.
	// Empty: there is none. Port 0 is a free one.
	Listen string
}

// Limits bound what one request may take.
type Limits struct {
	HeaderBytes int64         // request line and header. Default 64 KiB
	BodyBytes   int64         // body of any request, whatever its operation allows. Default 32 MiB
	HeaderTime  time.Duration // until the header has arrived. Default 10 s
	BodyTime    time.Duration // from then until the body has arrived. Default 60 s
	AnswerTime  time.Duration // from the end of the header until the answer is written. Default 2 min
	IdleTime    time.Duration // a connection may wait this long for its next request. Default 2 min
	// Connections at once, of everybody and of one address (of IPv6: one /64).
	// Those of proxies and balancers count for everybody alone. Further ones are
	// closed as they come. Defaults 4096, 256.
	Connections, ConnectionsPerAddress int
	// Requests at once, of everybody and of one address: further ones are
	// answered 503 and 429. Defaults 1024, 256.
	Requests, RequestsPerAddress int
	// Streams are requests at once on one connection of HTTP/2. Default 100.
	Streams int
}

// Shutdown says how the server stops.
type Shutdown struct {
	// Delay is how long before that the server says that it is not ready, and
	// asks clients to take their next request elsewhere, while it still answers
	// all that come. Below zero, which the file writes as 0: not at all. Default
	// 1 s, in development none.
	Delay time.Duration
	Grace time.Duration // how long running requests may take to finish. Default 20 s
}

// Log says what the server logs and how.
type Log struct {
	Level  string // debug, info, warn or error. Default info
	Format string // text or json. Default text
}

// Load reads the configuration: the file that -config or --config in args
// names, else the one in GATEWRIGHT_CONFIG, else server.yaml in the working
// directory. Each value is overridden by a variable, GATEWRIGHT_ and its name
// in capitals with _ for a dot (tls.cert: GATEWRIGHT_TLS_CERT); an empty one
// counts as not set. Lists are parted by commas there, and mappings are written
// name=value,name=value. A provider or scheme has to stand in the file before
// variables can override its settings; in the variable all but letters and
// digits of its name is _ (providers.main.client_id:
// GATEWRIGHT_PROVIDERS_MAIN_CLIENT_ID). Paths in the file are relative to the file, paths in
// variables to the working directory.
//
// An error is a *[Error] with all that is missing or wrong, or, where args ask
// for help, one that is flag.ErrHelp and reads as the help. Variables of this
// process that begin with GATEWRIGHT_ and name no setting are mistakes too, as
// far as getenv knows them: os.Getenv does.
func Load(args []string, getenv func(string) string) (Config, error) {
	path, healthCheck, err := parseArgs(args, getenv)
	if err != nil {
		return Config{}, err
	}
	from := &source{args: slices.Clone(args), getenv: getenv}
	content, err := readFile(path)
	if err != nil {
		return Config{}, err
	}
	d := &draft{Config: Config{source: from, HealthCheck: healthCheck}, file: path, places: map[string]string{}}
	d.readYAML(content)
	d.readEnv(getenv)
	d.readSecrets(getenv)
	d.readClientSecrets(getenv)
	d.readStores()
	d.assemble()
	d.check()
	d.mistakes = append(d.mistakes, d.unknownVariables(os.Environ(), getenv)...)
	if len(d.mistakes) > 0 {
		return Config{}, &Error{Mistakes: d.mistakes}
	}
	return d.Config, nil
}

// Check fills in the defaults of a configuration made by hand and makes all
// the checks of [Load] that do not concern the file. An error is a *[Error].
func Check(c Config) (Config, error) {
	d := &draft{Config: c}
	d.check()
	if len(d.mistakes) > 0 {
		return Config{}, &Error{Mistakes: d.mistakes}
	}
	return d.Config, nil
}

// A draft is a configuration on its way, with what is wrong with it so far.
type draft struct {
	Config
	file        string            // the file it comes from
	places      map[string]string // setting -> where its value was written
	entries     []*entry          // providers and schemes of the file
	secretFiles []string
	// storeFile and sessionsStoreFile hold URLs that are nobody else's to read.
	storeFile, sessionsStoreFile string

	origins  []string // the file of each of Secrets; none where there is no file
	mistakes []Mistake
}

// wrong notes a mistake about a setting, at the place it was written or, where
// it was not, at the file.
func (d *draft) wrong(setting, message, hint string) {
	place, ok := d.places[setting]
	if i := strings.LastIndexByte(setting, '.'); !ok && i > 0 {
		place, ok = d.places[setting[:i]] // the entry that lacks it
	}
	if !ok {
		place = d.file
	}
	d.mistakes = append(d.mistakes, Mistake{Place: place, Setting: setting, Message: message, Hint: hint})
}

// readFile returns the file's content.
func readFile(path string) ([]byte, error) {
	const most = 1 << 20
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, single(path, "there is no such file", "gatewright init writes one")
	case err == nil && info.IsDir():
		return nil, single(path, "is a folder, not a file", "")
	case err == nil && info.Size() > most:
		return nil, single(path, "is larger than 1 MiB", "")
	case err == nil:
		var content []byte
		if content, err = os.ReadFile(path); err == nil {
			return content, nil
		}
	}
	return nil, single(path, err.Error(), "")
}
