// People at the pages: passkeys, step-up, recovery, the keyboard, accessibility, both themes, phone width, four languages.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { PASSWORD, Writ, arrive, browser, device, end, freePort, shows, until, watched } from "./lib.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SHOTS;
const writ = await Writ.start();
const chromium = await browser();

/** No serious or critical finding of axe-core on the page, nor a complaint of the browser. */
async function accessible(page, name) {
  // The page's own policy admits no script of others; the debugger's world is not the page's.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId: contextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  await session.send("Runtime.evaluate", { expression: axe, contextId });
  const expression = "axe.run(document).then((r) => JSON.stringify([r.passes.length, r.violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.html).slice(0, 2)])]))";
  const { result } = await session.send("Runtime.evaluate", { expression, contextId, awaitPromise: true });
  const [passed, found] = JSON.parse(result.value);
  assert.ok(passed > 10, `${name}: axe looked at nothing`);
  const grave = found.filter(([impact]) => ["serious", "critical"].includes(impact));
  assert.deepEqual(grave, [], name);
  assert.deepEqual(page.complaints, [], name);
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

// The client's site, where people are sent back to.
const site = http.createServer((_, response) => response.end("the client"));
const port = await freePort();
await new Promise((resolve) => site.listen(port, "localhost", resolve));
const callback = `http://localhost:${port}/callback`;

const context = await chromium.newContext({ viewport: { width: 1000, height: 900 } });
const page = await watched(context);
const keys = await device(page);
const link = await writ.person("maya", "Maya Lind");
await writ.cli("client", "create", "helper", "--display-name", "Helper", "--redirect-uri", `${writ.url}/nowhere-client`, "--redirect-uri", callback);
await writ.cli("server", "add", "notes", "http://127.0.0.1:9/mcp");
const challenge = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
const request = (more = "") => `${writ.url}/oauth2/authorize?response_type=code&client_id=helper&redirect_uri=${encodeURIComponent(callback)}&${challenge}&state=s&resource=${encodeURIComponent(`${writ.url}/mcp/notes`)}${more}`;
/** Where the browser is sent, once it is there. */
const sent = (page) => {
  const asked = page.waitForRequest((request) => request.url().startsWith(callback), { timeout: 30_000 });
  const url = asked.then((request) => page.waitForURL(request.url()).then(() => new URL(request.url())));
  // It may fail while something else is waited for, which then fails too.
  url.catch(() => {});
  return url;
};

await shows("a passkey is made by whoever comes by a link", async () => {
  await page.goto(link);
  await accessible(page, "join");
  await page.click("main button");
  await accessible(page, "setup");
  await page.fill("#label", "Laptop");
  await page.click("form[data-passkey] button");
  await page.waitForURL("**/account*");
  assert.match(await page.innerText("main"), /Passkey Laptop/);
  await accessible(page, "account-new");
});

await shows("the passkey signs in by one press, and where the name is typed", async () => {
  await page.click(".who button");
  await accessible(page, "signed-out");
  await keys.present(false);
  await page.goto(`${writ.url}/login`);
  await accessible(page, "login");
  await keys.present(true);
  await page.click("form[data-passkey] button");
  await page.waitForURL("**/account");
  await page.click(".who button");
  // Conditional: whoever has a passkey is offered it without a press, perhaps before the page is whole.
  await page.goto(`${writ.url}/login`).catch(() => {});
  await page.waitForURL("**/account", { timeout: 10000 });
});

await shows("a device that does not verify who holds it proves nothing", async () => {
  await page.click(".who button");
  await keys.verified(false);
  await keys.present(false);
  await page.goto(`${writ.url}/login`);
  await keys.present(true);
  await page.click("form[data-passkey] button");
  await page.waitForSelector("[data-failed]:not([hidden])");
  assert.match(page.url(), /\/login$/);
  await keys.verified(true);
  await page.click("form[data-passkey] button");
  await page.waitForURL("**/account");
});

await shows("consent is narrowed and refused by the keyboard alone", async () => {
  await page.goto(request());
  await accessible(page, "consent");
  // From the top of the page: everything is reached by Tab, in the order of reading.
  const reached = [];
  for (let at = 0; at < 24; at += 1) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.name || document.activeElement.textContent.trim()));
    const [name, value] = await page.evaluate(() => [document.activeElement.name, document.activeElement.value]);
    if (["effect_send", "effect_destroy"].includes(name)) await page.keyboard.press("Space");
    if (name === "decision" && value === "deny") break;
  }
  assert.ok(reached.indexOf("effect_read") < reached.indexOf("seconds"), reached.join(", "));
  const kept = await page.$$eval("input[type=checkbox]", (boxes) => boxes.filter((box) => box.checked).map((box) => box.name));
  assert.deepEqual(kept, ["effect_read", "effect_fetch", "effect_write"]);
  const answer = sent(page);
  await page.keyboard.press("Enter");
  assert.equal((await answer).searchParams.get("error"), "access_denied");
  await page.goto(request());
  const allowed = sent(page);
  await page.focus("input[name=effect_destroy]");
  await page.keyboard.press("Space");
  await page.focus("button[value=allow]");
  await page.keyboard.press("Enter");
  assert.ok((await allowed).searchParams.get("code"));
  // What was left out is asked for later, alone.
  await page.goto(request("&scope=tools:destroy"));
  await accessible(page, "consent-more");
  assert.deepEqual(await page.locator("ul.plain li").allInnerTexts(), ["Read and search", "Fetch from outside", "Create and change", "Send to others"]);
  assert.deepEqual(await page.locator("fieldset label").allInnerTexts(), ["Delete"]);
  const declined = sent(page);
  await page.focus("button[value=deny]");
  await page.keyboard.press("Enter");
  assert.equal((await declined).searchParams.get("error"), "access_denied");
});

