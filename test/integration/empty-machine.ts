/**
 * An empty machine to follow a tutorial on: its files say port 9092, port 44444 and /tmp/flumedata, and here nobody else
 * has them. Linux namespaces give it a network, a /tmp and processes of its own; tests outside see its /tmp as a directory.
 *
 * Where namespaces are not allowed (many containers) it is this machine: one such test at a time, and only while the ports
 * and directories of conf/ are free; otherwise there is no machine, with the reason.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { eventually, HOUSE } from './broker-harness.ts';

/** What the files of conf/ name. */
const PORTS = [9092, 9093, 9094, 44444];
const PLACES = ['/tmp/flumedata', '/tmp/flume-logs', '/tmp/flume-a', '/tmp/flume-b'];
/** Whoever listens here follows tutorials on this machine. */
const LOCK_PORT = 9099;
const LOCK_WAIT_MS = 240_000;

const UNSHARE = ['--user', '--map-root-user', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** $1 = the house, $2 = what becomes /tmp. Ends with its standard input, and everything in it ends with it. */
const BOOT = 'set -e; ip link set lo up; mount --bind "$1" "$2/house"; mount --rbind "$2" /tmp; echo up; exec cat';

export type Ground = { readonly kind: 'namespace' | 'host' } | { readonly kind: 'none'; readonly reason: string };

/** What there is to follow a tutorial on. Call once per test file: on the host it also waits for its turn. */
export async function findGround(): Promise<Ground> {
  // Built here if it must be: process ids in the bootstrap's lock mean nothing on the other side of a namespace.
  execFileSync(path.join(HOUSE, 'bin', 'flume-ng'), ['version'], { stdio: 'ignore' });
  if (process.platform !== 'linux') return { kind: 'none', reason: 'this needs Linux' };
  if (process.env.MILLRACE_TUTORIALS !== 'host' && namespacesWork()) return { kind: 'namespace' };
  if (!(await takeTurn())) return { kind: 'none', reason: 'somebody else follows them on this machine' };
  const place = PLACES.find((one) => fs.existsSync(one));
  if (place !== undefined) return { kind: 'none', reason: `${place} exists already` };
  for (const port of PORTS) if (!(await isFree(port))) return { kind: 'none', reason: `port ${port} is taken` };
  return { kind: 'host' };
}

function namespacesWork(): boolean {
  try {
    execFileSync('unshare', [...UNSHARE, 'sh', '-c', 'ip link set lo up && mount -t tmpfs none /tmp'], { stdio: 'ignore' });
    execFileSync('nsenter', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function takeTurn(): Promise<boolean> {
  for (const deadline = performance.now() + LOCK_WAIT_MS; performance.now() < deadline; ) {
    const lock = net.createServer().unref();
    const taken = await new Promise<boolean>((resolve) => lock.once('error', () => resolve(false)).listen(LOCK_PORT, '127.0.0.1', () => resolve(true)));
    if (taken) return true;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return false;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}

export interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A program that a person has started in a terminal. */
export class Terminal {
  /** stdout and stderr together. */
  output = '';
  exitCode: number | undefined;
  readonly line: string;
  readonly #machine: EmptyMachine;
  readonly #pidFile: string;
  readonly #exited: Promise<number>;

  constructor(machine: EmptyMachine, line: string, child: ChildProcess, pidFile: string) {
    this.#machine = machine;
    this.line = line;
    this.#pidFile = pidFile;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.#exited = new Promise((resolve) =>
      child.on('close', (code) => {
        this.exitCode = code ?? 137;
        resolve(this.exitCode);
      }),
    );
  }

  async says(pattern: RegExp, limitMs = 30_000): Promise<void> {
    await eventually(() => pattern.test(this.output) || this.exitCode !== undefined, `${pattern} from ${this.line}`, limitMs).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.output.slice(-4_000)}`);
    });
    if (!pattern.test(this.output)) throw new Error(`${this.line} ended with ${this.exitCode}:\n${this.output.slice(-4_000)}`);
  }

  /** `kill -SIGNAL` of it; its exit code as a shell shows it. */
  async kill(signal: 'INT' | 'TERM' | 'KILL'): Promise<number> {
    await this.#machine.run(`kill -${signal} $(cat ${this.#pidFile})`);
    return this.#exited;
  }
}

export class EmptyMachine {
  /** Nobody else's programs and ports are on it. */
  readonly isPrivate: boolean;
  /** The directory a person works in, as programs on the machine see it: bin/ and conf/ of the house, and nothing else. */
  readonly home: string;
  readonly #place: string;
  readonly #outside: (inside: string) => string;
  #boot: ChildProcess | undefined;
  #enter: readonly string[] = [];
  #terminals = 0;

  static async start(ground: Ground): Promise<EmptyMachine> {
    const machine = new EmptyMachine(ground.kind === 'namespace');
    if (machine.isPrivate) await machine.#open();
    return machine;
  }

  private constructor(isPrivate: boolean) {
    this.isPrivate = isPrivate;
    this.#place = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-machine-'));
    const tmp = path.join(this.#place, 'tmp');
    this.home = isPrivate ? '/tmp/flume' : path.join(tmp, 'flume');
    this.#outside = (inside) => (isPrivate ? inside.replace(/^\/tmp(?=\/)/, tmp) : inside);
    fs.mkdirSync(path.join(tmp, 'house'), { recursive: true });
    fs.mkdirSync(path.join(tmp, 'home'));
    fs.mkdirSync(path.join(tmp, 'flume'));
    fs.symlinkSync(isPrivate ? '/tmp/house/bin' : path.join(HOUSE, 'bin'), path.join(tmp, 'flume', 'bin'));
    fs.cpSync(path.join(HOUSE, 'conf'), path.join(tmp, 'flume', 'conf'), { recursive: true });
  }

  /** Makes the namespaces and learns how to enter them. */
  async #open(): Promise<void> {
    const boot = spawn('unshare', [...UNSHARE, 'sh', '-c', BOOT, 'boot', HOUSE, path.join(this.#place, 'tmp')], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#boot = boot;
    await new Promise<void>((resolve, reject) => {
      boot.stdout?.once('data', () => resolve());
      boot.once('close', (code) => reject(new Error(`the empty machine ended with ${code}`)));
    });
    const first = fs.readFileSync(`/proc/${boot.pid}/task/${boot.pid}/children`, 'utf8').trim();
    this.#enter = ['nsenter', '--target', first, '--user', '--net', '--mount', '--pid', '--preserve-credentials', '--'];
  }

  /** Where a file of the machine, named relative to home or absolutely, is for the test. */
  file(name: string): string {
    return this.#outside(path.resolve(this.home, name));
  }

  edit(name: string, change: (text: string) => string): void {
    const before = fs.readFileSync(this.file(name), 'utf8');
    const after = change(before);
    if (after === before) throw new Error(`nothing to change in ${name}`);
    fs.writeFileSync(this.file(name), after);
  }

  #spawn(script: string): ChildProcess {
    const [program = 'bash', ...words] = [...this.#enter, 'bash', '-c', script];
    const HOME = this.isPrivate ? '/tmp/home' : path.join(this.#place, 'tmp', 'home');
    const env = { ...process.env, HOME, PWD: this.home, PATH: `${this.home}/bin:${process.env.PATH}`, LOG_DIR: `${this.home}/logs`, TMPDIR: '/tmp' };
    return spawn(program, words, { cwd: this.isPrivate ? '/' : this.home, env, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** A command line as it stands in a tutorial, to its end. */
  run(line: string, stdin = ''): Promise<Answer> {
    const child = this.#spawn(`cd ${this.home} && { ${line}\n}`);
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stdin);
    return new Promise((resolve) =>
      child.on('close', (code) => resolve({ code: code ?? 137, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() })),
    );
  }

  /** The same in a terminal of its own, where it goes on. */
  open(line: string): Terminal {
    const pidFile = `${this.home}/.terminal-${++this.#terminals}`;
    const child = this.#spawn(`cd ${this.home} && echo $$ > ${pidFile} && exec ${line}`);
    return new Terminal(this, line, child, pidFile);
  }

  /** Waits until somebody listens. */
  async listens(port: number): Promise<void> {
    const { code } = await this.run(`for i in $(seq 300); do (exec 3<>/dev/tcp/localhost/${port}) 2>/dev/null && exit 0; sleep 0.1; done; exit 1`);
    if (code !== 0) throw new Error(`nobody listens on port ${port}`);
  }

  /** What a netcat source answers to lines, one by one, as in a telnet. */
  async telnet(port: number, ...lines: string[]): Promise<string[]> {
    const loop = `while IFS= read -r line; do printf '%s\\n' "$line" >&3; IFS= read -r answer <&3; printf '%s\\n' "$answer"; done`;
    const { out } = await this.run(`exec 3<>/dev/tcp/localhost/${port}; ${loop}`, `${lines.join('\n')}\n`);
    return out.split('\n').slice(0, -1);
  }

  /** Ends every program on it and removes everything. */
  async end(): Promise<void> {
    if (this.#boot !== undefined) {
      const gone = new Promise((resolve) => this.#boot?.once('close', resolve));
      this.#boot.stdin?.end();
      await gone;
    } else {
      this.#killOwn();
      for (const place of PLACES) fs.rmSync(place, { recursive: true, force: true });
    }
    fs.rmSync(this.#place, { recursive: true, force: true, maxRetries: 10 });
  }

  /** On the host: those who work in our directory are ours. */
  #killOwn(): void {
    for (const name of fs.readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      try {
        if (fs.readlinkSync(`/proc/${name}/cwd`).startsWith(this.#place)) process.kill(Number(name), 'SIGKILL');
      } catch {
        // It ended while we looked, or belongs to somebody else.
      }
    }
  }
}
