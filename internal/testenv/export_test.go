package testenv

var (
	DexBinary           = dexBinary
	OIDCProviderModules = oidcProviderModules
	Installed           = installed
	BuildOIDCProvider   = buildOIDCProvider
	Need                = need
)

const OIDCProviderName = "oidc-provider-" + oidcProviderVersion
