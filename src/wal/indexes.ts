/**
 * The two sparse indexes beside a segment, in Kafka's layout (OffsetIndex.java, TimeIndex.java), big-endian:
 *
 *   NNN.index       8 bytes an entry    last offset of a batch − base i32 · position of that batch i32
 *   NNN.timeindex  12 bytes an entry    largest timestamp so far i64 · last offset of the first batch that has it − base i32
 *
 * Entries are kept in memory and appended to the file in lots, for a lost entry costs only a longer scan. Constraint: all
 * entries rise; the offsets strictly. Recovery rule: an index that breaks this, or points outside its log, is thrown away
 * and rebuilt from the log; zeros at its end (Kafka preallocates) are cut.
 */
import { type FileSystem, readWhole } from '../lib/files.ts';
import { readI64, writeI64 } from '../records/batch.ts';

const FIRST_ENTRIES = 32;

/** `entries`: write what is new. `file`: and make the file if there is nothing. `durable`: and wait until it is on the device. */
export type Flush = 'entries' | 'file' | 'durable';

/** Fixed-size entries in memory with a file behind them. */
class Entries {
  readonly entryBytes: number;
  buf: Buffer;
  count: number;
  /** Entries that the file has already. */
  #written: number;
  /** The file may be longer than what it should hold. */
  #longer: boolean;

  /** @param longer the file has more than `content`, which must go */
  constructor(entryBytes: number, content: Buffer, longer: boolean) {
    this.#longer = longer;
    this.entryBytes = entryBytes;
    this.buf = content;
    this.count = content.length / entryBytes;
    this.#written = this.count;
  }

