/**
 * One round of compaction of one partition (Kafka's Cleaner; kafka-reference 7.2): of every key only the last record stays.
 *
 *  1. The dirty part is read and the last offset of each key noted, until the map is full: the rest waits for the next round.
 *  2. All segments before that point are written anew, neighbours together while they fit: a record stays if its offset is
 *     not below its key's. Offsets never change; a batch keeps its place and loses records; an empty one goes.
 *  3. What tells "deleted" stays for a while. The first round that meets a tombstone, or a marker of a transaction that is
 *     gone, stamps its batch with a delete horizon, delete.retention.ms from now; the first round after that drops it.
 *  4. Header-only batches stay where something would be forgotten: the last of each live producer (its sequence), the last
 *     of the round (the end of the range).
 *
 * Never touched: the active segment, and what is not stable, not durable or too young; the caller gives that limit.
 * Requests go on meanwhile: nothing changes until a group of segments is swapped, which is one synchronous step (wal/rewrite.ts).
 */
import type { FileSystem } from '../../lib/files.ts';
import { type BatchView, batches, checkBatch, unpackRecordsAsync } from '../../records/batch.ts';
import { builderLike, emptyBatch, filterBatch } from '../../records/builder.ts';
import { RecordCursor } from '../../records/cursor.ts';
import type { SegmentInfo } from '../../wal/config.ts';
import type { SegmentRewrite } from '../../wal/rewrite.ts';
import { Interrupted, type Slices } from '../slices.ts';
import { appendAborted } from './aborted.ts';
import { CleanedTransactions } from './cleaned-transactions.ts';
import type { OffsetMap } from './offset-map.ts';
import type { Partition } from './partition.ts';

const READ_BYTES = 262_144;
const WRITE_BYTES = 262_144;
/** Records between two looks at the clock. */
const LOOK_EVERY = 256;
const MAX_RELATIVE = 0x7fffffff;

export interface CompactionOptions {
  readonly partition: Partition;
  readonly disk: FileSystem;
  readonly slices: Slices;
  readonly map: OffsetMap;
  /** Epoch ms. */
  readonly now: number;
}

/** What a round did. */
export interface CompactionOutcome {
  /** Everything below has been looked at. */
  readonly nextDirty: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** The last thing a live producer wrote. */
interface LastOfProducer {
  /** Last offset of its last data batch; -1 when it has written a marker alone. */
  readonly lastOffset: number;
  readonly epoch: number;
}

export class Compaction {
  readonly #partition: Partition;
  readonly #disk: FileSystem;
  readonly #slices: Slices;
  readonly #map: OffsetMap;
  readonly #now: number;
  readonly #horizon: number;
  readonly #producers = new Map<number, LastOfProducer>();
  /** Records from here on are not in the map. */
  #end = 0;
  /** End of the last batch below it. */
  #lastBatchEnd = 0;
  #transactions = new CleanedTransactions([]);

  constructor({ partition, disk, slices, map, now }: CompactionOptions) {
    this.#partition = partition;
    this.#disk = disk;
    this.#slices = slices;
    this.#map = map;
    this.#now = now;
    this.#horizon = now + partition.config['delete.retention.ms'];
  }

