/**
 * The real Apache Flume as another program, when it is there: MILLRACE_PEERS names the folder with its `flume` script;
 * without it, ../shared/peers beside the repository is used.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const PEERS = process.env.MILLRACE_PEERS ?? path.resolve(import.meta.dirname, '../../../shared/peers');
const FLUME = path.join(PEERS, 'flume');

export const hasFlume = fs.existsSync(FLUME);

const env = { ...process.env, FLUME_HEAP_OPTS: '-Xms64m -Xmx256m -XX:TieredStopAtLevel=1' };

/** A Flume agent `a1` running a definition. */
export class FlumeAgent {
  output = '';
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  /** `file`: where the definition is written to. */
  constructor(file: string, definition: readonly string[]) {
    fs.writeFileSync(file, `${definition.map((line) => `a1.${line}`).join('\n')}\n`);
    this.#child = spawn(FLUME, ['agent', '--name', 'a1', '--conf-file', file], { cwd: path.dirname(file), env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.#exited = new Promise((resolve) => this.#child.on('close', () => resolve()));
  }

  async says(pattern: RegExp, times = 1): Promise<void> {
    const all = new RegExp(pattern.source, 'g');
    await eventually(
      () => (this.output.match(all)?.length ?? 0) >= times,
      () => `Flume says ${pattern}:\n${this.output.slice(-4_000)}`,
    );
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

/** Runs `flume avro-client …` to its end and answers what it logged. */
export function flumeAvroClient(words: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(FLUME, ['avro-client', ...words], { cwd, env, timeout: 90_000 }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}

/** Polls until true; fails after 90 s. */
export async function eventually(check: () => boolean, what: () => string): Promise<void> {
  const deadline = performance.now() + 90_000;
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
