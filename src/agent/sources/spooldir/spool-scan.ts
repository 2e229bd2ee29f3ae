/**
 * Which files of a spool directory are to be read, and in what order (Flume's ReliableSpoolingFileEventReader,
 * getCandidateFiles). Plain listing instead of a watcher: it works on every file system, network ones included, and the
 * pause between two listings is what pollDelay promises. A directory that did not change since a listing that found
 * nothing is not listed again, so a hundred thousand finished files cost one stat per poll.
 */
import { type Dirent, type Stats, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';

export interface Candidate {
  /** Path below the spool directory, with `/`. */
  readonly relative: string;
  /** The spool directory as the user wrote it, and `relative`. */
  readonly path: string;
  /** Whole milliseconds; 0 when the file cannot be looked at. */
  readonly modifiedMs: number;
}

export interface ScanOptions {
  /** The spool directory without a slash at its end. */
  readonly directory: string;
  readonly suffix: string;
  readonly include: RegExp;
  readonly ignore: RegExp;
  readonly recursive: boolean;
  readonly order: 'oldest' | 'youngest' | 'random';
  /** Files that were read already though they are still there. */
  readonly isDone: (relative: string) => boolean;
}

/** Coarsest time stamps of directories in use (FAT): two changes within this time may leave the same stamp. */
const STAMP_MS = 2_000;
/** Files looked at before the event loop gets a turn. */
const SLICE = 1_000;

export class SpoolScan {
  readonly #options: ScanOptions;
  /** The directory's time stamp, and since when (on our own clock) it is known. */
  #stampMs: number | undefined;
  #knownSince = 0;
  /** A listing made when the stamp had been known for long found nothing, so nothing is there until it changes. */
  #quiet = false;

  constructor(options: ScanOptions) {
    this.#options = options;
  }

  /** Files to read, the first one last. @throws the system's error when the spool directory cannot be listed */
  async list(): Promise<Candidate[]> {
    const { directory, recursive, order } = this.#options;
    const stampMs = statSync(directory).mtimeMs;
    if (stampMs !== this.#stampMs) {
      this.#stampMs = stampMs;
      this.#knownSince = performance.now();
      this.#quiet = false;
    }
    if (this.#quiet) return [];
    const settled = performance.now() - this.#knownSince > STAMP_MS;
    const found: Candidate[] = [];
    await this.#collect('', found);
    this.#quiet = found.length === 0 && settled && !recursive;
    if (order === 'oldest') found.sort((a, b) => b.modifiedMs - a.modifiedMs || byPath(b, a));
    else if (order === 'youngest') found.sort((a, b) => a.modifiedMs - b.modifiedMs || byPath(b, a));
    return found;
  }

  async #collect(below: string, found: Candidate[]): Promise<void> {
    const { directory, recursive, ignore } = this.#options;
    let entries: Dirent[];
    try {
      entries = await readdir(below === '' ? directory : `${directory}/${below}`, { withFileTypes: true });
    } catch (error) {
      // A sub-directory may go, or be closed to us, while others are listed; the spool directory itself may not.
      if (below === '') throw error;
      return;
    }
    let looked = 0;
    for (const entry of entries) {
      const relative = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        if (recursive && !entry.name.startsWith('.') && !ignore.test(entry.name)) await this.#collect(relative, found);
      } else if (this.#wanted(entry.name, relative)) {
        const path = `${directory}/${relative}`;
        found.push({ relative, path, modifiedMs: modified(path) });
        if (++looked % SLICE === 0) await new Promise(setImmediate);
      }
    }
  }

  #wanted(name: string, relative: string): boolean {
    const { suffix, include, ignore, isDone } = this.#options;
    return !name.startsWith('.') && !name.endsWith(suffix) && !ignore.test(name) && include.test(name) && !isDone(relative);
  }
}

function modified(path: string): number {
  let stats: Stats | undefined;
  try {
    stats = statSync(path, { throwIfNoEntry: false });
  } catch {
    // Closed to us, or a loop of links: opening it will say so, with its name.
  }
  return Math.floor(stats?.mtimeMs ?? 0);
}

function byPath(a: Candidate, b: Candidate): number {
  return a.path < b.path ? -1 : 1;
}