  /**
   * @param firstDirty where the last round ended
   * @param limit nothing from here on is touched
   * @throws Interrupted, StorageError; CorruptLogError, ProtocolError, CodecError when a batch cannot be read
   */
  async run(firstDirty: number, limit: number): Promise<CompactionOutcome> {
    const { log } = this.#partition;
    await this.#mapDirty(firstDirty, limit);
    for (const { producerId, epoch, batches: marks } of this.#partition.producers.entries())
      this.#producers.set(producerId, { lastOffset: marks.at(-1)?.lastOffset ?? -1, epoch });
    this.#transactions = this.#transactionsFrom(log.logStartOffset);
    const segments = log.segments().filter(({ isActive, baseOffset }) => !isActive && baseOffset < this.#end);
    let bytesBefore = 0;
    let bytesAfter = 0;
    for (const group of this.#groups(segments)) {
      for (const { sizeBytes } of group) bytesBefore += sizeBytes;
      bytesAfter += await this.#rewrite(group);
    }
    return { nextDirty: this.#end, bytesBefore, bytesAfter };
  }

  #transactionsFrom(offset: number): CleanedTransactions {
    return new CleanedTransactions(this.#partition.abortedWithin(offset, this.#end));
  }

  // ---- which record is the last of its key ----

  async #mapDirty(firstDirty: number, limit: number): Promise<void> {
    const transactions = new CleanedTransactions(this.#partition.abortedWithin(firstDirty, limit));
    this.#end = limit;
    this.#lastBatchEnd = firstDirty;
    for await (const batch of this.#batches(firstDirty, limit)) {
      if (batch.lastOffset >= limit || !this.#makeRoom(batch)) {
        this.#end = this.#lastBatchEnd;
        return;
      }
      if (batch.magic === 2) {
        if (batch.isControl) transactions.marker(batch);
        else if (!transactions.data(batch) && batch.count > 0) await this.#mapBatch(batch);
      }
      this.#lastBatchEnd = batch.magic === 2 ? batch.nextOffset : batch.baseOffset + 1;
    }
  }

  /** Whether the whole batch fits into the map. The first one always does. */
  #makeRoom(batch: BatchView): boolean {
    if (batch.magic !== 2 || batch.count <= this.#map.room) return true;
    if (this.#map.size > 0) return false;
    this.#map.growEmpty(batch.count);
    return true;
  }

  async #mapBatch(batch: BatchView): Promise<void> {
    const cursor = await this.#open(batch);
    for (let n = 1; cursor.next(); n++) {
      if (cursor.keyLength >= 0) this.#map.put(cursor.data, cursor.keyAt, cursor.keyLength, cursor.offset);
      if (n % LOOK_EVERY === 0 && this.#slices.over) await this.#slices.breathe();
    }
  }

  // ---- walking ----

  /** All batches from the one with offset `from` to the last that begins below `upTo`, checked. */
  async *#batches(from: number, upTo: number): AsyncGenerator<BatchView> {
    const { log } = this.#partition;
    for (let offset = Math.max(from, log.logStartOffset); offset < upTo; ) {
      if (this.#slices.over) await this.#slices.breathe();
      const chunk = log.read(offset, READ_BYTES, upTo);
      if (chunk === null) throw new Interrupted('the start of the log moved');
      if (chunk.bytes.length === 0) return;
      for (const batch of batches(chunk.bytes)) {
        if (batch.magic === 2 && checkBatch(batch.buf, batch.at) !== null) this.#damaged(batch);
        yield batch;
        if (this.#slices.over) await this.#slices.breathe();
      }
      offset = chunk.nextOffset;
    }
  }

  /** Rewriting a damaged batch would give it a right checksum: it is put aside first, and the round begins anew later. */
  #damaged(batch: BatchView): never {
    this.#partition.log.repairAt(batch.baseOffset);
    throw new Interrupted('damage was found and put aside');
  }

  async #open(batch: BatchView): Promise<RecordCursor> {
    return new RecordCursor(batch, batch.codec === 0 ? undefined : await unpackRecordsAsync(batch));
  }

  // ---- writing anew ----

  /** Neighbours that fit into one segment, oldest first. */
  #groups(segments: readonly SegmentInfo[]): SegmentInfo[][] {
    const { segmentBytes } = this.#partition.log.config;
    const out: SegmentInfo[][] = [];
    let sizeBytes = 0;
    for (const segment of segments) {
      const group = out.at(-1);
      const fits = group && sizeBytes + segment.sizeBytes <= segmentBytes && segment.nextOffset - (group[0] as SegmentInfo).baseOffset <= MAX_RELATIVE;
      sizeBytes = (fits ? sizeBytes : 0) + segment.sizeBytes;
      if (fits) group.push(segment);
      else out.push([segment]);
    }
    return out;
  }

  /** Replaces a group by one segment. @returns its size */
  async #rewrite(group: readonly SegmentInfo[]): Promise<number> {
    const rewrite = this.#partition.log.rewrite(group.map(({ baseOffset }) => baseOffset));
    try {
      const changed = await this.#copy(group, rewrite);
      const { sizeBytes } = rewrite;
      if (changed || group.length > 1) {
        await rewrite.settle();
        this.#slices.check();
        this.#checkUnchanged(group);
        rewrite.commit();
      }
      return sizeBytes;
    } finally {
      // Does nothing after a commit.
      rewrite.abort();
    }
  }

  /** Retention, DeleteRecords or a repair may have been there meanwhile. @throws Interrupted */
  #checkUnchanged(group: readonly SegmentInfo[]): void {
    const now = new Map(this.#partition.log.segments().map((segment) => [segment.baseOffset, segment]));
    for (const { baseOffset, sizeBytes } of group)
      if (now.get(baseOffset)?.sizeBytes !== sizeBytes) throw new Interrupted('segments changed while they were compacted');
  }

  /** Writes what stays of a group. @returns whether anything is different */
  async #copy(group: readonly SegmentInfo[], rewrite: SegmentRewrite): Promise<boolean> {
    const out: Buffer[] = [];
    let held = 0;
    let changed = false;
    const [first] = group as [SegmentInfo];
    const last = group.at(-1) as SegmentInfo;
    for await (const batch of this.#batches(first.baseOffset, last.nextOffset)) {
      const kept = await this.#filter(batch, rewrite);
      if (kept !== batch) changed = true;
      if (kept === null) continue;
      const { bytes } = kept;
      out.push(bytes);
      held += bytes.length;
      if (held < WRITE_BYTES) continue;
      rewrite.append(Buffer.concat(out.splice(0), held));
      held = 0;
    }
    if (held > 0) rewrite.append(Buffer.concat(out, held));
    return changed;
  }

