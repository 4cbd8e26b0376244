package serve

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/gatewright/gatewright/runtime/config"
)

// newLogger writes records to w as cfg says. Both forms escape what they are
// given, so that a value cannot forge a record.
func newLogger(cfg config.Log, level *slog.LevelVar, w io.Writer) *slog.Logger {
	setLevel(level, cfg)
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func setLevel(level *slog.LevelVar, cfg config.Log) {
	_ = level.UnmarshalText([]byte(cfg.Level)) // config.Check knows the levels
}

// errorLog is where net/http writes what goes wrong outside of handlers.
func errorLog(logger *slog.Logger) *log.Logger {
	return log.New(&bridge{logger}, "", 0)
}

// A bridge makes a record of each line.
type bridge struct{ logger *slog.Logger }

// Write implements io.Writer; the log package calls it once a line.
func (b *bridge) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line), "\n")
	level := slog.LevelWarn
	// What anybody on the network can cause at will.
	if strings.HasPrefix(text, "http: TLS handshake error") || strings.HasPrefix(text, "http2: ") {
		level = slog.LevelDebug
	}
	b.logger.Log(context.Background(), level, "HTTP server", slog.String("message", text))
	return len(line), nil
}
