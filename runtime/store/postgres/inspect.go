package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatewright/gatewright/runtime/store"
)

// Inspect implements store.Inspector.
func (driver) Inspect(ctx context.Context, url string) (store.Schema, error) {
	found := store.Schema{Known: len(migrations)}
	cfg, err := parse(ctx, url)
	if err != nil {
		return found, fmt.Errorf("postgres: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return found, fmt.Errorf("postgres: %w", err)
	}
	defer pool.Close()
	if found.Version, err = schemaVersion(ctx, pool); err != nil {
		return found, fmt.Errorf("postgres: %w", explain(err))
	}
	return found, nil
}
