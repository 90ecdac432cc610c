// What the clients of matrix.sh observed, as the table in docs/reference/mcp.md.
//
//   node table.mjs --check|--write PAGE FOLDER      FOLDER holds CLIENT-SERVER.jsonl
//
// All clients and servers of a combination must say the same, but for what is stated here with its reason; every row is
// asked of every server, but for what servers.json says that it lacks. Exit code 1 where that is not so.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const [BEGIN, END] = ['<!-- matrix: begin -->', '<!-- matrix: end -->'];

const ROWS = {
  tools: 'list tools',
  call: 'call a tool; it is carried out once',
  structured: 'structured content, an object',
  list: 'structured content, no object',
  failing: 'a tool that fails: `isError`',
  progress: 'progress',
  cancel: 'a call taken back; the server learns it',
  resources: 'list and read resources',
  templates: 'list and read resource templates',
  missing: 'read a resource that is not there',
  prompts: 'list and get prompts',
  completion: 'completion',
  accept: 'elicitation by form, accepted; it is carried out once',
  decline: 'elicitation by form, declined',
  by_url: 'elicitation by URL, accepted; it is carried out once',
  url_first: 'a URL is wanted first: `URLElicitationRequired`',
  sampling: 'sampling, with `--pass sampling`',
  sampling_kept: 'sampling, without',
  roots: 'roots, with `--pass roots`',
  roots_kept: 'roots, without',
  log: 'lines of the log, with `--pass logging`',
  log_kept: 'lines of the log, without',
  level_kept: '`logging/setLevel`, without',
  updated: 'subscribe to a resource, and hear that it was updated',
  changed: 'hear that the list of tools has changed',
  forbidden: 'a call that a policy forbids: its words, and nothing reaches the server',
  cut: '`writ task kill` within a stream: its words, and the server learns it',
};

// Which part of a plan in servers.json a row needs, where it is not called the same.
const PARTS = {
  tools: 'call', cancel: 'wait', cut: 'wait', resources: 'resource', templates: 'template', prompts: 'prompt',
  accept: 'ask_user', decline: 'ask_user', by_url: 'ask_url', url_first: 'need_url', sampling: 'ask_model', sampling_kept: 'ask_model', roots: 'ask_roots',
  roots_kept: 'ask_roots', log_kept: 'log', level_kept: 'log', updated: 'watch', changed: 'change',
};

// What one of the generations does not know.
const FOREIGN = {
  list: ({ back }) => back === 'sessions',
  // In 2026-07-28 it is a question like others.
  url_first: ({ back }) => back === 'stateless',
  level_kept: ({ front }) => front === 'stateless',
};

// Who sees something else than the others of the same combination, and why.
const EXCEPTIONS = [
  {
    rows: ['missing'],
    is: ({ client, back }) => client === 'ts2-sessions' && back === 'sessions',
    who: 'at a session of `ts2`',
    cell: 'error -32602',
    why: 'its SDK shows `-32002` to its user as `-32602`',
  },
  {
    rows: ['log', 'updated'],
    is: ({ server, front }) => server === 'everything' && front === 'stateless',
    who: 'from `everything` to 2026',
    cell: 'nothing arrives',
    why: 'it speaks of them outside of calls, to the session that the call came in, where no client of 2026 listens',
  },
  {
    rows: ['sampling_kept'],
    is: ({ server }) => server === 'python1',
    who: 'from `python1`',
    cell: 'isError',
    why: 'its SDK tells what a tool ran into in the result',
  },
  {
    rows: ['sampling_kept'],
    is: ({ server }) => server === 'everything',
    who: 'from `everything`',
    cell: 'isError',
    why: 'it has its tool that asks for a client alone that can be asked, so it is in no catalogue then',
  },
  {
    rows: ['sampling_kept', 'roots_kept'],
    is: ({ server, front }) => server === 'python2' && front === 'sessions',
    who: 'from `python2` within sessions',
    cell: 'error -32021',
    why: 'its SDK has this error in both generations',
  },
];

const COMBINATIONS = [['sessions', 'sessions'], ['sessions', 'stateless'], ['stateless', 'sessions'], ['stateless', 'stateless']];
const CALLED = { sessions: '2025', stateless: '2026' };

