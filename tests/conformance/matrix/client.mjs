// The official TypeScript SDKs as clients of matrix.sh: `sdk` 1.x, and `client` 2.x in each of its two generations.
//
//   node matrix/client.mjs --client ts1|ts2-sessions|ts2-stateless --plan FILE OPTIONS
//
// Walks the rows and prints {row, cell} for each. A cell is `ok`, `error CODE` where the protocol's own error came
// instead, `isError`, `nothing arrives`, or `wrong: ...`. The options and the rows are those of client.py.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { parseArgs } from 'node:util';

const CALL_MS = 10_000;
// What a client reads whose task was killed meanwhile.
const CUT = 'was ended while the request was under way';
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

const options = readOptions();
const { plan } = options;
const isStateless = options.client === 'ts2-stateless';

class Wrong extends Error {}

function must(isRight, why) {
  if (!isRight) throw new Wrong(why);
}

const until = async (isSo, why, ms = 3000) => {
  const deadline = performance.now() + ms;
  while (!isSo()) {
    must(performance.now() < deadline, why);
    await pause(20);
  }
};

const rows = {
  async tools() {
    const { tools } = await client.listTools();
    const names = tools.map(({ name }) => name);
    must(names.includes(plan.call.tool), `listed: ${names}`);
  },
  async call() {
    must(textOf(await call(plan.call)).includes(plan.call.text), 'another text');
    must(server.calls(plan.call.tool) === 1, `carried out ${server.calls(plan.call.tool)} times`);
  },
  async structured() {
    const { structuredContent } = await call(plan.structured);
    must(isDeepStrictEqual(structuredContent, plan.structured.content), JSON.stringify(structuredContent));
  },
  async list() {
    const result = await call(plan.list);
    if (result.structuredContent === undefined && textOf(result) === plan.list.text) return 'ok, as text';
    must(isDeepStrictEqual(result.structuredContent, plan.list.content), JSON.stringify(result));
  },
  async failing() {
    const result = await call(plan.failing);
    must(result.isError && textOf(result).includes(plan.failing.text), JSON.stringify(result));
  },
  async progress() {
    const reports = [];
    await call(plan.progress, { onprogress: ({ progress }) => reports.push(progress) });
    must(isDeepStrictEqual(reports, plan.progress.reports), `reports: ${reports}`);
  },
  async cancel() {
    const stop = new AbortController();
    let reports = 0;
    const waiting = call(plan.wait, { onprogress: () => { reports += 1; }, signal: stop.signal });
    waiting.catch(() => {});
    await until(() => reports > 0, 'never reported');
    stop.abort();
    await waiting.then(() => must(false, 'came to its end'), () => {});
    await until(server.isTold, 'the server was not told');
  },
  async resources() {
    must((await client.listResources()).resources.some(({ uri }) => uri === plan.resource.uri), 'not listed');
    const { contents } = await client.readResource({ uri: plan.resource.uri });
    must(contents[0].text.includes(plan.resource.text), 'another text');
  },
  async templates() {
    const { resourceTemplates } = await client.listResourceTemplates();
    must(resourceTemplates.some(({ uriTemplate }) => uriTemplate === plan.template.uriTemplate), 'not listed');
    const { contents } = await client.readResource({ uri: plan.template.uri });
    must(contents[0].text.includes(plan.template.text), 'another text');
  },
  async missing() {
    await client.readResource({ uri: plan.missing.uri });
  },
  async prompts() {
    must((await client.listPrompts()).prompts.some(({ name }) => name === plan.prompt.name), 'not listed');
    const { messages } = await client.getPrompt({ name: plan.prompt.name, arguments: plan.prompt.args });
    must(messages[0].content.text.includes(plan.prompt.text), 'another text');
  },
  async completion() {
    const { ref, argument, values } = plan.completion;
    const { completion } = await client.complete({ ref, argument });
    must(isDeepStrictEqual(completion.values, values), `${completion.values}`);
  },
  async accept() {
    answers.elicitation = { action: 'accept', content: { colour: 'blue' } };
    await askOnce(plan.ask_user, plan.ask_user.accepted);
  },
  async decline() {
    answers.elicitation = { action: 'decline' };
    await askOnce(plan.ask_user, plan.ask_user.declined);
  },
  async by_url() {
    answers.elicitation = { action: 'accept' };
    asked.length = 0;
    await askOnce(plan.ask_url, plan.ask_url.text);
    const one = { mode: 'url', url: plan.ask_url.url };
    must(asked.length === 1 && isPart(one, asked[0]), JSON.stringify(asked));
  },
  async url_first() {
    answers.elicitation = { action: 'accept' };
    asked.length = 0;
    const result = await call(plan.need_url);
    must(textOf(result).includes(plan.need_url.text), JSON.stringify(result));
    must(asked.length === 1 && isPart({ mode: 'url', url: plan.need_url.url }, asked[0]), JSON.stringify(asked));
  },
  async sampling() { await askOnce(plan.ask_model, plan.ask_model.text); },
  async roots() { await askOnce(plan.ask_roots, plan.ask_roots.text); },
  async log() {
    seen.length = 0;
    if (!isStateless) await client.setLoggingLevel('debug');
    await call({ ...plan.log, meta: isStateless ? { [LOG_LEVEL]: 'debug' } : undefined });
    return hears('notifications/message', 1000);
  },
  async updated() {
    const { watch } = plan;
    const listening = isStateless ? await client.listen({ resourceSubscriptions: [watch.uri] }) : undefined;
    if (!isStateless) await client.subscribeResource({ uri: watch.uri });
    const cell = await provoke(watch, `notifications/resources/updated ${watch.uri}`);
    await listening?.close();
    return cell;
  },
  async changed() {
    const listening = isStateless ? await client.listen({ toolsListChanged: true }) : undefined;
    const cell = await provoke(plan.change, 'notifications/tools/list_changed');
    await listening?.close();
    return cell;
  },
  async forbidden() {
    const result = await call(plan.forbidden);
    must(result.isError && textOf(result).includes(options.denial), JSON.stringify(result));
    must(server.calls(plan.forbidden.tool) === 0, 'it reached the server');
  },
  async sampling_kept() { return refusedBy(plan.ask_model); },
  async roots_kept() { return refusedBy(plan.ask_roots); },
  async log_kept() {
    seen.length = 0;
    await call({ ...plan.log, meta: isStateless ? { [LOG_LEVEL]: 'debug' } : undefined }, {}, plain);
    return hears('notifications/message', 200);
  },
  async level_kept() { await plain.setLoggingLevel('debug'); },
  async cut() {
    let reports = 0;
    let last = 0;
    let ended;
    const onprogress = () => { reports += 1; last = performance.now(); };
    call(plan.wait, { onprogress }).then((result) => { ended = { result }; }, (error) => { ended = { error }; });
    await until(() => reports > 0, 'never reported');
    must(spawnSync('sh', ['-c', options.stop], { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0, options.stop);
    const stopped = performance.now();
    await until(server.isTold, 'the server was not told');
    await until(() => ended || performance.now() - stopped > 1000, '');
    await pause(200);
    must(last - stopped < 1000, `went on for ${Math.round(last - stopped)} ms`);
    must(`${ended?.error?.message}`.includes(CUT), `${ended?.error?.message}`);
  },
};

// Which part of the plan a row needs, where it is not called the same.
const needs = {
  tools: 'call', cancel: 'wait', cut: 'wait', resources: 'resource', templates: 'template', prompts: 'prompt',
  accept: 'ask_user', decline: 'ask_user', by_url: 'ask_url', url_first: 'need_url', sampling: 'ask_model', sampling_kept: 'ask_model', roots: 'ask_roots',
  roots_kept: 'ask_roots', log_kept: 'log', level_kept: 'log', updated: 'watch', changed: 'change',
};

// What the server's side saw since the row began: the record of tap.mjs.
const server = {
  begin: 0,
  lines: () => readFileSync(options.record, 'utf8').split('\n').filter(Boolean).map(JSON.parse),
  since: () => server.lines().slice(server.begin),
  calls: (tool) => server.since().filter(({ method, name }) => method === 'tools/call' && name === tool).length,
  // Within a session it is told with a message, in 2026-07-28 by letting go of its answer.
  isTold: () => server.since().some(({ method, left }) => (
    options.rounds === 1 ? method === 'notifications/cancelled' : left === 'tools/call'
  )),
};

const answers = {
  elicitation: undefined,
  sampling: { role: 'assistant', content: { type: 'text', text: 'a word' }, model: 'none' },
  roots: { roots: [{ uri: 'file:///somewhere', name: 'somewhere' }] },
};
const seen = [];
// What the client was asked with elicitation/create.
const asked = [];

const isPart = (part, whole) => Object.entries(part).every(([name, value]) => whole[name] === value);

const sdk = await load();
const client = await open(options.url, options.tokenFile);
const plain = await open(options.plainUrl, options.plainTokenFile);
for (const [row, run] of Object.entries(rows)) {
  if (isForeign(row)) continue;
  if (plan[needs[row] ?? row]) console.log(JSON.stringify({ row, cell: await cellOf(run) }));
}
process.exit(0);

// What one of the two generations does not know.
function isForeign(row) {
  return (row === 'level_kept' && isStateless) || (row === 'list' && options.rounds === 1) || (row === 'url_first' && options.rounds === 2);
}

async function cellOf(run) {
  server.begin = server.lines().length;
  try {
    return await run() ?? 'ok';
  } catch (error) {
    if (error instanceof Wrong) return `wrong: ${error.message}`;
    if (Number.isInteger(error.code)) {
      console.error(`${options.client}: ${error.code} ${error.message}`);
      return `error ${error.code}`;
    }
    if (error.status !== undefined) return `error HTTP ${error.status}`;
    return `wrong: ${error.name}: ${error.message}`;
  }
}

async function open(url, tokenFile) {
  const headers = { authorization: `Bearer ${readFileSync(tokenFile, 'ascii').trim()}` };
  const opened = new sdk.Client({ name: 'writ-matrix', version: '1.0.0' }, {
    capabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} },
    ...(options.client.startsWith('ts2') && { versionNegotiation: { mode: isStateless ? { pin: '2026-07-28' } : 'legacy' } }),
  });
  sdk.handle(opened, 'elicitation/create', ({ params }) => { asked.push(params); return answers.elicitation; });
  sdk.handle(opened, 'sampling/createMessage', () => answers.sampling);
  sdk.handle(opened, 'roots/list', () => answers.roots);
  sdk.hear(opened, 'notifications/message', () => seen.push('notifications/message'));
  sdk.hear(opened, 'notifications/tools/list_changed', () => seen.push('notifications/tools/list_changed'));
  sdk.hear(opened, 'notifications/resources/updated', ({ params }) => seen.push(`notifications/resources/updated ${params.uri}`));
  await opened.connect(new sdk.Transport(new URL(url), { requestInit: { headers } }));
  return opened;
}

