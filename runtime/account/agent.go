package account

import (
	"strings"
	"unicode/utf8"
)

// A word is what is said of a program that names itself by mark.
type word struct{ mark, says string }

var (
	// browsers in the order in which they are looked for: most name those
	// that they descend from too.
	browsers = []word{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"},
		{"Vivaldi/", "Vivaldi"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"},
		{"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
	systems = []word{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Macintosh", "Mac"}, {"Linux", "Linux"},
	}
)

// maxAgent is how much is shown of a program that is no known browser.
const maxAgent = 60

// agentWords says in a few words what a User-Agent is: "Firefox on Linux".
func agentWords(agent string) string {
	browser, system := find(browsers, agent), find(systems, agent)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case agent == "":
		return "Unknown browser"
	}
	agent = strings.ToValidUTF8(agent, "?")
	if utf8.RuneCountInString(agent) > maxAgent {
		agent = string([]rune(agent)[:maxAgent]) + "…"
	}
	return agent
}

func find(words []word, agent string) string {
	for _, w := range words {
		if strings.Contains(agent, w.mark) {
			return w.says
		}
	}
	return ""
}
