/**
 * One segment of a log: a file of batches and its two indexes, named by the first offset they may hold.
 *
 *   00000000000000004711.log         batches v2 one behind the other, nothing between, nothing after
 *   00000000000000004711.index       offset → position     } every index.interval.bytes of log an entry in both,
 *   00000000000000004711.timeindex   timestamp → offset    } for the batch that begins there; the first batch has none
 *   00000000000000004711.txnindex    the owner's: aborted transactions; moves and goes with the segment
 *   00000000000000004711.snapshot    the owner's: producer state at this offset; goes with the segment
 *
 * Constraints: written at a tracked position by one call per append, so a failed write leaves bytes that the next append
 * overwrites; a batch is never changed after it was written; offsets rise; all offsets lie within 2^31 of the base.
 * Recovery rule: see recover.ts. Files are opened when first used; closed segments are read through the log's small
 * set of open ones.
 */
import { join } from 'node:path';
import type { FileSystem } from '../lib/files.ts';
import { type Flush, OffsetIndex, TimeIndex } from './indexes.ts';
import { HeaderScanner, type LogFile, lastOffsetAt, maxTimestampAt } from './scan.ts';

/** `%020d`, as Kafka names files by offset. */
export function offsetName(offset: number): string {
  return String(offset).padStart(20, '0');
}

/** Endings of all files that belong to a segment. */
export const SEGMENT_ENDINGS = ['.log', '.index', '.timeindex', '.txnindex', '.snapshot'] as const;

/** Index entries collect in memory until there are this many, then go to the file in one write. */
const FLUSH_ENTRIES = 64;
const MAX_RELATIVE = 0x7fffffff;

export class Segment {
  readonly baseOffset: number;
  /** Path without ending. */
  path: string;
  /** `.cleaned` while it is being rewritten, else empty. */
  readonly suffix: string;
  /** Good bytes in the log file: where the next batch goes. */
  sizeBytes: number;
  /** When it was made or opened, for the age of segments without timestamps. */
  readonly createdMs: number;
  /** A failed append may have left bytes beyond {@link sizeBytes}. */
  tailDirty = false;
  /** Something was appended since the last sync of this segment began. */
  unsynced = false;
  readonly #disk: FileSystem;
  #fd = -1;
  /** Syncs at work, by descriptor; such a file is closed only when they are done. */
  readonly #pins = new Map<number, number>();
  readonly #doomed = new Set<number>();
  readonly #readOnly: boolean;
  #offsets: OffsetIndex | null = null;
  #times: TimeIndex | null = null;
  #bytesSinceEntry = 0;
  #maxTimestamp = -1;
  /** Last offset of the first batch that has {@link maxTimestamp}. */
  #maxTimestampOffset = -1;
  #firstTimestamp: number | undefined;

  constructor(
    disk: FileSystem,
    place: { readonly dir: string; readonly baseOffset: number; readonly suffix?: string; readonly readOnly?: boolean },
    state: { readonly sizeBytes: number; readonly createdMs: number },
  ) {
    this.#disk = disk;
    this.baseOffset = place.baseOffset;
    this.path = join(place.dir, offsetName(place.baseOffset));
    this.suffix = place.suffix ?? '';
    this.#readOnly = place.readOnly ?? false;
    this.sizeBytes = state.sizeBytes;
    this.createdMs = state.createdMs;
  }

