/**
 * Which events are done with, on disk: ranges of sequence numbers in two small files of fixed size, written in turn.
 *
 *   acks-0, acks-1      header (32 bytes), then records (24 bytes), the rest zeros
 *   header              magic "MRAK" · format u32 · tag u32 · generation i64 · snapshot records u32 · 0 u32 · crc32c u32
 *   record              from i64 · to i64 · tag u32 · crc32c u32          events [from, to) are done with
 *
 * The tag names the channel, so that a file of another one counts for nothing. Every record is a fact that stays true, so
 * reading takes the union of all sound records of both files, however they got there. When a file is full, everything
 * known goes as a snapshot into the other one, which is durable before records follow; so no crash in between loses a
 * fact. The files are laid out with zeros when they are made: writing into them needs no space, also on a full disk, and
 * their fdatasync no change of the file's size. A lost record costs a second delivery, never an event.
 */
import { join } from 'node:path';
import { crc32c } from '../../lib/crc32c.ts';
import { type FileSystem, readWhole, StorageError } from '../../lib/files.ts';
import { readI64, writeI64 } from '../../records/batch.ts';
import type { RangeSet } from './ranges.ts';

const FORMAT = 1;
const HEADER_BYTES = 32;
const RECORD_BYTES = 24;
const NAMES = ['acks-0', 'acks-1'] as const;
const DEFAULT_BYTES = 1_048_576;

/** What was found in the files of a directory. */
export interface AcksFound {
  /** There was a file at all. */
  readonly present: boolean;
  /** Records and headers that are neither empty nor sound. */
  readonly damaged: number;
}

interface FileState {
  /** Header and the whole snapshot are sound. */
  readonly whole: boolean;
  readonly generation: number;
}

/** Reads the sound records of a file's content into `into`; answers how many were damaged. */
function readRecords(content: Buffer, tag: number, into: RangeSet): { damaged: number; state: FileState } {
  const sound = content.length >= HEADER_BYTES && content.toString('latin1', 0, 4) === 'MRAK' && content.readUInt32BE(28) === crc32c(content, 0, 28);
  const own = sound && content.readUInt32BE(8) === tag && content.readUInt32BE(4) === FORMAT;
  const snapshot = own ? content.readUInt32BE(20) : 0;
  let damaged = sound || isZero(content, 0, Math.min(HEADER_BYTES, content.length)) ? 0 : 1;
  let whole = own;
  let index = 0;
  for (let at = HEADER_BYTES; at + RECORD_BYTES <= content.length; at += RECORD_BYTES, index++) {
    const isSound = content.readUInt32BE(at + 20) === crc32c(content, at, at + 20) && content.readUInt32BE(at + 16) === tag;
    if (isSound) into.add(readI64(content, at), readI64(content, at + 8));
    else {
      if (index < snapshot) whole = false;
      if (!isZero(content, at, at + RECORD_BYTES)) damaged++;
    }
  }
  if (index < snapshot) whole = false;
  return { damaged, state: { whole, generation: own ? readI64(content, 12) : -1 } };
}

function isZero(buf: Buffer, from: number, end: number): boolean {
  for (let i = from; i < end; i++) if (buf[i] !== 0) return false;
  return true;
}

/** Everything known as one file's content; also the form of the backup copy. */
export function snapshotBytes(done: RangeSet, tag: number, generation: number): Buffer {
  const ranges = [...done.ranges()];
  const out = Buffer.alloc(HEADER_BYTES + ranges.length * RECORD_BYTES);
  ranges.forEach(([from, to], i) => {
    putRecord(out, HEADER_BYTES + i * RECORD_BYTES, { from, to, tag });
  });
  out.write('MRAK', 0, 'latin1');
  out.writeUInt32BE(FORMAT, 4);
  out.writeUInt32BE(tag, 8);
  writeI64(out, generation, 12);
  out.writeUInt32BE(ranges.length, 20);
  out.writeUInt32BE(crc32c(out, 0, 28), 28);
  return out;
}

function putRecord(out: Buffer, at: number, record: { from: number; to: number; tag: number }): void {
  writeI64(out, record.from, at);
  writeI64(out, record.to, at + 8);
  out.writeUInt32BE(record.tag, at + 16);
  out.writeUInt32BE(crc32c(out, at, at + 20), at + 20);
}

