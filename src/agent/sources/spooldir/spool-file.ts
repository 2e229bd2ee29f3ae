/**
 * One file of a spool directory, open for reading: its bytes by position, up to the length it had when it was opened,
 * and whether it is still the same file. Reads are synchronous calls on the page cache.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { AppError } from '../../../lib/errors.ts';
import type { ByteSource } from '../../core/serializer.ts';

export class SpoolFile implements ByteSource {
  readonly path: string;
  readonly length: number;
  readonly #fd: number;
  readonly #stats: Stats;

  /** @throws the system's error; AppError when it is not a regular file */
  constructor(file: string) {
    // Without O_NONBLOCK opening a pipe would wait for its writer.
    this.#fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    this.#stats = fstatSync(this.#fd);
    this.path = file;
    this.length = this.#stats.size;
    if (this.#stats.isFile()) return;
    this.close();
    throw new AppError('SPOOL_FILE', `${file} is not a regular file`, { fix: 'take it out of the spool directory' });
  }

  read(position: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.length - position));
    const slab = Buffer.allocUnsafeSlow(wanted);
    let filled = 0;
    while (filled < wanted) {
      const bytes = readSync(this.#fd, slab, filled, wanted - filled, position + filled);
      if (bytes === 0) break;
      filled += bytes;
    }
    return filled === wanted ? slab : slab.subarray(0, filled);
  }

  /** What happened to the file since it was opened, in Flume's words; undefined when nothing did. */
  change(): 'vanished' | string | undefined {
    const now = statSync(this.path, { throwIfNoEntry: false });
    if (now === undefined) return 'vanished';
    const was = this.#stats;
    if (now.size !== was.size) return `File has changed size since being read: ${this.path} (${was.size} bytes then, ${now.size} now)`;
    const same = now.ino === was.ino && Math.floor(now.mtimeMs) === Math.floor(was.mtimeMs);
    return same ? undefined : `File has been modified since being read: ${this.path}`;
  }

  /** Closes the file; not twice. */
  close(): void {
    closeSync(this.#fd);
  }
}
