/**
 * The disk as a parameter. Calls are synchronous, because on the page cache a promise costs ten times the work; only
 * what waits for the device ({@link FileSystem.datasync}) and what frees much of it ({@link FileSystem.remove}) is
 * asynchronous. {@link realDisk} is the machine's; memory-disk.ts is one that fails, tears and forgets for tests.
 * Every failure is a StorageError that names file, operation and errno.
 */
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { AppError } from './errors.ts';

/** An operation on a file failed; `errno` is the system's word, e.g. `ENOSPC`. Retriable when waiting can help. */
export class StorageError extends AppError {
  readonly errno: string;
  readonly path: string;
  constructor(operation: string, path: string, errno: string, cause?: unknown) {
    super('STORAGE', `cannot ${operation} ${path}: ${REASONS[errno] ?? errno}`, {
      fix: FIXES[errno] ?? 'look at the disk and its mount; the system log says more',
      retriable: PASSING.has(errno),
      ...(cause === undefined ? {} : { cause }),
    });
    this.errno = errno;
    this.path = path;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  EIO: 'the disk reported an error',
  ENOENT: 'no such file or directory',
  EMFILE: 'this process has too many files open',
  ENFILE: 'this machine has too many files open',
};

const FIXES: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space; work goes on by itself then',
  EDQUOT: 'free some space or raise the quota; work goes on by itself then',
  EACCES: 'give this user write permission for the directory and everything in it',
  EPERM: 'give this user write permission for the directory and everything in it',
  EROFS: 'mount the file system writable, or use another directory',
  EIO: 'check the disk (dmesg, smartctl); what was not acknowledged must be sent again',
  ENOENT: 'somebody removed it while it was in use; restore it or restart',
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENFILE: 'raise fs.file-max',
};

/** Conditions that may pass without anybody changing the configuration. */
const PASSING: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EAGAIN', 'EINTR']);

export interface FileStat {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly isDirectory: boolean;
}

/** `read`: must exist. `update`: must exist, read and write. `create`: read and write, made when absent. */
export type OpenMode = 'read' | 'update' | 'create';

/** What the storage code needs of a file system. All methods throw (or reject with) StorageError. */
export interface FileSystem {
  open(path: string, mode: OpenMode): number;
  close(fd: number): void;
  /** Reads up to `length` bytes at `position` into `buf[from …)`; fewer only at the end of the file. */
  read(fd: number, buf: Buffer, from: number, length: number, position: number): number;
  /** Writes all of `buf` at `position`. On failure any part of it may have been written. */
  write(fd: number, buf: Buffer, position: number): void;
  truncate(fd: number, sizeBytes: number): void;
  size(fd: number): number;
  /** fsync: data and size are durable when it returns. A new file's name needs {@link syncDir} besides. */
  sync(fd: number): void;
  /** fdatasync on the libuv pool: what was written before the call is durable when it resolves. */
  datasync(fd: number): Promise<void>;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Unlinks on the libuv pool: freeing a large file takes the kernel long. Absent is fine. */
  remove(path: string): Promise<void>;
  /** Makes the directory and its parents; present is fine. */
  mkdir(path: string): void;
  /** Removes a directory with everything in it; absent is fine. */
  rmdir(path: string): void;
  /** Names in a directory, in no order. */
  readdir(path: string): string[];
  stat(path: string): FileStat | null;
  /** Makes names created, renamed and removed in a directory durable. */
  syncDir(path: string): void;
  setModified(path: string, modifiedMs: number): void;
  /** Bytes an ordinary user may still write on the file system of `path`. */
  freeBytes(path: string): number;
}

function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'EIO';
}

/** Node says ENOENT of a directory that cannot be made with its parents, e.g. on a read-only disk; making the first of them says why. */
function realCause(path: string, cause: unknown): unknown {
  let first = path;
  while (dirname(first) !== first && !fs.existsSync(dirname(first))) first = dirname(first);
  try {
    fs.mkdirSync(first);
    return cause;
  } catch (error) {
    return error;
  }
}

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: fs.constants.O_RDONLY,
  update: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT,
};

class RealDisk implements FileSystem {
  /** Path by descriptor, for error messages. */
  readonly #paths = new Map<number, string>();

