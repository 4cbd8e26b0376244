package analyze

import "github.com/gatewright/gatewright/generator/load"

// A Rule is one thing that diagnostics are about.
type Rule struct {
	ID    string // GW001
	Title string // one line
}

// The rules of this package; those of reading stand in package load.
const (
	ruleType       = "GW012"
	ruleSettings   = "GW013"
	ruleScheme     = "GW020"
	ruleSchemeType = "GW021"
	ruleKind       = "GW022"
	ruleCookies    = "GW023"
	ruleCookieName = "GW024"
	ruleQueryKey   = "GW025"
	ruleWithdrawn  = "GW026"
	ruleUndecided  = "GW027"
	ruleUndeclared = "GW030"
	ruleSecurity   = "GW031"
	ruleUnknown    = "GW032"
	ruleScope      = "GW033"
	ruleUnmeetable = "GW034"
	ruleRoles      = "GW035"
	ruleMisspelt   = "GW036"
	ruleMember     = "GW037"
	ruleLoneScope  = "GW038"
	rulePath       = "GW040"
	ruleTemplate   = "GW041"
	ruleVariable   = "GW042"
	ruleCollision  = "GW043"
	ruleClaimed    = "GW044"
	ruleShadowed   = "GW045"
	ruleMixedRef   = "GW046"
	ruleMethod     = "GW047"
	ruleID         = "GW048"
	ruleServers    = "GW049"
	ruleServerURL  = "GW050"
	ruleEmpty      = "GW051"
	ruleParam      = "GW060"
	ruleTwice      = "GW061"
	ruleSerial     = "GW062"
	ruleIgnored    = "GW063"
	ruleBody       = "GW070"
	ruleMediaType  = "GW071"
	ruleStream     = "GW072"
	ruleNoBody     = "GW073"
	ruleStatus     = "GW080"
	ruleHeader     = "GW081"
	ruleNoAnswer   = "GW082"
)

// Rules lists every rule of the generator, by id.
var Rules = []Rule{
	{load.RuleUnreadable, "the file cannot be read"},
	{load.RuleNotText, "the file is not UTF-8 text"},
	{load.RuleSyntax, "the file is neither YAML nor JSON"},
	{load.RuleDuplicate, "a member name is given twice"},
	{load.RuleTooDeep, "nesting or aliases go beyond the limit"},
	{load.RuleNotJSON, "a YAML value that JSON cannot hold"},
	{load.RuleNotOpenAPI, "the file is not an OpenAPI document"},
	{load.RuleVersion, "the version of OpenAPI is not read"},
	{load.RuleRefNowhere, "a $ref leads nowhere"},
	{load.RuleRefCircle, "a $ref leads back to itself"},
	{load.RuleRefRemote, "a $ref leads to another host"},
	{ruleType, "a member is not of the type that OpenAPI gives it"},
	{ruleSettings, "a setting does not fit the document"},
	{ruleScheme, "a security scheme is incomplete"},
	{ruleSchemeType, "a security scheme has an unknown type"},
	{ruleKind, "a security scheme has a kind that does not fit it"},
	{ruleCookies, "more than one scheme is the session cookie"},
	{ruleCookieName, "the session cookie's name lacks __Host-"},
	{ruleQueryKey, "an API key is taken from the URL"},
	{ruleWithdrawn, "an OAuth flow was withdrawn"},
	{ruleUndecided, "nothing says what a bearer token is"},
	{ruleUndeclared, "an operation does not say who may call it"},
	{ruleSecurity, "a security requirement is malformed"},
	{ruleUnknown, "a security scheme is not defined"},
	{ruleScope, "a scope is not defined"},
	{ruleUnmeetable, "no request can meet a requirement"},
	{ruleRoles, "scopes stand at a scheme that has none"},
	{ruleMisspelt, "a member looks like security and is not"},
	{ruleMember, "a member is not one of OpenAPI's"},
	{ruleLoneScope, "a scope looks misspelt"},
	{rulePath, "a path is malformed"},
	{ruleTemplate, "a path template is malformed"},
	{ruleVariable, "path variables and path parameters differ"},
	{ruleCollision, "two operations claim one route"},
	{ruleClaimed, "a path is taken by the server itself"},
	{ruleShadowed, "a path hides one of the server's own pages"},
	{ruleMixedRef, "a path item has a $ref and more"},
	{ruleMethod, "a method is not known"},
	{ruleID, "an operationId is given twice"},
	{ruleServers, "servers differ within the document"},
	{ruleServerURL, "a server's URL gives no path"},
	{ruleEmpty, "the document has no operations"},
	{ruleParam, "a parameter is incomplete"},
	{ruleTwice, "a parameter is given twice"},
	{ruleSerial, "a parameter is written in a way that is not supported yet"},
	{ruleIgnored, "a parameter is ignored"},
	{ruleBody, "a request body is malformed"},
	{ruleMediaType, "a media type is malformed"},
	{ruleStream, "a body is neither decoded nor validated"},
	{ruleNoBody, "a request body at a method that takes none"},
	{ruleStatus, "a response is malformed"},
	{ruleHeader, "a response header is left out"},
	{ruleNoAnswer, "an operation has no responses"},
	// The later stages name these: packages bundle and types.
	{"GW090", "a keyword is not yet enforced in requests"},
	{"GW091", "a pattern needs an engine that backtracks"},
	{"GW092", "a keyword of a schema is malformed"},
	{"GW093", "a schema is made of itself"},
	{"GW094", "a schema has no Go type and becomes raw JSON"},
}

// waysOut say what to do where a finding has no advice of its own.
var waysOut = map[string]string{
	ruleType:            "give it the type that OpenAPI says (https://spec.openapis.org/oas/latest.html)",
	ruleSettings:        "change it in gatewright.yaml",
	ruleScheme:          "complete it as OpenAPI's Security Scheme Object says",
	ruleSecurity:        "write it as in `security: [{name: [scope]}]`",
	ruleTemplate:        "write it as in /things/{id}, percent-encoded where need be",
	ruleParam:           "complete it as OpenAPI's Parameter Object says",
	ruleHeader:          "write a name as in X-Request-Id",
	ruleMediaType:       "remove one of them",
	ruleStream:          "read and check it in the handler",
	load.RuleRefCircle:  "let one of the references lead to a value",
	load.RuleRefNowhere: "correct the reference, or add what it leads to",
	load.RuleTooDeep:    "let the references lead to their value in fewer steps",
}
