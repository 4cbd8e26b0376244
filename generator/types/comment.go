package types

import "strings"

// maxComment bounds a comment in bytes; a description may be a book.
const maxComment = 2000

// comment makes a description fit for a Go comment: visible characters, lines
// without space at their ends, and no more than maxComment bytes.
func comment(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\t", "    ").Replace(text)
	if len(text) > maxComment {
		text = strings.ToValidUTF8(text[:maxComment], "") + "…"
	}
	text = strings.Map(func(r rune) rune {
		if r != '\n' && invisible(r) {
			return -1
		}
		return r
	}, text)
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = strings.TrimRight(line, " ")
		if line != "" || len(lines) > 0 && lines[len(lines)-1] != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// oneLine gives the first line of text.
func oneLine(text string) string {
	line, _, _ := strings.Cut(comment(text), "\n")
	return line
}
