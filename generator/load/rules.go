package load

// The rules that this package's diagnostics name. Their titles stand in the
// table of package analyze.
const (
	RuleUnreadable = "GW001" // the file cannot be read
	RuleNotText    = "GW002" // the file is not UTF-8 text
	RuleSyntax     = "GW003" // the file is neither YAML nor JSON
	RuleDuplicate  = "GW004" // a member name is given twice
	RuleTooDeep    = "GW005" // nesting or aliases beyond the limit
	RuleNotJSON    = "GW006" // a YAML value that JSON cannot hold
	RuleNotOpenAPI = "GW007" // something else than an OpenAPI document
	RuleVersion    = "GW008" // a version of OpenAPI that is not read
	RuleRefNowhere = "GW009" // a $ref leads nowhere
	RuleRefCircle  = "GW010" // a $ref leads to itself
	RuleRefRemote  = "GW011" // a $ref leads to another host
)

// waysOut say what to do where a finding has no advice of its own.
var waysOut = map[string]string{
	RuleUnreadable: "name a file that exists, is readable and is not too large: under `document` in gatewright.yaml, or in the $ref",
	RuleNotText:    "save it as UTF-8 text",
	RuleSyntax:     "correct the text here or shortly before",
	RuleTooDeep:    "nest less deeply, or write the value out without aliases",
	RuleNotJSON:    "write a value that JSON has; text in quotes",
	RuleRefNowhere: "correct the reference, or add what it leads to",
	RuleRefCircle:  "let one of the references lead to a value",
}
