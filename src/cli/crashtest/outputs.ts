/**
 * What came out of the copied agent: the files of a file_roll sink, or a topic that a Kafka sink wrote to. Both are read on from
 * where the last look ended; {@link Output.reread} begins anew, for the final count.
 */
import fs from 'node:fs';
import path from 'node:path';
import { Fetch } from '../../kafka/apis/fetch.ts';
import { KafkaConnection } from '../../kafka/client/connection.ts';
import { ProtocolError } from '../../lib/errors.ts';
import { batches } from '../../records/batch.ts';
import { records } from '../../records/cursor.ts';

/** Where a sink of the copy writes. */
export type OutputPlace = { readonly kind: 'files'; readonly dir: string } | { readonly kind: 'topic'; readonly topic: string; readonly port: number };

export interface Output {
  /** Numbered events so far, with how often each came. */
  readonly seen: ReadonlyMap<string, number>;
  /** Reads on; answers whether anything new was there. */
  look(): Promise<boolean>;
  /** Reads everything from the beginning. */
  reread(): Promise<void>;
  close(): void;
}

export function outputOf(place: OutputPlace): Output {
  return place.kind === 'files' ? new FileOutput(place.dir) : new TopicOutput(place.topic, place.port);
}

const EVENT = /^crashtest (\S+ \d{9}) end$/;
const READ_BYTES = 1_048_576;
const FETCH_BYTES = 16_777_216;
const UNKNOWN_TOPIC = 3;

/** Counts a line if it is one of ours; an end torn by a kill is none. */
function note(seen: Map<string, number>, line: string): void {
  const id = EVENT.exec(line)?.[1];
  if (id !== undefined) seen.set(id, (seen.get(id) ?? 0) + 1);
}

class FileOutput implements Output {
  readonly seen = new Map<string, number>();
  readonly #dir: string;
  readonly #files = new Map<string, { position: number; rest: string }>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  async look(): Promise<boolean> {
    let found = false;
    for (const name of fs.readdirSync(this.#dir)) if (this.#readOn(name)) found = true;
    return found;
  }

  #readOn(name: string): boolean {
    const state = this.#files.get(name) ?? { position: 0, rest: '' };
    this.#files.set(name, state);
    const fd = fs.openSync(path.join(this.#dir, name), 'r');
    const buf = Buffer.allocUnsafe(READ_BYTES);
    let found = false;
    try {
      for (let n = fs.readSync(fd, buf, 0, buf.length, state.position); n > 0; n = fs.readSync(fd, buf, 0, buf.length, state.position)) {
        state.position += n;
        found = true;
        const lines = (state.rest + buf.toString('latin1', 0, n)).split('\n');
        state.rest = lines.pop() as string;
        for (const line of lines) note(this.seen, line);
      }
    } finally {
      fs.closeSync(fd);
    }
    return found;
  }

  async reread(): Promise<void> {
    this.seen.clear();
    this.#files.clear();
    await this.look();
  }

  close(): void {}
}

class TopicOutput implements Output {
  readonly seen = new Map<string, number>();
  readonly #topic: string;
  readonly #port: number;
  #connection: KafkaConnection | undefined;
  #offset = 0;

  constructor(topic: string, port: number) {
    this.#topic = topic;
    this.#port = port;
  }

  /** @throws ProtocolError the broker does not give its records */
  async look(): Promise<boolean> {
    const began = this.#offset;
    this.#connection ??= await KafkaConnection.open({ host: '127.0.0.1', port: this.#port, clientId: 'crashtest' });
    while (await this.#fetch(this.#connection)) {
      // until nothing more is there
    }
    return this.#offset > began;
  }

  async #fetch(connection: KafkaConnection): Promise<boolean> {
    const partitions = [{ partition: 0, fetchOffset: this.#offset, partitionMaxBytes: FETCH_BYTES }];
    const request = { maxWaitMs: 0, minBytes: 1, isolationLevel: 0, sessionEpoch: -1, topics: [{ topic: this.#topic, partitions }] };
    // By name, not by id: version 12 is the last that can.
    const answer = (await connection.call(Fetch, request, { version: 12 })).responses[0]?.partitions[0];
    if (answer === undefined || answer.errorCode === UNKNOWN_TOPIC) return false;
    if (answer.errorCode !== 0)
      throw new ProtocolError(`the broker answers error ${answer.errorCode} for topic ${this.#topic}`, { wireCode: answer.errorCode });
    const bytes = answer.records;
    if (bytes === null || bytes.length === 0) return false;
    for (const batch of batches(bytes)) {
      for (const { value } of records(batch)) if (value !== null) note(this.seen, value.toString('latin1'));
      this.#offset = batch.lastOffset + 1;
    }
    return true;
  }

  async reread(): Promise<void> {
    this.seen.clear();
    this.#offset = 0;
    await this.look();
  }

  close(): void {
    this.#connection?.close();
  }
}
