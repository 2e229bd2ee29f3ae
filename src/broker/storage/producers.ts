/**
 * Producer state of one partition: what makes retries harmless (idempotence) and transactions visible or not.
 * Kept in memory, rebuilt at start from the newest `.snapshot` and the batches after it.
 *
 * Snapshot file (Kafka's ProducerStateManager, version 1):
 *   i16 version=1 · u32 CRC-32C of all that follows · i32 count · count × 46 bytes:
 *   i64 producerId · i16 epoch · i32 lastSequence · i64 lastOffset · i32 offsetDelta · i64 timestamp ·
 *   i32 coordinatorEpoch (-1 none) · i64 currentTxnFirstOffset (-1 none)
 * A snapshot that does not check out is ignored: the batches tell the same, more slowly.
 */
import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { crc32c } from '../../lib/crc32c.ts';

/** Batches remembered per producer; a client has at most this many produce requests in flight (KIP-98). */
const WINDOW = 5;
const SNAPSHOT_VERSION = 1;
const ENTRY_BYTES = 46;
const SEQUENCES = 2 ** 31;

/** Kafka error codes a sequence check may answer. */
export const INVALID_PRODUCER_EPOCH = 47;
export const OUT_OF_ORDER_SEQUENCE = 45;
export const INVALID_TXN_STATE = 48;

interface BatchMark {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly timestamp: number;
}

/** What is known of one producer on one partition. */
export interface ProducerEntry {
  readonly producerId: number;
  epoch: number;
  /** Oldest first, at most five. */
  batches: BatchMark[];
  coordinatorEpoch: number;
  /** First offset of the open transaction, or -1. */
  txnFirstOffset: number;
  lastTimestamp: number;
}

/** The header facts of a batch that the checks need. */
export interface ProducedBatch {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly lastOffsetDelta: number;
  readonly maxTimestamp: number;
  readonly isTransactional: boolean;
}

/** `append`: go on. `duplicate`: already stored at `baseOffset`. `refuse`: Kafka error code. */
export type SequenceVerdict =
  | { readonly kind: 'append' }
  | { readonly kind: 'duplicate'; readonly baseOffset: number; readonly timestamp: number }
  | { readonly kind: 'refuse'; readonly error: number };

const APPEND: SequenceVerdict = { kind: 'append' };

/** An aborted transaction as the `.txnindex` keeps it. */
export interface AbortedTxn {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Offset of the abort marker. */
  readonly lastOffset: number;
  readonly lastStableOffset: number;
}

export class ProducerState {
  readonly #entries = new Map<number, ProducerEntry>();
  /** Those with an open transaction: few, while `entries` may be many, and every fetch asks. */
  readonly #open = new Set<ProducerEntry>();

  /** Decides about a data batch before it is appended; changes nothing. */
  check(batch: ProducedBatch): SequenceVerdict {
    const entry = this.#entries.get(batch.producerId);
    if (!entry) return APPEND;
    if (batch.producerEpoch < entry.epoch) return { kind: 'refuse', error: INVALID_PRODUCER_EPOCH };
    if (entry.txnFirstOffset >= 0 && !batch.isTransactional) return { kind: 'refuse', error: INVALID_TXN_STATE };
    if (batch.producerEpoch > entry.epoch) return batch.baseSequence === 0 ? APPEND : { kind: 'refuse', error: OUT_OF_ORDER_SEQUENCE };
    const lastSequence = sequenceAfter(batch.baseSequence, batch.lastOffsetDelta);
    for (const mark of entry.batches) {
      if (mark.firstSequence === batch.baseSequence && mark.lastSequence === lastSequence) {
        return { kind: 'duplicate', baseOffset: mark.baseOffset, timestamp: mark.timestamp };
      }
    }
    const newest = entry.batches.at(-1);
    // After a marker alone (epoch bumped, nothing written yet) the first batch may only start at zero.
    const expected = newest ? sequenceAfter(newest.lastSequence, 1) : 0;
    return batch.baseSequence === expected ? APPEND : { kind: 'refuse', error: OUT_OF_ORDER_SEQUENCE };
  }

  /** Takes note of a data batch that was appended (or is replayed) at `baseOffset`. */
  appended(batch: ProducedBatch, baseOffset: number): void {
    const entry = this.#entryFor(batch.producerId, batch.producerEpoch);
    if (batch.producerEpoch > entry.epoch) {
      entry.epoch = batch.producerEpoch;
      entry.batches = [];
    }
    entry.batches.push({
      firstSequence: batch.baseSequence,
      lastSequence: sequenceAfter(batch.baseSequence, batch.lastOffsetDelta),
      baseOffset,
      lastOffset: baseOffset + batch.lastOffsetDelta,
      timestamp: batch.maxTimestamp,
    });
    if (entry.batches.length > WINDOW) entry.batches.shift();
    entry.lastTimestamp = batch.maxTimestamp;
    if (batch.isTransactional && entry.txnFirstOffset < 0) {
      entry.txnFirstOffset = baseOffset;
      this.#open.add(entry);
    }
  }

