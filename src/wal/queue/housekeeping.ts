/**
 * What a queue does besides putting and taking: the acknowledgement file, checkpoints and their backup, deleting data files
 * that are done with, noticing that a directory was taken away. A checkpoint is due after a time, and after so many bytes
 * written, which bounds both what a crash leaves to verify and the space of what was delivered already.
 */
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Timer } from '../../lib/clock.ts';
import { replaceWhole, StorageError } from '../../lib/files.ts';
import { snapshotBytes } from './acks.ts';
import { writeCheckpoint } from './home.ts';
import { BACKUP_FILE, type Storage, type StorageOptions } from './opening.ts';
import { SafeMark } from './safe-mark.ts';

/** A file beside the logs, by what its loss would cost. */
export type QueueFile = 'checkpoint' | 'backup' | 'mark';

export interface HousekeepingOptions {
  readonly checkpointIntervalMs: number;
  /** A checkpoint is due after so many bytes, too. Default 64 MiB. */
  readonly checkpointBytes?: number | undefined;
  /** Write one at the end, so that the next start need not verify anything. */
  readonly checkpointOnClose: boolean;
  /** gzip the backup copy. */
  readonly compressBackup: boolean;
  /** The checkpoint or the acknowledgements, their backup, or the safe mark could not be written; null = it works again. */
  readonly onTrouble: (what: QueueFile, error: Error | null) => void;
  /** Files were taken away while in use: the owner must open anew. Told once. */
  readonly onRemoved: (error: Error) => void;
}

const CHECKPOINT_BYTES = 67_108_864;
/** A data file in which everything is delivered is closed from this size on, so that its space comes back. */
const SPENT_BYTES = 16_777_216;
const TRIM_INTERVAL_MS = 1_000;

export class Housekeeping {
  readonly #storage: Storage;
  readonly #options: StorageOptions & HousekeepingOptions;
  readonly #queue: { readonly next: () => number; readonly settle: () => Promise<void> };
  #mark: SafeMark | undefined;
  #timer: Timer | undefined;
  #syncTimer: Timer | undefined;
  #running: Promise<void> | undefined;
  #bytes = 0;
  /** Whether anything happened since the last checkpoint. */
  #changed = false;
  #trimmedAt = 0;
  /** Everything below is acknowledged, durably. */
  #durableLow = 0;
  /** Not everything acknowledged is in the file. */
  acksInDoubt = false;
  #markInDoubt = false;
  /** A directory was taken away. */
  removed = false;
  #ended = false;

  constructor(storage: Storage, options: StorageOptions & HousekeepingOptions, queue: { readonly next: () => number; readonly settle: () => Promise<void> }) {
    this.#storage = storage;
    this.#options = options;
    this.#queue = queue;
  }

  /** Marks the queue as open on disk and starts the timers. @throws StorageError */
  begin(syncIntervalMs: number | undefined): void {
    this.#storage.acks?.snapshot(this.#storage.done);
    this.#durableLow = this.#storage.done.low;
    this.#writeCheckpoint(false);
    this.#mark = new SafeMark(this.#options.disk, { dir: this.#options.dirs.checkpoint, tag: this.#storage.tag });
    this.#mark.write(this.#queue.next());
    this.#trim();
    this.#schedule();
    if (syncIntervalMs !== undefined) this.#scheduleSync(syncIntervalMs);
  }

