// The reference point for tokens: npm oidc-provider as its documentation sets it up, in memory, with ES256 access tokens for
// one resource and a client with a shared secret. usage: provider.mjs PORT
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const port = Number(process.argv[2]);
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256" }] },
  clients: [{ client_id: "caller", client_secret: "secret", redirect_uris: [], response_types: [], grant_types: ["client_credentials"], id_token_signed_response_alg: "ES256" }],
  clientAuthMethods: ["client_secret_basic"],
  scopes: ["tools:call"],
  cookies: { keys: ["unused"] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({ scope: "tools:call", accessTokenFormat: "jwt", accessTokenTTL: 300, jwt: { sign: { alg: "ES256" } } }),
    },
  },
});
provider.listen(port, "127.0.0.1");
