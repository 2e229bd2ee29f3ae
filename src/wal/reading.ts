/**
 * Reading a segment: whole batches from a position on, the memory of where reads ended, and the search by time. Apart
 * from log.ts because none of it knows more than one segment.
 */
import { CorruptLogError } from '../lib/errors.ts';
import { BatchView, magicAt, readI64, sizeAt } from '../records/batch.ts';
import { RecordCursor } from '../records/cursor.ts';
import type { Chunk, TimedOffset } from './config.ts';
import { HeaderScanner, lastOffsetAt, MIN_BATCH_BYTES, maxTimestampAt } from './scan.ts';
import type { Segment } from './segment.ts';

export interface ReadRange {
  /** Where the batch of `offset` begins; within the segment. */
  readonly position: number;
  readonly offset: number;
  /** One batch is read even if it is larger. */
  readonly maxBytes: number;
  /** No batch that begins here or later. */
  readonly upTo: number;
  /** No offset from here on can be in this segment: base of the next one, or the end of the log. */
  readonly limitOffset: number;
  /** The batch must begin at `offset` or later: the last read ended there. Else it may contain `offset`. */
  readonly exact: boolean;
}

/** @throws CorruptLogError when the bytes at a place where a batch must begin are none */
export function readBatches(segment: Segment, range: ReadRange): Chunk {
  const left = segment.sizeBytes - range.position;
  if (left <= 0) return { bytes: Buffer.alloc(0), nextOffset: range.offset };
  let buf = segment.read(range.position, Math.min(left, Math.max(range.maxBytes, MIN_BATCH_BYTES)));
  if (buf.length < MIN_BATCH_BYTES) throw noBatch(segment, range.position);
  const first = sizeAt(buf, 0);
  if (first > buf.length && first <= left) buf = segment.read(range.position, first);
  let end = 0;
  let nextOffset = range.offset;
  while (end + MIN_BATCH_BYTES <= buf.length) {
    const size = sizeAt(buf, end);
    const magic = magicAt(buf, end);
    if (size < MIN_BATCH_BYTES || magic < 0 || magic > 2 || end + size > left) throw noBatch(segment, range.position + end);
    if (end + size > buf.length) break;
    const last = lastOffsetAt(buf, end);
    const base = readI64(buf, end);
    const early = base < nextOffset && (end > 0 || range.exact);
    if (early || last < nextOffset || last >= range.limitOffset) throw noBatch(segment, range.position + end);
    if (base >= range.upTo) break;
    end += size;
    nextOffset = last + 1;
  }
  return { bytes: end === buf.length ? buf : buf.subarray(0, end), nextOffset };
}

function noBatch(segment: Segment, position: number): CorruptLogError {
  const file = segment.file('.log');
  return new CorruptLogError(`${file} has no batch at position ${position}`, { file, position });
}

/** Remembered ends of reads: about as many as there are consumers that read one after the other. */
const HINTS = 8;

/** Where the last reads ended: who reads on from there needs no index. */
export class ReadHints {
  readonly #offsets: number[] = new Array<number>(HINTS).fill(-1);
  readonly #places: { segment: Segment; position: number }[] = [];
  #at = 0;

  find(offset: number): { readonly segment: Segment; readonly position: number } | null {
    const i = this.#offsets.indexOf(offset);
    return i < 0 ? null : (this.#places[i] ?? null);
  }

  remember(offset: number, segment: Segment, position: number): void {
    let i = this.#offsets.indexOf(offset);
    if (i < 0) {
      i = this.#at;
      this.#at = (this.#at + 1) % HINTS;
    }
    this.#offsets[i] = offset;
    this.#places[i] = { segment, position };
  }

  /** Positions or segments changed. */
  forget(): void {
    this.#offsets.fill(-1);
  }
}

export interface TimeSearch {
  readonly timestamp: number;
  /** Records below do not count. */
  readonly fromOffset: number;
  readonly intervalBytes: number;
}

/**
 * The first record of a segment at or after a time, or null.
 * @throws CorruptLogError, ProtocolError, CodecError when a batch that must be looked into cannot be read
 */
export function searchTime(segment: Segment, search: TimeSearch): TimedOffset | null {
  let position = segment.positionBefore(search.timestamp, search.intervalBytes);
  while (position < segment.sizeBytes) {
    const scanner = new HeaderScanner(segment.asFile(), position);
    let found = false;
    while (!found && scanner.next()) found = scanner.maxTimestamp >= search.timestamp && scanner.lastOffset >= search.fromOffset;
    if (!found) return null;
    const timed = firstFrom(new BatchView(segment.read(scanner.position, scanner.sizeBytes)), search);
    if (timed) return timed;
    position = scanner.position + scanner.sizeBytes;
  }
  return null;
}

/** Of an old message: the message itself. */
function firstFrom(batch: BatchView, search: TimeSearch): TimedOffset | null {
  if (batch.magic < 2) return { offset: batch.baseOffset, timestamp: maxTimestampAt(batch.buf, batch.at), leaderEpoch: -1 };
  const cursor = new RecordCursor(batch);
  while (cursor.next()) {
    if (cursor.timestamp >= search.timestamp && cursor.offset >= search.fromOffset) {
      return { offset: cursor.offset, timestamp: cursor.timestamp, leaderEpoch: batch.leaderEpoch };
    }
  }
  return null;
}