function call({ tool, args, meta }, how = {}, by = client) {
  return sdk.call(by, { name: tool, arguments: args, ...(meta && { _meta: meta }) }, { timeout: CALL_MS, ...how });
}

// The server works on it once, however often it has to be asked: twice in 2026-07-28, where questions are an answer.
async function askOnce(asked, text) {
  const result = await call(asked);
  must(textOf(result).includes(text), JSON.stringify(result));
  must(server.calls(asked.tool) === options.rounds, `the server was called ${server.calls(asked.tool)} times`);
}

// A tool that cannot ask fails, with the protocol's error or in its result.
async function refusedBy(asked) {
  const result = await call(asked, {}, plain);
  must(result.isError, JSON.stringify(result));
  return 'isError';
}

// Makes the server say something, until it is heard: a stream that has just been opened may not have begun.
async function provoke(trigger, notice) {
  seen.length = 0;
  let cell;
  for (let attempt = 0; attempt < 4 && cell !== 'ok'; attempt += 1) {
    await call(trigger);
    cell = await hears(notice, 500);
  }
  return cell;
}

async function hears(notice, ms) {
  return until(() => seen.includes(notice), '', ms).then(() => 'ok', () => 'nothing arrives');
}

// What differs between the lines of the SDK.
async function load() {
  if (options.client === 'ts1') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport: Transport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const types = await import('@modelcontextprotocol/sdk/types.js');
    const schemas = {
      'elicitation/create': types.ElicitRequestSchema,
      'sampling/createMessage': types.CreateMessageRequestSchema,
      'roots/list': types.ListRootsRequestSchema,
      'notifications/message': types.LoggingMessageNotificationSchema,
      'notifications/tools/list_changed': types.ToolListChangedNotificationSchema,
      'notifications/resources/updated': types.ResourceUpdatedNotificationSchema,
    };
    return {
      Client,
      Transport,
      call: (by, params, how) => by.callTool(params, undefined, how),
      handle: (by, method, answer) => by.setRequestHandler(schemas[method], answer),
      hear: (by, method, hear) => by.setNotificationHandler(schemas[method], hear),
    };
  }
  const { Client, StreamableHTTPClientTransport: Transport } = await import('@modelcontextprotocol/client');
  return {
    Client,
    Transport,
    call: (by, params, how) => by.callTool(params, how),
    handle: (by, method, answer) => by.setRequestHandler(method, answer),
    hear: (by, method, hear) => by.setNotificationHandler(method, hear),
  };
}

function readOptions() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: {
      client: text, plan: text, url: text, 'token-file': text, 'plain-url': text, 'plain-token-file': text, record: text,
      rounds: text, denial: text, stop: text,
    },
  });
  return {
    client: values.client, plan: JSON.parse(readFileSync(values.plan, 'utf8')), url: values.url,
    tokenFile: values['token-file'], plainUrl: values['plain-url'], plainTokenFile: values['plain-token-file'],
    record: values.record, rounds: Number(values.rounds), denial: values.denial, stop: values.stop,
  };
}

function textOf(result) {
  return (result.content ?? []).map((block) => block.text).filter(Boolean).join('\n');
}

function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}
