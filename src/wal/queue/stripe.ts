/**
 * One data directory of a queue: a log whose offsets are the queue's sequence numbers, with gaps where events went to other
 * directories, and a reader that stands on the next batch a taker wants. Reading holds one chunk in memory.
 */
import type { FileSystem } from '../../lib/files.ts';
import { type BatchView, HEADER_BYTES, place } from '../../records/batch.ts';
import { RecordCursor } from '../../records/cursor.ts';
import type { Log } from '../log.ts';
import { LogReader } from '../reader.ts';
import { type BatchCipher, isSealed, missingKey } from './cipher.ts';
import { spaceExhausted } from './failures.ts';
import type { StoredEvent } from './part.ts';

/** How long an answer about free space counts. */
const FREE_FRESH_MS = 1_000;
/** Over so many events one jumps by the index; fewer are read past. */
const FAR = 1_000_000;
const NEVER = Number.NEGATIVE_INFINITY;

/** What of a sequence number fits into the header field `baseSequence`. */
export function sequenceMark(sequence: number): number {
  return sequence % 0x80000000;
}

/**
 * An offset lies outside the checksum of its batch, and where it is the last of a log no neighbour contradicts a wrong one.
 * Its low bits are inside, too; what is near `from` and has them is the right one.
 */
function correctOffset(batch: BatchView, from: number): void {
  const { baseOffset, baseSequence } = batch;
  if (baseSequence < 0 || sequenceMark(baseOffset) === baseSequence) return;
  const below = from - sequenceMark(from) + baseSequence;
  const nearest = [below - 0x80000000, below, below + 0x80000000].reduce((a, b) => (Math.abs(b - from) < Math.abs(a - from) ? b : a));
  place(batch.buf, batch.at, { baseOffset: Math.max(0, nearest), leaderEpoch: batch.leaderEpoch });
}

export class Stripe {
  readonly id: string;
  readonly log: Log;
  readonly #disk: FileSystem;
  readonly #reader: LogReader;
  #head: BatchView | null = null;
  /** The reader stands nowhere in particular. */
  #fresh = true;
  #freeBytes = 0;
  #freeAskedAt = NEVER;

  constructor(id: string, log: Log, options: { readonly disk: FileSystem; readonly chunkBytes: number }) {
    this.id = id;
    this.log = log;
    this.#disk = options.disk;
    this.#reader = new LogReader(log, log.logStartOffset, { chunkBytes: options.chunkBytes });
  }

  /** First sequence number of the next batch that reaches `from` and begins below `upTo`; Infinity when there is none. */
  peek(from: number, upTo: number): number {
    let head = this.#head;
    while (head === null || head.lastOffset < from) {
      if (this.#fresh || from - this.#reader.offset > FAR) this.#reader.seek(from);
      this.#fresh = false;
      head = this.#reader.next(upTo);
      this.#head = head;
      if (head === null) return Number.POSITIVE_INFINITY;
      correctOffset(head, from);
    }
    return head.baseOffset;
  }

  /** Everything below was safe when the batch was written that {@link peek} found. */
  get safeAtHead(): number {
    return (this.#head as BatchView).producerId;
  }

  /** Last sequence number of the batch that {@link peek} found. */
  get lastOfHead(): number {
    return (this.#head as BatchView).lastOffset;
  }

  /**
   * The events of the batch that {@link peek} found, from sequence number `from` on.
   * @throws ChannelError they are encrypted and cannot be read; ProtocolError the batch holds no events
   */
  events(from: number, cipher: BatchCipher | null): { readonly events: StoredEvent[]; readonly sequence: number } {
    const head = this.#head as BatchView;
    const sealed = isSealed(head);
    if (sealed && !cipher) throw missingKey();
    const batch = sealed ? (cipher as BatchCipher).open(head) : head;
    const cursor = new RecordCursor(batch);
    const events: StoredEvent[] = [];
    while (cursor.next()) {
      if (cursor.offset < from) continue;
      const { data, valueAt, valueLength } = cursor;
      events.push({ headers: cursor.headerRecord(), body: data.subarray(valueAt, valueAt + Math.max(0, valueLength)) });
    }
    return { events, sequence: Math.max(from, head.baseOffset) };
  }

  /** Forgets what was read ahead, after the log was cut or repaired. */
  forget(): void {
    this.#head = null;
    this.#fresh = true;
  }

  /** Verifies the segment where a batch with this number ought to be, and repairs it. */
  repairAt(from: number): void {
    if (from < this.log.nextOffset) this.log.repairAt(Math.max(from, this.log.logStartOffset));
    this.forget();
  }

  /** Free space is asked for at most once a second, what was written since is taken off. @throws ChannelError less than `required` would be left */
  needSpace(bytes: number, required: number, nowMs: number): void {
    if (nowMs - this.#freeAskedAt >= FREE_FRESH_MS) {
      this.#freeBytes = this.#disk.freeBytes(this.log.dir);
      this.#freeAskedAt = nowMs;
    }
    if (this.#freeBytes - bytes < required) throw spaceExhausted(this.log.dir, this.#freeBytes, required + bytes);
  }

  /** @throws StorageError: nothing was appended */
  append(batch: Buffer, firstOffset: number): void {
    this.log.append(batch, 0, firstOffset);
    this.#freeBytes -= batch.length + HEADER_BYTES;
  }
}