await shows("step-up: whoever must prove themself anew does so with the passkey, and goes on", async () => {
  const answer = sent(page);
  // The device is there: the page may have gone on before it is whole.
  await page.goto(request("&prompt=login&acr_values=phr")).catch(() => {});
  await page.click("form[data-passkey] button", { timeout: 3000 }).catch(() => {});
  assert.ok((await answer).searchParams.get("code"), "agreed to before");
});

await shows("whoever lost the passkey comes back by mail, and makes a new one", async () => {
  await page.goto(`${writ.url}/account`);
  await page.click(".who button");
  await keys.forget();
  await page.goto(`${writ.url}/login`);
  await page.click("a[href='/recover']");
  await accessible(page, "recover");
  await page.fill("#name", "maya@example.com");
  await page.click("main button");
  await accessible(page, "recover-sent");
  const folder = join(writ.folder, "mail");
  await until(async () => (await readdir(folder)).some((name) => name.endsWith(".eml")), "the mail");
  const mail = await readFile(join(folder, (await readdir(folder)).find((name) => name.endsWith(".eml"))), "utf8");
  await page.goto(mail.replace(/=\r?\n/g, "").match(/http:\S+\/join\/\w+/)[0]);
  await page.click("main button");
  await page.fill("#label", "New laptop");
  await page.click("form[data-passkey] button");
  await page.waitForURL("**/account*");
  const text = await page.innerText("main");
  assert.match(text, /New laptop/);
  assert.match(text, /maya@example.com\s+verified/);
  // Nobody learns whether an account exists.
  const answers = [];
  for (const name of ["maya", "nobody", "nobody@example.com"]) {
    await page.goto(`${writ.url}/recover`);
    await page.fill("#name", name);
    await page.click("main button");
    answers.push(await page.innerText("main"));
  }
  assert.equal(new Set(answers).size, 1);
});

await shows("passkeys are named, and the last way in stays", async () => {
  await page.goto(`${writ.url}/account`);
  const first = page.locator("form[action$='/remove']").first();
  await first.locator("button").click();
  await page.waitForURL("**/account*");
  const left = page.locator("form[action$='/remove'] button");
  assert.equal(await left.count(), 1);
  await left.click();
  assert.match(await page.innerText("[role=alert]"), /last way in/);
  await page.fill("form[action$='/name'] input", "Work");
  await page.click("form[action$='/name'] button");
  assert.match(await page.innerText("main"), /Passkey Work/);
});

await shows("a password, a generator of codes and recovery codes work without a script", async () => {
  const plain = await chromium.newContext({ javaScriptEnabled: false, viewport: { width: 1000, height: 900 } });
  const page = await watched(plain);
  await arrive(page, await writ.person("ben", "Ben Okoye"));
  await page.goto(`${writ.url}/account/totp`);
  const seed = (await page.innerText(".seed code")).replace(/ /g, "");
  await page.fill("#code", await totp(seed));
  await page.click("form[action='/account/totp'] button");
  const codes = await page.locator(".codes code").allInnerTexts();
  assert.equal(codes.length, 10);
  await page.click("form[action='/account/later'] button");
  await page.click(".who button");
  for (const [code, works] of [[codes[0], true], [codes[0], false], [codes[1].toUpperCase().replaceAll("-", " "), true]]) {
    await page.goto(`${writ.url}/login`);
    await page.fill("#name", "ben@example.com");
    await page.fill("#password", PASSWORD);
    await page.click("form[action='/login'] button");
    await page.fill("#code", code);
    await page.click("form[action='/login/code'] button");
    assert.equal(page.url().endsWith("/account"), works, code);
    if (works) await page.click(".who button");
  }
  assert.deepEqual(page.complaints.filter((text) => !text.includes("401")), []);
  await plain.close();
});