const [mode, page, folder] = process.argv.slice(2);
const plans = JSON.parse(readFileSync(new URL('servers.json', import.meta.url), 'utf8'));
const faults = [];
const runs = readdirSync(folder).filter((name) => name.endsWith('.jsonl')).sort().map(readRun);
const block = [...table(), '', ...remarks()].join('\n');
if (mode === '--write' && faults.length === 0) write();
if (mode === '--check') compare();
for (const fault of faults) console.error(`matrix: ${fault}`);
if (faults.length) process.exit(1);
const cells = runs.reduce((sum, run) => sum + run.cells.size, 0);
console.log(`matrix: ${cells} cells of ${runs.length} pairs of client and server are as ${page} says`);

function readRun(file) {
  const [, client, server] = /^(.+)-([^-]+)\.jsonl$/.exec(file);
  const front = client.endsWith('-stateless') ? 'stateless' : 'sessions';
  // A server of both generations is spoken to in the client's own.
  const { generation } = plans.servers[server];
  const back = generation === 'both' ? front : generation;
  const lines = readFileSync(`${folder}/${file}`, 'utf8').split('\n').filter(Boolean).map(JSON.parse);
  return { client, server, front, back, cells: new Map(lines.map(({ row, cell }) => [row, cell])) };
}

function table() {
  const heads = COMBINATIONS.map(([front, back]) => `${CALLED[front]} to ${CALLED[back]}`);
  const line = (columns) => `| ${columns.join(' | ')} |`;
  const rows = Object.entries(ROWS).map(([row, title]) => line([title, ...COMBINATIONS.map((pair) => cellOf(row, pair))]));
  return [line(['what', ...heads]), `|${'---|'.repeat(heads.length + 1)}`, ...rows];
}

// What all runs of a combination say.
function cellOf(row, [front, back]) {
  if (FOREIGN[row]?.({ front, back })) return '-';
  const those = runs.filter((run) => run.front === front && run.back === back);
  const said = new Map();
  for (const run of those) {
    const cell = run.cells.get(row);
    const exception = EXCEPTIONS.find(({ rows, is }) => rows.includes(row) && is(run));
    const who = `${run.client} with ${run.server}`;
    if (isLacking(run.server, row)) {
      if (cell !== undefined) faults.push(`${row}, ${who}: it has what servers.json says that it lacks`);
    } else if (cell === undefined) faults.push(`${row}, ${who}: not observed`);
    else if (!exception) said.set(cell, [...(said.get(cell) ?? []), who]);
    else if (cell !== exception.cell) faults.push(`${row}, ${who}: \`${cell}\`, not \`${exception.cell}\``);
  }
  if (said.size !== 1 || [...said.keys()].some((cell) => cell.startsWith('wrong'))) {
    const all = [...said].map(([cell, who]) => `\`${cell}\` (${who.join(', ')})`);
    faults.push(`${row}, client ${front}, server ${back}: ${all.join('; ') || 'nobody says anything'}`);
  }
  return [...said.keys()].join(' / ');
}

function isLacking(server, row) {
  return (PARTS[row] ?? row) in plans.servers[server].lacks;
}

function remarks() {
  const titles = (rows) => rows.map((row) => `"${ROWS[row]}"`).join(', ');
  const differ = EXCEPTIONS.map(({ rows, who, cell, why }) => `- ${titles(rows)}: \`${cell}\` ${who}: ${why}.`);
  const lacking = Object.entries(plans.servers).filter(([, { lacks }]) => Object.keys(lacks).length).map(([server, { lacks }]) => (
    `- Not asked of \`${server}\`: ${[...new Set(Object.values(lacks))].join('; ')}.`
  ));
  return [...differ, ...lacking];
}

function compare() {
  const text = readFileSync(page, 'utf8');
  const stated = text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)).trim().split('\n');
  for (const line of block.split('\n')) if (!stated.includes(line)) faults.push(`observed, and not in ${page}: ${line}`);
  for (const line of stated) if (!block.split('\n').includes(line)) faults.push(`not observed, but in ${page}: ${line}`);
}

function write() {
  const text = readFileSync(page, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)];
  writeFileSync(page, `${text.slice(0, begin)}\n\n${block}\n\n${text.slice(end)}`);
}
