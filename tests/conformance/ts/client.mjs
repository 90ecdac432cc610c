// The official TypeScript SDK as an MCP client: both lines, `sdk` 1.x and `client` 2.x, drive the same steps.
//
// The steps, the arguments and the output are those of ../py/client.py; see ../README.md. Runs from the folder that
// holds the node_modules, because that is where Node looks for packages.

import { readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

// Without a report for this long, a stream that reported several times a second counts as cut.
const SILENCE_MS = 3000;
const CALL_MS = 30_000;

class Failed extends Error {}

const options = readOptions();
const sdk = await load(options.sdk);

try {
  await main();
} catch (error) {
  say('failed', { why: error instanceof Failed ? error.message : `${error.name}: ${error.message}` });
  process.exit(1);
}
process.exit(0);

async function main() {
  const headers = options.tokenFile ? { authorization: `Bearer ${readFileSync(options.tokenFile, 'ascii').trim()}` } : {};
  const client = new sdk.Client({ name: 'writ-conformance', version: '1.0.0' });
  await client.connect(new sdk.Transport(new URL(options.url), { requestInit: { headers } }));
  say('connected', { server: client.getServerVersion()?.name });
  await checkList(client);
  await checkAllowed(client);
  await checkDenied(client);
  if (options.stop) {
    await checkCut(client);
    await checkRefusedAfter(client);
  }
  say('done');
}

async function checkList(client) {
  const names = (await client.listTools()).tools.map((tool) => tool.name);
  say('listed', { tools: names });
  if (!names.includes(options.allow.tool)) throw new Failed(`\`${options.allow.tool}\` is not listed`);
  if (options.denyHidden && names.includes(options.deny.tool)) {
    throw new Failed(`\`${options.deny.tool}\` is listed and must not be`);
  }
}

async function checkAllowed(client) {
  const result = await sdk.call(client, options.allow, { timeout: CALL_MS });
  say('allowed', { text: textOf(result) });
  if (result.isError || !textOf(result).includes(options.expect)) {
    throw new Failed(`the allowed call did not answer \`${options.expect}\``);
  }
}

// A denial reaches the caller as a result or as a protocol error, and always as words.
async function checkDenied(client) {
  let refused, words, kind;
  try {
    const result = await sdk.call(client, options.deny, { timeout: CALL_MS });
    [refused, words, kind] = [Boolean(result.isError), textOf(result), 'result'];
  } catch (error) {
    [refused, words, kind] = [sdk.isProtocolError(error), error.message, 'error'];
  }
  say('denied', { kind, text: words });
  if (!refused || !words.toLowerCase().includes(options.denySays.toLowerCase())) {
    throw new Failed(`the denied call was not refused with \`${options.denySays}\``);
  }
}

// Starts the long call, stops it from outside, and waits until the client notices.
async function checkCut(client) {
  let reports = 0;
  let ended;
  const first = new Promise((resolve, reject) => {
    const onprogress = () => { reports += 1; resolve(); };
    sdk.call(client, options.long, { onprogress, timeout: 120_000 }).then(
      (result) => { ended = { result }; reject(new Failed('the long call came to its end')); },
      (error) => { ended = { error }; reject(error); },
    );
  });
  await Promise.race([first, pause(CALL_MS).then(() => { throw new Failed('the long call never reported'); })]);
  say('streaming');
  if (spawnSync('sh', ['-c', options.stop], { stdio: 'inherit' }).status !== 0) {
    throw new Failed(`the stop command failed: ${options.stop}`);
  }
  // What arrived while the stop command ran is still in the pipe: let it be read first.
  await pause(50);
  const stopped = performance.now();
  let [last, seen] = [stopped, reports];
  while (!ended && performance.now() - last < SILENCE_MS) {
    await pause(50);
    if (reports > seen) {
      [last, seen] = [performance.now(), reports];
      const late = Math.round(last - stopped);
      if (late > options.cutMs) throw new Failed(`still streaming ${late} ms after the stop`);
    }
  }
  if (ended?.result && !ended.result.isError) throw new Failed('the long call came to its end');
  const how = ended?.error ? `${ended.error.name}: ${ended.error.message}` : ended ? textOf(ended.result) : 'silent';
  say('cut', { how, last_report_ms: Math.round(last - stopped) });
}

async function checkRefusedAfter(client) {
  let refused, words;
  try {
    const result = await sdk.call(client, options.allow, { timeout: 5000 });
    [refused, words] = [Boolean(result.isError), textOf(result)];
  } catch (error) {
    [refused, words] = [true, `${error.name}: ${error.message}`];
  }
  say('refused', { text: words });
  if (!refused) throw new Failed('a call after the stop still got through');
}

// What differs between the lines of the SDK.
async function load(line) {
  if (line === '1') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport: Transport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const { McpError } = await import('@modelcontextprotocol/sdk/types.js');
    const call = (client, { tool, args }, how) => client.callTool({ name: tool, arguments: args }, undefined, how);
    return { name: named('sdk'), Client, Transport, call, isProtocolError: (error) => error instanceof McpError };
  }
  const { Client, StreamableHTTPClientTransport: Transport, ProtocolError } = await import('@modelcontextprotocol/client');
  const call = (client, { tool, args }, how) => client.callTool({ name: tool, arguments: args }, how);
  return { name: named('client'), Client, Transport, call, isProtocolError: (error) => error instanceof ProtocolError };
}

function named(name) {
  const manifest = readFileSync(`node_modules/@modelcontextprotocol/${name}/package.json`, 'utf8');
  return `typescript ${name} ${JSON.parse(manifest).version}`;
}

function readOptions() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: {
      sdk: text, url: text, 'token-file': text, allow: text, 'allow-args': text, expect: text, deny: text,
      'deny-args': text, 'deny-says': { type: 'string', default: '' }, 'deny-hidden': { type: 'boolean' },
      long: text, 'long-args': text, stop: text, 'cut-ms': { type: 'string', default: '1000' },
    },
  });
  for (const name of ['sdk', 'url', 'allow', 'expect', 'deny']) {
    if (!values[name]) {
      console.error(`client.mjs: --${name} is missing`);
      process.exit(2);
    }
  }
  const target = (name) => ({ tool: values[name], args: JSON.parse(values[`${name}-args`] ?? '{}') });
  return {
    sdk: values.sdk, url: values.url, tokenFile: values['token-file'], allow: target('allow'), expect: values.expect,
    deny: target('deny'), denySays: values['deny-says'], denyHidden: values['deny-hidden'], long: target('long'),
    stop: values.stop, cutMs: Number(values['cut-ms']),
  };
}

function say(step, facts = {}) {
  console.log(JSON.stringify({ client: sdk.name, step, ...facts }));
}

function textOf(result) {
  return (result.content ?? []).map((block) => block.text).filter(Boolean).join('\n');
}

function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}
