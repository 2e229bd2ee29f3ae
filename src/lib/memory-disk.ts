/**
 * A disk in memory for tests, worse than any real one. It keeps what programs see apart from what survives:
 *  - bytes become durable by sync alone, names (of directories too) by a sync of their directory alone; {@link MemoryDisk.crash} takes the rest
 *    away, or with `tear` keeps some of it: any of the un-synced sectors, in or out of order, and the first few names;
 *  - a failed sync forgets what it should have written (Linux marks such pages clean): later syncs do not bring it back;
 *  - a write that does not fit writes what does, then fails with ENOSPC.
 * Every choice comes from a seed. Operations that change something are counted, so a test can fail or cut the power at
 * each of them in turn.
 */
import { dirname } from 'node:path';
import { type FileStat, type FileSystem, type OpenMode, StorageError } from './files.ts';

export type DiskOp = 'open' | 'read' | 'write' | 'truncate' | 'sync' | 'rename' | 'unlink' | 'mkdir' | 'syncDir' | 'list';

const CHANGING: ReadonlySet<DiskOp> = new Set(['write', 'truncate', 'sync', 'rename', 'unlink', 'mkdir', 'syncDir']);

/** Thrown by every operation once the power is off; the program under test must not catch it as a mere disk error. */
export class PowerLoss extends Error {}

interface Inode {
  readonly id: number;
  data: Buffer;
  size: number;
  durable: Buffer;
  durableSize: number;
  /** Sectors written since they were last taken by a sync, in order of writing. */
  dirty: Set<number>;
  modifiedMs: number;
}

type Node = Inode | 'directory';

interface NameChange {
  readonly directory: string;
  readonly apply: (names: Map<string, Node>) => void;
}

interface Plan {
  readonly op: DiskOp;
  readonly errno: string;
  readonly path: string;
  skip: number;
  times: number;
}

