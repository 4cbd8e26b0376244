// An OpenID provider for tests. What it is told by its environment, and who may
// sign in, is said at OIDCProvider in oidcprovider.go.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider, { errors } from 'oidc-provider';

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

// A program that acts for itself. Nobody signs in with it.
const machine = (id, more) => ({
  client_id: id,
  client_secret: `${id}-secret`,
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials'],
  id_token_signed_response_alg: algorithm,
  ...more,
});

// What tokens are for, and what they look like there.
const jwtResources = words(env.RESOURCES);
const opaqueResources = words(env.OPAQUE_RESOURCES);
const resourceServer = (resource) => {
  if (jwtResources.includes(resource)) {
    return { scope: env.RESOURCE_SCOPES, accessTokenFormat: 'jwt', jwt: { sign: { alg: algorithm } } };
  }
  if (opaqueResources.includes(resource)) {
    return { scope: env.RESOURCE_SCOPES, accessTokenFormat: 'opaque' };
  }
  throw new errors.InvalidTarget();
};

const mtls = env.CLIENT_CA !== '';
const certificate = (ctx) => ctx.socket.getPeerX509Certificate();

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
    machine('service'),
    machine('other-service'),
    machine('api', { grant_types: [] }),
    ...(mtls ? [machine('mtls-service', {
      client_secret: undefined,
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_san_dns: 'mtls-service.example',
      tls_client_certificate_bound_access_tokens: true,
    })] : []),
  ],
  jwks: { keys: [key] },
  enabledJWA: { idTokenSigningAlgValues: [algorithm] },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none', ...(mtls ? ['tls_client_auth'] : [])],
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
    ClientCredentials: Number(env.ACCESS_TTL || 300),
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
    introspection: {
      enabled: true,
      allowedPolicy: (ctx, asking, token) => asking.clientId === 'api' || asking.clientId === token.clientId,
    },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => resourceServer(resource),
    },
    dPoP: { enabled: true },
    mTLS: {
      enabled: mtls,
      certificateBoundAccessTokens: mtls,
      tlsClientAuth: mtls,
      getCertificate: certificate,
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, name) => certificate(ctx).checkHost(name, { subject: 'never' }) !== undefined,
    },
  },
  findAccount: (ctx, sub) => account(sub),
  // Without the dispatcher, which refuses loopback, where applications are.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});
for (const event of ['server_error', 'backchannel.error', 'grant.error', 'authorization.error']) {
  provider.on(event, (...about) => console.error(event, ...about.filter((a) => a instanceof Error)));
}

const server = createServer(
  {
    cert: readFileSync(env.TLS_CERT),
    key: readFileSync(env.TLS_KEY),
    // Who shows none, or a bad one, is let in all the same: the client decides.
    ...(mtls && { ca: readFileSync(env.CLIENT_CA), requestCert: true, rejectUnauthorized: false }),
  },
  provider.callback(),
);
server.listen(Number(env.PORT), '127.0.0.1', () => console.log(`ready ${env.ISSUER}`));
process.on('SIGINT', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
