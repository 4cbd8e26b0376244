// Package audit writes one structured line for each decision that matters: a
// login, its failure, the end of a session, what happens to a key, what was
// tampered with.
package audit

import (
	"context"
	"log/slog"
	"slices"
)

// An attrsKey is the key of a context's attributes.
type attrsKey struct{}

// With returns a context whose lines have attrs too: who is at work, from which
// address, in which session.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	return context.WithValue(ctx, attrsKey{}, append(of(ctx), attrs...))
}

// of returns the attributes of ctx.
func of(ctx context.Context) []slog.Attr {
	attrs, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return slices.Clip(attrs)
}

// Log writes a line named event, such as "login" or "session ended", with the
// attribute audit=true by which they are found, and the attributes of ctx. No
// secret and no credential goes into attrs. A nil logger is slog's default.
func Log(ctx context.Context, logger *slog.Logger, event string, attrs ...slog.Attr) {
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(ctx, slog.LevelInfo, event, slices.Concat([]slog.Attr{slog.Bool("audit", true)}, attrs, of(ctx))...)
}
