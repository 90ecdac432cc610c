// Letters to people through a real server for mail, over each kind of line.
import assert from "node:assert/strict";
import { SMTPServer } from "smtp-server";
import { Writ, certificate, end, freePort, shows } from "./lib.mjs";

const { file, tls } = await certificate();
const stranger = await certificate();

/** A server for mail; what it got. */
async function post(options) {
  const got = { letters: [], passwords: [] };
  const server = new SMTPServer({
    ...tls,
    ...options,
    logger: false,
    onAuth: ({ username, password }, session, done) => {
      got.passwords.push([username, password, session.secure]);
      done(password === "secret" ? null : new Error("no"), { user: username });
    },
    onData: (stream, session, done) => {
      let text = "";
      stream.on("data", (part) => (text += part)).on("end", () => {
        got.letters.push({ text, to: session.envelope.rcptTo.map((to) => to.address), secure: session.secure });
        done();
      });
    },
  });
  server.on("error", () => {});
  got.port = await freePort();
  await new Promise((resolve) => server.listen(got.port, "localhost", resolve));
  got.close = () => new Promise((resolve) => server.close(resolve));
  return got;
}

/** Has an administrator send a link; what the command said. */
async function invited(line) {
  const writ = await Writ.start("", "", `[mail.smtp]\nhost = "localhost"\n${line}`);
  try {
    await writ.cli("person", "create", "lea", "--display-name", "Léa Ōno", "--email", "lea@example.com");
    return await writ.cli("person", "invite", "lea", "--mail").then((said) => ({ said, writ }), (error) => ({ refused: error.stderr }));
  } finally {
    await writ.stop();
  }
}

const account = 'username = "writ"\npassword = "secret"\n';
for (const [kind, options, secure] of [["implicit", { secure: true }, true], ["starttls", {}, true], ["none", { disabledCommands: ["STARTTLS"], authOptional: true }, false]]) {
  await shows(`a letter goes out, line: ${kind}`, async () => {
    const got = await post(options);
    const trust = secure ? `authorities = "${file}"\n${account}` : "";
    const { refused } = await invited(`port = ${got.port}\ntls = "${kind}"\n${trust}`);
    await got.close();
    assert.equal(refused, undefined);
    const [letter] = got.letters;
    assert.deepEqual([got.letters.length, letter.to, letter.secure], [1, ["lea@example.com"], secure]);
    const text = letter.text.replace(/=\r?\n/g, "").replaceAll("=3D", "=");
    assert.match(text, /From: "?Writ"? <writ@example\.com>/);
    assert.match(text, /http:\/\/localhost:\d+\/join\/[0-9a-f]{64}/);
    if (secure) assert.deepEqual(got.passwords, [["writ", "secret", true]]);
  });
}

await shows("nothing goes out over a line that is not the one that was asked for", async () => {
  const cases = [
    ["a server that offers no STARTTLS", { disabledCommands: ["STARTTLS"], authOptional: true }, `tls = "starttls"\nauthorities = "${file}"\n`],
    ["a certificate of nobody", { secure: true }, `tls = "implicit"\n${account}`],
    ["a certificate of somebody else", { secure: true }, `tls = "implicit"\nauthorities = "${stranger.file}"\n${account}`],
    ["a certificate of somebody else, by STARTTLS", {}, `tls = "starttls"\nauthorities = "${stranger.file}"\n${account}`],
    ["a plain server where TLS is wanted", { disabledCommands: ["STARTTLS"], authOptional: true }, `tls = "implicit"\nauthorities = "${file}"\n`],
    ["a wrong password", { secure: true }, `tls = "implicit"\nauthorities = "${file}"\nusername = "writ"\npassword = "wrong"\n`],
  ];
  for (const [what, options, line] of cases) {
    const got = await post(options);
    const { refused } = await invited(`port = ${got.port}\n${line}`);
    await got.close();
    assert.match(refused ?? "", /could not be sent|not be sent/, what);
    assert.ok(!refused.includes("secret") && !refused.includes("wrong\n"), `${what}: ${refused}`);
    assert.deepEqual(got.letters, [], what);
    assert.ok(got.passwords.every(([, password]) => password === "wrong"), `${what}: the password went out`);
  }
});

end();
