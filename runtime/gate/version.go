package gate

// Generated code names the newest of these that it needs, so that it does not
// compile with a runtime that is too old for it.
const (
	IsAtLeastVersion0_1 = true
	IsAtLeastVersion0_2 = true // logins: packages login and session, and the checks of package serve
	IsAtLeastVersion0_3 = true // stores in two places, caches, packages account, docs and page
	IsAtLeastVersion0_4 = true // access tokens and certificates: packages bearer and clientcert
)
