/**
 * Numbered events into a source of the copied agent, and which of them are acknowledged, that is, known to be stored:
 *   netcat         the line was answered by OK
 *   avro, thrift   the call with the event was answered by OK
 *   spooldir       the file with the event was renamed
 *   kafka          the broker of the test has the record: the source reads it again until it is stored
 *   exec           the source had counted it as stored (EventAcceptedCount) when the agent was last asked. A command gets no
 *                  answers and cannot be told to print again; what it printed and the source had not stored is gone.
 */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { type RpcClient, rpcClient } from '../../agent/wire/rpc-clients.ts';
import { CreateTopics } from '../../kafka/apis/create-topics.ts';
import { Produce } from '../../kafka/apis/produce.ts';
import { KafkaConnection } from '../../kafka/client/connection.ts';
import { systemClock } from '../../lib/clock.ts';
import { AppError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { BatchBuilder } from '../../records/builder.ts';
import type { FedSource } from './definition.ts';

export interface Feeder {
  readonly numbers: Numbers;
  /** Before each start of the agent. */
  begin?(): void | Promise<void>;
  /** Whether the source takes events now. */
  isReady(): Promise<boolean>;
  /** Sends until aborted or until the agent dies. */
  feed(signal: AbortSignal): Promise<void>;
  /** Looks for acknowledgements that need no connection. */
  settle?(): void;
  /** Nothing is left that the source will acknowledge by itself; absent: nothing ever is. */
  isSettled?(): boolean;
  close?(): void;
}

export function feederFor(source: FedSource, random: () => number): Feeder {
  const numbers = new Numbers(source.name, random);
  if (source.type === 'spooldir') return new SpoolFeeder(numbers, source.dir);
  if (source.type === 'exec') return new ExecFeeder(numbers, source);
  if (source.type === 'kafka') return new KafkaFeeder(numbers, source);
  return source.type === 'netcat' ? new NetcatFeeder(numbers, source.port) : new RpcFeeder(numbers, source.type, source.port);
}

/** The body of an event; its end tells it from one that a kill tore. */
function bodyOf(id: string): string {
  return `crashtest ${id} end`;
}

function linesOf(ids: readonly string[]): string {
  return ids.map((id) => `${bodyOf(id)}\n`).join('');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether somebody listens on a port of this machine. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** The events of one source. */
export class Numbers {
  /** Of the source. */
  readonly name: string;
  /** Every event that was ever sent. */
  readonly sent = new Set<string>();
  /** Those that the source acknowledged. */
  readonly acknowledged = new Set<string>();
  /** 0 … 1. */
  readonly random: () => number;
  #next = 0;

  constructor(name: string, random: () => number) {
    this.name = name;
    this.random = random;
  }

  /** One to `most` new numbers. */
  take(most: number): string[] {
    const count = 1 + Math.floor(this.random() * most);
    const ids = Array.from({ length: count }, () => `${this.name} ${String(this.#next++).padStart(9, '0')}`);
    for (const id of ids) this.sent.add(id);
    return ids;
  }

  acknowledge(ids: readonly string[]): void {
    for (const id of ids) this.acknowledged.add(id);
  }
}

class NetcatFeeder implements Feeder {
  readonly numbers: Numbers;
  readonly #port: number;

  constructor(numbers: Numbers, port: number) {
    this.numbers = numbers;
    this.#port = port;
  }

  isReady(): Promise<boolean> {
    return listens(this.#port);
  }

  feed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const socket = net.connect(this.#port, '127.0.0.1');
      /** Sent and not answered, in order. */
      let open: string[] = [];
      let rest = '';
      const send = (): void => {
        if (signal.aborted) return;
        open = this.numbers.take(200);
        socket.write(linesOf(open));
      };
      socket.on('connect', send);
      socket.on('data', (chunk: Buffer) => {
        const answers = (rest + chunk.toString('latin1')).split('\n');
        rest = answers.pop() as string;
        for (const answer of answers) {
          const id = open.shift();
          if (id !== undefined && answer === 'OK') this.numbers.acknowledge([id]);
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
}

const SILENT: Logger = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, isLevelEnabled: () => false };

/** Avro and Thrift: a call with some events, its answer, the next. */
class RpcFeeder implements Feeder {
  readonly numbers: Numbers;
  readonly #port: number;
  readonly #client: RpcClient;

  constructor(numbers: Numbers, type: 'avro' | 'thrift', port: number) {
    this.numbers = numbers;
    this.#port = port;
    const properties = { 'client.type': type === 'thrift' ? type : 'default', hosts: 'h1', 'hosts.h1': `127.0.0.1:${port}`, 'batch-size': '200' };
    this.#client = rpcClient(properties, { clock: systemClock, log: SILENT });
  }

  isReady(): Promise<boolean> {
    return listens(this.#port);
  }

  async feed(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const ids = this.numbers.take(200);
      try {
        await this.#client.send(ids.map((id) => ({ headers: {}, body: Buffer.from(bodyOf(id)) })));
        this.numbers.acknowledge(ids);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        // Killed, or no room: nothing of the call is acknowledged.
        await pause(20);
      }
    }
    await this.#client.close();
  }
}

class SpoolFeeder implements Feeder {
  readonly numbers: Numbers;
  readonly #dir: string;
  readonly #files = new Map<string, readonly string[]>();
  #count = 0;

  constructor(numbers: Numbers, dir: string) {
    this.numbers = numbers;
    this.#dir = dir;
  }

  async isReady(): Promise<boolean> {
    return true;
  }

  async feed(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const name = `f${String(this.#count++).padStart(6, '0')}`;
      const ids = this.numbers.take(2000);
      const draft = path.join(path.dirname(this.#dir), `${this.numbers.name}-draft`);
      fs.writeFileSync(draft, linesOf(ids));
      fs.renameSync(draft, path.join(this.#dir, name));
      this.#files.set(name, ids);
      this.settle();
      await pause(50 + this.numbers.random() * 100);
    }
  }

  settle(): void {
    for (const [name, ids] of this.#files) {
      if (!fs.existsSync(path.join(this.#dir, `${name}.COMPLETED`))) continue;
      this.numbers.acknowledge(ids);
      this.#files.delete(name);
    }
  }

  isSettled(): boolean {
    return this.#files.size === 0;
  }
}

/** Lines that the command may be ahead of what the source has counted. */
const AHEAD = 20_000;

/** The command follows a file (`tail -F`); each life of the agent begins with an empty one, so the n-th line is the n-th event counted. */
class ExecFeeder implements Feeder {
  readonly numbers: Numbers;
  readonly #file: string;
  readonly #monitoringPort: number;
  /** Lines of this life, in order. */
  #lines: string[] = [];
  #counted = 0;

  constructor(numbers: Numbers, source: { readonly file: string; readonly monitoringPort: number }) {
    this.numbers = numbers;
    this.#file = source.file;
    this.#monitoringPort = source.monitoringPort;
  }

  begin(): void {
    fs.writeFileSync(this.#file, '');
    this.#lines = [];
    this.#counted = 0;
  }

  async isReady(): Promise<boolean> {
    const counters = await this.#ask();
    return counters !== null && Number(counters.StartTime) > 0;
  }

  async feed(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#lines.length - this.#counted < AHEAD) {
        const ids = this.numbers.take(500);
        fs.appendFileSync(this.#file, linesOf(ids));
        for (const id of ids) this.#lines.push(id);
      }
      const accepted = Number((await this.#ask())?.EventAcceptedCount ?? 0);
      if (accepted > this.#counted) {
        this.numbers.acknowledge(this.#lines.slice(this.#counted, accepted));
        this.#counted = accepted;
      }
      await pause(5 + this.numbers.random() * 20);
    }
  }

  #ask(): Promise<Readonly<Record<string, string>> | null> {
    return countersOf(this.numbers.name, this.#monitoringPort);
  }
}

/** The counters of a source; null while the agent does not answer. */
async function countersOf(source: string, monitoringPort: number): Promise<Readonly<Record<string, string>> | null> {
  try {
    const answer = await fetch(`http://127.0.0.1:${monitoringPort}/metrics`, { signal: AbortSignal.timeout(2_000) });
    return ((await answer.json()) as Record<string, Record<string, string>>)[`SOURCE.${source}`] ?? null;
  } catch {
    return null; // not up yet, or killed just now
  }
}

/** Records into the topic that the source reads; the broker is not killed. */
class KafkaFeeder implements Feeder {
  readonly numbers: Numbers;
  readonly #source: { readonly topic: string; readonly brokerPort: number; readonly monitoringPort: number };
  #connection: KafkaConnection | undefined;

  constructor(numbers: Numbers, source: { readonly topic: string; readonly brokerPort: number; readonly monitoringPort: number }) {
    this.numbers = numbers;
    this.#source = source;
  }

  /** Makes the topic, before anybody looks for it. */
  async begin(): Promise<void> {
    if (this.#connection) return;
    const { topic, brokerPort } = this.#source;
    this.#connection = await KafkaConnection.open({ host: '127.0.0.1', port: brokerPort, clientId: 'crashtest' });
    const topics = [{ name: topic, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }];
    await this.#connection.call(CreateTopics, { topics, timeoutMs: 10_000 });
  }

  async isReady(): Promise<boolean> {
    return Number((await countersOf(this.numbers.name, this.#source.monitoringPort))?.StartTime) > 0;
  }

  async feed(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const ids = this.numbers.take(300);
      const builder = new BatchBuilder();
      for (const id of ids) builder.append(null, Buffer.from(bodyOf(id)), Date.now());
      const topicData = [{ name: this.#source.topic, partitionData: [{ index: 0, records: builder.finish() }] }];
      const answer = await (this.#connection as KafkaConnection).call(Produce, { acks: -1, timeoutMs: 10_000, topicData });
      if (answer.responses[0]?.partitionResponses[0]?.errorCode === 0) this.numbers.acknowledge(ids);
      await pause(5 + this.numbers.random() * 20);
    }
  }

  close(): void {
    this.#connection?.close();
  }
}
