/**
 * Makes a clone ready to run: installs packages, builds dist/. Called by bootstrap.sh when something is missing or newer
 * than the build, and by `npm run build` and `npm pack`. Progress goes to stderr, since stdout belongs to the program.
 *   node bin/bootstrap.mjs [program]     a start of `program`: types are stripped from what changed, nothing is checked
 *   node bin/bootstrap.mjs --check       the whole compiler: fails on type errors, writes .d.ts files
 * A lock file with the pid of its owner lets one of several first starts do the work while the others wait.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const home = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const lock = path.join(home, '.bootstrap.lock');
const dist = path.join(home, 'dist');
const stamp = path.join(dist, '.built');
const installed = path.join(home, 'node_modules', '.installed');
const strict = process.argv.includes('--check');
const program = process.argv.slice(2).find((word) => !word.startsWith('-')) ?? 'millrace';
const SOURCES = ['src', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

const say = (text) => process.stderr.write(`${program}: ${text}\n`);
const read = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
let child;

class Trouble extends Error {}

/** Runs a program in the house; its output is kept and shown only if it fails. */
function run(command, args, what) {
  return new Promise((resolve, reject) => {
    const output = [];
    child = spawn(command, args, { cwd: home, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    child.on('error', (error) => {
      reject(
        new Trouble(
          error.code === 'ENOENT'
            ? `${what} needs ${command}, which is not on the PATH. It comes with Node.js: https://nodejs.org`
            : `${what}: ${error.message}`,
        ),
      );
    });
    child.on('close', (code) => {
      child = undefined;
      const text = Buffer.concat(output).toString('utf8').trimEnd();
      if (code === 0) resolve(text);
      else reject(new Trouble(`${what} failed (${command} ended with ${code}):\n${text}`));
    });
  });
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Makes `file` with our pid in it, whole or not at all. False = somebody else has it. */
function claim(file) {
  const own = `${file}.${process.pid}`;
  fs.writeFileSync(own, String(process.pid));
  try {
    fs.linkSync(own, file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  } finally {
    fs.rmSync(own, { force: true });
  }
}

/** Frees `file` when its owner is gone. One at a time, so that nobody removes the lock of the next owner. */
function freeIfStale(file) {
  const owner = Number(read(file));
  if (owner > 0 && alive(owner)) return;
  const breaker = `${file}.breaking`;
  if (!claim(breaker)) {
    const other = Number(read(breaker));
    if (!(other > 0 && alive(other))) fs.rmSync(breaker, { force: true });
    return;
  }
  try {
    if (Number(read(file)) === owner) fs.rmSync(file, { force: true });
  } finally {
    fs.rmSync(breaker, { force: true });
  }
}

async function withLock(work) {
  let told = false;
  while (!claim(lock)) {
    freeIfStale(lock);
    if (!told && fs.existsSync(lock)) say(`another start is preparing ${home} (process ${read(lock)}); waiting`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const release = () => fs.rmSync(lock, { force: true });
  const stopped = (signal) => {
    child?.kill(signal);
    release();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.once('SIGINT', stopped).once('SIGTERM', stopped).once('SIGHUP', stopped);
  try {
    await work();
  } finally {
    release();
  }
}

/** True when every package that the lock file says must be here is here in that version. */
function packagesMatch() {
  const wanted = JSON.parse(read(path.join(home, 'package-lock.json'))).packages;
  return Object.entries(wanted).every(([at, entry]) => {
    if (at === '' || entry.optional || entry.peer || entry.link) return true;
    const text = read(path.join(home, at, 'package.json'));
    return text !== '' && JSON.parse(text).version === entry.version;
  });
}

async function install() {
  const list = read(path.join(home, 'package-lock.json'));
  if (list !== '' && read(installed) === list) return;
  if (list !== '' && fs.existsSync(path.join(home, 'node_modules')) && packagesMatch()) {
    fs.writeFileSync(installed, list);
    return;
  }
  say('installing packages (once)');
  // No install scripts: nothing here needs one but better-sqlite3, which is compiled only for those who use it.
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const fresh = !fs.existsSync(path.join(home, 'node_modules'));
  const cache = homeIsWritable() ? undefined : fs.mkdtempSync(path.join(os.tmpdir(), 'npm-cache-'));
  const more = ['--no-update-notifier', ...(cache === undefined ? [] : ['--cache', cache])];
  try {
    await run('npm', [fresh ? 'ci' : 'install', ...quiet, ...more], 'installing packages');
  } catch (error) {
    if (!(error instanceof Trouble) || !fresh || /not on the PATH/.test(error.message)) throw error;
    say('npm ci did not succeed, trying npm install');
    await run('npm', ['install', '--no-save', ...quiet, ...more], 'installing packages');
  } finally {
    if (cache !== undefined) fs.rmSync(cache, { recursive: true, force: true });
  }
  fs.writeFileSync(installed, read(path.join(home, 'package-lock.json')));
}

/** npm keeps its cache there; a service account often has a home that does not exist. */
function homeIsWritable() {
  try {
    fs.accessSync(os.homedir(), fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Compiles beside the old build and swaps, so that a program that starts meanwhile never sees half of one. */
async function build() {
  const fresh = `${dist}.${process.pid}`;
  const old = `${dist}.old.${process.pid}`;
  // We have the lock: what lies here belongs to somebody who was killed.
  for (const name of fs.readdirSync(home)) if (name.startsWith('dist.')) fs.rmSync(path.join(home, name), { recursive: true, force: true });
  fs.mkdirSync(fresh);
  // Written first: what is saved while the compiler runs counts as newer.
  fs.writeFileSync(path.join(fresh, '.built'), `${nodeOnPath()}\n`);
  try {
    const tsc = path.join(home, 'node_modules', 'typescript', 'bin', 'tsc');
    if (strict) await run(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh, '--noEmitOnError'], 'building');
    else await transpile(path.join(home, 'src'), dist, fresh);
    copyStatic(path.join(home, 'src'), fresh);
    if (fs.existsSync(dist)) fs.renameSync(dist, old);
    fs.renameSync(fresh, dist);
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
    fs.rmSync(old, { recursive: true, force: true });
  }
}

/** Strips the types of every source that is newer than the build in `old`, and takes over what that has of the others. */
async function transpile(from, old, to) {
  const { default: ts } = await import('typescript');
  const { config } = ts.readConfigFile(path.join(home, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, noEmit: false, module: 'esnext', moduleResolution: 'bundler' }, home);
  const builtAt = fs.statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const recent = ['tsconfig.json', 'bin/bootstrap.mjs'].every((name) => fs.statSync(path.join(home, name)).mtimeMs < builtAt) ? builtAt : 0;
  for (const name of fs.readdirSync(from, { recursive: true })) {
    if (!name.endsWith('.ts') || name.endsWith('.d.ts')) continue;
    const source = path.join(from, name);
    const target = path.join(to, name.replace(/ts$/, 'js'));
    const before = path.join(old, name.replace(/ts$/, 'js'));
    fs.mkdirSync(path.dirname(target), { recursive: true });
    if (fs.statSync(source).mtimeMs < recent && fs.existsSync(before)) {
      fs.linkSync(before, target);
      const types = before.replace(/js$/, 'd.ts');
      if (fs.existsSync(types)) fs.linkSync(types, target.replace(/js$/, 'd.ts'));
      continue;
    }
    const { outputText, diagnostics } = ts.transpileModule(fs.readFileSync(source, 'utf8'), {
      compilerOptions: options,
      fileName: source,
      reportDiagnostics: true,
    });
    for (const { messageText } of diagnostics ?? []) say(`src/${name}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
    fs.writeFileSync(target, outputText);
  }
}

/** What is served as it is (the console's pages) goes along. */
function copyStatic(from, to) {
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const source = path.join(from, entry.name);
    if (entry.isDirectory()) copyStatic(source, path.join(to, entry.name));
    else if (!entry.name.endsWith('.ts')) {
      fs.mkdirSync(to, { recursive: true });
      fs.copyFileSync(source, path.join(to, entry.name));
    }
  }
}

/** What bootstrap.sh's `command -v node` says, so that it finds its own word in the stamp. */
function nodeOnPath() {
  return spawnSync('/bin/sh', ['-c', 'command -v node'], { encoding: 'utf8' }).stdout.trim();
}

function newest(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return fs.readdirSync(file).reduce((latest, name) => Math.max(latest, newest(path.join(file, name))), stat.mtimeMs);
}

/** Why dist/ cannot be used as it is; an empty string = it can. */
function reason() {
  const built = fs.statSync(stamp, { throwIfNoEntry: false });
  if (!built) return 'building (once)';
  return SOURCES.some((name) => newest(path.join(home, name)) > built.mtimeMs) ? 'building, the sources have changed' : '';
}

async function prepare() {
  await install();
  const why = strict ? 'building' : reason();
  if (why === '') {
    // Only the node on the PATH is another one; bootstrap.sh has found it new enough.
    const { atime, mtime } = fs.statSync(stamp);
    fs.writeFileSync(stamp, `${nodeOnPath()}\n`);
    fs.utimesSync(stamp, atime, mtime);
    return;
  }
  say(why);
  const began = Date.now();
  await build();
  say(`ready (built in ${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

try {
  await withLock(prepare);
} catch (error) {
  const denied = error.code === 'EACCES' || error.code === 'EROFS' || error.code === 'EPERM';
  if (denied && fs.existsSync(stamp) && !strict) {
    if (reason() !== '') say(`${home} is newer than its build but cannot be written (${error.code}); running the old build`);
  } else {
    say(
      denied
        ? `${home} cannot be written (${error.code}). Run this once as its owner.`
        : error instanceof Trouble
          ? error.message
          : (error.stack ?? String(error)),
    );
    process.exitCode = 70;
  }
}
