/**
 * A real `bin/flume-ng agent` in a directory of its own, for tests that look at it from outside: its log, ports, files,
 * exit code. Ended and removed by `end`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export { freePort } from '../../src/lib/free-port.ts';

export const HOUSE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
/** Another program to test instead, e.g. an installed package's. */
const PROGRAM = process.env.FLUME_NG ?? path.join(HOUSE, 'bin', 'flume-ng');

/** A definition as lines, without repeating the agent's name: `sources = r1` → `a1.sources = r1`. */
export function definition(lines: string, agent = 'a1'): string {
  return `${lines
    .trim()
    .split('\n')
    .map((line) => `${agent}.${line.trim()}`)
    .join('\n')}\n`;
}

/** The definition of one path: netcat on a port, a memory channel, and the sink that `more` says; its lines win over these. */
export function netcatFlow(port: number, more: string): string {
  return definition(`
    sources = r1
    channels = c1
    sinks = k1
    sources.r1.type = netcat
    sources.r1.bind = 127.0.0.1
    sources.r1.port = ${port}
    sources.r1.channels = c1
    channels.c1.type = memory
    sinks.k1.channel = c1
    ${more.trim()}`);
}

export class AgentProcess {
  readonly dir: string;
  readonly file: string;
  /** stdout and stderr together. */
  output = '';
  exitCode: number | null | undefined;
  #child: ChildProcess | undefined;
  #exited: Promise<number | null> | undefined;

  constructor(text: string) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-agent-'));
    this.file = path.join(this.dir, 'agent.conf');
    fs.writeFileSync(this.file, text);
  }

  get pid(): number {
    return this.#child?.pid as number;
  }

  /** Starts it with the definition; more arguments may follow. */
  start(...args: string[]): this {
    return this.startWith('agent', '--conf-file', this.file, '--name', 'a1', '-Dflume.root.logger=INFO,console', ...args);
  }

  startWith(...args: string[]): this {
    const child = spawn(PROGRAM, args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.exitCode = undefined;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.#exited = new Promise((resolve) =>
      child.on('close', (code, signal) => {
        this.exitCode = code ?? (signal === 'SIGKILL' ? 137 : null);
        resolve(this.exitCode);
      }),
    );
    return this;
  }

  rewrite(text: string): void {
    fs.writeFileSync(this.file, text);
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Resolves with the exit code. */
  exited(): Promise<number | null> {
    return this.#exited as Promise<number | null>;
  }

  /** SIGTERM, then its exit code. */
  stop(): Promise<number | null> {
    this.signal('SIGTERM');
    return this.exited();
  }

  /** Waits until the output has a match, `from` being an earlier length of it. */
  async says(pattern: RegExp | string, from = 0): Promise<string> {
    await until(
      () => (typeof pattern === 'string' ? this.output.slice(from).includes(pattern) : pattern.test(this.output.slice(from))),
      () => `${pattern} in the output:\n${this.output.slice(from)}`,
      () => this.exitCode !== undefined,
    );
    return this.output.slice(from);
  }

  /** Kills what still runs and removes the directory. */
  async end(): Promise<void> {
    if (this.#child !== undefined && this.exitCode === undefined) {
      this.signal('SIGKILL');
      await this.#exited;
    }
    await removed(this.dir);
  }
}

/** Whether a program is on the PATH. */
export function installed(program: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

/** Removes a directory into which something that ends may still write: what a killed agent had started. */
async function removed(dir: string): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      fs.rmSync(dir, { recursive: true, force: true });
      return;
    } catch (error) {
      // Its own retries do not look for new files.
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' || i === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Polls until true; fails after 20 s, or one look after `hopeless` became true. */
export async function until(check: () => boolean, what: () => string, hopeless: () => boolean = () => false): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!check()) {
    const lost = hopeless();
    await new Promise((resolve) => setTimeout(resolve, 10));
    if (check()) return;
    if (lost || performance.now() > deadline) throw new Error(`waited in vain for ${what()}`);
  }
}

/** A client of a netcat source: sends lines, counts answers. */
export class LineClient {
  answers: string[] = [];
  closed = false;
  readonly #socket: net.Socket;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() as string;
      this.answers.push(...lines);
    });
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('error', () => {
      this.closed = true;
    });
  }

  static connect(port: number): Promise<LineClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(new LineClient(socket)));
      socket.once('error', reject);
    });
  }

  send(...lines: string[]): void {
    this.#socket.write(lines.map((line) => `${line}\n`).join(''));
  }

  /** Sends and waits for as many answers; resolves with them. */
  async ask(...lines: string[]): Promise<string[]> {
    const before = this.answers.length;
    this.send(...lines);
    await until(
      () => this.answers.length >= before + lines.length,
      () => `${lines.length} answers, got ${this.answers.slice(before)}`,
      () => this.closed,
    );
    return this.answers.slice(before);
  }

  close(): void {
    this.#socket.destroy();
  }
}
