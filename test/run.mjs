/**
 * `npm test`: everything, from a fresh clone. Installs and builds what is missing, checks types, lint, dead code, then
 * runs all test projects, names what was skipped, and ends with the line `N passed, N failed, N skipped`.
 *   npm test                    all of it, within about 12 minutes on two cores
 *   npm test -- --proof         the long proofs too (big numbers, many crash rounds)
 *   npm test -- unit fuzz       only these projects
 * Exit code 0 only if nothing failed.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const home = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const proof = process.argv.includes('--proof');
const projects = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-test-'));
/** Where tests make their temporary directories, so that what they leave is seen, and goes. */
const temporary = path.join(scratch, 'tmp');
fs.mkdirSync(temporary);
// Some tests run programs as another user, who must get there.
fs.chmodSync(scratch, 0o755);
const total = { passed: 0, failed: 0, skipped: 0 };
const skippedNames = [];
const failedNames = [];
const bin = (name) => path.join(home, 'node_modules', '.bin', name);

const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  console.error(`npm test: Node.js 20 or newer is needed, but ${process.execPath} is ${process.version}.`);
  process.exit(69);
}

function run(command, args, { quiet = false, env = {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: home,
      env: { ...process.env, ...env },
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    });
    const output = [];
    child.stdout?.on('data', (chunk) => output.push(chunk));
    child.stderr?.on('data', (chunk) => output.push(chunk));
    child.on('error', (error) => resolve({ code: 127, text: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, text: Buffer.concat(output).toString('utf8') }));
  });
}

/** A check that is one thing in the sum: shown on one line, with its output only if it fails. */
async function step(name, command, args, options) {
  const began = Date.now();
  const { code, text } = await run(command, args, { ...options, quiet: true });
  const ok = code === 0;
  total[ok ? 'passed' : 'failed']++;
  if (!ok) failedNames.push(name);
  console.log(`${ok ? '✓' : '✗'} ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)${ok ? '' : `\n${text}`}`);
  return ok;
}

/** better-sqlite3 is installed without its native part; who tests the jdbc channel needs it. Without compiler, tests skip by name. */
async function nativeParts() {
  if (!fs.existsSync(path.join(home, 'node_modules', 'better-sqlite3'))) return;
  const works = await run(process.execPath, ['-e', "new (require('better-sqlite3'))(':memory:').close()"], { quiet: true });
  if (works.code === 0) return;
  console.log('  compiling better-sqlite3 for the jdbc channel (once, about a minute)');
  const built = await run('npm', ['rebuild', 'better-sqlite3', '--loglevel=error'], { quiet: true });
  if (built.code !== 0) console.log('  better-sqlite3 cannot be compiled here; tests that need it are skipped by name');
}

/** Runs test projects and adds up their results from vitest's report. */
async function tests(names, extra) {
  const report = path.join(scratch, `${names.join('-')}.json`);
  const args = ['run', ...names.flatMap((name) => ['--project', name]), '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...extra];
  const { code } = await run(bin('vitest'), args, { env: { TMPDIR: temporary, ...(proof && { MILLRACE_PROOF: '1' }) } });
  let failed = 0;
  if (fs.existsSync(report)) {
    for (const file of JSON.parse(fs.readFileSync(report, 'utf8')).testResults) {
      const where = path.relative(home, file.name);
      for (const test of file.assertionResults) {
        const title = `${where} > ${[...test.ancestorTitles, test.title].join(' > ')}`;
        if (test.status === 'passed') total.passed++;
        else if (test.status === 'failed') {
          failed++;
          failedNames.push(title);
        } else {
          total.skipped++;
          skippedNames.push(title);
        }
      }
      if (file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')) {
        failed++;
        failedNames.push(`${where}: ${file.message || 'did not load'}`);
      }
    }
  }
  if (code !== 0 && failed === 0) {
    failed = 1;
    failedNames.push(`${names.join(', ')}: vitest ended with ${code}`);
  }
  total.failed += failed;
}

/** A directory that a test leaves behind is a defect; what tsx and vitest keep there is not. */
function tidiness() {
  const left = fs.readdirSync(temporary).filter((name) => !/^tsx-\d+$|^[\w-]{21}$/.test(name));
  total[left.length === 0 ? 'passed' : 'failed']++;
  if (left.length === 0) return;
  failedNames.push('nothing is left in the temporary directory');
  console.log(`✗ left in the temporary directory: ${left.join(', ')}`);
}

const began = Date.now();
const built = await step('install and build', process.execPath, [path.join(home, 'bin', 'bootstrap.mjs'), '--check', 'test']);
if (built || fs.existsSync(bin('vitest'))) {
  const native = nativeParts();
  await step('types', bin('tsc'), ['--noEmit']);
  await step('lint', bin('biome'), ['check', '--error-on-warnings', 'bin', 'src', 'test', 'plugins', 'bench']);
  await step('dead code', bin('knip'), ['--no-progress']);
  const all = ['unit', 'fuzz', 'contract', 'integration', 'crash', 'compat'];
  const wanted = projects.length > 0 ? projects : all;
  const quick = wanted.filter((name) => name === 'unit' || name === 'fuzz');
  const slow = wanted.filter((name) => !quick.includes(name));
  const workers = Math.max(2, Math.min(4, os.availableParallelism()));
  if (quick.length > 0) await tests(quick, [`--maxWorkers=${workers}`, '--minWorkers=1']);
  await native;
  // Real processes beside each worker: more than two at a time only starve each other.
  if (slow.length > 0) await tests(slow, ['--maxWorkers=2', '--minWorkers=1', '--passWithNoTests']);
  tidiness();
}
fs.rmSync(scratch, { recursive: true, force: true });

const list = (title, names) => {
  if (names.length > 0) console.log(`\n${title} (${names.length}):\n${names.map((name) => `  ${name}`).join('\n')}`);
};
list('Skipped', skippedNames);
list('Failed', failedNames);
console.log(
  `\n${((Date.now() - began) / 1000).toFixed(0)} s on Node.js ${process.version}, ${os.availableParallelism()} cores${proof ? ', with the long proofs' : ''}`,
);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 ? 1 : 0;