/** Pseudo-random numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export class MemoryDisk implements FileSystem {
  /** Bytes that files may take up altogether. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Everything that changes fails with EROFS. */
  readOnly = false;
  /** Operations that changed something, or tried to, since the start. */
  changes = 0;
  /** Syncs of files that succeeded. */
  syncs = 0;
  /** The power goes off within this change (1 = the next one would be `changes + 1`). */
  powerOffAt = Number.POSITIVE_INFINITY;
  /** This change fails with this error: for failing each in turn. */
  failAt: { readonly change: number; readonly errno: string } | null = null;
  /** Time for `modifiedMs`. */
  nowMs = 1_700_000_000_000;
  readonly #random: () => number;
  readonly #sectorBytes: number;
  #names = new Map<string, Node>();
  #durableNames = new Map<string, Node>();
  #pending: NameChange[] = [];
  #open = new Map<number, { readonly inode: Inode; readonly path: string; readonly writable: boolean }>();
  #nextFd = 1000;
  #nextInode = 1;
  #plans: Plan[] = [];
  #off = false;

  constructor(seed = 1, sectorBytes = 512) {
    this.#random = seededRandom(seed);
    this.#sectorBytes = sectorBytes;
  }

  /** The next operation of this kind (on a path that contains `path`), after `skip` good ones, fails; then `times - 1` more. */
  failNext(op: DiskOp, errno: string, options: { readonly path?: string; readonly skip?: number; readonly times?: number } = {}): void {
    this.#plans.push({ op, errno, path: options.path ?? '', skip: options.skip ?? 0, times: options.times ?? 1 });
  }

  /** The power went off; {@link crash} brings it back. */
  get isOff(): boolean {
    return this.#off;
  }

  /** Files open now: a leak shows here. */
  get openFiles(): number {
    return this.#open.size;
  }

  get usedBytes(): number {
    const seen = new Set<Inode>();
    for (const node of this.#names.values()) if (node !== 'directory') seen.add(node);
    let total = 0;
    for (const inode of seen) total += inode.size;
    return total;
  }

  /** Flips bits of a file as a failing device would, past all rules; both what is seen and what is durable. */
  corrupt(path: string, position: number, mask = 0xff): void {
    const inode = this.#inode(path, 'corrupt');
    inode.data[position] = inode.data[position]! ^ mask;
    inode.durable = Buffer.from(inode.data.subarray(0, inode.size));
    inode.durableSize = inode.size;
  }

  /** Power loss and restart. Without `tear` all that was not synced is gone. Open files are no longer open, which is all with `killed`. */
  crash(options: { readonly tear?: boolean; readonly killed?: boolean } = {}): void {
    if (options.killed) return this.#open.clear();
    const keep = options.tear ? Math.floor(this.#random() * (this.#pending.length + 1)) : 0;
    for (const change of this.#pending.slice(0, keep)) change.apply(this.#durableNames);
    this.#pending = [];
    for (const path of [...this.#durableNames.keys()].sort()) {
      const parent = dirname(path);
      if (parent !== '/' && this.#durableNames.get(parent) !== 'directory') this.#durableNames.delete(path);
    }
    const all = new Set<Inode>();
    for (const node of this.#durableNames.values()) if (node !== 'directory') all.add(node);
    for (const inode of all) this.#lose(inode, options.tear === true);
    this.#names = new Map(this.#durableNames);
    this.#open.clear();
    this.#off = false;
    this.powerOffAt = Number.POSITIVE_INFINITY;
  }

  #lose(inode: Inode, tear: boolean): void {
    let size = inode.durableSize;
    if (tear) {
      const scattered = this.#random() < 0.5;
      const sectors = [...inode.dirty];
      const prefix = Math.floor(this.#random() * (sectors.length + 1));
      if (inode.size < size && this.#random() < 0.5) size = inode.size;
      for (const [order, sector] of sectors.entries()) {
        if (scattered ? this.#random() < 0.5 : order >= prefix) continue;
        const from = sector * this.#sectorBytes;
        const end = Math.min(from + this.#sectorBytes, inode.size);
        if (end <= from) continue;
        inode.durable = grown(inode.durable, end);
        if (from > size) inode.durable.fill(0, size, from);
        inode.data.copy(inode.durable, from, from, end);
        size = Math.max(size, end);
      }
    }
    inode.durableSize = size;
    inode.size = size;
    inode.data = Buffer.from(inode.durable.subarray(0, size));
    inode.dirty = new Set();
  }

  /** Counts and refuses: every operation begins here. Returns true when the power goes off within it. */
  #enter(op: DiskOp, path: string): boolean {
    if (this.#off) throw new PowerLoss(`${op} ${path}`);
    for (const plan of this.#plans) {
      if (plan.op !== op || !path.includes(plan.path) || plan.times === 0) continue;
      if (plan.skip-- > 0) continue;
      plan.times--;
      if (CHANGING.has(op)) this.changes++;
      throw new StorageError(op, path, plan.errno);
    }
    if (!CHANGING.has(op)) return false;
    if (this.readOnly) throw new StorageError(op, path, 'EROFS');
    this.changes++;
    if (this.failAt?.change === this.changes) throw new StorageError(op, path, this.failAt.errno);
    if (this.changes < this.powerOffAt) return false;
    this.#off = true;
    return true;
  }

  #inode(path: string, op: string): Inode {
    const node = this.#names.get(path);
    if (node === undefined) throw new StorageError(op, path, 'ENOENT');
    if (node === 'directory') throw new StorageError(op, path, 'EISDIR');
    return node;
  }

  #change(directory: string, apply: (names: Map<string, Node>) => void): void {
    apply(this.#names);
    this.#pending.push({ directory, apply });
  }

  #file(fd: number, op: string): { readonly inode: Inode; readonly path: string; readonly writable: boolean } {
    if (this.#off) throw new PowerLoss(op);
    const file = this.#open.get(fd);
    if (!file) throw new StorageError(op, `file descriptor ${fd}`, 'EBADF');
    return file;
  }

  open(path: string, mode: OpenMode): number {
    this.#enter('open', path);
    if (mode !== 'read' && this.readOnly) throw new StorageError('open', path, 'EROFS');
    if (mode === 'create' && !this.#names.has(path)) {
      if (this.#names.get(dirname(path)) !== 'directory') throw new StorageError('open', path, 'ENOENT');
      const inode: Inode = {
        id: this.#nextInode++,
        data: Buffer.alloc(0),
        size: 0,
        durable: Buffer.alloc(0),
        durableSize: 0,
        dirty: new Set(),
        modifiedMs: this.nowMs,
      };
      this.#change(dirname(path), (names) => names.set(path, inode));
    }
    const inode = this.#inode(path, 'open');
    this.#open.set(this.#nextFd, { inode, path, writable: mode !== 'read' });
    return this.#nextFd++;
  }

  close(fd: number): void {
    this.#file(fd, 'close');
    this.#open.delete(fd);
  }

  read(fd: number, buf: Buffer, from: number, length: number, position: number): number {
    const { inode, path } = this.#file(fd, 'read');
    this.#enter('read', path);
    const n = Math.max(0, Math.min(length, inode.size - position));
    inode.data.copy(buf, from, position, position + n);
    return n;
  }

  write(fd: number, buf: Buffer, position: number): void {
    const { inode, path, writable } = this.#file(fd, 'write');
    if (!writable) throw new StorageError('write', path, 'EBADF');
    const off = this.#enter('write', path);
    const room = this.capacityBytes - this.usedBytes + Math.max(0, inode.size - position);
    const n = Math.max(0, Math.min(buf.length, room));
    if (n > 0) {
      inode.data = grown(inode.data, position + n);
      if (position > inode.size) inode.data.fill(0, inode.size, position);
      buf.copy(inode.data, position, 0, n);
      inode.size = Math.max(inode.size, position + n);
      inode.modifiedMs = this.nowMs;
      for (let sector = Math.floor(position / this.#sectorBytes); sector * this.#sectorBytes < position + n; sector++) {
        inode.dirty.delete(sector);
        inode.dirty.add(sector);
      }
    }
    if (off) throw new PowerLoss(`write ${path}`);
    if (n < buf.length) throw new StorageError('write', path, 'ENOSPC');
  }

  truncate(fd: number, sizeBytes: number): void {
    const { inode, path } = this.#file(fd, 'truncate');
    const off = this.#enter('truncate', path);
    inode.data = grown(inode.data, sizeBytes);
    if (sizeBytes > inode.size) inode.data.fill(0, inode.size, sizeBytes);
    inode.size = sizeBytes;
    inode.modifiedMs = this.nowMs;
    if (off) throw new PowerLoss(`truncate ${path}`);
  }

  size(fd: number): number {
    return this.#file(fd, 'stat').inode.size;
  }

  sync(fd: number): void {
    const { inode, path } = this.#file(fd, 'sync');
    this.#takeSync(inode, path)();
  }

  datasync(fd: number): Promise<void> {
    const { inode, path } = this.#file(fd, 'sync');
    let finish: () => void;
    try {
      finish = this.#takeSync(inode, path);
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        if (this.#off) return reject(new PowerLoss(`sync ${path}`));
        finish();
        resolve();
      });
    });
  }

  /** Takes what is dirty now; the answer makes it durable. A failure has taken it too, and it is lost. */
  #takeSync(inode: Inode, path: string): () => void {
    const sectors = inode.dirty;
    let off: boolean;
    try {
      off = this.#enter('sync', path);
    } catch (error) {
      if (error instanceof StorageError) inode.dirty = new Set();
      throw error;
    }
    if (off) throw new PowerLoss(`sync ${path}`);
    const size = inode.size;
    const taken = [...sectors].map((sector) => {
      const from = sector * this.#sectorBytes;
      return { from, bytes: Buffer.from(inode.data.subarray(from, Math.min(from + this.#sectorBytes, size))) };
    });
    inode.dirty = new Set();
    return () => {
      inode.durable = grown(inode.durable, size);
      if (size > inode.durableSize) inode.durable.fill(0, inode.durableSize, size);
      for (const { from, bytes } of taken) bytes.copy(inode.durable, from);
      inode.durableSize = size;
      this.syncs++;
    };
  }

  rename(from: string, to: string): void {
    const off = this.#enter('rename', from);
    if (!this.#names.has(from)) throw new StorageError('rename', from, 'ENOENT');
    this.#change(dirname(to), (names) => {
      for (const [path, node] of [...names]) {
        if (path !== from && !path.startsWith(`${from}/`)) continue;
        names.delete(path);
        names.set(to + path.slice(from.length), node);
      }
    });
    if (off) throw new PowerLoss(`rename ${from}`);
  }

  unlink(path: string): void {
    const off = this.#enter('unlink', path);
    this.#inode(path, 'unlink');
    this.#change(dirname(path), (names) => names.delete(path));
    if (off) throw new PowerLoss(`unlink ${path}`);
  }

  async remove(path: string): Promise<void> {
    if (this.#names.has(path)) this.unlink(path);
  }

  mkdir(path: string): void {
    const node = this.#names.get(path);
    if (node === 'directory') return;
    if (node) throw new StorageError('mkdir', path, 'EEXIST');
    if (dirname(path) !== path) this.mkdir(dirname(path));
    const off = this.#enter('mkdir', path);
    this.#change(dirname(path), (names) => names.set(path, 'directory'));
    if (off) throw new PowerLoss(`mkdir ${path}`);
  }

  rmdir(path: string): void {
    if (!this.#names.has(path)) return;
    this.#enter('unlink', path);
    this.#change(dirname(path), (names) => {
      for (const name of [...names.keys()]) if (name === path || name.startsWith(`${path}/`)) names.delete(name);
    });
  }

  readdir(path: string): string[] {
    this.#enter('list', path);
    if (this.#names.get(path) !== 'directory') throw new StorageError('list', path, 'ENOENT');
    return [...this.#names.keys()].filter((name) => name !== path && dirname(name) === path).map((name) => name.slice(path.length + (path === '/' ? 0 : 1)));
  }

  stat(path: string): FileStat | null {
    if (this.#off) throw new PowerLoss(`stat ${path}`);
    const node = this.#names.get(path);
    if (node === undefined) return null;
    if (node === 'directory') return { sizeBytes: 0, modifiedMs: this.nowMs, isDirectory: true };
    return { sizeBytes: node.size, modifiedMs: node.modifiedMs, isDirectory: false };
  }

  syncDir(path: string): void {
    const off = this.#enter('syncDir', path);
    if (off) throw new PowerLoss(`sync ${path}`);
    if (this.#names.get(path) !== 'directory') throw new StorageError('sync', path, 'ENOENT');
    const rest: NameChange[] = [];
    for (const change of this.#pending) {
      if (change.directory === path) change.apply(this.#durableNames);
      else rest.push(change);
    }
    this.#pending = rest;
  }

  setModified(path: string, modifiedMs: number): void {
    this.#inode(path, 'set the time of').modifiedMs = modifiedMs;
  }

  freeBytes(_path: string): number {
    return Math.max(0, this.capacityBytes - this.usedBytes);
  }
}

function grown(buf: Buffer, size: number): Buffer {
  if (buf.length >= size) return buf;
  const out = Buffer.alloc(Math.max(size, buf.length * 2, 64));
  buf.copy(out);
  return out;
}