  #fail(operation: string, path: string, cause: unknown): StorageError {
    return new StorageError(operation, path, errnoOf(cause), cause);
  }

  #pathOf(fd: number): string {
    return this.#paths.get(fd) ?? `file descriptor ${fd}`;
  }

  open(path: string, mode: OpenMode): number {
    try {
      const fd = fs.openSync(path, FLAGS[mode], 0o644);
      this.#paths.set(fd, path);
      return fd;
    } catch (cause) {
      throw this.#fail('open', path, cause);
    }
  }

  close(fd: number): void {
    const path = this.#pathOf(fd);
    this.#paths.delete(fd);
    try {
      fs.closeSync(fd);
    } catch (cause) {
      throw this.#fail('close', path, cause);
    }
  }

  read(fd: number, buf: Buffer, from: number, length: number, position: number): number {
    let done = 0;
    try {
      while (done < length) {
        const n = fs.readSync(fd, buf, from + done, length - done, position + done);
        if (n === 0) break;
        done += n;
      }
    } catch (cause) {
      throw this.#fail('read', this.#pathOf(fd), cause);
    }
    return done;
  }

  write(fd: number, buf: Buffer, position: number): void {
    try {
      for (let done = 0; done < buf.length; ) done += fs.writeSync(fd, buf, done, buf.length - done, position + done);
    } catch (cause) {
      throw this.#fail('write', this.#pathOf(fd), cause);
    }
  }

  truncate(fd: number, sizeBytes: number): void {
    try {
      fs.ftruncateSync(fd, sizeBytes);
    } catch (cause) {
      throw this.#fail('truncate', this.#pathOf(fd), cause);
    }
  }

  size(fd: number): number {
    try {
      return fs.fstatSync(fd).size;
    } catch (cause) {
      throw this.#fail('stat', this.#pathOf(fd), cause);
    }
  }

  sync(fd: number): void {
    try {
      fs.fsyncSync(fd);
    } catch (cause) {
      throw this.#fail('sync', this.#pathOf(fd), cause);
    }
  }

  datasync(fd: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(fd, (cause) => (cause ? reject(this.#fail('sync', this.#pathOf(fd), cause)) : resolve()));
    });
  }

  rename(from: string, to: string): void {
    try {
      fs.renameSync(from, to);
    } catch (cause) {
      throw this.#fail('rename', from, cause);
    }
  }

  unlink(path: string): void {
    try {
      fs.unlinkSync(path);
    } catch (cause) {
      throw this.#fail('remove', path, cause);
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await fs.promises.unlink(path);
    } catch (cause) {
      if (errnoOf(cause) !== 'ENOENT') throw this.#fail('remove', path, cause);
    }
  }

  mkdir(path: string): void {
    try {
      fs.mkdirSync(path, { recursive: true });
    } catch (cause) {
      throw this.#fail('make directory', path, errnoOf(cause) === 'ENOENT' ? realCause(path, cause) : cause);
    }
  }

  rmdir(path: string): void {
    try {
      fs.rmSync(path, { recursive: true, force: true });
    } catch (cause) {
      throw this.#fail('remove directory', path, cause);
    }
  }

  readdir(path: string): string[] {
    try {
      return fs.readdirSync(path);
    } catch (cause) {
      throw this.#fail('list', path, cause);
    }
  }

  stat(path: string): FileStat | null {
    try {
      const found = fs.statSync(path, { throwIfNoEntry: false });
      return found ? { sizeBytes: found.size, modifiedMs: found.mtimeMs, isDirectory: found.isDirectory() } : null;
    } catch (cause) {
      if (errnoOf(cause) === 'ENOTDIR') return null;
      throw this.#fail('stat', path, cause);
    }
  }

  syncDir(path: string): void {
    try {
      const fd = fs.openSync(path, fs.constants.O_RDONLY);
      try {
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    } catch (cause) {
      throw this.#fail('sync directory', path, cause);
    }
  }

  setModified(path: string, modifiedMs: number): void {
    try {
      fs.utimesSync(path, modifiedMs / 1000, modifiedMs / 1000);
    } catch (cause) {
      throw this.#fail('set the time of', path, cause);
    }
  }

  freeBytes(path: string): number {
    try {
      const { bavail, bsize } = fs.statfsSync(path);
      return bavail * bsize;
    } catch (cause) {
      throw this.#fail('ask the free space of', path, cause);
    }
  }
}

/** The machine's disks. */
export const realDisk: FileSystem = new RealDisk();

/** A whole file; null when it is absent. */
export function readWhole(disk: FileSystem, path: string): Buffer | null {
  if (!disk.stat(path)) return null;
  const fd = disk.open(path, 'read');
  try {
    const buf = Buffer.allocUnsafeSlow(disk.size(fd));
    return buf.subarray(0, disk.read(fd, buf, 0, buf.length, 0));
  } finally {
    disk.close(fd);
  }
}

/** Replaces a file so that after a crash either the old or the new content is there, whole: temporary, fsync, rename, directory fsync. */
export function replaceWhole(disk: FileSystem, path: string, content: Buffer): void {
  const temporary = `${path}.tmp`;
  const fd = disk.open(temporary, 'create');
  try {
    disk.truncate(fd, 0);
    disk.write(fd, content, 0);
    disk.sync(fd);
  } finally {
    disk.close(fd);
  }
  disk.rename(temporary, path);
  disk.syncDir(dirname(path));
}
