/**
 * Walking over the batches of a log file. {@link HeaderScanner} looks at headers only, a few KiB at a time: for finding
 * an offset. {@link verifyScan} reads every byte and checks every checksum; where a batch is bad it looks for the next
 * good one behind it, so that damage costs what is damaged and no more. Old messages (magic 0 and 1) count as batches
 * of one offset.
 */
import { crc32 } from '../lib/crc32c.ts';
import { CorruptLogError } from '../lib/errors.ts';
import type { FileSystem } from '../lib/files.ts';
import { checkBatch, HEADER_BYTES, LOG_OVERHEAD, readI64, sizeAt } from '../records/batch.ts';

/** The smallest thing a log may hold: an old message with neither key nor value. */
export const MIN_BATCH_BYTES = 26;
const CHUNK_BYTES = 16_384;
const VERIFY_BYTES = 1_048_576;
const MAX_RELATIVE = 0x7fffffff;

/** A file with how much of it counts. */
export interface LogFile {
  readonly disk: FileSystem;
  readonly fd: number;
  readonly path: string;
  readonly sizeBytes: number;
}

/** Last offset of the batch or old message at `at`. */
export function lastOffsetAt(buf: Buffer, at: number): number {
  return readI64(buf, at) + (buf[at + 16] === 2 ? buf.readInt32BE(at + 23) : 0);
}

/** Largest timestamp of the batch or old message at `at`; -1 when it has none. What a cleaner left of a batch names one that no record has. */
export function maxTimestampAt(buf: Buffer, at: number): number {
  const magic = buf[at + 16];
  if (magic === 2) return buf.readInt32BE(at + 57) === 0 ? -1 : readI64(buf, at + 35);
  return magic === 1 ? readI64(buf, at + 18) : -1;
}

/** Whether the whole batch or old message at `at` has the right checksum, and a header that makes sense. */
export function isSound(buf: Buffer, at: number): boolean {
  const end = at + sizeAt(buf, at);
  if (buf[at + 16] === 2) return checkBatch(buf, at, end) === null;
  return end <= buf.length && crc32(buf, at + 16, end) === buf.readUInt32BE(at + LOG_OVERHEAD);
}

/** Whether the first bytes of a batch can be true at all; nothing behind the header is looked at. */
function plausible(buf: Buffer, at: number, room: number): boolean {
  const size = sizeAt(buf, at);
  const magic = buf[at + 16]!;
  if (size > room || magic > 2 || size < (magic === 2 ? HEADER_BYTES : MIN_BATCH_BYTES)) return false;
  return magic !== 2 || buf.readInt32BE(at + 23) >= 0;
}

// All scanning is synchronous, so one scratch buffer serves every scanner that is not used across a pause.
const scratch = Buffer.allocUnsafeSlow(CHUNK_BYTES);

/**
 * Steps from header to header. Fields tell of the batch it stands on. Must be used to its end without a pause in
 * between, and not two at a time: scanners share their buffer.
 */
export class HeaderScanner {
  position = 0;
  sizeBytes = 0;
  baseOffset = -1;
  lastOffset = -1;
  maxTimestamp = -1;
  leaderEpoch = -1;
  magic = 2;
  /** Records that the header counts; 1 for an old message. */
  count = 0;
  readonly #file: LogFile;
  #next: number;
  #chunkAt = 0;
  #chunkEnd = 0;

  constructor(file: LogFile, position: number) {
    this.#file = file;
    this.#next = position;
  }

