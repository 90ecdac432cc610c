// Compares the verdicts of two runs of the suite, check by check, and prints a table.
//
//   node verdicts.mjs TITLE DIRECT_FOLDER [THROUGH_FOLDER]
//
// With one folder: says how that run went. Exit code 1 where something differs, or where a direct run is not clean;
// 2 where nothing was checked.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [title, directFolder, throughFolder] = process.argv.slice(2);
const ABSENT = 'absent';

// The suite makes a folder for each scenario: its name, and when it ran.
const SCENARIO = /^(?:server-)?(.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$/;

function readRun(folder) {
  const run = new Map();
  // A scenario's name may hold a slash, so that the folders are of different depths.
  for (const file of readdirSync(folder, { recursive: true }).filter((path) => path.endsWith('checks.json')).sort()) {
    const [, scenario] = SCENARIO.exec(file.slice(0, -'/checks.json'.length)) ?? [];
    if (scenario) run.set(scenario, readChecks(join(folder, file)));
  }
  const checks = [...run.values()].flatMap((byName) => [...byName.values()].flat());
  if (!checks.some(({ status }) => status === 'SUCCESS')) {
    console.error(`verdicts: ${title}: no check passed in ${folder}, so nothing was checked`);
    process.exit(2);
  }
  return run;
}

// A check may be made several times in a scenario: then the order counts.
function readChecks(file) {
  const byName = new Map();
  for (const check of JSON.parse(readFileSync(file, 'utf8'))) {
    const name = check.id === check.name ? check.id : `${check.id} (${check.name})`;
    byName.set(name, [...(byName.get(name) ?? []), check]);
  }
  return byName;
}

const statuses = (checks) => checks?.map(({ status }) => status).join(' ') ?? ABSENT;

// The suite notes with INFO what it saw on the wire. That is no verdict, unless the other run has one in its place.
const isVerdict = (...runs) => runs.some((checks) => checks?.some(({ status }) => status !== 'INFO'));

function compare(direct, through) {
  const names = new Set([...direct.keys(), ...through.keys()]);
  return [...names]
    .filter((name) => isVerdict(direct.get(name), through.get(name)))
    .filter((name) => statuses(direct.get(name)) !== statuses(through.get(name)))
    .map((name) => ({ name, direct: direct.get(name), through: through.get(name) }));
}

function summary(byName) {
  if (!byName) return ABSENT;
  const counts = {};
  for (const { status } of [...byName.values()].flat()) counts[status] = (counts[status] ?? 0) + 1;
  const words = { SUCCESS: 'passed', FAILURE: 'failed', WARNING: 'warned', SKIPPED: 'skipped' };
  const said = Object.entries(words).filter(([status]) => counts[status]).map(([status, word]) => `${counts[status]} ${word}`);
  return said.join(', ') || 'no verdict';
}

function row(...cells) {
  console.log(cells.map((cell, index) => cell.padEnd([48, 20, 28][index] ?? 0)).join(' ').trimEnd());
}

const complaint = (checks) => checks?.find(({ errorMessage }) => errorMessage)?.errorMessage;

function printDifference({ name, direct, through }) {
  console.log(`    ${name}: ${statuses(direct)} -> ${statuses(through)}`);
  const why = complaint(through) ?? complaint(direct);
  if (why) console.log(`        ${why.replaceAll('\n', ' ').slice(0, 300)}`);
}

function main() {
  const direct = readRun(directFolder);
  const through = throughFolder ? readRun(throughFolder) : undefined;
  const scenarios = [...new Set([...direct.keys(), ...(through?.keys() ?? [])])];
  let different = 0;
  row(title, 'direct', ...(through ? ['through writ'] : []));
  for (const scenario of scenarios) {
    const [left, right] = [direct.get(scenario) ?? new Map(), through?.get(scenario) ?? new Map()];
    const differences = through ? compare(left, right) : troubles(left);
    if (differences.length) different += 1;
    const cells = through ? [summary(direct.get(scenario)), summary(through.get(scenario))] : [summary(left)];
    row(scenario, ...cells, differences.length ? (through ? 'differs' : 'not clean') : '');
    differences.forEach(printDifference);
  }
  const what = through ? 'differ' : 'are not clean';
  console.log(`${title}: ${scenarios.length} scenarios, ${different} ${what}\n`);
  process.exit(different ? 1 : 0);
}

// What is not as it should be in a run without Writ: a fixture or a client that fails could hide a difference.
function troubles(byName) {
  return [...byName]
    .filter(([, checks]) => checks.some(({ status }) => status === 'FAILURE' || status === 'WARNING'))
    .map(([name, direct]) => ({ name, direct }));
}

main();
