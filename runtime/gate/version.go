package gate

// Generated code names the newest of these that it needs, so that it does not
// compile with a runtime that is too old for it.
const IsAtLeastVersion0_1 = true
