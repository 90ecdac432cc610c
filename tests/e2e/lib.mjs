// What the runs in a browser have in common: a server of their own, a browser, and the people in it.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

export const PASSWORD = "correct horse battery staple";
const run = promisify(execFile);

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A server with its data in a folder of its own; passkeys need a name, so it is `localhost`. */
export class Writ {
  static async start(tables = "", keys = "", mail = undefined) {
    const writ = new Writ();
    writ.folder = await mkdtemp(join(tmpdir(), "writ-e2e-"));
    const port = await freePort();
    writ.url = `http://localhost:${port}`;
    const file = join(writ.folder, "writ.toml");
    await writeFile(file, `registration = true\n${keys}\n[mail]\nfrom = "Writ <writ@example.com>"\n${mail ?? `folder = "${writ.folder}/mail"`}\n${tables}`);
    const flags = ["--data", join(writ.folder, "data"), "--listen", `127.0.0.1:${port}`, "--public-url", writ.url, "--config", file];
    const ready = join(writ.folder, "ready");
    writ.process = spawn(process.env.WRIT_BIN, ["up", ...flags, "--ready-file", ready], { stdio: ["ignore", "ignore", "pipe"] });
    writ.log = "";
    writ.process.stderr.on("data", (text) => (writ.log += text));
    await until(async () => (await readFile(ready, "utf8").catch(() => "")) !== "", "writ");
    const token = (await readFile(join(writ.folder, "data", "admin.token"), "utf8")).trim();
    writ.env = { ...process.env, WRIT_URL: writ.url, WRIT_TOKEN: token, XDG_CONFIG_HOME: join(writ.folder, "config") };
    return writ;
  }

  /** Runs a command as the administrator; what it prints. */
  async cli(...words) {
    const { stdout } = await run(process.env.WRIT_BIN, words, { env: this.env });
    return stdout.trim();
  }

  /** A person with everything that one may be given, and the link by which they come in. */
  async person(name, display) {
    await this.cli("person", "create", name, "--display-name", display, "--email", `${name}@example.com`);
    await this.cli("grant", "create", `all-${name}`, "--to", `person/${name}`, "--role", "operator", "--on", "catalogue", "--reason", "trial");
    return this.cli("person", "invite", name);
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    if (this.process.exitCode === null && this.process.kill()) await ended;
    await rm(this.folder, { recursive: true, force: true });
  }
}

export async function until(condition, what, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what} was not ready in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A certificate for this machine, as a service of one's own has; its files. */
export async function certificate() {
  const folder = await mkdtemp(join(tmpdir(), "writ-e2e-tls-"));
  const [key, file] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", file, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]);
  return { folder, file, tls: { key: await readFile(key), cert: await readFile(file) } };
}

export function browser() {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
}

/** A page whose mistakes are ours: whatever the browser complains about fails the run. */
export async function watched(context) {
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  return page;
}

/** A device that holds passkeys and verifies who holds it. */
export async function device(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("WebAuthn.enable");
  const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", { options });
  const set = (name, value) => session.send(`WebAuthn.${name}`, { authenticatorId, ...value });
  return {
    present: (enabled) => set("setAutomaticPresenceSimulation", { enabled }),
    verified: (isUserVerified) => set("setUserVerified", { isUserVerified }),
    forget: () => set("clearCredentials", {}),
  };
}

/** Comes in by a link and sets a password. */
export async function arrive(page, link) {
  await page.goto(link);
  await page.click("main button");
  await page.fill("#password", PASSWORD);
  await page.click("form[action='/account/password'] button");
  await page.click("form[action='/account/later'] button");
  await page.waitForURL("**/account*");
}

let failures = 0;

/** One thing that is shown. */
export async function shows(what, check) {
  try {
    await check();
    console.log(`ok   ${what}`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL ${what}\n     ${String(error.stack ?? error).split("\n").slice(0, 6).join("\n     ")}`);
  }
}

export function end() {
  process.exit(failures ? 1 : 0);
}
