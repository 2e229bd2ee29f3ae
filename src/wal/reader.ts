/**
 * Reading a log from an offset to its end, batch by batch, with bounded memory: one chunk at a time. With `verify`, each
 * checksum is looked at; a bad batch is repaired away (put aside, reported through the log's `onDamage`) and reading goes
 * on behind it, so a reader never stops for damage and never hands it out.
 */
import { AppError } from '../lib/errors.ts';
import { BatchView, readI64, sizeAt } from '../records/batch.ts';
import type { Log } from './log.ts';
import { isSound, lastOffsetAt } from './scan.ts';

const CHUNK_BYTES = 262_144;

export interface ReaderOptions {
  /** Check the CRC of every batch. Default true. */
  readonly verify?: boolean;
  /** Bytes to read at a time; one batch is read even if it is larger. */
  readonly chunkBytes?: number;
  /**
   * Told of offsets `[firstOffset, nextOffset)` that are not there, reported as damage or not: in a log that is never compacted
   * every one of them was lost. Not told of what lies below the start of the log.
   */
  readonly onGap?: (firstOffset: number, nextOffset: number) => void;
}

/** Use: `for (let batch = reader.next(); batch; batch = reader.next())`. It may go on after null, when more was appended. */
export class LogReader {
  readonly #log: Log;
  readonly #verify: boolean;
  readonly #chunkBytes: number;
  readonly #onGap: (firstOffset: number, nextOffset: number) => void;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  #offset: number;
  /** A batch was handed out since the start: the next one must begin behind it. */
  #moving = false;

  constructor(log: Log, offset: number, options: ReaderOptions = {}) {
    this.#log = log;
    this.#offset = offset;
    this.#verify = options.verify ?? true;
    this.#chunkBytes = options.chunkBytes ?? CHUNK_BYTES;
    this.#onGap = options.onGap ?? (() => {});
  }

  /** The offset after the last batch handed out: where {@link next} goes on. */
  get offset(): number {
    return this.#offset;
  }

  /** Goes on at another offset. */
  seek(offset: number): void {
    this.#offset = offset;
    this.#chunk = Buffer.alloc(0);
    this.#at = 0;
    this.#moving = false;
  }

  /**
   * The next batch below `upTo`, or null at the end. The first may begin before the asked offset. Its bytes stay valid as
   * long as it is held; it holds its whole chunk in memory. An offset below the start of the log moves up to it.
   * @throws StorageError; CorruptLogError when the log is open for reading only and damaged
   */
  next(upTo: number = this.#log.nextOffset): BatchView | null {
    for (let doubted = false; ; ) {
      if (this.#at >= this.#chunk.length && !this.#fill(upTo)) return null;
      const at = this.#at;
      if (this.#verify && !(isSound(this.#chunk, at) && (!this.#moving || readI64(this.#chunk, at) >= this.#offset))) {
        this.#chunk = Buffer.alloc(0);
        this.#at = 0;
        if (!this.#log.repairAt(this.#offset) && doubted) throw this.#unreadable();
        doubted = true;
        continue;
      }
      const batch = new BatchView(this.#chunk, at);
      if (batch.baseOffset >= upTo) return null;
      if (batch.baseOffset > this.#offset) {
        if (this.#verify && this.#gapIsFalse(batch)) continue;
        this.#onGap(this.#offset, batch.baseOffset);
      }
      this.#at = at + sizeAt(this.#chunk, at);
      this.#moving = true;
      this.#offset = lastOffsetAt(this.#chunk, at) + 1;
      return batch;
    }
  }

  /** A base offset lies outside the checksum: whether the batch behind the gap denies it. Then it is repaired away. */
  #gapIsFalse(batch: BatchView): boolean {
    const { nextOffset } = batch;
    const before = this.#log.repairs;
    const behind = this.#at + batch.sizeBytes;
    if (behind < this.#chunk.length) {
      if (readI64(this.#chunk, behind) < nextOffset) this.#log.repairAt(this.#offset);
    } else if (nextOffset < this.#log.nextOffset) this.#log.read(nextOffset, 1);
    if (this.#log.repairs === before) return false;
    this.#chunk = Buffer.alloc(0);
    this.#at = 0;
    return true;
  }

  #unreadable(): AppError {
    return new AppError('LOG_UNREADABLE', `what is read at offset ${this.#offset} of ${this.#log.dir} is not what a second look finds`, {
      fix: 'check memory and disk of this machine',
    });
  }

  #fill(upTo: number): boolean {
    this.#offset = Math.max(this.#offset, this.#log.logStartOffset);
    if (this.#offset >= upTo) return false;
    const chunk = this.#log.read(this.#offset, this.#chunkBytes, upTo);
    if (!chunk || chunk.bytes.length === 0) return false;
    this.#chunk = chunk.bytes;
    this.#at = 0;
    return true;
  }
}