  /** What stays of a batch: itself, `{ bytes }` of a smaller one, or null. */
  async #filter(batch: BatchView, rewrite: SegmentRewrite): Promise<{ readonly bytes: Buffer } | null> {
    if (batch.magic !== 2 || batch.baseOffset >= this.#end) return batch;
    let dead: boolean;
    if (batch.isControl) {
      const { mayGo, known } = this.#transactions.marker(batch);
      if (known) appendAborted(this.#disk, rewrite.txnindexPath, known);
      if (mayGo && batch.count > 0 && batch.deleteHorizonMs < 0) return { bytes: filterBatch(batch, () => true, this.#horizon) as Buffer };
      dead = mayGo && (batch.count === 0 || batch.deleteHorizonMs <= this.#now);
      if (!dead) return batch;
    } else {
      dead = this.#transactions.data(batch);
      if (!dead && batch.count > 0) {
        const kept = await this.#filterRecords(batch);
        if (kept !== null) return kept;
      }
    }
    if (!this.#mustStay(batch)) return null;
    return batch.count === 0 ? batch : { bytes: emptyBatch(batch) };
  }

  /** Whether the header must stay though no record does. */
  #mustStay(batch: BatchView): boolean {
    if (batch.nextOffset === this.#lastBatchEnd) return true;
    const last = batch.hasProducer ? this.#producers.get(batch.producerId) : undefined;
    if (!last) return false;
    return last.lastOffset >= 0 ? last.lastOffset === batch.lastOffset : batch.isControl && batch.producerEpoch === last.epoch;
  }

  /** The batch itself when all its records stay, a smaller one, or null when none does. */
  async #filterRecords(batch: BatchView): Promise<{ readonly bytes: Buffer } | null> {
    const { deleteHorizonMs } = batch;
    const tombstonesStay = deleteHorizonMs < 0 || this.#now < deleteHorizonMs;
    const cursor = await this.#open(batch);
    const keep = new Uint8Array(batch.count);
    let kept = 0;
    let tombstones = 0;
    for (let n = 0; cursor.next(); n++) {
      const isTombstone = cursor.valueLength < 0;
      if (this.#isLast(cursor) && (!isTombstone || tombstonesStay)) {
        keep[n] = 1;
        kept++;
        if (isTombstone) tombstones++;
      }
      if (n % LOOK_EVERY === 0 && this.#slices.over) await this.#slices.breathe();
    }
    if (kept === 0) return null;
    const stamp = tombstones > 0 && deleteHorizonMs < 0;
    if (kept === batch.count && !stamp) return batch;
    return { bytes: await this.#rebuild(batch, keep, stamp) };
  }

  /** Whether no record behind has the same key; records beyond the map are not known to have any. */
  #isLast(cursor: RecordCursor): boolean {
    if (cursor.offset >= this.#end) return true;
    return cursor.keyLength >= 0 && cursor.offset >= this.#map.get(cursor.data, cursor.keyAt, cursor.keyLength);
  }

  async #rebuild(batch: BatchView, keep: Uint8Array, stamp: boolean): Promise<Buffer> {
    const builder = builderLike(batch, stamp ? this.#horizon : undefined);
    const cursor = await this.#open(batch);
    for (let n = 0; cursor.next(); n++) {
      if (keep[n] === 0) continue;
      builder.appendAt(cursor.offsetDelta, { key: cursor.key(), value: cursor.value(), timestamp: cursor.timestamp, headers: cursor.headers() });
      if (n % LOOK_EVERY === 0 && this.#slices.over) await this.#slices.breathe();
    }
    return builder.finishAsync(batch.lastOffsetDelta);
  }
}
