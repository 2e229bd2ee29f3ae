/**
 * The end of a file's stay: retired, put aside, or, where neither can be done, held: left where it is and passed over
 * until it changes. Counts, tells and shows what happened.
 */
import { existsSync } from 'node:fs';
import { AppError, errorText } from '../../../lib/errors.ts';
import type { SourceContext } from '../../core/define.ts';
import { type Completion, NameReusedError } from './completion.ts';
import type { Candidate } from './spool-scan.ts';
import type { Troubles } from './troubles.ts';

interface Held {
  readonly modifiedMs: number;
  /** Its events are all in the channel; retiring it is tried with every listing. */
  readonly delivered: boolean;
}

/** True for the error of a path that leads nowhere (any more). */
export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

export class Retirement {
  readonly #ctx: SourceContext;
  readonly #completion: Completion;
  readonly #troubles: Troubles;
  readonly #held = new Map<string, Held>();

  constructor(ctx: SourceContext, completion: Completion, troubles: Troubles) {
    this.#ctx = ctx;
    this.#completion = completion;
    this.#troubles = troubles;
  }

  /** Reads what earlier runs left: files recorded as read, and files put aside. */
  load(): void {
    this.#completion.load();
    for (const place of this.#completion.asides()) this.#showAside(place, 'in an earlier run');
  }

  /** A file whose events are all in the channel. */
  retire(file: Candidate): void {
    try {
      this.#completion.complete(file);
    } catch (error) {
      if (error instanceof NameReusedError) this.putAside(file, error.message);
      else if (!isGone(error)) this.#hold(file, true, error);
      return;
    }
    this.#count('FilesCompletedCount');
    this.#release(file.relative);
    this.#ctx.log.info({ path: file.path }, 'File completed.');
  }

  /** A file that broke the rules; `why` is a sentence without its full stop. */
  putAside(file: Candidate, why: string): void {
    const { log } = this.#ctx;
    this.#count('FilesAsideCount');
    try {
      const place = this.#completion.putAside(file, why);
      this.#release(file.relative);
      this.#showAside(place, why);
      log.error({ path: file.path, aside: place }, `${why}. The file was put aside; other files go on.`);
    } catch (error) {
      if (isGone(error)) log.error({ path: file.path }, `${why}. The file is gone; other files go on.`);
      else this.#hold(file, false, new Error(`${why}; and it cannot be put aside: ${errorText(error)}`));
    }
  }

  /** True for a file to pass over. Tries once more to retire it when it was delivered. */
  holds(file: Candidate): boolean {
    const held = this.#held.get(file.relative);
    if (!held) return false;
    if (held.modifiedMs !== file.modifiedMs) {
      this.#release(file.relative);
      return false;
    }
    if (held.delivered) this.retire(file);
    return true;
  }

  /** Forgets troubles with files that are no longer there; `names` are those that are. */
  review(names: ReadonlySet<string>): void {
    for (const relative of this.#held.keys()) if (!names.has(relative)) this.#release(relative);
    this.#troubles.review('aside:', existsSync);
  }

  #showAside(place: string, why: string): void {
    const error = new AppError('SPOOL_FILE', `a file was put aside as ${place}: ${why}`, {
      fix: 'see what is wrong with it, then take it away or move it into the spool directory under a new name',
    });
    this.#troubles.raise(`aside:${place}`, error);
  }

  #hold(file: Candidate, delivered: boolean, cause: unknown): void {
    const fresh = !this.#held.has(file.relative);
    this.#held.set(file.relative, { modifiedMs: file.modifiedMs, delivered });
    const note = delivered
      ? 'It was delivered and is retired as soon as that is possible; after a restart before, it would be delivered again'
      : 'It is passed over';
    const error = new AppError('SPOOL_FILE', `${file.path} stays in the spool directory: ${errorText(cause)}. ${note}`, {
      fix: 'allow the agent to rename and delete files there',
      cause,
    });
    this.#troubles.raise(`held:${file.relative}`, error);
    if (fresh) this.#ctx.log.error(error.message);
  }

  #release(relative: string): void {
    this.#held.delete(relative);
    this.#troubles.clear(`held:${relative}`);
  }

  #count(name: string): void {
    const { extra } = this.#ctx;
    extra[name] = (extra[name] ?? 0) + 1;
  }
}
