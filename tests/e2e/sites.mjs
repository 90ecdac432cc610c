// Sites that people sign in to: openid-client and oauth4webapi as they are documented, against Writ as OpenID provider.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import http from "node:http";
import https from "node:https";
import { createInterface } from "node:readline";
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { PASSWORD, Writ, arrive, browser, certificate, end, freePort, shows, until } from "./lib.mjs";

// The site itself: where people come back to.
const site = http.createServer((_, response) => response.end("the site"));
const port = await freePort();
await new Promise((resolve) => site.listen(port, "localhost", resolve));
// Where it hears that somebody signed out.
const heard = [];
const { file, tls } = await certificate();
const ear = https.createServer(tls, (request, response) => {
  let body = "";
  request.on("data", (text) => (body += text)).on("end", () => {
    heard.push(new URLSearchParams(body));
    response.end();
  });
});
const hears = await freePort();
await new Promise((resolve) => ear.listen(hears, "localhost", resolve));
const callback = `http://localhost:${port}/callback`;

const writ = await Writ.start(`[egress]\nown_hosts = ["localhost:${hears}"]\nauthorities = "${file}"\n`, "dpop_nonces = true");
await writ.cli("client", "create", "site", "--display-name", "Site", "--use", "sign-in", "--redirect-uri", callback, "--post-logout-redirect-uri", `http://localhost:${port}/bye`, "--backchannel-logout-uri", `https://localhost:${hears}/out`, "--confidential");
const secret = await writ.cli("client", "keys", "add", "site", "--secret");
const chromium = await browser();
const context = await chromium.newContext();
const page = await context.newPage();
await arrive(page, await writ.person("maya", "Maya Lind"));

/** The person goes where the site sends them, signs in if asked, and agrees if asked; where they come back to. */
async function answered(address) {
  const back = page.waitForRequest((request) => request.url().startsWith(callback));
  await page.goto(String(address)).catch(() => {});
  if (page.url().includes("/login")) {
    await page.fill("#name", "maya");
    await page.fill("#password", PASSWORD);
    await page.click("form[action='/login'] button");
  }
  if (await page.locator("button[value=allow]").count()) await page.click("button[value=allow]");
  return new URL((await back).url());
}

for (const [method, authentication] of [["client_secret_post", openid.ClientSecretPost(secret)], ["client_secret_basic", openid.ClientSecretBasic(secret)]]) {
  await shows(`openid-client signs in, with ${method}`, async () => {
    const config = await openid.discovery(new URL(writ.url), "site", { client_secret: secret }, authentication, { execute: [openid.allowInsecureRequests] });
    const verifier = openid.randomPKCECodeVerifier();
    const [nonce, state] = [openid.randomNonce(), openid.randomState()];
    const parameters = { redirect_uri: callback, scope: "openid profile email offline_access", code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", nonce, state, max_age: "3600" };
    const at = await answered(openid.buildAuthorizationUrl(config, parameters));
    const tokens = await openid.authorizationCodeGrant(config, at, { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state, maxAge: 3600, idTokenExpected: true });
    const claims = tokens.claims();
    assert.equal(claims.preferred_username, "maya");
    assert.deepEqual(claims.amr, ["pwd"]);
    const info = await openid.fetchUserInfo(config, tokens.access_token, claims.sub);
    assert.equal(info.email, "maya@example.com");
    assert.equal(info.email_verified, false);
    const renewed = await openid.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(renewed.refresh_token, tokens.refresh_token);
    const told = await openid.tokenIntrospection(config, renewed.access_token);
    assert.equal(told.active, true);
    await openid.tokenRevocation(config, renewed.refresh_token);
    await assert.rejects(openid.refreshTokenGrant(config, renewed.refresh_token), { error: "invalid_grant" });
    assert.equal((await openid.tokenIntrospection(config, renewed.access_token)).active, false);
  });
}

await shows("openid-client pushes its request, and binds its tokens to a key, with nonces", async () => {
  const config = await openid.discovery(new URL(writ.url), "site", { client_secret: secret }, undefined, { execute: [openid.allowInsecureRequests] });
  const dpop = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair());
  const verifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const parameters = { redirect_uri: callback, scope: "openid", state, code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" };
  const address = await openid.buildAuthorizationUrlWithPAR(config, parameters, { DPoP: dpop });
  assert.match(address.search, /request_uri=urn/);
  const tokens = await openid.authorizationCodeGrant(config, await answered(address), { pkceCodeVerifier: verifier, expectedState: state }, undefined, { DPoP: dpop });
  assert.equal(tokens.token_type, "dpop");
  const info = await openid.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP: dpop });
  assert.equal(info.sub, tokens.claims().sub);
});

