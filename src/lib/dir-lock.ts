/**
 * Who may use a directory. Node has no advisory locks, so a lock file holds its owner's process id, the start time of that
 * process, and a name for people; a lock whose process is gone (or is another one that got the same id) counts as free.
 * The file appears by link(2), whole or not at all, so nobody ever reads half of it. A dead one's lock is removed under a
 * second lock, so two who come at once never both get in.
 */
import { existsSync, linkSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from './errors.ts';
import { StorageError } from './files.ts';

/** Who holds a lock file. */
export interface LockHolder {
  readonly pid: number;
  /** As it named itself, e.g. `channel c1 of agent a1`. */
  readonly name: string;
}

/** The directory is in use. Retriable: its holder may end. */
export class DirectoryInUseError extends AppError {
  readonly holder: LockHolder;
  constructor(dir: string, holder: LockHolder) {
    const who = holder.pid === process.pid ? `${holder.name}, of this same process` : `${holder.name}, process ${holder.pid}`;
    super('DIRECTORY_IN_USE', `Cannot lock ${dir}. The directory is already locked. It is used by ${who}`, {
      fix: 'stop the other one, or give one of them another directory',
      retriable: true,
    });
    this.holder = holder;
  }
}

/**
 * Takes the lock of a directory of the real disk, which must exist.
 * @param file name of the lock file in it
 * @param name what to call the holder
 * @returns a function that gives it back; safe twice
 * @throws DirectoryInUseError another live process, or another part of this one, holds it; AppError it cannot be written
 */
export function lockDirectory(dir: string, file: string, name: string): () => void {
  const path = join(dir, file);
  try {
    const mine = `${process.pid} ${startOf(process.pid)} ${name}\n`;
    for (let attempt = 0; !claim(path, mine); attempt++) {
      const holder = lockHolder(path);
      if (holder !== null || attempt === ATTEMPTS) throw new DirectoryInUseError(dir, holder ?? { pid: 0, name: 'somebody who keeps taking it' });
      breakLock(dir, file, name);
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new StorageError('lock', dir, (error as NodeJS.ErrnoException).code ?? 'EIO', error);
  }
  let mine = identityOf(path);
  return () => {
    if (mine !== null && identityOf(path) === mine) unlinkSync(path);
    mine = null;
  };
}

/** Tells a lock file from a later one of the same name without opening it: a lock is given back also when there are no file handles. */
function identityOf(path: string): string | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.ino} ${stat.mtimeNs}`;
}

/** Makes the lock file with all of its content, or answers false because it is there. */
function claim(path: string, content: string): boolean {
  const draft = `${path}.${process.pid}.${++drafts}`;
  try {
    writeFileSync(draft, content);
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * Removes a lock whose holder is dead. Of two who find it so, the slower one would remove the lock of the faster: whoever
 * breaks a lock therefore holds a second one and looks again. That one is locked like any other, in case its holder died.
 */
function breakLock(dir: string, file: string, name: string): void {
  const done = lockDirectory(dir, `${file}.breaking`, name);
  try {
    const path = join(dir, file);
    const text = read(path);
    // Absent is not dead: somebody may be about to take it, and what is removed then would be his.
    if (text !== null && holderIn(text) === null) unlinkSync(path);
  } finally {
    done();
  }
}

const ATTEMPTS = 3;
let drafts = 0;

/** The live holder of a lock file, or null. */
export function lockHolder(path: string): LockHolder | null {
  return holderIn(read(path) ?? '');
}

function holderIn(text: string): LockHolder | null {
  const [pid, start, ...name] = text.trim().split(' ');
  const id = Number(pid);
  if (!Number.isInteger(id) || id <= 0) return null;
  const now = startOf(id);
  return now !== '' && now === (start ?? '') ? { pid: id, name: name.join(' ') || 'somebody' } : null;
}

/** Null when there is no such file; it may go at any moment. */
function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return null;
  }
}

/**
 * Something that tells two processes with one id apart: the start time from /proc, or "alive" where there is none; empty = no such
 * process. Throws when it cannot be told, e.g. without file handles: nobody may be taken for dead by that.
 */
function startOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    // A killed process that nobody has waited for yet holds nothing.
    return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
  } catch (error) {
    if (['EMFILE', 'ENFILE', 'ENOMEM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    try {
      process.kill(pid, 0);
      return existsSync('/proc/self/stat') ? '' : 'alive';
    } catch {
      return '';
    }
  }
}
