// Package audit writes one structured line for each decision that matters: a
// login, its failure, the end of a session, what was tampered with.
package audit

import (
	"context"
	"log/slog"
)

// Log writes a line named event, such as "login" or "session ended", with the
// attribute audit=true by which they are found. No secret and no credential
// goes into attrs. A nil logger is slog's default.
func Log(ctx context.Context, logger *slog.Logger, event string, attrs ...slog.Attr) {
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(ctx, slog.LevelInfo, event, append([]slog.Attr{slog.Bool("audit", true)}, attrs...)...)
}
