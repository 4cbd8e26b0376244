// An OpenID provider for tests. What it is told by its environment, and who may
// sign in, is said at OIDCProvider in oidcprovider.go.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const { env } = process;
const words = (text) => (text ?? '').split(' ').filter(Boolean);
const algorithm = env.ALGORITHM || 'RS256';

// The key is made at each start, so that a restart is a rotation.
const [type, options] = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
}[algorithm];
const key = {
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  alg: algorithm, use: 'sig', kid: `${algorithm}-${Date.now()}`,
};

const client = (id, more) => ({
  client_id: id,
  redirect_uris: words(env.REDIRECT_URIS),
  post_logout_redirect_uris: words(env.POST_LOGOUT_URIS),
  id_token_signed_response_alg: algorithm,
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  ...(env.BACKCHANNEL_LOGOUT_URI && {
    backchannel_logout_uri: env.BACKCHANNEL_LOGOUT_URI,
    backchannel_logout_session_required: true,
  }),
  ...more,
});

const groups = { alice: ['admin', 'staff'], bob: ['staff'] };
const account = (sub) => ({
  accountId: sub,
  claims: async () => ({
    sub,
    name: sub[0].toUpperCase() + sub.slice(1),
    preferred_username: sub,
    email: `${sub}@example.test`,
    email_verified: true,
    groups: groups[sub] ?? [],
  }),
});

const provider = new Provider(env.ISSUER, {
  clients: [
    client('web-app', { client_secret: 'web-app-secret' }),
    client('web-post', { client_secret: 'web-post-secret', token_endpoint_auth_method: 'client_secret_post' }),
    client('spa', { token_endpoint_auth_method: 'none' }),
  ],
  jwks: { keys: [key] },
  enabledJWA: { idTokenSigningAlgValues: [algorithm] },
  pkce: { required: () => true },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username'],
    groups: ['groups'],
  },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
  rotateRefreshToken: true,
  ttl: {
    AccessToken: Number(env.ACCESS_TTL || 300),
    IdToken: Number(env.ID_TTL || 300),
    AuthorizationCode: 60,
    Interaction: 600,
    Session: 3600,
    Grant: 3600,
    RefreshToken: 3600,
  },
  cookies: { keys: ['for tests alone'] },
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  findAccount: (ctx, sub) => account(sub),
  // Without the dispatcher, which refuses loopback, where applications are.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});
for (const event of ['server_error', 'backchannel.error', 'grant.error', 'authorization.error']) {
  provider.on(event, (...about) => console.error(event, ...about.filter((a) => a instanceof Error)));
}

const server = createServer(
  { cert: readFileSync(env.TLS_CERT), key: readFileSync(env.TLS_KEY) },
  provider.callback(),
);
server.listen(Number(env.PORT), '127.0.0.1', () => console.log(`ready ${env.ISSUER}`));
process.on('SIGINT', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
