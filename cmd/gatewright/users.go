package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gatewright/gatewright/runtime/audit"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/store"
	"github.com/gatewright/gatewright/runtime/user"
)

func usersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "users",
		Short: "List, disable and enable the people of the configured store",
		Long: `Works on the store that server.yaml names. Nothing that a disabled person holds
lets anybody in: no session, no key, no login to come.`,
		Args: between("a command: list, disable or enable", 1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return usage("users has no command %q: it has list, disable and enable", args[0])
		},
	}
	file := cmd.PersistentFlags().String("config", "server.yaml", "the server's configuration")
	cmd.AddCommand(usersList(file), usersDisable(file, true), usersDisable(file, false))
	return cmd
}

// withStores runs do on the stores that the configuration names.
func withStores(cmd *cobra.Command, file string, do func(store.Stores) error) error {
	cfg, err := config.Load([]string{"-config", file}, os.Getenv)
	if err != nil {
		return err
	}
	stores, err := openStores(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	return errors.Join(do(stores), stores.Close())
}

func usersList(file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List everybody who has signed in or owns a key",
		Args:  between("no arguments", 0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStores(cmd, *file, func(stores store.Stores) error {
				tw := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(tw, "ID\tNAME\tEMAIL\tISSUER\tSUBJECT\tSCOPES\tSTATE")
				for after := ""; ; {
					page, err := stores.Users().List(cmd.Context(), after, 100)
					if err != nil {
						return err
					}
					if len(page) == 0 {
						return tw.Flush()
					}
					for _, rec := range page {
						fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", rec.ID, printable(rec.Name), printable(rec.Email),
							printable(rec.Issuer), printable(rec.Subject), listed(rec.Scopes, "none"), map[bool]string{true: "disabled", false: "enabled"}[rec.Disabled])
					}
					after = page[len(page)-1].ID
				}
			})
		},
	}
}

func usersDisable(file *string, disabled bool) *cobra.Command {
	name, short := "enable", "Let people in again; sessions that ended stay ended"
	if disabled {
		name, short = "disable", "Keep people out, with all of their keys and sessions"
	}
	return &cobra.Command{
		Use:   name + " ID…",
		Short: short,
		Args:  between("ids of people, as list shows them", 1, 1000),
		RunE: func(cmd *cobra.Command, ids []string) error {
			return withStores(cmd, *file, func(stores store.Stores) error {
				var errs []error
				for _, id := range ids {
					err := stores.Users().SetDisabled(cmd.Context(), id, disabled)
					if errors.Is(err, user.ErrNotFound) {
						err = fmt.Errorf("there is nobody with id %q; users list shows them", id)
					}
					if err == nil {
						fmt.Fprintf(cmd.OutOrStdout(), "%sd %s\n", name, id)
						audit.Log(cmd.Context(), nil, "user "+name+"d", slog.String("user", id))
					}
					errs = append(errs, err)
				}
				return errors.Join(errs...)
			})
		},
	}
}
