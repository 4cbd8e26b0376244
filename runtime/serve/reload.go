package serve

import (
	"context"
	"log/slog"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/gatewright/gatewright/runtime/config"
)

// reload reads the configuration again and takes over what a running server can:
// the log's level, its own secrets, those of providers, and certificates. What is
// wrong with it is logged, and then all stays as it was.
func reload(ctx context.Context, cfg config.Config, app App, keys keyring, level *slog.LevelVar, logger *slog.Logger) {
	next, err := cfg.Reload()
	if err == nil && app.Reload != nil {
		err = app.Reload(next)
	}
	if err != nil {
		logger.ErrorContext(ctx, "the configuration is not taken, what was read before counts", slog.String("cause", err.Error()))
		return
	}
	if keys.files != nil {
		keys.files.Reload(ctx)
	}
	setLevel(level, next.Log)
	if changed := cfg.Changed(next); len(changed) > 0 {
		logger.WarnContext(ctx, "settings have changed that count after a restart", slog.String("settings", strings.Join(changed, ", ")))
	}
	logger.InfoContext(ctx, "the configuration was read again")
}

// notify tells systemd how the service is, where it asks for that (sd_notify(3)).
func notify(logger *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logger.Warn("systemd is not told of the service", slog.String("cause", err.Error()))
	}
}

// reloading is what systemd is told before, of a service of type notify-reload.
func reloading() string {
	return daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec()
}