/** Reads the facts of a backup copy. Answers whether it was sound. */
export function readSnapshot(content: Buffer, tag: number, into: RangeSet): boolean {
  return readRecords(content, tag, into).state.whole;
}

/** Reads without changing anything, for looking into a channel that another process has open. @throws StorageError */
export function readAcks(disk: FileSystem, dir: string, tag: number, into: RangeSet): AcksFound {
  let present = false;
  let damaged = 0;
  for (const name of NAMES) {
    const content = readWhole(disk, join(dir, name));
    if (content === null) continue;
    present = true;
    damaged += readRecords(content, tag, into).damaged;
  }
  return { present, damaged };
}

export class AckFiles {
  readonly #disk: FileSystem;
  readonly #dir: string;
  readonly #tag: number;
  readonly #bytes: number;
  #fds: number[] = [];
  /** Which of the two takes records now. */
  #current = 0;
  #generation = 0;
  #position = 0;
  #unsynced = false;
  /** A write or sync failed: what is in the files is not known; the next flush writes everything anew. */
  #doubtful = false;

  constructor(place: { readonly disk: FileSystem; readonly dir: string; readonly tag: number; readonly bytes?: number | undefined }) {
    this.#disk = place.disk;
    this.#dir = place.dir;
    this.#tag = place.tag;
    this.#bytes = place.bytes ?? DEFAULT_BYTES;
  }

  /** Opens or makes the files and adds what they say to `done`. Then call {@link snapshot} once. @throws StorageError */
  open(done: RangeSet): AcksFound {
    const states: FileState[] = [];
    let present = false;
    let damaged = 0;
    let made = false;
    for (const name of NAMES) {
      const path = join(this.#dir, name);
      const content = readWhole(this.#disk, path);
      present ||= content !== null;
      const found = readRecords(content ?? Buffer.alloc(0), this.#tag, done);
      if (content !== null) damaged += found.damaged;
      states.push(found.state);
      const fd = this.#disk.open(path, 'create');
      this.#fds.push(fd);
      if (content !== null && content.length >= this.#bytes) continue;
      this.#disk.write(fd, Buffer.alloc(this.#bytes - (content?.length ?? 0)), content?.length ?? 0);
      this.#disk.sync(fd);
      made = true;
    }
    if (made) this.#disk.syncDir(this.#dir);
    const [a, b] = states as [FileState, FileState];
    this.#generation = Math.max(a.generation, b.generation, 0);
    // The next snapshot goes over the file whose loss would cost nothing: the broken one, else the older one.
    const keep = a.whole !== b.whole ? (a.whole ? 0 : 1) : a.generation >= b.generation ? 0 : 1;
    this.#current = keep;
    this.#doubtful = true;
    return { present, damaged };
  }

  /** Writes everything known into the other file, durable, and goes on there. @throws StorageError and changes nothing */
  snapshot(done: RangeSet): void {
    const content = snapshotBytes(done, this.#tag, this.#generation + 1);
    const other = 1 - this.#current;
    const fd = this.#fds[other]!;
    this.#disk.write(fd, content, 0);
    this.#disk.sync(fd);
    this.#generation++;
    this.#current = other;
    this.#position = content.length;
    this.#doubtful = false;
    this.#unsynced = false;
  }

  /** Writes ranges that are in `done` already; not durable until {@link sync}. @throws StorageError; they are written with the next flush then */
  write(ranges: readonly (readonly [from: number, to: number])[], done: RangeSet): void {
    if (this.#doubtful || this.#position + ranges.length * RECORD_BYTES > this.#bytes) {
      this.snapshot(done);
      return;
    }
    const out = Buffer.allocUnsafe(ranges.length * RECORD_BYTES);
    ranges.forEach(([from, to], i) => {
      putRecord(out, i * RECORD_BYTES, { from, to, tag: this.#tag });
    });
    try {
      this.#disk.write(this.#fds[this.#current]!, out, this.#position);
    } catch (error) {
      this.#doubtful = true;
      throw error;
    }
    this.#position += out.length;
    this.#unsynced = true;
  }

  /** Makes what was written durable. */
  async sync(): Promise<void> {
    if (!this.#unsynced) return;
    this.#unsynced = false;
    try {
      await this.#disk.datasync(this.#fds[this.#current]!);
    } catch (error) {
      if (error instanceof StorageError) this.#doubtful = true;
      throw error;
    }
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) this.#disk.close(fd);
  }
}
