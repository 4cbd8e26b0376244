package samples

import (
	"strings"
)

// curl writes a command for a POSIX shell, in a subshell so that it can be
// pasted: what ends it does not end the shell. Credentials come to curl on its
// standard input, since other users of a machine see the arguments of a
// process, and a here-document is none.
func curl(c *call) (string, string) {
	if strings.ContainsAny(c.body, "\x00") {
		return "", "There is no sample for curl: an argument cannot hold the body."
	}
	key, query := c.find(queryCred)
	if query && !key.plain && (c.contentType != "" || c.method == "HEAD") {
		return "", "There is no sample for curl: it writes no key into this URL."
	}
	var b strings.Builder
	b.WriteString("(\n")
	for _, v := range c.required() {
		b.WriteString("  if [ -z \"${" + v.name + ":-}\" ]; then\n    echo " + shellQuote(v.unset()) + " >&2\n    exit 1\n  fi\n")
	}
	// --proto keeps curl from sending anything without TLS.
	args := []string{"curl --silent --show-error --fail-with-body --globoff --proto '=https' --max-time 30"}
	switch {
	case c.method == "HEAD":
		args = append(args, "--head")
	case c.method != "GET":
		args = append(args, "--request "+shellQuote(c.method))
	}
	for _, h := range c.headers {
		args = append(args, "--header "+shellQuote(h[0]+": "+h[1]))
	}
	if c.contentType != "" {
		args = append(args, "--header "+shellQuote("Content-Type: "+c.contentType), "--data-raw "+shellQuote(c.body))
	}
	if cert, ok := c.find(certCred); ok {
		args = append(args, `--cert "$`+cert.vars[0].name+`" --key "$`+cert.vars[1].name+`"`)
	}
	config := c.curlConfig()
	if !query || !key.plain { // a key in the URL is no argument
		args = append(args, `--url "`+c.shellServer()+`"`+shellQuote(c.target))
	}
	if config != "" {
		args = append(args, "--config - <<EOF")
	}
	b.WriteString("  " + strings.Join(args, " \\\n    ") + "\n")
	if config != "" {
		b.WriteString(config + "EOF\n")
	}
	b.WriteString(")\n")
	return b.String(), ""
}

// curlConfig is what curl reads from its standard input: lines as of a
// configuration file, which the shell puts variables into.
func (c *call) curlConfig() string {
	var b strings.Builder
	cookies := c.cookies
	target, secret := c.target, false
	for _, cred := range c.creds {
		switch cred.kind {
		case headerCred:
			b.WriteString(`header = "` + hereText(cred.name+": "+cred.prefix) + cred.shellValue() + "\"\n")
		case basicCred:
			b.WriteString(`user = "apikey:` + cred.shellValue() + "\"\n")
		case userCred:
			b.WriteString(`user = "$(printf '%s' "$` + cred.vars[0].name + ":$" + cred.vars[1].name + `" | sed 's/[\\"]/\\&/g')"` + "\n")
		case cookieCred:
			if cookies != "" {
				cookies += "; "
			}
			b.WriteString(`header = "Cookie: ` + hereText(cookies+cred.name) + "=" + cred.shellValue() + "\"\n")
			cookies = ""
		case queryCred:
			if !cred.plain {
				b.WriteString("get\ndata-urlencode = \"" + queryName(cred.name) + "=" + cred.shellValue() + "\"\n")
				continue
			}
			target, secret = withQuery(target, queryName(cred.name)+"="+cred.shellValue()), true
		}
	}
	if cookies != "" {
		b.WriteString(`header = "Cookie: ` + hereText(cookies) + "\"\n")
	}
	if secret {
		b.WriteString(`url = "` + c.shellServer() + target + "\"\n")
	}
	return b.String()
}

// shellValue is the credential's value between the quotes of a curl
// configuration. What may hold quotes itself is escaped as curl reads it.
func (c credential) shellValue() string {
	name := c.vars[0].name
	if c.plain {
		return "$" + name
	}
	return `$(printf '%s' "$` + name + `" | sed 's/[\\"]/\\&/g')`
}

// shellServer is the server's address between double quotes of a shell.
func (c *call) shellServer() string {
	if c.server == "" {
		return "$" + c.urlVar
	}
	return "${" + c.urlVar + ":-" + hereText(c.server) + "}"
}

// hereText escapes what a here-document, or a shell between double quotes,
// reads as more than text.
func hereText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "$", `\$`, "`", "\\`").Replace(s)
}

// shellQuote makes one word of a shell (POSIX).
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// withQuery appends a pair to a target.
func withQuery(target, pair string) string {
	if strings.Contains(target, "?") {
		return target + "&" + pair
	}
	return target + "?" + pair
}

func curlRefusal(why string) string {
	return "(\n  echo " + shellQuote(why) + " >&2\n  exit 1\n)\n"
}
