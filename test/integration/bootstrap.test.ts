/** From a clone to a running program: what bin/flume-ng does before the agent, with real shells, npm and tsc. */
import { type ExecFileOptions, execFile, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { definition } from './agent-process.ts';

const home = path.resolve(import.meta.dirname, '../..');
const HOUSE = ['bin', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'boot strap '));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, args: readonly string[], options: ExecFileOptions = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: dir, ...options, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout: String(stdout), stderr: String(stderr) });
    });
  });
}

/** A house whose only program prints its arguments, its pid and its working directory; packages come from this clone. */
function smallHouse(name = 'a house'): string {
  const at = path.join(dir, name);
  for (const part of HOUSE) fs.cpSync(path.join(home, part), path.join(at, part), { recursive: true });
  fs.mkdirSync(path.join(at, 'src/cli'), { recursive: true });
  program(at, '1');
  fs.symlinkSync(path.join(home, 'node_modules'), path.join(at, 'node_modules'));
  return at;
}

function program(at: string, version: string): void {
  const text = `const said: object = { version: '${version}', args: process.argv.slice(2), pid: process.pid, cwd: process.cwd() };\nprocess.stdout.write(JSON.stringify(said));\n`;
  fs.writeFileSync(path.join(at, 'src/cli/flume-ng.ts'), text);
}

/** A PATH with only these programs in it, each a link to the real one or a script. */
function pathWith(programs: Readonly<Record<string, string | null>>): string {
  const at = fs.mkdtempSync(path.join(dir, 'path-'));
  for (const [name, script] of Object.entries(programs)) {
    const file = path.join(at, name);
    if (script === null)
      fs.symlinkSync(name === 'node' ? process.execPath : execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(), file);
    else fs.writeFileSync(file, script, { mode: 0o755 });
  }
  return at;
}

