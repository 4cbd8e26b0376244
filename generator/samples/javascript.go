package samples

import (
	"fmt"
	"strings"
	"unicode"
)

// javaScript writes a module for fetch, as Node.js since version 18 has it.
func javaScript(c *call) (string, string) {
	if _, ok := c.find(certCred); ok {
		return "", "There is no sample for JavaScript: fetch sends no client certificate."
	}
	if c.method == "TRACE" || c.method == "TRACK" || c.method == "CONNECT" {
		return "", "There is no sample for JavaScript: fetch does not send the method " + c.method + "."
	}
	var b strings.Builder
	stop := func(condition, message string) {
		b.WriteString("if (" + condition + ") {\n  console.error(" + jsQuote(message) + ");\n  process.exit(1);\n}\n")
	}
	for _, v := range c.required() {
		if v.name != c.urlVar {
			b.WriteString("const " + camel(v.name, c) + " = process.env." + v.name + ";\n")
			stop("!"+camel(v.name, c), v.unset())
		}
	}
	if c.server == "" {
		b.WriteString("const url = process.env." + c.urlVar + ";\n")
		stop("!url", variable{c.urlVar, "the server's address, such as https://api.example"}.unset())
	} else {
		b.WriteString("const url = process.env." + c.urlVar + " || " + jsQuote(c.server) + ";\n")
	}
	stop(`!url.startsWith("https://")`, c.insecure())

	target := "url + " + jsQuote(c.target)
	var headers []string
	for _, h := range c.headers {
		headers = append(headers, jsQuote(h[0])+": "+jsQuote(h[1]))
	}
	cookies, hasCookie := jsQuote(c.cookies), c.cookies != ""
	for _, cred := range c.creds {
		value := camel(cred.vars[0].name, c)
		switch cred.kind {
		case headerCred:
			text := value
			if cred.prefix != "" {
				text = jsQuote(cred.prefix) + " + " + value
			}
			headers = append(headers, jsQuote(cred.name)+": "+text)
		case queryCred:
			target = "url + " + jsQuote(withQuery(c.target, queryName(cred.name)+"=")) + " + encodeURIComponent(" + value + ")"
		case cookieCred:
			before := cred.name + "="
			if hasCookie {
				before = c.cookies + "; " + before
			}
			cookies, hasCookie = jsQuote(before)+" + "+value, true
		case basicCred:
			headers = append(headers, `"Authorization": "Basic " + btoa("apikey:" + `+value+")")
		case userCred:
			// btoa takes bytes.
			b.WriteString("const login = new TextEncoder().encode(" + value + ` + ":" + ` + camel(cred.vars[1].name, c) + ");\n")
			headers = append(headers, `"Authorization": "Basic " + btoa(String.fromCharCode(...login))`)
		}
	}
	if hasCookie {
		headers = append(headers, `"Cookie": `+cookies)
	}
	if c.contentType != "" {
		headers = append(headers, `"Content-Type": `+jsQuote(c.contentType))
	}
	b.WriteString("\nconst response = await fetch(" + target + ", {\n  method: " + jsQuote(c.method) + ",\n")
	if len(headers) > 0 {
		b.WriteString("  headers: {\n")
		for _, h := range headers {
			b.WriteString("    " + h + ",\n")
		}
		b.WriteString("  },\n")
	}
	if c.contentType != "" {
		b.WriteString("  body: " + jsBody(c.body) + ",\n")
	}
	// The text of an error holds the URL, and the URL may hold a key.
	b.WriteString("  redirect: \"error\",\n  signal: AbortSignal.timeout(30_000),\n}).catch((error) => {\n" +
		"  console.error(\"The request failed: \" + (error.cause?.code ?? error.name));\n  process.exit(1);\n});\nconsole.log(await response.text());\n")
	b.WriteString("if (!response.ok) {\n  console.error(`The server answered ${response.status}.`);\n  process.exitCode = 1;\n}\n")
	return b.String(), ""
}

// jsBody writes a body over several lines where that needs no escapes.
func jsBody(s string) string {
	if strings.Contains(s, "\n") && !strings.ContainsAny(s, "\\`") && !strings.Contains(s, "${") {
		return "`" + s + "`"
	}
	if strings.Contains(s, `"`) && !strings.ContainsAny(s, "'\\\n") && printable(s) {
		return "'" + s + "'"
	}
	return jsQuote(s)
}

// jsQuote makes a string literal of JavaScript.
func jsQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xffff:
			b.WriteString(unicodeEscape(r))
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func javaScriptRefusal(why string) string {
	return "console.error(" + jsQuote(why) + ");\nprocess.exit(1);\n"
}
