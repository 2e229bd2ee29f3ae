/** Numbered events into a source of the copied agent, and which of them the source said it has stored. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { FedSource } from './definition.ts';

export interface Feeder {
  readonly name: string;
  /** Every event that was ever sent. */
  readonly sent: ReadonlySet<string>;
  /** Those that the source acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** Whether the source takes events now. */
  isReady(): Promise<boolean>;
  /** Sends until aborted or until the agent dies. */
  feed(signal: AbortSignal): Promise<void>;
  /** Looks for acknowledgements that need no connection. */
  settle(): void;
  /** Nothing is left that the source will acknowledge by itself. */
  isSettled(): boolean;
}

export function feederFor(source: FedSource, random: () => number): Feeder {
  return source.type === 'netcat'
    ? new NetcatFeeder(source.name, source.place as number, random)
    : new SpoolFeeder(source.name, source.place as string, random);
}

/** The line of an event; its end tells it from one that a kill tore. */
function lineOf(id: string): string {
  return `crashtest ${id} end\n`;
}

class Numbers {
  readonly sent = new Set<string>();
  readonly acknowledged = new Set<string>();
  readonly #name: string;
  #next = 0;

  constructor(name: string) {
    this.#name = name;
  }

  take(count: number): string[] {
    const ids = Array.from({ length: count }, () => `${this.#name} ${String(this.#next++).padStart(9, '0')}`);
    for (const id of ids) this.sent.add(id);
    return ids;
  }
}

class NetcatFeeder implements Feeder {
  readonly name: string;
  readonly #port: number;
  readonly #random: () => number;
  readonly #numbers: Numbers;

  constructor(name: string, port: number, random: () => number) {
    this.name = name;
    this.#port = port;
    this.#random = random;
    this.#numbers = new Numbers(name);
  }

  get sent(): ReadonlySet<string> {
    return this.#numbers.sent;
  }
  get acknowledged(): ReadonlySet<string> {
    return this.#numbers.acknowledged;
  }

  isReady(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = net.connect(this.#port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
  }

  feed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const socket = net.connect(this.#port, '127.0.0.1');
      /** Sent and not answered, in order. */
      let open: string[] = [];
      let rest = '';
      const send = (): void => {
        if (signal.aborted) return;
        open = this.#numbers.take(1 + Math.floor(this.#random() * 200));
        socket.write(open.map(lineOf).join(''));
      };
      socket.on('connect', send);
      socket.on('data', (chunk: Buffer) => {
        const answers = (rest + chunk.toString('latin1')).split('\n');
        rest = answers.pop() as string;
        for (const answer of answers) {
          const id = open.shift();
          if (id !== undefined && answer === 'OK') this.#numbers.acknowledged.add(id);
        }
        if (open.length === 0) send();
      });
      socket.on('error', () => {
        // The agent was killed: what is open stays without an answer.
      });
      socket.on('close', () => resolve());
      signal.addEventListener('abort', () => socket.destroy(), { once: true });
    });
  }

  settle(): void {}
  isSettled(): boolean {
    return true;
  }
}

class SpoolFeeder implements Feeder {
  readonly name: string;
  readonly #dir: string;
  readonly #random: () => number;
  readonly #numbers: Numbers;
  readonly #files = new Map<string, readonly string[]>();
  #count = 0;

  constructor(name: string, dir: string, random: () => number) {
    this.name = name;
    this.#dir = dir;
    this.#random = random;
    this.#numbers = new Numbers(name);
  }

  get sent(): ReadonlySet<string> {
    return this.#numbers.sent;
  }
  get acknowledged(): ReadonlySet<string> {
    return this.#numbers.acknowledged;
  }

  async isReady(): Promise<boolean> {
    return true;
  }

  async feed(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const name = `f${String(this.#count++).padStart(6, '0')}`;
      const ids = this.#numbers.take(1 + Math.floor(this.#random() * 2000));
      const draft = path.join(path.dirname(this.#dir), `${this.name}-draft`);
      fs.writeFileSync(draft, ids.map(lineOf).join(''));
      fs.renameSync(draft, path.join(this.#dir, name));
      this.#files.set(name, ids);
      this.settle();
      await new Promise((resolve) => setTimeout(resolve, 50 + this.#random() * 100));
    }
  }

  settle(): void {
    for (const [name, ids] of this.#files) {
      if (!fs.existsSync(path.join(this.#dir, `${name}.COMPLETED`))) continue;
      for (const id of ids) this.#numbers.acknowledged.add(id);
      this.#files.delete(name);
    }
  }

  isSettled(): boolean {
    return this.#files.size === 0;
  }
}