  /**
   * False at the end of the file.
   * @throws CorruptLogError when there is something that cannot be a batch
   */
  next(): boolean {
    const { sizeBytes, path } = this.#file;
    const position = this.#next;
    if (position >= sizeBytes) return false;
    const need = Math.min(HEADER_BYTES, sizeBytes - position);
    if (position < this.#chunkAt || position + need > this.#chunkEnd) this.#fill(position);
    const at = position - this.#chunkAt;
    if (need < MIN_BATCH_BYTES || this.#chunkEnd - position < need || !plausible(scratch, at, sizeBytes - position)) {
      throw new CorruptLogError(`${path} has no batch at position ${position}`, { file: path, position });
    }
    this.position = position;
    this.sizeBytes = sizeAt(scratch, at);
    this.magic = scratch[at + 16]!;
    this.baseOffset = readI64(scratch, at);
    this.lastOffset = lastOffsetAt(scratch, at);
    this.maxTimestamp = maxTimestampAt(scratch, at);
    this.leaderEpoch = this.magic === 2 ? scratch.readInt32BE(at + 12) : -1;
    this.count = this.magic === 2 && need === HEADER_BYTES ? scratch.readInt32BE(at + 57) : 1;
    this.#next = position + this.sizeBytes;
    return true;
  }

  /** The complaint about a batch whose offsets do not fit to its neighbours. */
  misplaced(): CorruptLogError {
    const { path } = this.#file;
    return new CorruptLogError(`${path} has a batch with impossible offsets at position ${this.position}`, { file: path, position: this.position });
  }

  #fill(position: number): void {
    const { disk, fd, sizeBytes } = this.#file;
    this.#chunkAt = position;
    this.#chunkEnd = position + disk.read(fd, scratch, 0, Math.min(CHUNK_BYTES, sizeBytes - position), position);
  }
}

/** What {@link verifyScan} tells its visitor of a good batch. */
export interface GoodBatch {
  readonly position: number;
  readonly sizeBytes: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly maxTimestamp: number;
}

/** Bytes of a file that are no good batch, and the offsets that were there. */
export interface BadRange {
  readonly position: number;
  readonly sizeBytes: number;
  /** First offset missing. */
  readonly firstOffset: number;
  /** First offset after the gap; -1 when the range reaches the end of the file, so nobody knows. */
  readonly nextOffset: number;
  /** The range is a tail that could be the start of a batch whose rest was never written. */
  readonly torn: boolean;
}

export interface ScanRange {
  /** Where to begin: a batch boundary. */
  readonly position: number;
  /** No offset below this may come. */
  readonly firstOffset: number;
  /** No offset from this on may come: base of the next segment, or 2^53. */
  readonly limitOffset: number;
  /** Base of the segment: offsets may lie at most 2^31-1 above it. */
  readonly baseOffset: number;
  /** Everything below was durable, so within a file no gap in offsets can reach over it. */
  readonly recoveryPoint: number;
  /** Where the offsets of this file end, when that is known. */
  readonly endOffset: number | undefined;
  /** No offset was ever left out, unless it was lost. */
  readonly gapless: boolean;
}

export interface ScanResult {
  readonly bad: readonly BadRange[];
  /** End of the last good batch. */
  readonly goodBytes: number;
  /** After the last good batch, or `firstOffset` when there is none. */
  readonly nextOffset: number;
}

/** A sliding view of the file, large enough for the batch at hand. */
class Window {
  readonly #file: LogFile;
  buf = Buffer.allocUnsafeSlow(VERIFY_BYTES);
  start = 0;
  end = 0;

  constructor(file: LogFile) {
    this.#file = file;
  }

  /** Makes `[position, position + length)` readable, as far as the file goes, and returns its index in {@link buf}. */
  see(position: number, length: number): number {
    if (position >= this.start && position + length <= this.end) return position - this.start;
    const { disk, fd, sizeBytes } = this.#file;
    if (length > this.buf.length) this.buf = Buffer.allocUnsafeSlow(Math.max(length, this.buf.length * 2));
    this.start = position;
    this.end = position + disk.read(fd, this.buf, 0, Math.max(0, Math.min(this.buf.length, sizeBytes - position)), position);
    return 0;
  }
}

/** The batch at `position` if it is whole, right and in place; null otherwise. */
function goodAt(file: LogFile, window: Window, position: number, range: ScanRange): GoodBatch | null {
  const left = file.sizeBytes - position;
  if (left < MIN_BATCH_BYTES) return null;
  let at = window.see(position, Math.min(HEADER_BYTES, left));
  if (window.end - position < Math.min(HEADER_BYTES, left) || !plausible(window.buf, at, left)) return null;
  const sizeBytes = sizeAt(window.buf, at);
  const baseOffset = readI64(window.buf, at);
  const lastOffset = lastOffsetAt(window.buf, at);
  if (baseOffset < range.firstOffset || lastOffset >= range.limitOffset || lastOffset - range.baseOffset > MAX_RELATIVE) return null;
  at = window.see(position, sizeBytes);
  if (window.end < position + sizeBytes) return null;
  const { buf } = window;
  if (!isSound(buf, at)) return null;
  return { position, sizeBytes, baseOffset, lastOffset, maxTimestamp: maxTimestampAt(buf, at) };
}

