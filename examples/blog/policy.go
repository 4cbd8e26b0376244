package main

import (
	_ "embed"
	"fmt"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/gatewright/gatewright/runtime/gate"
)

//go:embed policy.cedar
var policyText []byte

// An action is what policy.cedar speaks of.
type action string

const (
	read    action = "read"
	rewrite action = "rewrite"
	remove  action = "delete"
)

// A policy decides who may do what to which post.
type policy struct{ set *cedar.PolicySet }

func newPolicy() (policy, error) {
	set, err := cedar.NewPolicySetFromBytes("policy.cedar", policyText)
	if err != nil {
		return policy{}, fmt.Errorf("blog: %w", err)
	}
	return policy{set}, nil
}

// allows asks the policy. who is nil for a caller who is nobody.
func (p policy) allows(who *gate.Principal, do action, on post) bool {
	id, scopes := "", []types.Value{}
	if who != nil {
		id, _ = authorOf(*who)
		for _, scope := range who.Scopes() {
			scopes = append(scopes, types.String(scope))
		}
	}
	caller := types.NewEntityUID("Caller", types.String(id))
	target := types.NewEntityUID("Post", types.String(on.ID))
	decision, _ := cedar.Authorize(p.set, types.EntityMap{
		caller: {UID: caller, Attributes: types.NewRecord(types.RecordMap{"scopes": types.NewSet(scopes...)})},
		target: {UID: target, Attributes: types.NewRecord(types.RecordMap{
			"author": types.NewEntityUID("Caller", types.String(on.Author)),
			"draft":  types.Boolean(on.Draft),
		})},
	}, cedar.Request{
		Principal: caller, Resource: target,
		Action: types.NewEntityUID("Action", types.String(do)), Context: types.NewRecord(nil),
	})
	return bool(decision) // an error of the policy is Deny
}
