package account

import (
	"strings"
	"testing"
	"time"
)

func TestAgentWords(t *testing.T) {
	for agent, want := range map[string]string{
		"": "Unknown browser",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                 "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0":          "Edge on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36":                        "Chrome on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                  "Safari on Mac",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/139.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1":         "Safari on iPad",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36":       "Samsung Internet on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36":                         "Chrome on ChromeOS",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/139.0.0.0 Safari/537.36 OPR/120.0":                "Opera on Linux",
		"curl/8.14.1":                 "curl/8.14.1",
		"<script>":                    "<script>",
		"bad\xffbytes":                "bad?bytes",
		strings.Repeat("ü", 61):       strings.Repeat("ü", 60) + "…",
		"Firefox/1":                   "Firefox",
		"Some program (Linux x86_64)": "Some program (Linux x86_64)",
	} {
		if got := agentWords(agent); got != want {
			t.Errorf("agentWords(%q) = %q, want %q", agent, got, want)
		}
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{"Anna Example": "AE", "anna": "A", "Anna Maria de Example": "AE", "anna@id.example": "AE", "": "", "…": "", "émile zola": "ÉZ", "<b>": "B", "\xff": "", "日本 太郎": "日太"} {
		if got := initials(name); got != want {
			t.Errorf("initials(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestSpanWords(t *testing.T) {
	for span, want := range map[time.Duration]string{
		15 * time.Minute: "15 minutes", time.Hour: "one hour", 90 * time.Minute: "90 minutes", 48 * time.Hour: "2 days", time.Second: "one second", 1500 * time.Millisecond: "1.5s",
	} {
		if got := spanWords(span); got != want {
			t.Errorf("spanWords(%v) = %q, want %q", span, got, want)
		}
	}
}

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "0h": 0, "30m": 30 * time.Minute, "24h": day, "90d": 90 * day, "99999d": 99999 * day} {
		if got, ok := parseSpan(text); !ok || got != want {
			t.Errorf("parseSpan(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "h", "1", "1s", "1hh", "1h1m", "-1h", "+1h", " 1h", "1h ", "1.5h", "100000d", "٣h", "0x1h"} {
		if got, ok := parseSpan(text); ok {
			t.Errorf("parseSpan(%q) = %v, want it refused", text, got)
		}
	}
}
