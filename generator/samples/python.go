package samples

import (
	"fmt"
	"strings"
	"unicode"
)

// python writes a program for the library requests.
func python(c *call) (string, string) {
	var b strings.Builder
	_, query := c.find(queryCred)
	b.WriteString("import os\nimport sys\n")
	if query {
		b.WriteString("from urllib.parse import quote\n")
	}
	b.WriteString("\nimport requests\n\n")
	for _, v := range c.required() {
		if v.name != c.urlVar {
			b.WriteString(local(v.name, c) + " = os.environ.get(" + pyQuote(v.name) + ")\n")
			b.WriteString("if not " + local(v.name, c) + ":\n    sys.exit(" + pyQuote(v.unset()) + ")\n")
		}
	}
	if c.server == "" {
		b.WriteString("url = os.environ.get(" + pyQuote(c.urlVar) + ")\n")
		b.WriteString("if not url:\n    sys.exit(" + pyQuote(variable{c.urlVar, "the server's address, such as https://api.example"}.unset()) + ")\n")
	} else {
		b.WriteString("url = os.environ.get(" + pyQuote(c.urlVar) + ") or " + pyQuote(c.server) + "\n")
	}
	b.WriteString("if not url.startswith(\"https://\"):\n    sys.exit(" + pyQuote(c.insecure()) + ")\n\n")

	target := "url + " + pyQuote(c.target)
	var headers []string
	for _, h := range c.headers {
		headers = append(headers, pyQuote(h[0])+": "+pyQuote(h[1]))
	}
	cookies := pyQuote(c.cookies)
	hasCookie := c.cookies != ""
	auth, cert := "", ""
	for _, cred := range c.creds {
		value := local(cred.vars[0].name, c)
		switch cred.kind {
		case headerCred:
			text := value
			if cred.prefix != "" {
				text = pyQuote(cred.prefix) + " + " + value
			}
			headers = append(headers, pyQuote(cred.name)+": "+text)
		case queryCred:
			pair := withQuery(c.target, queryName(cred.name)+"=")
			target = "url + " + pyQuote(pair) + " + quote(" + value + ", safe=\"\")"
		case cookieCred:
			if hasCookie {
				cookies = pyQuote(c.cookies+"; "+cred.name+"=") + " + " + value
			} else {
				cookies = pyQuote(cred.name+"=") + " + " + value
			}
			hasCookie = true
		case basicCred:
			auth = `("apikey", ` + value + ")"
		case userCred:
			auth = "(" + value + ".encode(), " + local(cred.vars[1].name, c) + ".encode())"
		case certCred:
			cert = "(" + value + ", " + local(cred.vars[1].name, c) + ")"
		}
	}
	if hasCookie {
		headers = append(headers, `"Cookie": `+cookies)
	}
	if c.contentType != "" {
		headers = append(headers, `"Content-Type": `+pyQuote(c.contentType))
	}
	b.WriteString("try:\n    response = requests.request(\n        " + pyQuote(c.method) + ",\n        " + target + ",\n")
	if len(headers) > 0 {
		b.WriteString("        headers={\n")
		for _, h := range headers {
			b.WriteString("            " + h + ",\n")
		}
		b.WriteString("        },\n")
	}
	if c.contentType != "" {
		b.WriteString("        data=" + pyBody(c.body) + ".encode(),\n")
	}
	if auth != "" {
		b.WriteString("        auth=" + auth + ",\n")
	}
	if cert != "" {
		b.WriteString("        cert=" + cert + ",\n")
	}
	// A redirect would take headers along to wherever it leads.
	b.WriteString("        allow_redirects=False,\n        timeout=30,\n    )\n")
	// The text of an error holds the URL, and the URL may hold a key.
	b.WriteString("except requests.RequestException as error:\n    sys.exit(\"The request failed: \" + type(error).__name__)\n")
	b.WriteString("print(response.text)\nif response.status_code >= 300:\n    sys.exit(f\"The server answered {response.status_code}.\")\n")
	return b.String(), ""
}

// local is the name of the variable of a program that holds what the
// environment's does: api_key for BLOG_API_KEY.
func local(name string, c *call) string {
	base := strings.TrimSuffix(c.urlVar, "_URL") + "_"
	return "my_" + strings.ToLower(strings.TrimPrefix(name, base))
}

// camel is local as JavaScript and Go write it: myApiKey.
func camel(name string, c *call) string {
	words := strings.Split(local(name, c), "_")
	for i, w := range words {
		if i > 0 && w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

// pyBody writes a body over several lines where that needs no escapes.
func pyBody(s string) string {
	if strings.Contains(s, "\n") && !strings.ContainsAny(s, `\`) && !strings.Contains(s, `"""`) && !strings.HasSuffix(s, `"`) {
		return `"""` + s + `"""`
	}
	if strings.Contains(s, `"`) && !strings.ContainsAny(s, "'\\\n") && printable(s) {
		return "'" + s + "'"
	}
	return pyQuote(s)
}

// pyQuote makes a string literal of Python.
func pyQuote(s string) string {
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
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func pythonRefusal(why string) string {
	return "import sys\n\nsys.exit(" + pyQuote(why) + ")\n"
}
