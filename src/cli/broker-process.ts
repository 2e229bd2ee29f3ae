/**
 * The broker as a supervised child of an agent (`flume-ng agent … --broker [FILE]`): the same program as
 * kafka-server-start.sh, own loop, own heap. IPC carries ready and stop; it is started again with backoff when it dies,
 * and stopped last, when the agent says so. Losing the agent stops it too (the IPC channel closes).
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';

const READY_MS = 30_000;
const STOP_MS = 20_000;
const RESTART_MS = 1000;
const MAX_RESTART_MS = 30_000;

/** A broker that runs beside the agent. */
export interface BrokerChild {
  stop(): Promise<void>;
}

/**
 * Starts it and resolves when it takes connections.
 * @param file server.properties; undefined = conf/server.properties of this installation
 * @throws AppError it did not become ready
 */
export async function startBrokerChild(file: string | undefined, log: Logger): Promise<BrokerChild> {
  const keeper = new Keeper(file ?? defaultFile(), log);
  await keeper.start();
  return keeper;
}

function defaultFile(): string {
  const file = resolve(fileURLToPath(import.meta.url), '../../../conf/server.properties');
  if (!existsSync(file)) throw new AppError('BROKER', `${file} is missing`, { fix: 'name a file: --broker server.properties' });
  return file;
}

class Keeper implements BrokerChild {
  readonly #file: string;
  readonly #log: Logger;
  #child: ChildProcess | undefined;
  #stopping = false;
  #restartMs = RESTART_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  start(): Promise<void> {
    const entry = fileURLToPath(new URL(`./kafka-server-start${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
    const child = fork(entry, [this.#file], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    this.#child = child;
    const lines: string[] = [];
    const relay = (chunk: Buffer): void => {
      for (const line of chunk.toString('utf8').split('\n').filter(Boolean)) {
        lines.push(line);
        if (lines.length > 20) lines.shift();
        this.#log.info(line.replace(/^\[[^\]]*\] /, ''));
      }
    };
    child.stdout?.on('data', relay);
    child.stderr?.on('data', relay);
    return new Promise((ready, fail) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS);
      child.once('message', () => {
        clearTimeout(timer);
        this.#restartMs = RESTART_MS;
        ready();
      });
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        fail(
          new AppError('BROKER', `the broker of ${this.#file} ended (${signal ?? `exit ${code}`}): ${lines.at(-1) ?? 'without a word'}`, {
            fix: 'correct what it says, or start it by itself to see more',
          }),
        );
        this.#onExit(signal ?? `exit ${code}`);
      });
    });
  }

  #onExit(how: string): void {
    this.#child = undefined;
    if (this.#stopping) return;
    this.#log.error(`the broker ended (${how}); it is started again in ${Math.round(this.#restartMs / 1000)} s`);
    this.#timer = setTimeout(() => {
      this.start().then(
        () => this.#log.info('the broker runs again'),
        () => {},
      );
    }, this.#restartMs);
    this.#restartMs = Math.min(this.#restartMs * 2, MAX_RESTART_MS);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (!child) return;
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    if (child.connected) child.send('stop');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }
}
