package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/gatewright/gatewright/runtime/apikey"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/user"
)

// A testKey is the key that dev prints, and what it may do.
type testKey struct {
	text   string
	scopes []string
	told   bool // its author has been shown it
}

// ensureKey makes a test key that may do everything the document knows, unless
// there is one: it stays the same for as long as dev runs and the document
// asks for no scope that it lacks. There is none where no scheme takes keys.
func (d *developer) ensureKey(ctx context.Context, v *version) error {
	schemes, scopes := keySchemes(v.api)
	if len(schemes) == 0 {
		return nil
	}
	wanted := union(scopes)
	lacks := func(scope string) bool { return !slices.Contains(d.key.scopes, scope) }
	if d.key.text != "" && !slices.ContainsFunc(wanted, lacks) {
		return nil
	}
	if err := os.WriteFile(d.configFile(), []byte(v.config), 0o600); err != nil {
		return err
	}
	cfg, err := config.Load([]string{"-config", d.configFile()}, func(string) string { return "" })
	if err != nil {
		return err
	}
	ring, err := openKeyring(ctx, v.api, cfg, slog.New(slog.DiscardHandler)) // the key is shown below
	if err != nil {
		return err
	}
	defer ring.stores.Close()
	rec, err := ring.users.Ensure(ctx, user.Local, "developer", user.Profile{Name: "developer"})
	if err != nil {
		return err
	}
	owner, label := apikey.Owner{User: rec.ID}, fmt.Sprintf("made by gatewright dev on port %d", d.port)
	if err := revokeOld(ctx, ring.keys, owner, label); err != nil {
		return err
	}
	key, _, err := ring.keys.Create(ctx, apikey.CreateRequest{
		Owner: owner, Label: label, Scopes: wanted, Expires: time.Now().Add(30 * 24 * time.Hour),
	})
	if err != nil {
		return err
	}
	d.key = testKey{text: key.Reveal(), scopes: wanted}
	return nil
}

// revokeOld revokes the key of the last run on the same port: a run beside
// this one keeps its own.
func revokeOld(ctx context.Context, keys *apikey.Keys, owner apikey.Owner, label string) error {
	old, err := keys.List(ctx, apikey.Query{Owner: owner, Limit: 1000})
	if err != nil {
		return err
	}
	for _, rec := range old {
		if rec.Label == label && rec.Revoked.IsZero() {
			if err := keys.Revoke(ctx, rec.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellKey prints the test key where it is a new one.
func (d *developer) tellKey() {
	if d.key.text != "" && !d.key.told {
		fmt.Fprintf(d.stdout, "a new test key, since the document asks for more than before:\n  %s\n", d.key.text)
		d.key.told = true
	}
}