  /** Position in {@link buf} of a new entry at the end. */
  add(): number {
    const at = this.count * this.entryBytes;
    if (at + this.entryBytes > this.buf.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_ENTRIES * this.entryBytes, this.buf.length * 2));
      this.buf.copy(grown, 0, 0, at);
      this.buf = grown;
    }
    this.count++;
    return at;
  }

  cut(count: number): void {
    if (count >= this.count) return;
    this.count = count;
    if (count < this.#written) {
      this.#written = count;
      this.#longer = true;
    }
  }

  get unwritten(): number {
    return this.count - this.#written;
  }

  /** Brings the file up to date, as far as {@link Flush} says. */
  flush(disk: FileSystem, path: string, how: Flush): void {
    if (this.unwritten === 0 && !this.#longer && how === 'entries') return;
    const fd = disk.open(path, 'create');
    try {
      const from = this.#written * this.entryBytes;
      if (this.unwritten > 0) disk.write(fd, this.buf.subarray(from, this.count * this.entryBytes), from);
      if (this.#longer) disk.truncate(fd, this.count * this.entryBytes);
      if (how === 'durable') disk.sync(fd);
    } finally {
      disk.close(fd);
    }
    this.#written = this.count;
    this.#longer = false;
  }

  /** The file holds something else than these entries: write all of them at the next flush. */
  rewrite(): void {
    this.#written = 0;
    this.#longer = true;
  }
}

/** Whole entries of an index file without the zeros at its end; null when there is no file or it ends within an entry. */
function load(disk: FileSystem, path: string, entryBytes: number): { readonly content: Buffer; readonly longer: boolean } | null {
  const content = readWhole(disk, path);
  if (content === null || content.length % entryBytes !== 0) return null;
  let end = content.length;
  while (end > 0 && isZero(content, end - entryBytes, end)) end -= entryBytes;
  return { content: content.subarray(0, end), longer: end < content.length };
}

function isZero(buf: Buffer, from: number, end: number): boolean {
  for (let i = from; i < end; i++) if (buf[i] !== 0) return false;
  return true;
}

/** Offset → position. Offsets here are relative to the segment's base. */
export class OffsetIndex {
  static readonly ENTRY_BYTES = 8;
  readonly #entries: Entries;

  constructor(content: Buffer = Buffer.alloc(0), longer = false) {
    this.#entries = new Entries(OffsetIndex.ENTRY_BYTES, content, longer);
  }

  /** Null when the file is missing or breaks the rules of this index. */
  static load(disk: FileSystem, path: string, logBytes: number): OffsetIndex | null {
    const loaded = load(disk, path, OffsetIndex.ENTRY_BYTES);
    if (!loaded) return null;
    const { content } = loaded;
    let lastOffset = -1;
    let lastPosition = -1;
    for (let at = 0; at < content.length; at += OffsetIndex.ENTRY_BYTES) {
      const offset = content.readInt32BE(at);
      const position = content.readInt32BE(at + 4);
      if (offset <= lastOffset || position <= lastPosition || position >= logBytes) return null;
      lastOffset = offset;
      lastPosition = position;
    }
    return new OffsetIndex(content, loaded.longer);
  }

  get count(): number {
    return this.#entries.count;
  }
  get unwritten(): number {
    return this.#entries.unwritten;
  }
  offsetAt(i: number): number {
    return this.#entries.buf.readInt32BE(i * 8);
  }
  positionAt(i: number): number {
    return this.#entries.buf.readInt32BE(i * 8 + 4);
  }

  add(offset: number, position: number): void {
    const at = this.#entries.add();
    this.#entries.buf.writeInt32BE(offset, at);
    this.#entries.buf.writeInt32BE(position, at + 4);
  }

  /** Entries with an offset below `offset`. */
  countBelow(offset: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.offsetAt(middle) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** A position from which a scan forward meets the batch of `offset`: that of the greatest entry at or below it, else 0. */
  lookup(offset: number): number {
    const n = this.countBelow(offset + 1);
    return n === 0 ? 0 : this.positionAt(n - 1);
  }

  cut(count: number): void {
    this.#entries.cut(count);
  }
  rewrite(): void {
    this.#entries.rewrite();
  }
  flush(disk: FileSystem, path: string, how: Flush): void {
    this.#entries.flush(disk, path, how);
  }
}

/** Timestamp → offset. Offsets here are relative to the segment's base. */
export class TimeIndex {
  static readonly ENTRY_BYTES = 12;
  readonly #entries: Entries;

  constructor(content: Buffer = Buffer.alloc(0), longer = false) {
    this.#entries = new Entries(TimeIndex.ENTRY_BYTES, content, longer);
  }

  /** Null when the file is missing or breaks the rules of this index. */
  static load(disk: FileSystem, path: string): TimeIndex | null {
    const loaded = load(disk, path, TimeIndex.ENTRY_BYTES);
    if (!loaded) return null;
    const { content } = loaded;
    let lastTimestamp = -1;
    let lastOffset = -1;
    for (let at = 0; at < content.length; at += TimeIndex.ENTRY_BYTES) {
      const timestamp = readI64(content, at);
      const offset = content.readInt32BE(at + 8);
      if (timestamp < lastTimestamp || offset < lastOffset) return null;
      lastTimestamp = timestamp;
      lastOffset = offset;
    }
    return new TimeIndex(content, loaded.longer);
  }

  get count(): number {
    return this.#entries.count;
  }
  get unwritten(): number {
    return this.#entries.unwritten;
  }
  timestampAt(i: number): number {
    return readI64(this.#entries.buf, i * 12);
  }
  offsetAt(i: number): number {
    return this.#entries.buf.readInt32BE(i * 12 + 8);
  }
  get lastTimestamp(): number {
    return this.count === 0 ? -1 : this.timestampAt(this.count - 1);
  }
  get lastOffset(): number {
    return this.count === 0 ? -1 : this.offsetAt(this.count - 1);
  }

  /** Does nothing when the time has not risen: the first batch with a time is the one to find. */
  add(timestamp: number, offset: number): void {
    if (timestamp <= this.lastTimestamp) return;
    const at = this.#entries.add();
    writeI64(this.#entries.buf, timestamp, at);
    this.#entries.buf.writeInt32BE(offset, at + 8);
  }

  /** Relative offset before which no batch has reached `timestamp`: that of the last entry below it, else 0. */
  lookup(timestamp: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.timestampAt(middle) < timestamp) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.offsetAt(low - 1);
  }

  /** Drops the entries about offsets from `offset` on. */
  cutFrom(offset: number): void {
    let keep = this.count;
    while (keep > 0 && this.offsetAt(keep - 1) >= offset) keep--;
    this.#entries.cut(keep);
  }
  rewrite(): void {
    this.#entries.rewrite();
  }
  flush(disk: FileSystem, path: string, how: Flush): void {
    this.#entries.flush(disk, path, how);
  }
}
