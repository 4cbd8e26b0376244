package bundle

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatewright/gatewright/generator/model"
	"github.com/gatewright/gatewright/internal/testenv"
	"github.com/gatewright/gatewright/runtime/schema"
)

// TestPublicDocuments checks values, written by hand, by the bundles of public
// documents. want is "" where the value is accepted, else "pointer keyword" of
// the first violation.
func TestPublicDocuments(t *testing.T) {
	const event = `"location":"Hall 1","eventDescription":"d","dates":["2024-01-01"],"price":12.5`
	const card = `{"object":"card","name":"A","number":"4242","cvc":"123","exp_month":12,"exp_year":2030,"address_country":"gb"}`
	apis := map[string]*model.API{}
	programs := map[string]*schema.Program{}
	for _, tt := range []struct{ file, operation, place, value, want string }{
		{"museum.yaml", "createSpecialEvent", "body", `{"name":"n",` + event + `}`, ""},
		{"museum.yaml", "createSpecialEvent", "body", `{` + event + `}`, " required"},
		{"museum.yaml", "createSpecialEvent", "body", `{"name":"",` + event + `}`, ""},
		{"museum.yaml", "createSpecialEvent", "body", `{"name":null,` + event + `}`, "/name type"},
		{"museum.yaml", "buyMuseumTickets", "body", `{"ticketType":"general","ticketDate":"2024-01-01","email":"a@b.example"}`, ""},
		{"museum.yaml", "buyMuseumTickets", "body", `{"ticketType":"gold","ticketDate":"2024-01-01"}`, "/ticketType enum"},
		{"museum.yaml", "buyMuseumTickets", "body", `{"ticketType":"event"}`, " required"},
		{"museum.yaml", "getMuseumHours", "limit", `30`, ""},
		{"museum.yaml", "getMuseumHours", "limit", `31`, " maximum"},
		{"museum.yaml", "getMuseumHours", "limit", `"30"`, " type"},
		{"train-travel.yaml", "create-booking", "body", `{"trip_id":"t","has_dog":false}`, ""},
		{"train-travel.yaml", "create-booking", "body", `{"has_dog":"false"}`, "/has_dog type"},
		{"train-travel.yaml", "create-booking-payment", "body", `{"amount":49.99,"currency":"gbp","source":` + card + `}`, ""},
		{"train-travel.yaml", "create-booking-payment", "body", `{"amount":0,"currency":"gbp"}`, "/amount exclusiveMinimum"},
		{"train-travel.yaml", "create-booking-payment", "body", `{"currency":"usd"}`, "/currency enum"},
		{"train-travel.yaml", "create-booking-payment", "body", `{"source":` + strings.Replace(card, `"cvc":"123"`, `"cvc":"12"`, 1) + `}`, "/source oneOf"},
		{"spotify.yaml", "create-playlist", "body", `{"name":"n","public":false,"more":1}`, ""},
		{"spotify.yaml", "create-playlist", "body", `{"public":false}`, " required"},
		{"spotify.yaml", "get-playlists-tracks", "limit", `100`, ""},
		{"spotify.yaml", "get-playlists-tracks", "limit", `0`, " minimum"},
		{"discord.json", "bulk_delete_messages", "body", `{"messages":["1","20"]}`, ""},
		{"discord.json", "bulk_delete_messages", "body", `{"messages":["1"]}`, "/messages minItems"},
		{"discord.json", "bulk_delete_messages", "body", `{"messages":["1","1"]}`, "/messages uniqueItems"},
		{"discord.json", "bulk_delete_messages", "body", `{"messages":["01","1"]}`, "/messages/0 pattern"},
		{"discord.json", "create_guild_emoji", "body", `{"name":"wave","image":"x","roles":[null,"1"]}`, ""},
		{"discord.json", "create_guild_emoji", "body", `{"name":"wave","image":"x","roles":null}`, ""},
		{"discord.json", "create_guild_emoji", "body", `{"name":"w","image":"x"}`, "/name minLength"},
		{"discord.json", "create_guild_emoji", "body", `{"name":"wave","image":"x","roles":["a"]}`, "/roles/0 pattern"},
	} {
		t.Run(tt.file+" "+tt.operation+" "+tt.value, func(t *testing.T) {
			if apis[tt.file] == nil {
				api, text, _ := buildFile(t, filepath.Join(testenv.Specs(t), tt.file))
				p, err := schema.Compile([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				apis[tt.file], programs[tt.file] = api, p
			}
			def, ok := programs[tt.file].Def(defOf(apis[tt.file], tt.operation, tt.place))
			if !ok {
				t.Fatalf("there is no def for %s of %s", tt.place, tt.operation)
			}
			got := ""
			var invalid *schema.InvalidError
			if err := def.Check([]byte(tt.value)); errors.As(err, &invalid) {
				got = invalid.Violations[0].Pointer + " " + invalid.Violations[0].Keyword
			} else if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Check(%s) = %q, want %q", tt.value, got, tt.want)
			}
		})
	}
}

// Documents whose operations take nothing give an empty bundle.
func TestDocumentsWithoutRequests(t *testing.T) {
	for _, file := range []string{"readme-security-30.yaml", "readme-security-multiple-30.yaml"} {
		_, text, found := buildFile(t, filepath.Join(testenv.Specs(t), file))
		p, err := schema.Compile([]byte(text))
		if err != nil || len(found) > 0 || len(p.Unenforced()) > 0 {
			t.Errorf("Build(%s) = %s with %v, want an empty bundle (%v)", file, text, found, err)
		}
	}
}

// defOf returns the def of an operation's parameter or first body.
func defOf(api *model.API, operation, place string) string {
	for _, op := range api.Operations {
		if op.ID != operation {
			continue
		}
		if place == "body" {
			return op.Body.Contents[0].Schema.Def
		}
		for _, p := range op.Params {
			if p.Name == place {
				return p.Schema.Def
			}
		}
	}
	return ""
}

// Streams are not validated, and neither are the schemas of answers.
func TestOnlyRequestsThatAreDecoded(t *testing.T) {
	api, text, _ := build(t, "api.json", map[string]string{"api.json": `{"openapi":"3.1.0","info":{"title":"t","version":"1"},
		"paths":{"/a/{id}":{"put":{"operationId":"put","parameters":[{"$ref":"#/components/parameters/ID"}],
		"requestBody":{"content":{"application/octet-stream":{"schema":{"type":"string"}},"text/plain":{"schema":{"type":"string","maxLength":5}},
		"multipart/form-data":{"schema":{"type":"object"}}}},
		"responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"type":"integer"}}}}}}}},
		"components":{"parameters":{"ID":{"name":"id","in":"path","required":true,"schema":{"type":"string"}}}}}`})
	want := `{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{
"IDParam":{"type":"string"},
"PutTextBody":{"type":"string","maxLength":5}
}}
`
	if text != want {
		t.Errorf("Build = %s, want %s", text, want)
	}
	for _, c := range api.Operations[0].Body.Contents {
		if (c.Schema.Def != "") != (c.Kind == model.Text) {
			t.Errorf("the Def of %s is %q", c.MediaType, c.Schema.Def)
		}
	}
}
