// Compares the verdicts of two runs of the suite, check by check, and prints a table.
//
//   node verdicts.mjs server|client REVISION DIRECT_FOLDER [THROUGH_FOLDER]
//
// Without the last one: says how the direct run went. Beside FOLDER, FOLDER.scenarios names what was to be run. Exit
// code 1 where a verdict differs, or where the direct run is not clean; 2 where nothing was checked.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [leg, revision, directFolder, throughFolder] = process.argv.slice(2);
const title = `${leg} ${revision}`;

// The checks of each scenario by name; a scenario that could not be run has none.
function readRun(folder) {
  const folders = readdirSync(folder);
  const names = readFileSync(`${folder}.scenarios`, 'utf8').split('\n').filter(Boolean);
  const fileOf = (name) => join(folder, folders.find((path) => isOf(name, path)) ?? name, 'checks.json');
  const run = new Map(names.map((name) => [name, readChecks(fileOf(name))]));
  const checks = [...run.values()].flatMap((byName) => [...byName.values()].flat());
  if (!checks.some(({ status }) => status === 'SUCCESS')) {
    console.error(`verdicts: ${title}: no check passed in ${folder}, so nothing was checked`);
    process.exit(2);
  }
  return run;
}

// The suite makes a folder for each scenario: its name and when it ran, for servers with `server-` before.
function isOf(scenario, folder) {
  const name = folder.replace(/-\d{4}-\d{2}-\d{2}T[\d-]+Z$/, '');
  return name === scenario || name === `server-${scenario}`;
}

function readChecks(file) {
  const byName = new Map();
  if (!existsSync(file)) return byName;
  for (const check of JSON.parse(readFileSync(file, 'utf8'))) {
    const name = `${check.id} ${check.name}`;
    byName.set(name, [...(byName.get(name) ?? []), check]);
  }
  return byName;
}

// A check may be made several times. Of a server as often as the suite asks, so that each counts; of a client as often
// as it does something, and Writ may connect once more than a client does.
function statuses(checks) {
  if (!checks) return 'absent';
  const all = checks.map(({ status }) => status);
  return (leg === 'client' ? [...new Set(all)] : all).join(' ');
}

// The suite notes with INFO what it saw on the wire. That is no verdict, unless the other run has one in its place.
const isVerdict = (...runs) => runs.some((checks) => checks?.some(({ status }) => status !== 'INFO'));

function differences(direct, through) {
  return [...new Set([...direct.keys(), ...through.keys()])]
    .map((name) => ({ name, direct: direct.get(name), through: through.get(name) }))
    .filter((check) => isVerdict(check.direct, check.through) && statuses(check.direct) !== statuses(check.through));
}

// What is not as it should be without Writ: a fixture or a client that fails would hide what Writ does.
function troubles(direct) {
  return [...direct]
    .filter(([, checks]) => checks.some(({ status }) => status === 'FAILURE' || status === 'WARNING'))
    .map(([name, checks]) => ({ name, direct: checks }));
}

// A scenario that could not be run is never right, and not even where neither could.
function judge(direct, through) {
  const unclean = troubles(direct);
  if (unclean.length || direct.size === 0) return { word: 'not clean', found: unclean };
  const found = through ? differences(direct, through) : [];
  return { word: found.length || through?.size === 0 ? 'differs' : '', found };
}

function summary(byName) {
  if (byName.size === 0) return 'not run';
  const words = { SUCCESS: 'passed', FAILURE: 'failed', WARNING: 'warned', SKIPPED: 'skipped' };
  const all = [...byName.values()].flat();
  const counts = Object.entries(words).map(([status, word]) => [all.filter((check) => check.status === status).length, word]);
  return counts.filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(', ') || 'no verdict';
}

function printRow(...cells) {
  const widths = [46, 22, 34, 0];
  console.log(cells.map((cell, index) => cell.padEnd(widths[index])).join(' ').trimEnd());
}

function printCheck({ name, direct, through }) {
  console.log(`    ${name}: ${statuses(direct)}${throughFolder ? ` -> ${statuses(through)}` : ''}`);
  const why = (through ?? direct).find(({ errorMessage }) => errorMessage)?.errorMessage;
  if (why) console.log(`        ${why.replaceAll(/\s+/g, ' ').slice(0, 300)}`);
}

function main() {
  const direct = readRun(directFolder);
  const through = throughFolder && readRun(throughFolder);
  let count = 0;
  printRow(title, 'direct', ...(through ? ['through writ'] : []));
  for (const [scenario, checks] of direct) {
    const other = through?.get(scenario);
    const verdict = judge(checks, other);
    if (verdict.word) count += 1;
    printRow(scenario, summary(checks), ...(through ? [summary(other)] : []), verdict.word);
    verdict.found.forEach(printCheck);
  }
  console.log(`${title}: ${direct.size} scenarios, ${count} not as they should be\n`);
  process.exit(count ? 1 : 0);
}

main();