describe('bin/flume-ng', () => {
  it('builds once, then starts at once; builds again when a source changed', async () => {
    const house = smallHouse();
    const shim = path.join(house, 'bin/flume-ng');
    const first = await run(shim, ['agent', 'two words', '']);
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({ version: '1', args: ['agent', 'two words', ''], cwd: fs.realpathSync(dir) });
    expect(first.stderr).toMatch(/flume-ng: building \(once\)\nflume-ng: ready/);

    expect((await run(shim, [])).stderr).toBe('');
    await new Promise((resolve) => setTimeout(resolve, 20)); // file times have ticks
    program(house, '2');
    const changed = await run(shim, []);
    expect(JSON.parse(changed.stdout).version).toBe('2');
    expect(changed.stderr).toContain('the sources have changed');
  });

  it('works through links, from any directory, and is replaced by node so that signals arrive', async () => {
    const house = smallHouse();
    fs.mkdirSync(path.join(dir, 'links'));
    fs.symlinkSync(path.join(house, 'bin/flume-ng'), path.join(dir, 'links/one'));
    fs.symlinkSync('one', path.join(dir, 'links/flume'));
    const child = spawn('flume', ['x'], { cwd: '/', env: { ...process.env, PATH: `${dir}/links:${process.env.PATH}` }, stdio: ['ignore', 'pipe', 'ignore'] });
    let stdout = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    await new Promise((resolve) => child.on('close', resolve));
    expect(JSON.parse(stdout)).toMatchObject({ args: ['x'], cwd: '/', pid: child.pid });
    expect((await run('./flume-ng', ['y'], { cwd: path.join(house, 'bin') })).stdout).toContain('"y"');
  });

  it('does the work once when several start together, and frees the lock of a dead one', async () => {
    const house = smallHouse();
    const dead = await run(process.execPath, ['-p', 'process.pid']);
    fs.writeFileSync(path.join(house, '.bootstrap.lock'), dead.stdout.trim());
    const starts = await Promise.all([1, 2, 3].map((n) => run(path.join(house, 'bin/flume-ng'), [String(n)])));
    expect(starts.map((start) => [start.code, JSON.parse(start.stdout).args[0]])).toEqual([
      [0, '1'],
      [0, '2'],
      [0, '3'],
    ]);
    expect(starts.filter((start) => start.stderr.includes('building'))).toHaveLength(1);
    expect(fs.readdirSync(house).filter((name) => name.startsWith('.bootstrap') || name.startsWith('dist.'))).toEqual([]);
  });

  it('stopped while it builds leaves neither lock nor half a build', async () => {
    const house = smallHouse();
    const child = spawn(path.join(house, 'bin/flume-ng'), [], { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    await new Promise((resolve) => child.stderr.once('data', resolve));
    process.kill(-child.pid!, 'SIGTERM');
    await new Promise((resolve) => child.on('exit', resolve));
    await expect.poll(() => fs.existsSync(path.join(house, '.bootstrap.lock')), { timeout: 10_000 }).toBe(false);
    expect((await run(path.join(house, 'bin/flume-ng'), ['z'])).stdout).toContain('"z"');
  });

  it('says plainly what is missing', async () => {
    const house = smallHouse();
    const shim = path.join(house, 'bin/flume-ng');
    const tools = { sh: null, readlink: null, find: null } as const;
    const noNode = await run(shim, [], { env: { PATH: pathWith(tools) } });
    expect([noNode.code, noNode.stderr]).toEqual([69, expect.stringMatching(/^flume-ng: Node\.js is not installed.*Version 20 or newer.*\n$/)]);
    const oldNode = await run(shim, [], { env: { PATH: pathWith({ ...tools, node: '#!/bin/sh\necho v18.19.0\n' }) } });
    expect([oldNode.code, oldNode.stderr]).toEqual([69, expect.stringMatching(/^flume-ng: Node\.js 20 or newer is needed, but .* is v18\.19\.0\.\n$/)]);
    fs.rmSync(path.join(house, 'node_modules'));
    const noNpm = await run(shim, [], { env: { PATH: pathWith({ ...tools, node: null }) } });
    expect(noNpm.code).toBe(70);
    expect(noNpm.stderr).toMatch(/needs npm, which is not on the PATH\. It comes with Node\.js/);
  });

  it('shows what npm said when it fails', async () => {
    const house = smallHouse();
    fs.rmSync(path.join(house, 'node_modules'));
    const npm = '#!/bin/sh\necho "npm error network down" >&2\nexit 1\n';
    const failed = await run(path.join(house, 'bin/flume-ng'), [], {
      env: { PATH: pathWith({ sh: null, readlink: null, find: null, echo: null, node: null, npm }) },
    });
    expect(failed.code).toBe(70);
    expect(failed.stderr).toMatch(/installing packages failed \(npm ended with 1\):\nnpm error network down/);
    expect(failed.stdout).toBe('');
  });

  it('runs the old build, with a word, where it may not write', async () => {
    const house = smallHouse();
    await run(path.join(house, 'bin/flume-ng'), []);
    await new Promise((resolve) => setTimeout(resolve, 20)); // file times have ticks
    program(house, '2');
    // Root may write anywhere, so root asks nobody to try.
    const somebody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    fs.chmodSync(dir, 0o755);
    fs.chmodSync(house, 0o555);
    const old = await run(path.join(house, 'bin/flume-ng'), [], { cwd: '/', ...somebody });
    fs.chmodSync(house, 0o755);
    expect(old.stderr).toContain('running the old build');
    expect(JSON.parse(old.stdout).version).toBe('1');
  });
});

/** Everything git knows of, as a clone would have it (with what is changed here). */
function cloneTo(at: string): void {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: home, encoding: 'utf8' }).split('\0');
  for (const file of files) {
    if (file === '' || file.startsWith('test/') || !fs.existsSync(path.join(home, file))) continue;
    fs.mkdirSync(path.dirname(path.join(at, file)), { recursive: true });
    fs.copyFileSync(path.join(home, file), path.join(at, file));
  }
}

const offline = (text: string): boolean => /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/.test(text);

