/**
 * Where coordinators keep their records: an internal topic in Kafka's formats, one partition per owner's hash
 * (`__consumer_offsets`, `__transaction_state`). One batch per partition and write; records that belong to a producer's
 * transaction go into a transactional batch of that producer and count after its marker (KIP-98).
 *
 * A failed sync cuts a partition back, but what was appended is applied in memory already. So it is written again, in
 * order, before anything else is: the log ends up telling what memory says.
 */
import type { Clock } from '../../lib/clock.ts';
import { StorageError } from '../../lib/files.ts';
import { type BatchView, batches } from '../../records/batch.ts';
import { BatchBuilder, readControl } from '../../records/builder.ts';
import { RecordCursor } from '../../records/cursor.ts';
import type { Partition } from '../storage/partition.ts';
import type { StateLog } from './host.ts';
import { partitionFor, type StateRecord } from './machine.ts';

const REPLAY_BYTES = 1_048_576;
const COMMIT = 1;

/** A batch that is not known to be durable, and how often its partition had been cut back when it was written. */
interface Written {
  readonly bytes: Buffer;
  readonly offset: number;
  readonly cuts: number;
}

/** What a replay tells, in the order of each partition. */
export interface Replay {
  record(record: StateRecord, offset: number): void;
  /** A transaction of a producer ended in this partition. */
  marker(producerId: number, committed: boolean, partition: number): void;
}

export class TopicStateLog implements StateLog<StateRecord> {
  readonly #partitions: () => readonly Partition[];
  readonly #clock: Clock;
  readonly #unsynced = new Set<Partition>();
  /** Oldest first. */
  readonly #tails = new Map<Partition, Written[]>();

  /** @param partitions of the internal topic, asked at every use */
  constructor(partitions: () => readonly Partition[], clock: Clock) {
    this.#partitions = partitions;
    this.#clock = clock;
  }

  append(records: readonly StateRecord[]): number[] {
    const partitions = this.#partitions();
    const offsets: number[] = new Array(records.length);
    const groups = new Map<string, number[]>();
    for (const [i, { owner, producer }] of records.entries()) {
      const key = `${partitionFor(owner, partitions.length)} ${producer ? `${producer.id} ${producer.epoch}` : ''}`;
      const group = groups.get(key);
      if (group) group.push(i);
      else groups.set(key, [i]);
    }
    for (const indexes of groups.values()) {
      const first = records[indexes[0] as number] as StateRecord;
      const partition = partitions[partitionFor(first.owner, partitions.length)] as Partition;
      const base = this.#write(partition, this.#batch(indexes.map((i) => records[i] as StateRecord)));
      for (const [n, i] of indexes.entries()) offsets[i] = base + n;
    }
    return offsets;
  }

  #batch(records: readonly StateRecord[]): Buffer {
    const { producer } = records[0] as StateRecord;
    const now = this.#clock.now();
    const builder = new BatchBuilder(producer ? { producerId: producer.id, producerEpoch: producer.epoch, transactional: true, baseSequence: -1 } : {});
    for (const { key, value } of records) builder.append(key, value, now);
    return builder.finish();
  }

  async durable(): Promise<void> {
    const waiting = [...this.#unsynced];
    this.#unsynced.clear();
    const ended = await Promise.allSettled(waiting.map((partition) => this.#makeDurable(partition)));
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
  }

  #write(partition: Partition, bytes: Buffer): number {
    this.#restore(partition);
    const offset = partition.appendOwn(bytes);
    const tail = this.#tails.get(partition);
    const written = { bytes, offset, cuts: partition.cuts };
    if (tail) tail.push(written);
    else this.#tails.set(partition, [written]);
    this.#unsynced.add(partition);
    return offset;
  }

  /** Writes again what a failed sync took. @throws StorageError */
  #restore(partition: Partition): void {
    const { cuts } = partition;
    const tail = this.#tails.get(partition) ?? [];
    for (const [i, { bytes, cuts: then }] of tail.entries()) {
      if (then !== cuts) tail[i] = { bytes, offset: partition.appendOwn(bytes), cuts };
    }
  }

  /** Tries twice: what the first sync lost is written again. @throws StorageError (rejection); it is tried again with the next change */
  async #makeDurable(partition: Partition): Promise<void> {
    try {
      await this.#sync(partition);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      await this.#sync(partition);
    }
  }

  async #sync(partition: Partition): Promise<void> {
    try {
      this.#restore(partition);
      const { highWatermark } = partition;
      await partition.sync();
      const tail = this.#tails.get(partition) ?? [];
      const behind = tail.findIndex(({ offset }) => offset >= highWatermark);
      tail.splice(0, behind < 0 ? tail.length : behind);
    } catch (error) {
      this.#unsynced.add(partition);
      throw error;
    }
  }

  /** Tells every record of every partition, oldest first. */
  replay(into: Replay): void {
    for (const partition of this.#partitions()) replayPartition(partition, into);
  }
}

function replayPartition(partition: Partition, into: Replay): void {
  for (let offset = partition.logStartOffset; offset < partition.highWatermark; ) {
    const chunk = partition.log.read(offset, REPLAY_BYTES);
    if (!chunk || chunk.bytes.length === 0) return;
    for (const batch of batches(chunk.bytes)) replayBatch(batch, partition.index, into);
    offset = chunk.nextOffset;
  }
}

function replayBatch(batch: BatchView, partition: number, into: Replay): void {
  if (batch.count === 0) return;
  if (batch.isControl) {
    const control = readControl(batch);
    if (control) into.marker(batch.producerId, control.type === COMMIT, partition);
    return;
  }
  const producer = batch.isTransactional ? { id: batch.producerId, epoch: batch.producerEpoch } : undefined;
  const cursor = new RecordCursor(batch);
  while (cursor.next()) {
    const key = cursor.key();
    // Views of the read chunk would pin it: what stays in memory is copied.
    if (key) into.record({ owner: '', key: Buffer.from(key), value: copyOf(cursor.value()), ...(producer && { producer }) }, cursor.offset);
  }
}

function copyOf(value: Buffer | null): Buffer | null {
  return value === null ? null : Buffer.from(value);
}