  /** Path of one of its files. */
  file(ending: (typeof SEGMENT_ENDINGS)[number]): string {
    return this.path + ending + this.suffix;
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  /** Makes an empty segment's log file, or opens an existing one for writing. */
  openForAppend(): void {
    if (this.#fd < 0) this.#fd = this.#disk.open(this.file('.log'), 'create');
    this.#offsets ??= new OffsetIndex();
    this.#times ??= new TimeIndex();
  }

  /** The log file as scanners want it; opens it for reading when it is not open. */
  asFile(): LogFile {
    if (this.#fd < 0) this.#fd = this.#disk.open(this.file('.log'), this.#readOnly ? 'read' : 'update');
    return { disk: this.#disk, fd: this.#fd, path: this.file('.log'), sizeBytes: this.sizeBytes };
  }

  /** Loads the indexes if they are not loaded; one that is missing or broken is rebuilt from headers. */
  #indexes(intervalBytes: number): OffsetIndex {
    if (this.#offsets && this.#times) return this.#offsets;
    this.#offsets = OffsetIndex.load(this.#disk, this.file('.index'), this.sizeBytes);
    this.#times = TimeIndex.load(this.#disk, this.file('.timeindex'));
    if (this.#offsets && this.#times) this.#takeTimeFromIndex(this.#times);
    else this.rebuildIndexes(intervalBytes);
    return this.#offsets as OffsetIndex;
  }

  #takeTimeFromIndex(times: TimeIndex): void {
    this.#maxTimestamp = times.lastTimestamp;
    this.#maxTimestampOffset = times.count === 0 ? -1 : this.baseOffset + times.lastOffset;
  }

  /**
   * Forgets both indexes and makes them anew from the headers of all batches.
   * @throws CorruptLogError when a header is impossible or out of order
   */
  rebuildIndexes(intervalBytes: number): void {
    this.resetIndexes();
    const scanner = new HeaderScanner(this.asFile(), 0);
    let expected = this.baseOffset;
    try {
      while (scanner.next()) {
        if (scanner.baseOffset < expected || scanner.lastOffset - this.baseOffset > MAX_RELATIVE) throw scanner.misplaced();
        expected = scanner.lastOffset + 1;
        this.noteBatch(scanner, intervalBytes);
      }
    } catch (error) {
      this.#offsets = null;
      this.#times = null;
      throw error;
    }
  }

  /** Empty indexes that will replace the files; the caller then tells of every batch by {@link noteBatch}. */
  resetIndexes(): void {
    this.#offsets = new OffsetIndex();
    this.#times = new TimeIndex();
    this.#offsets.rewrite();
    this.#times.rewrite();
    this.#bytesSinceEntry = 0;
    this.#maxTimestamp = -1;
    this.#maxTimestampOffset = -1;
    this.#firstTimestamp = undefined;
  }

  /** Brings the time and index state up to date with a batch that is in the log. Kafka's order: time first, then entries. */
  noteBatch(
    batch: { readonly position: number; readonly sizeBytes: number; readonly lastOffset: number; readonly maxTimestamp: number },
    intervalBytes: number,
  ): void {
    if (batch.maxTimestamp > this.#maxTimestamp) {
      this.#maxTimestamp = batch.maxTimestamp;
      this.#maxTimestampOffset = batch.lastOffset;
    }
    if (this.#bytesSinceEntry > intervalBytes) {
      (this.#offsets as OffsetIndex).add(batch.lastOffset - this.baseOffset, batch.position);
      this.#addTime();
      this.#bytesSinceEntry = 0;
    }
    this.#bytesSinceEntry += batch.sizeBytes;
  }

  #addTime(): void {
    if (this.#maxTimestamp >= 0) (this.#times as TimeIndex).add(this.#maxTimestamp, this.#maxTimestampOffset - this.baseOffset);
  }

  /**
   * Writes batches, already numbered, at the end. The segment must be open for append.
   * @throws StorageError: nothing was appended
   */
  append(batches: Buffer, intervalBytes: number): void {
    const start = this.sizeBytes;
    try {
      this.#disk.write(this.#fd, batches, start);
    } catch (error) {
      this.tailDirty = true;
      throw error;
    }
    this.unsynced = true;
    this.sizeBytes = start + batches.length;
    for (let at = 0; at < batches.length; ) {
      const sizeBytes = batches.readInt32BE(at + 8) + 12;
      const maxTimestamp = maxTimestampAt(batches, at);
      if (start === 0 && at === 0) this.#firstTimestamp = maxTimestamp;
      this.noteBatch({ position: start + at, sizeBytes, lastOffset: lastOffsetAt(batches, at), maxTimestamp }, intervalBytes);
      at += sizeBytes;
    }
    if ((this.#offsets as OffsetIndex).unwritten >= FLUSH_ENTRIES) this.flushIndexes('entries');
  }

  /** Takes away what a failed append may have left behind the last good batch. */
  trimTail(): void {
    if (!this.tailDirty) return;
    this.#disk.truncate(this.asFile().fd, this.sizeBytes);
    this.tailDirty = false;
  }

  /** Cuts the log at a batch boundary; index entries behind it go. */
  truncate(sizeBytes: number, nextOffset: number): void {
    this.#disk.truncate(this.asFile().fd, sizeBytes);
    this.sizeBytes = sizeBytes;
    this.unsynced = true;
    if (!this.#offsets || !this.#times) return;
    this.#offsets.cut(this.#offsets.countBelow(nextOffset - this.baseOffset));
    this.#times.cutFrom(nextOffset - this.baseOffset);
    this.#takeTimeFromIndex(this.#times);
    if (sizeBytes === 0) this.resetIndexes();
    else this.#resumeFrom(this.#offsets);
    // Entries about what was cut must not come back: other batches will stand at those places.
    this.flushIndexes('durable');
  }

  /** Recomputes what only a scan of the log's end tells: time of the last batches, and bytes since the last entry. */
  #resumeFrom(offsets: OffsetIndex): number {
    const from = offsets.count === 0 ? 0 : offsets.positionAt(offsets.count - 1);
    const scanner = new HeaderScanner(this.asFile(), from);
    let next = this.baseOffset;
    this.#bytesSinceEntry = 0;
    while (scanner.next()) {
      next = scanner.lastOffset + 1;
      this.#bytesSinceEntry += scanner.sizeBytes;
      if (scanner.maxTimestamp > this.#maxTimestamp) {
        this.#maxTimestamp = scanner.maxTimestamp;
        this.#maxTimestampOffset = scanner.lastOffset;
      }
    }
    return next;
  }

  /**
   * Takes over an existing file for append without reading more of it than what lies behind its last index entry.
   * @returns the offset after its last batch
   * @throws CorruptLogError when the end of the file is no batch
   */
  resume(intervalBytes: number): number {
    const offsets = this.#indexes(intervalBytes);
    this.asFile();
    const last =
      offsets.count === 0 ? null : { offset: this.baseOffset + offsets.offsetAt(offsets.count - 1), position: offsets.positionAt(offsets.count - 1) };
    if (last) {
      const scanner = new HeaderScanner(this.asFile(), last.position);
      scanner.next();
      if (scanner.lastOffset !== last.offset) this.rebuildIndexes(intervalBytes);
    }
    return this.#resumeFrom(this.#offsets as OffsetIndex);
  }

  /** Keeps the first entries of the indexes, those about offsets below `offset`, if the last of them fits the log. Null: none can be trusted. */
  trustIndexesBelow(offset: number): { readonly position: number; readonly firstOffset: number } | null {
    const offsets = OffsetIndex.load(this.#disk, this.file('.index'), this.sizeBytes);
    const times = TimeIndex.load(this.#disk, this.file('.timeindex'));
    const keep = offsets?.countBelow(offset - this.baseOffset) ?? 0;
    if (!offsets || !times || keep === 0) return null;
    const position = offsets.positionAt(keep - 1);
    const entryOffset = this.baseOffset + offsets.offsetAt(keep - 1);
    const scanner = new HeaderScanner(this.asFile(), position);
    try {
      if (!scanner.next() || scanner.lastOffset !== entryOffset) return null;
    } catch {
      return null; // not a batch there: the index is wrong or the log is; the full scan will tell which
    }
    // The entry's own batch is scanned again, and its entry comes back; its time entry may be about an earlier batch.
    offsets.cut(keep - 1);
    times.cutFrom(entryOffset - this.baseOffset + 1);
    this.#offsets = offsets;
    this.#times = times;
    this.#takeTimeFromIndex(times);
    this.#bytesSinceEntry = Number.MAX_SAFE_INTEGER;
    return { position, firstOffset: scanner.baseOffset };
  }

  /** Position of the first batch whose last offset is `offset` or more; `sizeBytes` when there is none. @throws CorruptLogError */
  locate(offset: number, intervalBytes: number): number {
    const from = this.#indexes(intervalBytes).lookup(Math.min(offset - this.baseOffset, 0x7ffffffe));
    const scanner = new HeaderScanner(this.asFile(), from);
    while (scanner.next()) if (scanner.lastOffset >= offset) return scanner.position;
    return this.sizeBytes;
  }

  /** A batch boundary before which no batch has reached `timestamp`. */
  positionBefore(timestamp: number, intervalBytes: number): number {
    return this.#indexes(intervalBytes).lookup((this.#times as TimeIndex).lookup(timestamp));
  }

  /** Reads into a new buffer; shorter only when the file is. */
  read(position: number, length: number): Buffer {
    const { fd } = this.asFile();
    const buf = Buffer.allocUnsafeSlow(length);
    const n = this.#disk.read(fd, buf, 0, length, position);
    return n === length ? buf : buf.subarray(0, n);
  }

  /** Largest timestamp in it, -1 when there is none. Loads the indexes. */
  maxTimestamp(intervalBytes: number): number {
    this.#indexes(intervalBytes);
    return this.#maxTimestamp;
  }

  /** Timestamp of its first batch, -1 when that has none or there is no batch. */
  firstTimestamp(): number {
    if (this.#firstTimestamp === undefined && this.sizeBytes > 0) {
      const scanner = new HeaderScanner(this.asFile(), 0);
      if (scanner.next()) this.#firstTimestamp = scanner.maxTimestamp;
    }
    return this.#firstTimestamp ?? -1;
  }

  get indexEntries(): number {
    return Math.max(this.#offsets?.count ?? 0, this.#times?.count ?? 0);
  }

  /** Its index files do not yet say what is known. */
  get indexesBehind(): boolean {
    return (this.#offsets?.unwritten ?? 0) > 0 || (this.#times?.unwritten ?? 0) > 0;
  }

  flushIndexes(how: Flush): void {
    if (this.#readOnly) return;
    this.#offsets?.flush(this.#disk, this.file('.index'), how);
    this.#times?.flush(this.#disk, this.file('.timeindex'), how);
  }

  /** No more appends: the final time entry, both index files complete. */
  finish(how: 'file' | 'durable'): void {
    if (this.#offsets && this.#times) this.#addTime();
    this.flushIndexes(how);
  }

  /** fdatasync of the log file; the file stays open until it is done. */
  async datasync(): Promise<void> {
    this.unsynced = false;
    const { fd } = this.asFile();
    this.#pins.set(fd, (this.#pins.get(fd) ?? 0) + 1);
    try {
      await this.#disk.datasync(fd);
    } catch (error) {
      this.unsynced = true;
      throw error;
    } finally {
      this.#unpin(fd);
    }
  }

  #unpin(fd: number): void {
    const left = (this.#pins.get(fd) ?? 1) - 1;
    if (left > 0) {
      this.#pins.set(fd, left);
      return;
    }
    this.#pins.delete(fd);
    if (this.#doomed.delete(fd)) this.#disk.close(fd);
  }

  /** fsync of the log file, waiting. */
  sync(): void {
    this.#disk.sync(this.asFile().fd);
    this.unsynced = false;
  }

  /** Closes the file (when no sync is at work on it) and drops indexes that can be loaded again. */
  close(): void {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd >= 0 && this.#pins.has(fd)) this.#doomed.add(fd);
    else if (fd >= 0) this.#disk.close(fd);
    if (!this.#offsets || !this.#times || this.#offsets.unwritten > 0 || this.#times.unwritten > 0) return;
    this.#offsets = null;
    this.#times = null;
  }

  /** Renames all its files, so that they no longer count, and answers the new names. */
  retire(ending: '.deleted' | '.swap' = '.deleted'): string[] {
    this.#offsets = null;
    this.#times = null;
    const out: string[] = [];
    for (const kind of SEGMENT_ENDINGS) {
      const from = this.file(kind);
      if (kind !== '.log' && !this.#disk.stat(from)) continue;
      const to = this.path + kind + ending;
      this.#disk.rename(from, to);
      out.push(to);
    }
    this.close();
    return out;
  }
}
