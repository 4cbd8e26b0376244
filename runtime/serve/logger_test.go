package serve

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/runtime/config"
)

func TestLogger(t *testing.T) {
	for _, test := range []struct {
		log  config.Log
		want string // of a debug, an info and an error record
	}{
		{config.Log{Level: "debug", Format: "text"}, "level=DEBUG msg=a; level=INFO msg=b; level=ERROR msg=c k=\"x\\ny\""},
		{config.Log{Level: "info", Format: "text"}, "level=INFO msg=b; level=ERROR msg=c k=\"x\\ny\""},
		{config.Log{Level: "error", Format: "json"}, `"level":"ERROR","msg":"c","k":"x\ny"}`},
	} {
		var out bytes.Buffer
		logger := newLogger(test.log, new(slog.LevelVar), &out)
		logger.Debug("a")
		logger.Info("b")
		logger.Error("c", "k", "x\ny")
		var lines []string
		for line := range strings.Lines(out.String()) {
			_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			if test.log.Format == "json" {
				rest = line[strings.Index(line, `"level"`) : len(line)-1]
			}
			lines = append(lines, rest)
		}
		if got := strings.Join(lines, "; "); got != test.want {
			t.Errorf("%+v writes %s, want %s", test.log, got, test.want)
		}
	}
}

func TestErrorLog(t *testing.T) {
	var out bytes.Buffer
	l := errorLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	l.Printf("http: TLS handshake error from 10.0.0.1: %s", "bad\nlevel=ERROR msg=forged\x1b[2J")
	l.Printf("http: superfluous response.WriteHeader call")
	got := out.String()
	if strings.Count(got, "\n") != 2 || strings.Contains(got, "\x1b") {
		t.Errorf("the log is %q, want two lines without control characters", got)
	}
	if !strings.Contains(got, "level=DEBUG msg=\"HTTP server\" message=\"http: TLS handshake") || !strings.Contains(got, "level=WARN msg=\"HTTP server\" message=\"http: superfluous") {
		t.Errorf("the log is %q, want handshakes at DEBUG and the rest at WARN", got)
	}
}
