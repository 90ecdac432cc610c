// The official MCP SDKs of both generations, unmodified: challenge, metadata, registration, sign-in, consent, token, call,
// and the end of it all when the person takes it back. Each by dynamic registration and by a client ID metadata document.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Writ, arrive, browser, certificate, end, freePort, shows, until } from "./lib.mjs";

const documents = await freePort();
const { folder, file, tls } = await certificate();
const writ = await Writ.start(`[egress]\nown_hosts = ["localhost:${documents}"]\nauthorities = "${file}"\n`);

// The place where clients describe themselves.
const document = `https://localhost:${documents}/client.json`;
let fetched = 0;
const about = { client_id: document, client_name: "Described client", redirect_uris: ["http://localhost/callback", "http://127.0.0.1/callback"], grant_types: ["authorization_code", "refresh_token"], response_types: ["code"], token_endpoint_auth_method: "none" };
const place = https.createServer(tls, (_, answer) => {
  fetched += 1;
  answer.setHeader("content-type", "application/json").end(JSON.stringify(about));
});
await new Promise((resolve) => place.listen(documents, "localhost", resolve));

// A real server of tools.
const port = await freePort();
const everything = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-everything/dist/index.js");
const upstream = spawn(process.execPath, [everything, "streamableHttp"], { env: { ...process.env, PORT: String(port) }, stdio: "ignore" });
await until(() => fetch(`http://127.0.0.1:${port}/mcp`).then(() => true, () => false), "server-everything");
await writ.cli("server", "add", "everything", `http://127.0.0.1:${port}/mcp`, "--discover");
await writ.cli("tool", "label", "everything/echo", "read");
await writ.cli("tool", "label", "everything/get-sum", "write");
const url = `${writ.url}/mcp/everything`;

const chromium = await browser();
const context = await chromium.newContext();
const page = await context.newPage();
await arrive(page, await writ.person("maya", "Maya Lind"));

/** The person goes where the client sends them, and agrees: to reading at first, later to whatever else it needs. In a tab of its own: where it ends is the client's. */
async function agree(address, name, more = false) {
  const tab = await context.newPage();
  await tab.goto(String(address));
  assert.match(await tab.innerText("h1"), new RegExp(`May ${name} act for you`));
  if (more) assert.deepEqual(await tab.locator("fieldset label").allInnerTexts(), ["Create and change"]);
  else for (const box of await tab.locator("input[type=checkbox]:not([name=effect_read])").all()) await box.uncheck();
  await tab.click("button[value=allow]");
}

/** The person takes it back. */
async function takeBack() {
  await page.goto(`${writ.url}/account`);
  await page.locator("form[action$='/revoke'] button").first().click();
  await page.waitForURL("**/account?done=revoked");
}

/** Where a native app waits for its answers. */
async function callback() {
  let arrived;
  const next = () => new Promise((resolve) => (arrived = resolve));
  const server = http.createServer((request, response) => {
    response.end("done");
    const at = new URL(request.url, "http://localhost");
    if (at.pathname === "/callback") arrived(at.searchParams);
  });
  const port = await freePort();
  await new Promise((resolve) => server.listen(port, "localhost", resolve));
  return { uri: `http://localhost:${port}/callback`, next, close: () => server.close() };
}

