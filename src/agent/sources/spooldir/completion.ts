/**
 * What becomes of a file after reading: renamed, deleted, or recorded in the tracker directory. And what Flume does not
 * have: a file that breaks the rules of a spool directory (changed while it was read, a name used before, not to be
 * decoded) is put aside instead of ending the source: into `.aside` below the spool directory, which both programs pass
 * over; or, where files must not be touched (tracker_dir), recorded by a tracker file that says why.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { AppError, errorText } from '../../../lib/errors.ts';
import type { Candidate } from './spool-scan.ts';

export type CompletionPolicy = 'rename' | 'delete' | 'track';

export interface CompletionOptions {
  readonly policy: CompletionPolicy;
  readonly directory: string;
  readonly trackerDirectory: string;
  readonly suffix: string;
}

/** A name that was used before. */
export class NameReusedError extends AppError {
  constructor(destination: string) {
    super('SPOOL_FILE', `File name has been re-used with different files. Spooling assumptions violated for ${destination}`, {
      fix: 'give every file of a spool directory a name of its own',
    });
  }
}

export class Completion {
  readonly #options: CompletionOptions;
  readonly #done = new Set<string>();

  constructor(options: CompletionOptions) {
    this.#options = options;
  }

  /** Reads what earlier runs recorded. */
  load(): void {
    const { policy, trackerDirectory, suffix } = this.#options;
    this.#done.clear();
    if (policy !== 'track') return;
    for (const name of filesBelow(trackerDirectory)) if (name.endsWith(suffix)) this.#done.add(name.slice(0, -suffix.length));
  }

  /** True for files that were read and are left where they are. */
  isDone(relative: string): boolean {
    return this.#done.has(relative);
  }

  /** Retires a file that was read to its end. @throws NameReusedError; the system's error when it cannot be done */
  complete(file: Candidate): void {
    const { policy } = this.#options;
    if (policy === 'delete') rmSync(file.path, { force: true });
    else if (policy === 'track') this.#record(file.relative, '');
    else this.#rename(file);
  }

  /** Puts a file aside and answers where it, or the note about it, is. @throws the system's error when it cannot be done */
  putAside(file: Candidate, why: string): string {
    const { policy, directory } = this.#options;
    if (policy === 'track') return this.#note(file.relative, why);
    const wanted = path.join(directory, '.aside', file.relative);
    let place = wanted;
    for (let n = 1; existsSync(place); n++) place = `${wanted}.${n}`;
    mkdirSync(path.dirname(place), { recursive: true });
    renameSync(file.path, place);
    return place;
  }

  /** Files put aside by this or an earlier run and not yet taken away. */
  asides(): string[] {
    const folder = path.join(this.#options.directory, '.aside');
    return filesBelow(folder).map((name) => path.join(folder, name));
  }

  #rename(file: Candidate): void {
    const destination = file.path + this.#options.suffix;
    if (existsSync(destination)) throw new NameReusedError(destination);
    renameSync(file.path, destination);
  }

  #marker(relative: string): string {
    const { trackerDirectory, suffix } = this.#options;
    return path.join(trackerDirectory, relative + suffix);
  }

  #record(relative: string, text: string): void {
    const marker = this.#marker(relative);
    mkdirSync(path.dirname(marker), { recursive: true });
    try {
      writeFileSync(marker, text, { flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new NameReusedError(marker);
      throw error;
    }
    this.#done.add(relative);
  }

  #note(relative: string, why: string): string {
    try {
      this.#record(relative, `put aside: ${why}\n`);
    } catch (error) {
      // The marker of the earlier file of that name keeps this one away as well.
      if (!(error instanceof NameReusedError)) throw error;
      this.#done.add(relative);
    }
    return this.#marker(relative);
  }
}

/** Paths of all files below a directory, relative to it; none when it does not exist. @throws AppError it cannot be listed */
function filesBelow(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new AppError('SPOOL_DIR', `${directory} cannot be listed: ${errorText(error)}`, { retriable: true, cause: error });
  }
}
