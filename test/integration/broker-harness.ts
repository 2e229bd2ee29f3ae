/**
 * A broker for tests, in this process on a directory of its own or as the real program, with clients that speak the
 * protocol: `KafkaConnection` for whole messages, {@link RawClient} for bytes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { connect, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { BrokerOptions } from '../../src/broker/broker.ts';
import { type RunningBroker, startBroker } from '../../src/broker/server.ts';
import { readSettings } from '../../src/broker/settings.ts';
import { Fetch } from '../../src/kafka/apis/fetch.ts';
import { Produce } from '../../src/kafka/apis/produce.ts';
import { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Logger } from '../../src/lib/log.ts';
import { batches } from '../../src/records/batch.ts';
import { BatchBuilder, type BatchOptions } from '../../src/records/builder.ts';
import { records } from '../../src/records/cursor.ts';
import { endsWithTest } from '../ends-with-test.ts';

export const HOUSE = path.resolve(import.meta.dirname, '..', '..');
/** Big numbers, as `npm run proof` wants them. */
export const PROOF = process.env.MILLRACE_PROOF !== undefined;

const SMALL: Readonly<Record<string, string>> = {
  'offsets.topic.num.partitions': '3',
  'transaction.state.log.num.partitions': '3',
  'group.initial.rebalance.delay.ms': '0',
};

export function tempDir(name: string): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), `millrace-${name}-`));
}

