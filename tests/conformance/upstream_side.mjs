// A client for the suite: connects, lists what there is and uses each of it once.
//
//   node upstream_side.mjs [--token-file FILE] URL
//
// Without a token URL is the suite's own server: that run shows what the official client makes of the scenario. With
// one, URL is that server behind Writ, and the suite judges Writ, which is the client that it sees.
//
// MCP_CONFORMANCE_PROTOCOL_VERSION names the revision, MCP_CONFORMANCE_CONTEXT the calls where the suite wants its own.

import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { createFront } from './front.mjs';

const MODERN = '2026-07-28';
const revision = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');

// What a person who changes nothing sends: the defaults are the client's to fill in.
const acceptDefaults = async () => ({ action: 'accept', content: {} });

async function main() {
  const { values, positionals } = parseArgs({ options: { 'token-file': { type: 'string' } }, allowPositionals: true });
  const target = new URL(positionals[0]);
  const client = await connect(values['token-file'] ? await behindFront(target, values['token-file']) : target);
  const { tools } = await client.listTools();
  for (const call of context.toolCalls ?? tools.map((tool) => callOf(tool, tools))) await attempt(() => client.callTool(call));
  await attempt(() => useResources(client));
  await attempt(() => usePrompts(client));
  await client.close();
}

async function behindFront(target, tokenFile) {
  const front = createFront(target, tokenFile).listen(0, '127.0.0.1');
  await once(front, 'listening');
  return new URL(`http://127.0.0.1:${front.address().port}${target.pathname}`);
}

// Each revision with the line of the SDK that was made for it.
async function connect(url) {
  const info = { name: 'writ-conformance', version: '1.0.0' };
  const capabilities = { elicitation: { form: { applyDefaults: true } } };
  if (revision === MODERN) {
    const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
    const client = new Client(info, { capabilities, versionNegotiation: { mode: 'auto' } });
    client.setRequestHandler('elicitation/create', acceptDefaults);
    await client.connect(new StreamableHTTPClientTransport(url));
    return client;
  }
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  const { ElicitRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
  const client = new Client(info, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, acceptDefaults);
  await client.connect(new StreamableHTTPClientTransport(url));
  return client;
}

// Arguments that fit the tool's schema. The scenario about schemas wants one of them back as it came.
function callOf({ name, inputSchema }, tools) {
  const { properties = {} } = inputSchema;
  const echoed = tools.find((tool) => tool.name === 'json_schema_2020_12_tool')?.inputSchema;
  const fitting = { number: 2, integer: 2, boolean: true, object: echoed ?? {}, array: [], null: null };
  const entries = Object.entries(properties).map(([key, { type }]) => [key, fitting[type] ?? (type ? 'text' : echoed ?? 'text')]);
  return { name, arguments: Object.fromEntries(entries) };
}

async function useResources(client) {
  if (!client.getServerCapabilities()?.resources) return;
  for (const { uri } of (await client.listResources()).resources) await attempt(() => client.readResource({ uri }));
}

async function usePrompts(client) {
  if (!client.getServerCapabilities()?.prompts) return;
  for (const { name } of (await client.listPrompts()).prompts) await attempt(() => client.getPrompt({ name }));
}

// What goes wrong is the suite's to judge; it keeps what a client says.
async function attempt(act) {
  try {
    await act();
  } catch (error) {
    console.error(`${error.name}: ${error.message}`);
  }
}

await main();
process.exit(0);