await shows("openid-client asks for single claims, and the person sees which", async () => {
  const config = await openid.discovery(new URL(writ.url), "site", { client_secret: secret }, undefined, { execute: [openid.allowInsecureRequests] });
  const verifier = openid.randomPKCECodeVerifier();
  const claims = { id_token: { email_verified: { essential: true } }, userinfo: { name: null } };
  const parameters = { redirect_uri: callback, scope: "openid", claims: JSON.stringify(claims), prompt: "consent", code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" };
  const tokens = await openid.authorizationCodeGrant(config, await answered(openid.buildAuthorizationUrl(config, parameters)), { pkceCodeVerifier: verifier });
  const { sub, email_verified, name } = tokens.claims();
  assert.deepEqual([email_verified, name], [false, undefined]);
  const info = await openid.fetchUserInfo(config, tokens.access_token, sub);
  assert.deepEqual(info, { sub, name: "Maya Lind" });
});

await shows("oauth4webapi checks every step by itself", async () => {
  const insecure = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(writ.url);
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oidc", ...insecure }));
  const same = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure }));
  assert.deepEqual(server, same);
  const client = { client_id: "site" };
  const authentication = oauth.ClientSecretPost(secret);
  const verifier = oauth.generateRandomCodeVerifier();
  const [nonce, state] = [oauth.generateRandomNonce(), oauth.generateRandomState()];
  const address = new URL(server.authorization_endpoint);
  const parameters = { client_id: "site", redirect_uri: callback, response_type: "code", scope: "openid email", nonce, state, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", prompt: "login" };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  const answer = oauth.validateAuthResponse(server, client, await answered(address), state);
  const response = await oauth.authorizationCodeGrantRequest(server, client, authentication, answer, callback, verifier, insecure);
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(server, response, insecure);
  const info = await oauth.userInfoRequest(server, client, tokens.access_token, insecure);
  const claims = await oauth.processUserInfoResponse(server, client, oauth.getValidatedIdTokenClaims(tokens).sub, info);
  assert.equal(claims.email, "maya@example.com");
});

await shows("the crate openidconnect checks every step, too", async () => {
  const party = spawn(process.env.RELYING_PARTY, [writ.url, "site", secret, callback], { stdio: ["pipe", "pipe", "pipe"] });
  let log = "";
  party.stderr.on("data", (text) => (log += text));
  const ended = new Promise((resolve) => party.on("exit", resolve));
  let who;
  for await (const line of createInterface({ input: party.stdout })) {
    if (line.startsWith("authorize ")) party.stdin.write(`${await answered(line.slice(10))}\n`);
    if (line.startsWith("is ")) who = line.split(" ").slice(2);
  }
  assert.equal(await ended, 0, log);
  assert.deepEqual(who, ["maya@example.com", "urn:writ:acr:1fa"]);
});

await shows("signing out for a site asks, and leads back", async () => {
  const config = await openid.discovery(new URL(writ.url), "site", { client_secret: secret }, undefined, { execute: [openid.allowInsecureRequests] });
  await page.goto(String(openid.buildEndSessionUrl(config, { post_logout_redirect_uri: `http://localhost:${port}/bye`, state: "s" })));
  await page.click("main button");
  await page.waitForURL(`http://localhost:${port}/bye?state=s`);
  await page.goto(`${writ.url}/account`);
  assert.match(page.url(), /\/login/);
});

for (const scope of ["openid", "openid offline_access"]) await shows(`the site hears that somebody signed out, with ${scope}`, async () => {
  const config = await openid.discovery(new URL(writ.url), "site", { client_secret: secret }, undefined, { execute: [openid.allowInsecureRequests] });
  const verifier = openid.randomPKCECodeVerifier();
  const address = openid.buildAuthorizationUrl(config, { redirect_uri: callback, scope, code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" });
  const tokens = await openid.authorizationCodeGrant(config, await answered(address), { pkceCodeVerifier: verifier });
  const { sub, sid } = tokens.claims();
  // Words about earlier sessions may still arrive.
  const word = () => heard.map((form) => form.get("logout_token")).find((token) => jose.decodeJwt(token).sid === sid);
  assert.equal(word(), undefined);
  await page.goto(`${writ.url}/account`);
  await page.click(".who button");
  await until(() => word() !== undefined, "word of it");
  const keys = jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
  const { payload } = await jose.jwtVerify(word(), keys, { issuer: writ.url, audience: "site", typ: "logout+jwt", requiredClaims: ["exp", "iat", "jti"] });
  assert.deepEqual([payload.sub, payload.sid, payload.nonce], [sub, sid, undefined]);
  assert.deepEqual(payload.events, { "http://schemas.openid.net/event/backchannel-logout": {} });
  const info = openid.fetchUserInfo(config, tokens.access_token, sub);
  if (scope === "openid") await assert.rejects(info);
  else assert.equal((await info).sub, sub, "it goes on");
});

await shows("signing keys are rotated without a failed request", async () => {
  const jwks = async () => (await (await fetch(`${writ.url}/oauth2/jwks`)).json()).keys;
  const before = await jwks();
  const config = await openid.discovery(new URL(writ.url), "site", { client_secret: secret }, undefined, { execute: [openid.allowInsecureRequests] });
  const signIn = async () => {
    const verifier = openid.randomPKCECodeVerifier();
    const address = openid.buildAuthorizationUrl(config, { redirect_uri: callback, scope: "openid", code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" });
    return openid.authorizationCodeGrant(config, await answered(address), { pkceCodeVerifier: verifier });
  };
  const old = await signIn();
  await writ.cli("key", "rotate", "ES256");
  await until(async () => (await jwks()).length > before.length, "the new key");
  const sub = old.claims().sub;
  assert.equal((await openid.fetchUserInfo(config, old.access_token, sub)).sub, sub, "the old key's token is good");
  const fresh = await signIn();
  const kid = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;
  assert.notEqual(kid(fresh.id_token), kid(old.id_token));
});

await chromium.close();
site.close();
ear.close();
await writ.stop();
end();