/** Polls until `look` gives something; its last answer or error is what a failure shows. */
export async function eventually<T>(look: () => T | Promise<T>, what: string, limitMs = 20_000): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + limitMs;
  for (let last: unknown; ; ) {
    try {
      const found = await look();
      if (found) return found as Exclude<T, false | null | undefined>;
      last = found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}: ${last instanceof Error ? last.message : String(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A broker in this process. */
export class TestBroker {
  static #made = 0;
  readonly dir: string;
  /** What it said at level warn and above. */
  readonly said: string[] = [];
  running: RunningBroker;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #options: Partial<Pick<BrokerOptions, 'clock' | 'disk'>>;
  readonly #clients: { close(): void }[] = [];

  static async start(
    settings: Readonly<Record<string, string>> = {},
    options: Partial<Pick<BrokerOptions, 'clock' | 'disk'>> & { readonly dir?: string } = {},
  ): Promise<TestBroker> {
    const broker = new TestBroker(settings, options);
    try {
      await broker.up();
    } catch (error) {
      if (options.dir === undefined) fs.rmSync(broker.dir, { recursive: true, force: true });
      throw error;
    }
    return broker;
  }

  private constructor(settings: Readonly<Record<string, string>>, { dir, ...options }: Partial<BrokerOptions> & { readonly dir?: string }) {
    // With a disk of its own nothing is to be made on this one: `afterCrash` brokers are not always ended.
    this.dir = dir ?? (options.disk ? path.join(os.tmpdir(), `millrace-broker-in-memory-${++TestBroker.#made}`) : tempDir('broker'));
    this.#settings = settings;
    this.#options = options;
    this.running = undefined as never;
  }

  get port(): number {
    return [...this.running.ports.values()][0] as number;
  }
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async up(): Promise<void> {
    const raw = { ...SMALL, listeners: 'PLAINTEXT://127.0.0.1:0', 'log.dirs': this.dir, ...this.#settings };
    const { settings, findings } = readSettings(Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
    if (!settings) throw new Error(findings.map(({ message }) => message).join('; '));
    const hear = (...words: unknown[]): void => void this.said.push(String(words.at(-1)));
    const log = { trace() {}, debug() {}, info() {}, warn: hear, error: hear, isLevelEnabled: () => false } as unknown as Logger;
    this.running = await startBroker({ clock: systemClock, ...this.#options, settings, log });
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.up();
  }

  /** Makes a topic. */
  async topic(name: string, partitions = 1, overrides: Readonly<Record<string, string>> = {}): Promise<string> {
    const { errorCode } = await this.running.broker.topics.create(name, { partitions, overrides });
    if (errorCode !== 0) throw new Error(`cannot make ${name}: ${errorCode}`);
    return name;
  }

  async client(clientId = 'test'): Promise<KafkaConnection> {
    const client = await KafkaConnection.open({ host: '127.0.0.1', port: this.port, clientId });
    this.#clients.push(client);
    return client;
  }

  async raw(): Promise<RawClient> {
    const client = await RawClient.open(this.port);
    this.#clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    await this.running.stop();
  }

  /** Stops it and removes its directory. */
  async end(): Promise<void> {
    try {
      await this.stop();
    } finally {
      fs.rmSync(this.dir, { recursive: true, force: true });
    }
  }
}

/** A broker in this process that ends with the test that called. */
export async function brokerWith(...args: Parameters<typeof TestBroker.start>): Promise<TestBroker> {
  return endsWithTest(await TestBroker.start(...args));
}

/** Bytes out, frames in. */
export class RawClient {
  readonly #socket: Socket;
  #got = Buffer.alloc(0);
  #waiting: (() => void) | undefined;
  closed = false;

  static open(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawClient(socket)));
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#got = Buffer.concat([this.#got, chunk]);
      this.#waiting?.();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.#waiting?.();
    });
  }

  get socket(): Socket {
    return this.#socket;
  }
  /** Bytes that came and are no frame yet. */
  get held(): number {
    return this.#got.length;
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Sends a frame given as hex without its size; spaces do not count. */
  sendHex(hex: string): void {
    const body = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
    const size = Buffer.alloc(4);
    size.writeInt32BE(body.length);
    this.send(Buffer.concat([size, body]));
  }

  /** The next frame without its size; null when the broker closes instead. */
  async frame(limitMs = 20_000): Promise<Buffer | null> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      if (this.#got.length >= 4 && this.#got.length >= 4 + this.#got.readInt32BE(0)) {
        const size = this.#got.readInt32BE(0);
        const frame = this.#got.subarray(4, 4 + size);
        this.#got = this.#got.subarray(4 + size);
        return frame;
      }
      if (this.closed) return null;
      if (performance.now() > deadline) throw new Error(`no frame within ${limitMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, deadline - performance.now()));
        this.#waiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** A batch with these values, without keys unless `keys` has them. */
export function batchOf(
  values: readonly (string | null)[],
  options: BatchOptions & { readonly keys?: readonly (string | null)[]; readonly at?: number } = {},
): Buffer {
  const builder = new BatchBuilder(options);
  for (const [i, value] of values.entries()) {
    const key = options.keys?.[i] ?? null;
    builder.append(key === null ? null : Buffer.from(key), value === null ? null : Buffer.from(value), options.at ?? Date.now());
  }
  return builder.finish();
}

export interface ProduceOptions {
  readonly acks?: number;
  readonly version?: number;
  readonly transactionalId?: string;
}

/** Produces one batch to one partition; the answer of that partition. */
export async function produceTo(
  client: KafkaConnection,
  topic: string,
  partition: number,
  bytes: Buffer,
  { acks = -1, version, transactionalId }: ProduceOptions = {},
) {
  const body = {
    acks,
    timeoutMs: 10_000,
    topicData: [{ name: topic, partitionData: [{ index: partition, records: bytes }] }],
    ...(transactionalId !== undefined && { transactionalId }),
  };
  const answer = await client.call(Produce, body, version === undefined ? {} : { version });
  return answer.responses[0]!.partitionResponses[0]!;
}

export interface FetchOptions {
  readonly committed?: boolean;
  readonly waitMs?: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
  readonly version?: number;
}

/** Fetches from one partition; the answer of that partition. By name: versions up to 12. */
export async function fetchFrom(client: KafkaConnection, topic: string, partition: number, offset: number, options: FetchOptions = {}) {
  const { committed = false, waitMs = 0, minBytes = 1, maxBytes = 50_000_000, version = 12 } = options;
  const answer = await client.call(
    Fetch,
    {
      maxWaitMs: waitMs,
      minBytes,
      isolationLevel: committed ? 1 : 0,
      sessionEpoch: -1,
      topics: [{ topic, partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: maxBytes }] }],
    },
    { version },
  );
  return answer.responses[0]!.partitions[0]!;
}

export interface Read {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
}

/** The data records of a partition as a consumer shows them: from `from` on, aborted ones left out if `committed`. */
export async function readAll(client: KafkaConnection, topic: string, partition: number, { committed = false, from = 0 } = {}): Promise<Read[]> {
  const out: Read[] = [];
  for (let offset = from; ; ) {
    const got = await fetchFrom(client, topic, partition, offset, { committed });
    if (got.errorCode !== 0) throw new Error(`fetch at ${offset} of ${topic}-${partition}: error ${got.errorCode}`);
    if (got.records === null || got.records.length === 0) return out;
    const open = new Map((got.abortedTransactions ?? []).map(({ producerId, firstOffset }) => [`${producerId}@${firstOffset}`, { producerId, firstOffset }]));
    const aborting = new Set<number>();
    for (const batch of batches(got.records)) {
      offset = batch.baseOffset + batch.lastOffsetDelta + 1;
      for (const [id, txn] of open) {
        if (txn.firstOffset > batch.baseOffset + batch.lastOffsetDelta) continue;
        aborting.add(txn.producerId);
        open.delete(id);
      }
      if (batch.isControl) aborting.delete(batch.producerId);
      else if (!(committed && batch.isTransactional && aborting.has(batch.producerId))) {
        for (const record of records(batch)) {
          if (record.offset >= from) out.push({ offset: record.offset, key: record.key?.toString() ?? null, value: record.value?.toString() ?? null });
        }
      }
    }
  }
}

/** The real program on a directory and port of its own. */
export class BrokerProcess {
  readonly dir: string;
  readonly port: number;
  output = '';
  exitCode: number | null | undefined;
  #child: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(null);
  /** Where in the output the present run begins. */
  #began = 0;

  constructor(port: number, dir = tempDir('broker-process')) {
    this.dir = dir;
    this.port = port;
  }

  get pid(): number {
    return this.#child?.pid as number;
  }
  get dataDir(): string {
    return path.join(this.dir, 'data');
  }

  /** Starts it and waits until it serves. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<this> {
    await this.launch(settings);
    const from = this.#began;
    await eventually(() => this.output.slice(from).includes('] started') || this.exitCode !== undefined, 'the broker to start', 60_000);
    if (this.exitCode !== undefined) throw new Error(`the broker ended with ${this.exitCode}:\n${this.output.slice(from)}`);
    return this;
  }

  /** Starts it without waiting. */
  async launch(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const all = { ...SMALL, listeners: `PLAINTEXT://127.0.0.1:${this.port}`, 'log.dirs': this.dataDir, ...settings };
    const file = path.join(this.dir, 'server.properties');
    fs.writeFileSync(
      file,
      `${Object.entries(all)
        .map(([key, value]) => `${key}=${value}`)
        .join('\n')}\n`,
    );
    this.#began = this.output.length;
    this.exitCode = undefined;
    const child = spawn(path.join(HOUSE, 'bin', 'kafka-server-start.sh'), [file], { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.#exited = new Promise((resolve) =>
      child.on('close', (code, signal) => {
        this.exitCode = code ?? (signal === 'SIGKILL' ? 137 : null);
        resolve(this.exitCode);
      }),
    );
  }

  exited(): Promise<number | null> {
    return this.#exited;
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  /** SIGTERM; its exit code. */
  async stop(): Promise<number | null> {
    this.#child?.kill('SIGTERM');
    return this.#exited;
  }

  async client(clientId = 'test'): Promise<KafkaConnection> {
    return KafkaConnection.open({ host: '127.0.0.1', port: this.port, clientId });
  }

  async end(): Promise<void> {
    if (this.#child && this.exitCode === undefined) await this.kill();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
