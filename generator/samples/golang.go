package samples

import (
	"go/format"
	"net/url"
	"strconv"
	"strings"
)

// golang writes a program that needs nothing beyond the standard library.
func golang(c *call) (string, string) {
	_, query := c.find(queryCred)
	cert, certs := c.find(certCred)
	var b strings.Builder
	b.WriteString("package main\n\nimport (\n")
	if certs {
		b.WriteString("\t\"crypto/tls\"\n")
	}
	b.WriteString("\t\"errors\"\n\t\"fmt\"\n\t\"io\"\n\t\"net/http\"\n\t\"net/url\"\n\t\"os\"\n\t\"strings\"\n\t\"time\"\n)\n\nfunc main() {\n")
	for _, v := range c.required() {
		if v.name != c.urlVar {
			b.WriteString("\t" + camel(v.name, c) + " := os.Getenv(" + strconv.Quote(v.name) + ")\n")
			b.WriteString("\tif " + camel(v.name, c) + " == \"\" {\n\t\tfail(" + strconv.Quote(v.unset()) + ")\n\t}\n")
		}
	}
	b.WriteString("\tserver := os.Getenv(" + strconv.Quote(c.urlVar) + ")\n\tif server == \"\" {\n")
	if c.server == "" {
		b.WriteString("\t\tfail(" + strconv.Quote(variable{c.urlVar, "the server's address, such as https://api.example"}.unset()) + ")\n")
	} else {
		b.WriteString("\t\tserver = " + strconv.Quote(c.server) + "\n")
	}
	b.WriteString("\t}\n\tif !strings.HasPrefix(server, \"https://\") {\n\t\tfail(" + strconv.Quote(c.insecure()) + ")\n\t}\n\n")

	target := "server+" + strconv.Quote(c.target)
	if query {
		cred, _ := c.find(queryCred)
		target = "server+" + strconv.Quote(withQuery(c.target, queryName(cred.name)+"=")) + "+url.QueryEscape(" + camel(cred.vars[0].name, c) + ")"
	}
	body := "nil"
	if c.contentType != "" {
		body = "strings.NewReader(" + goText(c.body) + ")"
	}
	b.WriteString("\treq, err := http.NewRequest(" + strconv.Quote(c.method) + ", " + target + ", " + body + ")\n")
	b.WriteString("\tif err != nil {\n\t\tfail(\"The server's address is not one.\")\n\t}\n")
	set := func(name, value string) {
		b.WriteString("\treq.Header.Set(" + strconv.Quote(name) + ", " + value + ")\n")
	}
	for _, h := range c.headers {
		set(h[0], strconv.Quote(h[1]))
	}
	cookies, hasCookie := strconv.Quote(c.cookies), c.cookies != ""
	for _, cred := range c.creds {
		value := camel(cred.vars[0].name, c)
		switch cred.kind {
		case headerCred:
			if cred.prefix != "" {
				value = strconv.Quote(cred.prefix) + "+" + value
			}
			set(cred.name, value)
		case cookieCred:
			before := cred.name + "="
			if hasCookie {
				before = c.cookies + "; " + before
			}
			cookies, hasCookie = strconv.Quote(before)+"+"+value, true
		case basicCred:
			b.WriteString("\treq.SetBasicAuth(\"apikey\", " + value + ")\n")
		case userCred:
			b.WriteString("\treq.SetBasicAuth(" + value + ", " + camel(cred.vars[1].name, c) + ")\n")
		}
	}
	if hasCookie {
		set("Cookie", cookies)
	}
	if c.contentType != "" {
		set("Content-Type", strconv.Quote(c.contentType))
	}
	b.WriteString("\tclient := &http.Client{\n\t\tTimeout: 30 * time.Second,\n")
	// A redirect would take headers along to wherever it leads.
	b.WriteString("\t\tCheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },\n\t}\n")
	if certs {
		b.WriteString("\tcert, err := tls.LoadX509KeyPair(" + camel(cert.vars[0].name, c) + ", " + camel(cert.vars[1].name, c) + ")\n")
		b.WriteString("\tif err != nil {\n\t\tfail(err.Error())\n\t}\n")
		b.WriteString("\ttransport := http.DefaultTransport.(*http.Transport).Clone()\n")
		b.WriteString("\ttransport.TLSClientConfig = &tls.Config{Certificates: []tls.Certificate{cert}}\n\tclient.Transport = transport\n")
	}
	// The text of a url.Error holds the URL, and the URL may hold a key.
	b.WriteString("\tres, err := client.Do(req)\n\tif inner := new(url.Error); errors.As(err, &inner) {\n\t\terr = inner.Err\n\t}\n")
	b.WriteString("\tif err != nil {\n\t\tfail(\"The request failed: \" + err.Error())\n\t}\n\tdefer res.Body.Close()\n")
	b.WriteString("\tif _, err := io.Copy(os.Stdout, res.Body); err != nil {\n\t\tfail(err.Error())\n\t}\n")
	b.WriteString("\tfmt.Println()\n\tif res.StatusCode >= 300 {\n\t\tfail(fmt.Sprintf(\"The server answered %d.\", res.StatusCode))\n\t}\n}\n\n")
	b.WriteString(goFail)
	source, err := format.Source([]byte(b.String()))
	if err != nil {
		return "", "There is no sample for Go: the document's example cannot be written in it."
	}
	return string(source), ""
}

const goFail = `func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
`

// goText writes a body over several lines where that needs no escapes.
func goText(s string) string {
	if strings.Contains(s, `"`) && !strings.ContainsAny(s, "`\r") {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}

// queryName is the name of a query parameter as it stands in a URL.
func queryName(name string) string { return url.QueryEscape(name) }

func golangRefusal(why string) string {
	return "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\tfmt.Fprintln(os.Stderr, " + strconv.Quote(why) + ")\n\tos.Exit(1)\n}\n"
}