async function typescript(Client, Transport, finish, described, keeps) {
  const { uri, next, close } = await callback();
  const name = described ? "Described client" : "Registered client";
  const kept = {};
  let address;
  const provider = {
    redirectUrl: uri,
    clientMetadataUrl: described ? document : undefined,
    clientMetadata: { client_name: name, redirect_uris: [uri], grant_types: ["authorization_code", "refresh_token"], response_types: ["code"], token_endpoint_auth_method: "none" },
    clientInformation: () => kept.client,
    saveClientInformation: (client) => (kept.client = client),
    // SDK 1.x would renew its tokens where it has to ask for more, and give up.
    tokens: () => kept.tokens && { ...kept.tokens, refresh_token: keeps ? kept.tokens.refresh_token : undefined },
    saveTokens: (tokens) => (kept.tokens = tokens),
    redirectToAuthorization: (to) => (address = to),
    saveCodeVerifier: (verifier) => (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
    saveDiscoveryState: (state) => (kept.discovery = state),
    discoveryState: () => kept.discovery,
  };
  const open = () => new Transport(new URL(url), { authProvider: provider });
  const first = open();
  await assert.rejects(new Client({ name: "e2e", version: "1" }).connect(first), /unauthorized/i);
  let answer = next();
  await agree(address, name);
  await finish(first, await answer);
  assert.ok(kept.tokens.refresh_token && kept.tokens.token_type === "Bearer");
  if (described) assert.equal(kept.client.client_id, document);
  const client = new Client({ name: "e2e", version: "1" });
  const second = open();
  await client.connect(second);
  const tools = (await client.listTools()).tools.map((tool) => tool.name);
  assert.ok(tools.includes("echo"), tools.join());
  const said = await client.callTool({ name: "echo", arguments: { message: "hello" } });
  assert.match(said.content[0].text, /hello/);
  // The person left this out; it is asked for when it is needed, and the session goes on.
  const add = () => client.callTool({ name: "get-sum", arguments: { a: 2, b: 3 } });
  await assert.rejects(add(), /unauthorized/i);
  answer = next();
  await agree(address, name, true);
  await finish(second, await answer);
  close();
  assert.match((await add()).content[0].text, /5/);
  await takeBack();
  address = undefined;
  const refused = await client.callTool({ name: "echo", arguments: { message: "again" } }).then(() => "went through", (error) => String(error));
  assert.doesNotMatch(refused, /went through/);
  await client.close().catch(() => {});
}

async function python(venv, described) {
  const script = new URL("./client.py", import.meta.url).pathname;
  const name = described ? "Described client" : "Registered client";
  const child = spawn(join(venv, "bin", "python"), [script, url, name, ...(described ? [document] : [])], { stdio: ["pipe", "pipe", "pipe"] });
  let log = "";
  child.stderr.on("data", (text) => (log += text));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const seen = [];
  for await (const line of createInterface({ input: child.stdout })) {
    seen.push(line);
    const has = (word) => seen.some((line) => line.startsWith(`${word} `));
    if (line.startsWith("authorize ") && !has("added")) await agree(line.slice(10), name, has("called"));
    if (line.startsWith("added ")) {
      await takeBack();
      child.stdin.write("on\n");
    }
  }
  assert.equal(await ended, 0, `${seen.join("\n")}\n${log}`);
  assert.ok(seen.some((line) => line.startsWith("called") && line.includes("hello")), seen.join("\n"));
  assert.ok(seen.some((line) => line.startsWith("added") && line.includes("5")), seen.join("\n"));
  assert.ok(seen.some((line) => line.startsWith("refused ")), seen.join("\n"));
}

const one = await import("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
const two = await import("@modelcontextprotocol/client");
const cache = process.env.WRIT_CACHE;
for (const described of [false, true]) {
  const by = described ? "a metadata document" : "registration";
  await shows(`TypeScript SDK 1.x by ${by}`, () => typescript(one.Client, StreamableHTTPClientTransport, (transport, answer) => transport.finishAuth(answer.get("code")), described, false));
  await shows(`TypeScript SDK 2.x by ${by}`, () => typescript(two.Client, two.StreamableHTTPClientTransport, (transport, answer) => transport.finishAuth(answer), described, true));
  await shows(`Python SDK 1.x by ${by}`, () => python(join(cache, "mcp-py1"), described));
  await shows(`Python SDK 2.x by ${by}`, () => python(join(cache, "mcp-py2"), described));
}
await shows("a document is fetched once in a while, not once a request", async () => assert.ok(fetched >= 1 && fetched <= 2, `fetched ${fetched} times`));

await shows("the conformance suite's mode for authorization servers", async () => {
  const waiting = await freePort();
  await writ.cli("client", "create", "conformance", "--display-name", "Conformance", "--redirect-uri", "http://127.0.0.1/callback");
  const suite = new URL("./node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url).pathname;
  const node = process.env.SUITE_NODE ?? process.execPath;
  const child = spawn(node, [suite, "authorization", "--url", writ.url, "--client-id", "conformance", "--resource", url, "--port", String(waiting)], { cwd: folder });
  let log = "";
  const follow = async (text) => {
    log += text;
    const address = String(text).match(/https?:\/\/\S+\/oauth2\/authorize\?\S+/)?.[0];
    if (!address) return;
    const tab = await context.newPage();
    await tab.goto(address);
    if (await tab.locator("button[value=allow]").count()) await tab.click("button[value=allow]");
  };
  child.stdout.on("data", follow);
  child.stderr.on("data", follow);
  const code = await new Promise((resolve) => child.on("exit", resolve));
  if (process.env.SHOW_SUITE) console.log(log);
  assert.equal(code, 0, log);
});

await chromium.close();
upstream.kill();
place.close();
await writ.stop();
end();