  #schedule(): void {
    this.#timer = this.#options.clock.after(this.#options.checkpointIntervalMs, () => {
      if (this.#changed) this.checkpoint();
      this.#schedule();
    });
  }

  #scheduleSync(intervalMs: number): void {
    this.#syncTimer = this.#options.clock.after(intervalMs, () => {
      void this.#queue.settle();
      this.#scheduleSync(intervalMs);
    });
  }

  /** So many bytes went into a log. */
  wrote(bytes: number): void {
    this.#changed = true;
    this.#bytes += bytes;
    if (this.#bytes >= (this.#options.checkpointBytes ?? CHECKPOINT_BYTES)) this.checkpoint();
  }

  /** Writes ranges that `done` has already; what fails is written again later. */
  writeAcks(ranges: readonly (readonly [from: number, to: number])[]): void {
    this.#changed = true;
    try {
      this.#storage.acks?.write(ranges, this.#storage.done);
      if (this.acksInDoubt) this.#options.onTrouble('checkpoint', null);
      this.acksInDoubt = false;
    } catch (error) {
      this.#doubt(error);
    }
  }

  /** Everything below is durable or done with, and its puts are about to be answered. */
  noteSafe(mark: number): void {
    try {
      this.#mark?.write(mark);
      if (this.#markInDoubt) this.#options.onTrouble('mark', null);
      this.#markInDoubt = false;
    } catch (error) {
      this.#markInDoubt = true;
      this.#options.onTrouble('mark', error as Error);
    }
  }

  async syncAcks(): Promise<void> {
    const { low } = this.#storage.done;
    try {
      await this.#storage.acks?.sync();
      if (this.acksInDoubt) return;
      this.#durableLow = Math.max(this.#durableLow, low);
      if (this.#options.clock.monotonic() - this.#trimmedAt > TRIM_INTERVAL_MS) this.#trim();
    } catch (error) {
      this.#doubt(error);
    }
  }

  #doubt(error: unknown): void {
    this.acksInDoubt = true;
    this.#options.onTrouble('checkpoint', error as Error);
  }

  /** Begins a checkpoint, unless one is at work. */
  checkpoint(): void {
    this.#bytes = 0;
    this.#changed = false;
    this.#running ??= this.#checkpoint().finally(() => {
      this.#running = undefined;
    });
  }

  async #checkpoint(): Promise<void> {
    await this.#queue.settle();
    if (this.#ended) return;
    this.#trim();
    this.#attempt('checkpoint', () => this.#writeCheckpoint(false));
    this.#attempt('backup', () => this.#writeBackup());
  }

  #attempt(what: 'checkpoint' | 'backup', work: () => void): void {
    try {
      work();
      if (what === 'backup' || !this.acksInDoubt) this.#options.onTrouble(what, null);
    } catch (error) {
      this.#changed = true;
      this.#options.onTrouble(what, error as Error);
    }
  }

  #writeCheckpoint(clean: boolean): void {
    const { disk, dirs } = this.#options;
    const stripes = this.#storage.stripes.map(({ id, log }) => ({ id, dir: log.dir, recoveryPoint: log.recoveryPoint }));
    writeCheckpoint(disk, dirs.checkpoint, { clean, next: this.#queue.next(), stripes });
  }

  #writeBackup(): void {
    const { disk, dirs, compressBackup } = this.#options;
    if (dirs.backup === undefined) return;
    const content = snapshotBytes(this.#storage.done, this.#storage.tag, 1);
    replaceWhole(disk, join(dirs.backup, compressBackup ? `${BACKUP_FILE}.gz` : BACKUP_FILE), compressBackup ? gzipSync(content) : content);
  }

  /** Deletes data files in which everything is delivered. */
  #trim(): void {
    this.#trimmedAt = this.#options.clock.monotonic();
    for (const { log } of this.#storage.stripes) {
      if (log.failure) continue;
      try {
        const segments = log.segments();
        const active = segments[segments.length - 1]!;
        if (active.sizeBytes >= SPENT_BYTES && this.#durableLow >= log.nextOffset) log.roll();
        if (segments.length > 1 || log.segments().length > 1) log.deleteBefore(this.#durableLow);
      } catch (error) {
        this.#options.onTrouble('checkpoint', error as Error);
      }
    }
  }

  /** The error to give when a directory in use was removed or replaced, of which the owner is told; null = all are there. */
  noticeRemoval(): Error | null {
    const gone = this.#removedDirectory();
    if (gone && !this.removed) {
      this.removed = true;
      this.#options.onRemoved(gone);
    }
    return gone;
  }

  #removedDirectory(): Error | null {
    const { disk, dirs } = this.#options;
    const needed = this.#storage.stripes.map(({ log }) => `${log.segments().at(-1)!.path}.log`);
    try {
      const gone = [...needed, dirs.checkpoint].find((path) => !disk.stat(path));
      return gone === undefined ? null : new StorageError('write', gone, 'ENOENT');
    } catch (error) {
      return error as Error;
    }
  }

  /** Closes the small files, after an error too. */
  abandon(): void {
    this.#storage.acks?.close();
    this.#mark?.close();
    this.#mark = undefined;
  }

  /** The last checkpoint, then all files are closed. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#timer?.cancel();
    this.#syncTimer?.cancel();
    await this.#running;
    const { stripes, acks } = this.#storage;
    try {
      await acks?.sync();
      const gone = this.#removedDirectory();
      if (gone) {
        this.#options.onTrouble('checkpoint', gone);
        return;
      }
      for (const { log } of stripes) await log.close({ clean: true });
      if (this.#options.checkpointOnClose && !this.acksInDoubt && stripes.every(({ log }) => !log.failure)) {
        this.#writeCheckpoint(true);
        this.#attempt('backup', () => this.#writeBackup());
      }
    } catch (error) {
      // Nothing is lost by it: without a clean end the next start verifies what was written last.
      this.#options.onTrouble('checkpoint', error as Error);
    } finally {
      for (const { log } of stripes) await log.close({ clean: false });
      this.abandon();
    }
  }
}
