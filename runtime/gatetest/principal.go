package gatetest

import "github.com/gatewright/gatewright/runtime/gate"

// Principal returns the principal that a gate hands to an operation for a
// caller who is id, let in by the document's schemes named in via. It is for
// tests that call an application's handlers directly.
func Principal(id gate.Identity, via ...string) gate.Principal {
	if len(via) == 0 {
		via = []string{"gatetest"}
	}
	id.Record = "" // one key would not do for two schemes
	var needs []gate.Need
	states := make(map[string]gate.State)
	for _, name := range via {
		needs = append(needs, gate.Need{Scheme: name})
		states[name] = gate.State{Outcome: gate.Valid, Identity: id}
	}
	return *gate.Decide(gate.Require(needs...), states).Principal
}