/**
 * Whether the batch after a jump in offsets says that the jump is false. A base offset lies outside the checksum, so a bit
 * flipped there shows only in the neighbours; without this look one bit would cost every batch behind it.
 */
function jumpDenied(file: LogFile, window: Window, jumped: GoodBatch, range: ScanRange): boolean {
  if (range.firstOffset < range.recoveryPoint && jumped.lastOffset >= range.recoveryPoint) return true;
  const next = goodAt(file, window, jumped.position + jumped.sizeBytes, range);
  return next !== null && next.baseOffset <= jumped.lastOffset;
}

/**
 * Whether to believe the base offset of a batch right behind damage: it lies outside the checksum and next to bytes that are
 * wrong. In a log without gaps it must lead up to what follows.
 */
function connects(file: LogFile, window: Window, batch: GoodBatch, range: ScanRange): boolean {
  if (!range.gapless) return true;
  const end = batch.position + batch.sizeBytes;
  const follows = end < file.sizeBytes ? goodAt(file, window, end, range)?.baseOffset : range.endOffset;
  return follows === undefined || follows === batch.lastOffset + 1;
}

/** The next good v2 batch behind a bad one at `from`. */
function findGood(file: LogFile, window: Window, from: number, range: ScanRange): GoodBatch | null {
  // Most often only the content is bad and the length is right.
  const at = window.see(from, Math.min(HEADER_BYTES, file.sizeBytes - from));
  if (file.sizeBytes - from >= MIN_BATCH_BYTES && plausible(window.buf, at, file.sizeBytes - from)) {
    const next = goodAt(file, window, from + sizeAt(window.buf, at), range);
    if (next && connects(file, window, next, range)) return next;
  }
  for (let position = from + 1; position + HEADER_BYTES <= file.sizeBytes; ) {
    const here = window.see(position, Math.min(VERIFY_BYTES / 2, file.sizeBytes - position));
    const magic = window.buf.subarray(0, window.end - window.start).indexOf(2, here + 16);
    if (magic < 0) {
      position = Math.max(position + 1, window.end - 16);
      continue;
    }
    position = window.start + magic - 16;
    const found = goodAt(file, window, position, range);
    if (found && connects(file, window, found, range)) return found;
    position++;
  }
  return null;
}

/** Whether `[position, end of file)` looks like a write that was cut off: too short for what it says, or nothing but zeros. */
function looksTorn(file: LogFile, window: Window, position: number): boolean {
  const left = file.sizeBytes - position;
  const at = window.see(position, Math.min(left, VERIFY_BYTES));
  if (left < MIN_BATCH_BYTES) return true;
  if (sizeAt(window.buf, at) > left && window.buf[at + 16]! <= 2) return true;
  for (let i = at; i < window.end - window.start; i++) if (window.buf[i] !== 0) return false;
  return true;
}

/** Checks everything from `range.position` to the end of the file; calls `visit` for each good batch in order. */
export function verifyScan(file: LogFile, range: ScanRange, visit: (batch: GoodBatch) => void): ScanResult {
  const window = new Window(file);
  const bad: BadRange[] = [];
  let position = range.position;
  let goodBytes = range.position;
  const here = { ...range };
  while (position < file.sizeBytes) {
    const expected = here.firstOffset;
    let batch = goodAt(file, window, position, here);
    if (batch && batch.baseOffset > expected && jumpDenied(file, window, batch, here)) batch = null;
    if (!batch) {
      const next = findGood(file, window, position, here);
      const end = next?.position ?? file.sizeBytes;
      bad.push({
        position,
        sizeBytes: end - position,
        firstOffset: expected,
        nextOffset: next?.baseOffset ?? -1,
        torn: next === null && looksTorn(file, window, position),
      });
      if (!next) break;
      batch = next;
    }
    visit(batch);
    position = batch.position + batch.sizeBytes;
    goodBytes = position;
    here.firstOffset = batch.lastOffset + 1;
  }
  return { bad, goodBytes, nextOffset: here.firstOffset };
}
