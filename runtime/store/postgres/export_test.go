package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	Parse    = parse
	MillisUp = millisUp
)

// Migrations are those that Open runs.
var Migrations = migrations

// Migrate runs steps.
func Migrate(ctx context.Context, pool *pgxpool.Pool, steps []string) error {
	return migrate(ctx, pool, steps)
}

// Show is a setting of the server as it is for calls of s.
func Show(ctx context.Context, s *Store, name string) (string, error) {
	return one(ctx, s, func(r row) (value string, err error) {
		if err := r.Scan(&value); err != nil {
			return "", fmt.Errorf("postgres: %w", err)
		}
		return value, nil
	}, "SELECT current_setting($1)", name)
}
