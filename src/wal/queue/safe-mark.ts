/**
 * Up to which sequence number puts were answered as durable: CHECKPOINT/safe, 32 bytes written in place after each grouped
 * sync and before anybody is answered.
 *
 *   magic "MRSM" · format u32 · tag u32 · 0 u32 · mark i64 · 0 u32 · crc32c u32
 *
 * Never synced by itself, so it costs a write into the page cache: a killed process leaves it exact, and a power failure
 * at most too low. So it can tell that the end of the newest data file was there once, which nothing in the file can.
 */
import { join } from 'node:path';
import { crc32c } from '../../lib/crc32c.ts';
import { type FileSystem, readWhole } from '../../lib/files.ts';
import { readI64, writeI64 } from '../../records/batch.ts';

const FILE = 'safe';
const FORMAT = 1;
const BYTES = 32;

/** What the file says; 0 when it is absent, damaged (then a note is added) or another channel's. @throws StorageError */
export function readSafeMark(disk: FileSystem, place: { readonly dir: string; readonly tag: number }, notes: string[]): number {
  const path = join(place.dir, FILE);
  const content = disk.stat(path) ? readWhole(disk, path) : null;
  if (content === null || content.length === 0) return 0;
  const sound = content.length >= BYTES && content.toString('latin1', 0, 4) === 'MRSM' && content.readUInt32BE(28) === crc32c(content, 0, 28);
  if (!sound) {
    notes.push(`${path} was damaged and is written anew`);
    return 0;
  }
  return content.readUInt32BE(4) === FORMAT && content.readUInt32BE(8) === place.tag ? readI64(content, 16) : 0;
}

export class SafeMark {
  readonly #disk: FileSystem;
  readonly #fd: number;
  readonly #content = Buffer.alloc(BYTES);
  #mark = -1;

  /** Opens or makes the file. @throws StorageError */
  constructor(disk: FileSystem, place: { readonly dir: string; readonly tag: number }) {
    this.#disk = disk;
    this.#fd = disk.open(join(place.dir, FILE), 'create');
    this.#content.write('MRSM', 0, 'latin1');
    this.#content.writeUInt32BE(FORMAT, 4);
    this.#content.writeUInt32BE(place.tag, 8);
  }

  /** Everything below `mark` is durable, or done with. @throws StorageError and may be tried again */
  write(mark: number): void {
    if (mark === this.#mark) return;
    writeI64(this.#content, mark, 16);
    this.#content.writeUInt32BE(crc32c(this.#content, 0, 28), 28);
    this.#disk.write(this.#fd, this.#content, 0);
    this.#mark = mark;
  }

  close(): void {
    this.#disk.close(this.#fd);
  }
}