describe('a fresh clone', () => {
  it('runs after one command with an empty home, and installed from its package', { timeout: 300_000 }, async (context) => {
    const clone = path.join(dir, 'fresh clone');
    cloneTo(clone);
    const env = { ...process.env, HOME: fs.mkdtempSync(path.join(dir, 'home-')) };
    const shim = path.join(clone, 'bin/flume-ng');
    const [one, two] = await Promise.all([run(shim, ['version'], { env }), run(shim, ['version'], { env })]);
    if (offline(one.stderr + two.stderr)) context.skip('the package registry cannot be reached');
    expect([one.code, two.code, one.stderr]).toEqual([0, 0, expect.any(String)]);
    expect(one.stdout).toMatch(/^\S/);
    expect(two.stdout).toBe(one.stdout);
    expect((one.stderr + two.stderr).match(/installing packages/g)).toHaveLength(1);

    const packed = await run('npm', ['pack', '--pack-destination', dir, '--loglevel=error'], { cwd: clone, env });
    expect(packed.code, packed.stderr).toBe(0);
    const tarball = path.join(dir, packed.stdout.trim().split('\n').at(-1)!);
    const listed = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' });
    expect(listed).not.toMatch(/package\/(src|test|node_modules)\//);
    expect(listed).not.toContain('.built');
    const prefix = path.join(dir, 'global');
    const installed = await run('npm', ['install', '-g', '--prefix', prefix, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', tarball], {
      env,
    });
    expect(installed.code, installed.stderr).toBe(0);
    const global = await run(path.join(prefix, 'bin/flume-ng'), ['version'], { cwd: '/', env });
    expect([global.code, global.stdout.split('\n')[0], global.stderr]).toEqual([0, one.stdout.split('\n')[0], '']);
    expect(fs.readdirSync(path.join(prefix, 'bin')).sort()).toEqual(
      Object.keys(JSON.parse(fs.readFileSync(path.join(home, 'package.json'), 'utf8')).bin).sort(),
    );
    const topics = await run(path.join(prefix, 'bin/kafka-topics.sh'), ['--version'], { cwd: '/', env });
    expect([topics.code, topics.stdout]).toEqual([0, expect.stringMatching(/^3\.\d/)]);
    expect((await run(path.join(prefix, 'bin/zkServer.sh'), ['start'], { cwd: '/', env })).code).toBe(0);

    // better-sqlite3 is neither compiled in a clone nor wanted by everybody: only the channel that needs it says so.
    const jdbc = path.join(dir, 'jdbc.conf');
    fs.writeFileSync(
      jdbc,
      definition(
        'sources = r1\nchannels = c1\nsources.r1.type = seq\nsources.r1.channels = c1\nchannels.c1.type = jdbc\nsinks = k1\nsinks.k1.type = null\nsinks.k1.channel = c1',
      ),
    );
    const asked = ['agent', '-f', jdbc, '-n', 'a1', '-Dflume.root.logger=INFO,console'];
    fs.rmSync(path.join(prefix, 'lib/node_modules/millrace/node_modules/better-sqlite3'), { recursive: true });
    const [uncompiled, without] = await Promise.all([run(shim, asked, { env }), run(path.join(prefix, 'bin/flume-ng'), asked, { env })]);
    const says = (what: string): object =>
      expect.stringMatching(new RegExp(`channel c1: .*better-sqlite3, which is not ${what}.*use a channel of type = file`));
    expect([uncompiled.code, uncompiled.stdout]).toEqual([1, says('compiled')]);
    expect([without.code, without.stdout]).toEqual([1, says('installed')]);

    const file = path.join(dir, 'agent.conf');
    fs.writeFileSync(
      file,
      definition(
        `sources = r1\nchannels = c1\nsources.r1.type = heartbeat\nsources.r1.channels = c1\nchannels.c1.type = memory\nsinks = k1\nsinks.k1.type = logger\nsinks.k1.channel = c1`,
      ),
    );
    const agent = spawn(path.join(prefix, 'bin/flume-ng'), ['agent', '-f', file, '-n', 'a1', '-Dflume.root.logger=INFO,console'], {
      cwd: '/',
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    agent.stdout.on('data', (chunk) => (said += chunk));
    await expect.poll(() => said, { timeout: 30_000 }).toContain('Event: { headers:{number=1');
    const ended = new Promise((resolve) => agent.on('exit', resolve));
    agent.kill('SIGTERM');
    expect(await ended).toBe(143);
  });
});
