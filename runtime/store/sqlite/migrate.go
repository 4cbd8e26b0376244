package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

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

// migrate brings the tables up to date under an exclusive lock: of several
// programs that start at once, one does the work and the others wait for it.
func migrate(ctx context.Context, db *sql.DB, steps []string) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		return err
	}
	if err := migrateLocked(ctx, conn, steps); err != nil {
		// Not under ctx: the lock is given back even if ctx has ended.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

func migrateLocked(ctx context.Context, conn *sql.Conn, steps []string) error {
	if _, err := conn.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS gatewright_schema_version (
	one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	version INTEGER NOT NULL
) STRICT`); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "INSERT OR IGNORE INTO gatewright_schema_version (one, version) VALUES (1, 0)"); err != nil {
		return err
	}
	var version int
	if err := conn.QueryRowContext(ctx, "SELECT version FROM gatewright_schema_version").Scan(&version); err != nil {
		return err
	}
	if version < 0 || version > len(steps) {
		return fmt.Errorf("its tables have version %d and this program knows up to %d: use the program that made them, or a newer one", version, len(steps))
	}
	for i, step := range steps[version:] {
		if _, err := conn.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("migration %d: %w", version+i+1, err)
		}
	}
	_, err := conn.ExecContext(ctx, "UPDATE gatewright_schema_version SET version = ?", len(steps))
	return err
}
