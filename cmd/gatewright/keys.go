package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewright/gatewright/generator"
	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/secret"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/store/postgres"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
	"github.com/gatewright/gatewright/runtime/user"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list, rotate and revoke API keys in the configured store",
		Long: `Works on the store that server.yaml names, for the schemes and scopes of the
document that gatewright.yaml names. Run it in the project's folder.`,
		Args: between("a command: create, list, rotate or revoke", 1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return usage("keys has no command %q: it has create, list, rotate and revoke", args[0])
		},
	}
	k := &keysFlags{}
	cmd.PersistentFlags().StringVar(&k.config, "config", "server.yaml", "the server's configuration")
	cmd.PersistentFlags().StringVar(&k.settings, "settings", generator.SettingsFile, "the generator's settings")
	cmd.AddCommand(keysCreate(k), keysList(k), keysRotate(k), keysRevoke(k))
	return cmd
}

// keysFlags are what all of the keys commands take.
type keysFlags struct{ config, settings string }

// A keyring is the configured keys and what the document lets them be for.
type keyring struct {
	keys   *apikey.Keys
	users  user.Store
	stores store.Stores
	scopes []string // all that the document's operations ask of keys
}

// open opens the configured store. The document's schemes and scopes are the
// only ones that keys can be made for.
func (k *keysFlags) open(ctx context.Context) (*keyring, error) {
	settings, dir, err := settingsFile(k.settings)
	if err != nil {
		return nil, err
	}
	res, err := generator.Analyze(ctx, generator.Config{Dir: dir, Settings: settings})
	if errors.Is(err, generator.ErrDocument) {
		return nil, errors.New("the document has errors; gatewright generate shows them")
	}
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load([]string{"-config", k.config}, os.Getenv)
	if err != nil {
		return nil, err
	}
	return openKeyring(ctx, res.API, cfg, slog.Default())
}

func openKeyring(ctx context.Context, api *model.API, cfg config.Config, log *slog.Logger) (*keyring, error) {
	schemes, scopes := keySchemes(api)
	if len(schemes) == 0 {
		return nil, errors.New("no scheme of the document takes API keys")
	}
	stores, err := openStores(ctx, cfg)
	if err != nil {
		return nil, err
	}
	keys, err := apikey.New(apikey.Config{
		Store:       stores.Keys(),
		Users:       stores.Users(),
		Prefix:      cfg.Keys.Prefix,
		Environment: apikey.Environment(cfg.Environment),
		Schemes:     schemes,
		Scopes:      scopes,
		Logger:      log,
	})
	if err != nil {
		return nil, errors.Join(err, stores.Close())
	}
	return &keyring{keys: keys, users: stores.Users(), stores: stores, scopes: union(scopes)}, nil
}

// openStores opens what the server's configuration names. Where sessions are
// kept elsewhere, keys need nothing from there.
func openStores(ctx context.Context, cfg config.Config) (store.Stores, error) {
	return store.Open(ctx, store.Config{URL: cfg.Store}, sqlite.Driver, postgres.Driver)
}

// keySchemes returns the schemes that take keys, and the scopes of each.
func keySchemes(api *model.API) ([]string, map[string][]string) {
	var names []string
	scopes := make(map[string][]string)
	for _, s := range api.KeySchemes() {
		names = append(names, s.Name)
		scopes[s.Name] = append([]string{}, api.ScopesOf(s)...)
	}
	return names, scopes
}

func keysCreate(k *keysFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a key and print it, this once",
		Args:  between("no arguments", 0, 0),
	}
	var req apikey.CreateRequest
	owner := cmd.Flags().String("user", "", "whose key it is: a user's id (usr_…) or a name of your choice")
	client := cmd.Flags().String("client", "", "the program whose key it is, where it acts for itself")
	cmd.Flags().StringVar(&req.Label, "label", "made by gatewright keys", "what the key is called in lists")
	cmd.Flags().StringSliceVar(&req.Schemes, "scheme", nil, "the document's schemes it serves (default: all that take keys)")
	cmd.Flags().StringSliceVar(&req.Scopes, "scope", nil, "what it may do: scopes of the document")
	environment := cmd.Flags().String("env", "", "live or test: the servers that are to take it (default: as the configured one)")
	expires := cmd.Flags().String("expires", "90d", "how long it is good: 12h, 90d, never")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if (*owner == "") == (*client == "") {
			return usage("keys create takes one of -user and -client")
		}
		until, err := lifetime(*expires, time.Now())
		if err != nil {
			return err
		}
		ring, err := k.open(cmd.Context())
		if err != nil {
			return err
		}
		defer ring.stores.Close()
		req.Expires, req.Environment = until, apikey.Environment(*environment)
		if *client != "" {
			req.Owner = apikey.Owner{Client: *client, ClientName: *client}
		} else if req.Owner.User, err = ring.user(cmd.Context(), *owner); err != nil {
			return err
		}
		key, rec, err := ring.keys.Create(cmd.Context(), req)
		if err != nil {
			return err
		}
		if len(req.Scopes) == 0 && len(ring.scopes) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "the key has no scopes, and operations ask for some: -scope %s\n", printable(strings.Join(ring.scopes, ",")))
		}
		show(cmd, key, rec)
		return nil
	}
	return cmd
}