await shows("what strangers and people write is text and nothing else, two hundred times", async () => {
  const code = "pwned=1";
  const acts = [`<script>${code}</script>`, `<img src=x onerror=${code}>`, `<svg/onload=${code}>`, `<svg><script>${code}</script></svg>`, `<body onload=${code}>`, `<iframe srcdoc="<script>parent.${code}</script>">`, `<iframe src="javascript:parent.${code}">`, `<a href="javascript:${code}" autofocus onfocus=${code}>x</a>`, `<details open ontoggle=${code}>`, `<input autofocus onfocus=${code}>`, `<math><mtext><script>${code}</script>`, `<base href="//evil.example/">`, `<meta http-equiv=refresh content="0;url=javascript:${code}">`, `<link rel=stylesheet href="data:text/css,*{display:none}">`, `<style>*{display:none}</style>`, `<form action="//evil.example"><button>x</button></form>`, `onmouseover=${code} x=`, `javascript:${code}`, `&lt;script&gt;${code}&lt;/script&gt;`, `&#60;script&#62;${code}&#60;/script&#62;`, `\\u003cscript\\u003e${code}`, `%3Cscript%3E${code}%3C/script%3E`, "{{7*7}}${7*7}", `\u202e<script>${code}</script>`, `\uff1cscript\uff1e${code}`];
  const strings = ["", '"', "'", ">", "</textarea>", "</title>", "-->", "`"].flatMap((out) => acts.map((act) => out + act));
  assert.equal(strings.length, 200);
  const details = (some) => JSON.stringify([{ type: "writ_task", purpose: some[0], instruction: some[1], tools: some.map((tool) => ({ server: "notes", tool, constraints: [{ argument: "/to", rule: { one_of: [tool] } }] })) }]);
  const base = { client_id: "helper", response_type: "code", redirect_uri: callback, code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", code_challenge_method: "S256", resource: `${writ.url}/mcp/notes`, prompt: "consent" };
  page.complaints = [];
  const inert = async (what) => assert.deepEqual([await page.evaluate(() => window.pwned), page.url().startsWith(writ.url), page.complaints], [undefined, true, []], what);
  for (let at = 0; at < strings.length; at += 40) {
    const some = strings.slice(at, at + 40);
    const pushed = await fetch(`${writ.url}/oauth2/par`, { method: "POST", body: new URLSearchParams({ ...base, authorization_details: details(some) }) });
    const { request_uri, error_description } = await pushed.json();
    assert.ok(request_uri, error_description);
    await page.goto(`${writ.url}/oauth2/authorize?client_id=helper&request_uri=${request_uri}`);
    assert.deepEqual(await page.locator("fieldset strong").evaluateAll((all) => all.map((one) => one.textContent)), some.map((tool) => `notes/${tool}`));
    await inert("rules");
  }
  for (const text of acts) {
    page.complaints = [];
    await page.goto(`${writ.url}/oauth2/authorize?client_id=${encodeURIComponent(text)}&redirect_uri=${encodeURIComponent(text)}&state=${encodeURIComponent(text)}`);
    page.complaints = page.complaints.filter((text) => !text.includes("400 (Bad Request)"));
    await inert("an address");
  }
  // Whoever has such a name, on a browser that calls itself something like it.
  const odd = await chromium.newContext({ userAgent: `Mozilla/5.0 ${acts[1]} Chrome/1`, javaScriptEnabled: true });
  const own = await watched(odd);
  await arrive(own, await writ.person("eve", acts[0]));
  assert.ok((await own.innerText("body")).includes(acts[0]));
  assert.deepEqual([await own.evaluate(() => window.pwned), own.complaints], [undefined, []]);
  await odd.close();
});

await shows("every page in the dark, at phone width and in four languages", async () => {
  for (const [language, words] of [["en", "My access"], ["de", "Mein Zugang"], ["es", "Mi acceso"], ["zh", "我的访问"]]) {
    const state = await context.storageState();
    const small = await chromium.newContext({ colorScheme: "dark", viewport: { width: 375, height: 720 }, storageState: state, locale: language });
    const page = await watched(small);
    await page.goto(`${writ.url}/account`);
    assert.match(await page.innerText("h1"), new RegExp(words));
    for (const [name, path] of [["account", "/account"], ["password", "/account/password"], ["totp", "/account/totp"], ["device", "/device"], ["logout", "/logout"], ["consent", request("&prompt=consent")], ["consent-more", request("&scope=tools:destroy")], ["mistake", "/oauth2/authorize?client_id=nobody"]]) {
      await page.goto(new URL(path, writ.url).href);
      page.complaints = page.complaints.filter((text) => !text.includes("400 (Bad Request)"));
      await accessible(page, `${name}-${language}-dark-phone`);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(over <= 0, `${name} is ${over} px too wide`);
      assert.equal(await page.getAttribute("html", "lang"), language);
    }
    await small.close();
  }
});

async function totp(base32) {
  const bits = [...base32].map((digit) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(digit).toString(2).padStart(5, "0")).join("");
  const seed = Uint8Array.from({ length: 20 }, (_, at) => parseInt(bits.slice(at * 8, at * 8 + 8), 2));
  const key = await crypto.subtle.importKey("raw", seed, { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  const step = new DataView(new ArrayBuffer(8));
  step.setBigUint64(0, BigInt(Math.floor(Date.now() / 30000)));
  const tag = new DataView(await crypto.subtle.sign("HMAC", key, step));
  const word = tag.getUint32(tag.getUint8(19) & 15) & 0x7fffffff;
  return String(word % 1000000).padStart(6, "0");
}

await chromium.close();
site.close();
await writ.stop();
end();
