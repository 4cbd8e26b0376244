package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatewright/gatewright/runtime/store"
)

// Inspect implements store.Inspector.
func (driver) Inspect(ctx context.Context, url string) (store.Schema, error) {
	found := store.Schema{Known: len(migrations)}
	path := strings.TrimPrefix(url, "sqlite:")
	if err := checkPath(path); err != nil {
		return found, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return found, fmt.Errorf("sqlite: %w", err)
	}
	info, err := os.Stat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err = os.Stat(filepath.Dir(abs)); err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no folder", filepath.Dir(abs))
		}
		if err != nil {
			return found, fmt.Errorf("sqlite: %w", err)
		}
		return found, nil // the file is made at the first start
	}
	if err == nil {
		err = checkMode(abs, info)
	}
	if err != nil {
		return found, fmt.Errorf("sqlite: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(abs, "_query_only=1"))
	if err != nil {
		return found, fmt.Errorf("sqlite: %w", err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var there int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'gatewright_schema_version'").Scan(&there); err != nil {
		return found, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	if there == 0 {
		return found, nil
	}
	if err := db.QueryRowContext(ctx, "SELECT version FROM gatewright_schema_version").Scan(&found.Version); err != nil {
		return found, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	return found, nil
}