  /**
   * Takes note of a transaction marker appended at `offset`.
   * @returns first offset of the transaction it ended, or -1 when none was open
   */
  marked(producerId: number, epoch: number, coordinatorEpoch: number, at: { readonly timestamp: number }): number {
    const entry = this.#entryFor(producerId, epoch);
    const first = entry.txnFirstOffset;
    if (epoch > entry.epoch) {
      entry.epoch = epoch;
      entry.batches = [];
    }
    entry.coordinatorEpoch = coordinatorEpoch;
    entry.txnFirstOffset = -1;
    this.#open.delete(entry);
    entry.lastTimestamp = at.timestamp;
    return first;
  }

  /** The smallest first offset of all open transactions, or -1. */
  firstOpenOffset(): number {
    let least = -1;
    for (const { txnFirstOffset } of this.#open) if (least < 0 || txnFirstOffset < least) least = txnFirstOffset;
    return least;
  }

  get(producerId: number): ProducerEntry | undefined {
    return this.#entries.get(producerId);
  }

  entries(): IterableIterator<ProducerEntry> {
    return this.#entries.values();
  }

  get size(): number {
    return this.#entries.size;
  }

  clear(): void {
    this.#entries.clear();
    this.#open.clear();
  }

  /** Forgets producers without an open transaction whose last write is older than `olderThan` (epoch ms). */
  expire(olderThan: number): void {
    for (const [id, entry] of this.#entries) {
      if (entry.txnFirstOffset < 0 && entry.lastTimestamp < olderThan) this.#entries.delete(id);
    }
  }

  /** Bytes of a `.snapshot` file. */
  encode(): Buffer {
    const out = new ByteWriter(16 + this.#entries.size * ENTRY_BYTES);
    out.i16(SNAPSHOT_VERSION);
    out.u32(0);
    out.i32(this.#entries.size);
    for (const entry of this.#entries.values()) {
      const newest = entry.batches.at(-1);
      out.i64(entry.producerId);
      out.i16(entry.epoch);
      out.i32(newest?.lastSequence ?? -1);
      out.i64(newest?.lastOffset ?? -1);
      out.i32(newest ? newest.lastOffset - newest.baseOffset : 0);
      out.i64(entry.lastTimestamp);
      out.i32(entry.coordinatorEpoch);
      out.i64(entry.txnFirstOffset);
    }
    const bytes = out.finish();
    bytes.writeUInt32BE(crc32c(bytes, 6, bytes.length) >>> 0, 2);
    return bytes;
  }

  /** Loads a `.snapshot`; false (and empty state) when it does not check out. */
  decode(bytes: Buffer): boolean {
    this.clear();
    if (bytes.length < 10 || bytes.readInt16BE(0) !== SNAPSHOT_VERSION) return false;
    if (bytes.readUInt32BE(2) !== crc32c(bytes, 6, bytes.length) >>> 0) return false;
    const reader = new ByteReader(bytes, 6);
    const count = reader.i32();
    if (count < 0 || reader.remaining < count * ENTRY_BYTES) return false;
    for (let i = 0; i < count; i++) this.#decodeEntry(reader);
    return true;
  }

  #decodeEntry(reader: ByteReader): void {
    const producerId = reader.i64();
    const epoch = reader.i16();
    const lastSequence = reader.i32();
    const lastOffset = reader.i64();
    const offsetDelta = reader.i32();
    const timestamp = reader.i64();
    const coordinatorEpoch = reader.i32();
    const txnFirstOffset = reader.i64();
    const firstSequence = (lastSequence - offsetDelta + SEQUENCES) % SEQUENCES;
    const batches = lastSequence < 0 ? [] : [{ firstSequence, lastSequence, baseOffset: lastOffset - offsetDelta, lastOffset, timestamp }];
    const entry: ProducerEntry = { producerId, epoch, batches, coordinatorEpoch, txnFirstOffset, lastTimestamp: timestamp };
    this.#entries.set(producerId, entry);
    if (txnFirstOffset >= 0) this.#open.add(entry);
  }

  #entryFor(producerId: number, epoch: number): ProducerEntry {
    let entry = this.#entries.get(producerId);
    if (!entry) {
      entry = { producerId, epoch, batches: [], coordinatorEpoch: -1, txnFirstOffset: -1, lastTimestamp: -1 };
      this.#entries.set(producerId, entry);
    }
    return entry;
  }
}

/** Sequence numbers wrap from 2^31-1 to 0. */
function sequenceAfter(sequence: number, delta: number): number {
  return (sequence + delta) % SEQUENCES;
}
