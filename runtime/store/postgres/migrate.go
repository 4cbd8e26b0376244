package postgres

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatewright/gatewright/runtime/store/internal/sqlstore"
)

// files are the migrations, in the order of their names: 0001_…, 0002_…. One
// that has been released is never changed; there is no way back.
//
//go:embed migrations/*.sql
var files embed.FS

// migrations are the statements of the files. The schema's version is how many
// of them have been run.
var migrations = sqlstore.Migrations(files)

// migrationLock is the advisory lock under which tables are changed. It is one
// for the whole database: programs with tables in other schemas wait too.
const migrationLock = 0x6761746577726967

// migrate brings the tables up to date, one migration in a transaction. Of
// several programs that start at once one does the work, and the others wait.
// Where there is nothing to do nothing is locked, and the role needs no right
// to make tables.
func migrate(ctx context.Context, pool *pgxpool.Pool, steps []string) error {
	version, err := schemaVersion(ctx, pool)
	for err == nil && version != len(steps) {
		if version < 0 || version > len(steps) {
			return fmt.Errorf("the tables have version %d and this program knows up to %d: use the program that made them, or a newer one", version, len(steps))
		}
		version, err = migrateOnce(ctx, pool, steps)
	}
	return err
}

// migrateOnce runs the next migration, if there still is one, and returns the
// version of the tables then.
func migrateOnce(ctx context.Context, pool *pgxpool.Pool, steps []string) (version int, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// To wait for another program, and to change a large table, may take
		// longer than a call. The lock ends with the transaction, so that a
		// pooler may stand between.
		limit := fmt.Sprintf("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = %d", openTime.Milliseconds())
		if _, err := tx.Exec(ctx, limit); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		// Whether the table is there is asked by these statements alone: what
		// a connection knew of it before the lock may be out of date, and
		// to_regclass does not look again within a transaction.
		if _, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS gatewright_schema_version (
	one     integer NOT NULL PRIMARY KEY CHECK (one = 1),
	version integer NOT NULL
);
INSERT INTO gatewright_schema_version (one, version) VALUES (1, 0) ON CONFLICT DO NOTHING`); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, selectVersion).Scan(&version); err != nil || version < 0 || version >= len(steps) {
			return err
		}
		if _, err := tx.Exec(ctx, steps[version]); err != nil {
			return fmt.Errorf("migration %d: %w", version+1, err)
		}
		version++
		_, err := tx.Exec(ctx, "UPDATE gatewright_schema_version SET version = $1", version)
		return err
	})
	return version, err
}

const selectVersion = "SELECT version FROM gatewright_schema_version"

// schemaVersion is 0 where there are no tables yet.
func schemaVersion(ctx context.Context, pool *pgxpool.Pool) (version int, err error) {
	var there bool
	if err := pool.QueryRow(ctx, "SELECT to_regclass('gatewright_schema_version') IS NOT NULL").Scan(&there); err != nil || !there {
		return 0, err
	}
	err = pool.QueryRow(ctx, selectVersion).Scan(&version)
	return version, err
}