// show prints a key, this once: alone on standard output.
func show(cmd *cobra.Command, key secret.Value, rec apikey.Record) {
	fmt.Fprintf(cmd.ErrOrStderr(), "key %s (%s), shown this once:\n", rec.ID, state(rec, time.Now()))
	fmt.Fprintln(cmd.OutOrStdout(), key.Reveal())
}

// user returns the id of the user meant: an id of a record there is, or a
// name, for which a record of this server's own is made at first use.
func (r *keyring) user(ctx context.Context, owner string) (string, error) {
	if strings.HasPrefix(owner, "usr_") {
		rec, err := r.users.Load(ctx, owner)
		return rec.ID, err
	}
	rec, err := r.users.Ensure(ctx, user.Local, owner, user.Profile{Name: owner})
	return rec.ID, err
}

// lifetime reads how long a key is good.
func lifetime(text string, now time.Time) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	d, err := config.ParseDuration(text)
	if err != nil || d <= 0 {
		return time.Time{}, usage("-expires is a time such as 12h or 90d, or never, not %q", text)
	}
	return now.Add(d), nil
}

func keysList(k *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all keys: never the keys themselves, which nobody has",
		Args:  between("no arguments", 0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ring, err := k.open(cmd.Context())
			if err != nil {
				return err
			}
			defer ring.stores.Close()
			return ring.list(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

func (r *keyring) list(ctx context.Context, w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tOWNER\tLABEL\tSCHEMES\tSCOPES\tSTATE\tLAST USED")
	for after := ""; ; {
		page, err := r.keys.List(ctx, apikey.Query{After: after})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return tw.Flush()
		}
		for _, rec := range page {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", rec.ID, printable(r.owner(ctx, rec.Owner)), printable(rec.Label),
				listed(rec.Schemes, "all"), listed(rec.Scopes, "none"), state(rec, time.Now()), day(rec.LastUsed, "never"))
		}
		after = page[len(page)-1].ID
	}
}

func (r *keyring) owner(ctx context.Context, o apikey.Owner) string {
	if o.Client != "" {
		return "client " + o.Client
	}
	rec, err := r.users.Load(ctx, o.User)
	if err != nil || rec.Name == "" {
		return "user " + o.User
	}
	return "user " + rec.Name
}

func state(rec apikey.Record, now time.Time) string {
	switch {
	case !rec.Revoked.IsZero():
		return "revoked " + day(rec.Revoked, "")
	case !rec.Expires.IsZero() && !now.Before(rec.Expires):
		return "expired " + day(rec.Expires, "")
	case rec.ReplacedBy != "":
		return "rotated to " + rec.ReplacedBy + ", until " + day(rec.Expires, "")
	}
	return string(rec.Environment) + ", until " + day(rec.Expires, "revoked")
}

func day(t time.Time, zero string) string {
	if t.IsZero() {
		return zero
	}
	return t.Local().Format("2006-01-02 15:04")
}

func listed(names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	return printable(strings.Join(names, ","))
}

func keysRotate(k *keysFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Make a key that takes the place of another, and print it, this once",
		Long: `The new key has the owner, label, schemes, scopes and environment of the old
one, and as long a life. The old one is good for the overlap more.`,
		Args: between("the id of a key, as list shows it", 1, 1),
	}
	overlap := cmd.Flags().String("overlap", "24h", "how long the old key is good beside the new one: 0, 12h, 7d")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var beside time.Duration
		if *overlap != "0" {
			var err error
			if beside, err = config.ParseDuration(*overlap); err != nil {
				return usage("-overlap is a time such as 12h or 7d, or 0, not %q", *overlap)
			}
		}
		ring, err := k.open(cmd.Context())
		if err != nil {
			return err
		}
		defer ring.stores.Close()
		key, rec, err := ring.keys.Rotate(cmd.Context(), args[0], beside)
		if errors.Is(err, apikey.ErrNotFound) {
			return fmt.Errorf("there is no key with id %q; keys list shows them", args[0])
		}
		if err != nil {
			return err
		}
		show(cmd, key, rec)
		return nil
	}
	return cmd
}

func keysRevoke(k *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID…",
		Short: "Revoke keys; servers refuse them at once, or within the time of their caches",
		Args:  between("ids of keys, as list shows them", 1, 1000),
		RunE: func(cmd *cobra.Command, ids []string) error {
			ring, err := k.open(cmd.Context())
			if err != nil {
				return err
			}
			defer ring.stores.Close()
			var errs []error
			for _, id := range ids {
				err := ring.keys.Revoke(cmd.Context(), id)
				if errors.Is(err, apikey.ErrNotFound) {
					err = fmt.Errorf("there is no key with id %q; keys list shows them", id)
				}
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "revoked %s\n", id)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
}
