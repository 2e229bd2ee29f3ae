/**
 * Where log lines go: standard output, or a rolled file. Lines are gathered and written once per turn of the event
 * loop (or per 64 KB), synchronously, so nothing is in flight when the process ends. An output never throws: a closed
 * pipe, a full disk or a stuck reader costs lines, which are counted, and never the pipelines.
 */
import fs from 'node:fs';
import path from 'node:path';

/** What an appender writes to. */
export interface LogOutput {
  /** Takes whole lines, newline included. */
  write(lines: string): void;
  /** Writes out everything gathered; at the end of the process it may wait for a slow reader, up to `waitMs`. */
  flush(waitMs?: number): void;
  close(): void;
  /** Lines that could not be written so far. */
  readonly lost: number;
}

const GATHER_CHARS = 65_536;
/** A reader slower than the log holds up the agent once this much waits… */
const PENDING_LIMIT_BYTES = 16 * 1024 * 1024;
/** …but one that takes nothing at all for this long is taken for stuck, and lines are dropped until it moves. */
const STUCK_MS = 1_000;
const RETRY_MS = 2;
const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/** Joins lines until the loop turns or 64 KB are together, then hands them to `sink` as bytes. */
class Gatherer {
  #text = '';
  #scheduled: NodeJS.Immediate | undefined;
  readonly #sink: (bytes: Buffer) => void;

  constructor(sink: (bytes: Buffer) => void) {
    this.#sink = sink;
  }

  add(lines: string): void {
    this.#text += lines;
    if (this.#text.length >= GATHER_CHARS) this.drain();
    else this.#scheduled ??= setImmediate(() => this.drain());
  }

  drain(): void {
    if (this.#scheduled) clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#text === '') return;
    const bytes = Buffer.from(this.#text, 'utf8');
    this.#text = '';
    this.#sink(bytes);
  }
}

function linesIn(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++;
  return Math.max(1, count);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

/**
 * A file descriptor of the process, normally 1. A pipe or terminal is opened a second time without blocking (through
 * /proc, so that nobody else who holds it notices); where that cannot be, writes block as they do in Java.
 */
export class DescriptorOutput implements LogOutput {
  readonly #gatherer: Gatherer;
  readonly #say: (text: string) => void;
  readonly #fd: number;
  readonly #ownFd: boolean;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  #stuck = false;
  #saidWhy = false;
  #lost = 0;

  constructor(fd: number, say: (text: string) => void) {
    this.#say = say;
    const own = reopenUnblocked(fd);
    this.#fd = own ?? fd;
    this.#ownFd = own !== undefined;
    this.#gatherer = new Gatherer((bytes) => this.#take(bytes));
  }

  get lost(): number {
    return this.#lost;
  }

  write(lines: string): void {
    if (this.#closed) this.#lost++;
    else this.#gatherer.add(lines);
  }

  flush(waitMs = 0): void {
    this.#gatherer.drain();
    if (!this.#closed) this.#push(waitMs, 0);
  }

  close(): void {
    this.flush(STUCK_MS);
    this.#end();
  }

  #take(bytes: Buffer): void {
    if (this.#closed || (this.#stuck && !this.#push(0, PENDING_LIMIT_BYTES))) {
      this.#lost += linesIn(bytes);
      return;
    }
    this.#stuck = false;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    const over = this.#pendingBytes > PENDING_LIMIT_BYTES;
    this.#push(over ? STUCK_MS : 0, over ? PENDING_LIMIT_BYTES : 0);
  }

  /** Writes until at most `target` bytes wait; gives up after `waitMs` without progress. True = got there. */
  #push(waitMs: number, target: number): boolean {
    let waited = 0;
    while (this.#pendingBytes > target) {
      const written = this.#writeSome();
      if (this.#closed) return false;
      if (written > 0) {
        waited = 0;
        continue;
      }
      if (waited >= waitMs) {
        if (waitMs >= STUCK_MS) this.#stuck = true;
        this.#retry ??= setTimeout(() => {
          this.#retry = undefined;
          this.#push(0, 0);
        }, RETRY_MS).unref();
        return false;
      }
      Atomics.wait(sleepCell, 0, 0, RETRY_MS);
      waited += RETRY_MS;
    }
    return true;
  }

  /** One write call; 0 = the other end takes nothing now. */
  #writeSome(): number {
    const bytes = this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending);
    try {
      const written = fs.writeSync(this.#fd, bytes);
      this.#pending = written === bytes.length ? [] : [bytes.subarray(written)];
      this.#pendingBytes -= written;
      this.#saidWhy = false;
      return written;
    } catch (error) {
      const code = codeOf(error);
      this.#pending = [bytes];
      if (code === 'EAGAIN' || code === 'EINTR') return 0;
      this.#lost += linesIn(bytes);
      this.#pending = [];
      this.#pendingBytes = 0;
      // A full disk may get room again; anything else (EPIPE, EIO of a closed terminal) is final.
      if (code !== 'ENOSPC' && code !== 'EDQUOT') this.#end();
      if (!this.#saidWhy) this.#say(`log: cannot write to standard output (${code}); it runs on, further lines may be lost`);
      this.#saidWhy = true;
      return 0;
    }
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#retry) clearTimeout(this.#retry);
    if (this.#ownFd) fs.closeSync(this.#fd);
  }
}

/** A second, non-blocking descriptor of the same pipe or terminal; undefined for files, sockets and where /proc is missing. */
function reopenUnblocked(fd: number): number | undefined {
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return undefined;
    return fs.openSync(`/proc/self/fd/${fd}`, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

/** When a log file is set aside, and what becomes of the old ones. */
export interface Rolling {
  /** Roll when the file has this many bytes. */
  readonly maxBytes: number;
  /** `flume.log.1` … `flume.log.<backups>` are kept. */
  readonly backups: number;
  /** Roll at the end of the local day or hour instead, to `flume.log.2018-11-06` or `server.log.2018-11-06-09`; size and backups do not matter then. */
  readonly every?: 'day' | 'hour';
}

const CHECK_EVERY_MS = 1_000;

/** The local date as `2018-11-06`. */
export function dayOf(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
}

/** The local date, with the hour where that is asked for, as `2018-11-06-09`. */
function periodOf(ms: number, every: Rolling['every']): string {
  return every === 'hour' ? `${dayOf(ms)}-${String(new Date(ms).getHours()).padStart(2, '0')}` : dayOf(ms);
}

/** A log file, opened at the first line, made anew when somebody moved or removed it. */
export class FileOutput implements LogOutput {
  readonly file: string;
  readonly #rolling: Rolling;
  readonly #say: (text: string) => void;
  readonly #gatherer: Gatherer;
  readonly #now: () => number;
  #fd = -1;
  #inode = 0;
  #size = 0;
  #period = '';
  #checkedAt = 0;
  #saidWhy = false;
  #lost = 0;

  constructor(file: string, rolling: Rolling, say: (text: string) => void, now: () => number = Date.now) {
    this.file = file;
    this.#rolling = rolling;
    this.#say = say;
    this.#now = now;
    this.#gatherer = new Gatherer((bytes) => this.#append(bytes));
  }

  get lost(): number {
    return this.#lost;
  }

  write(lines: string): void {
    this.#gatherer.add(lines);
  }

  flush(): void {
    this.#gatherer.drain();
  }

  close(): void {
    this.#gatherer.drain();
    this.#shut();
  }

  #append(bytes: Buffer): void {
    try {
      this.#prepare(this.#now(), bytes.length);
      for (let at = 0; at < bytes.length; ) at += fs.writeSync(this.#fd, bytes, at);
      this.#size += bytes.length;
      if (this.#saidWhy) this.#say(`log: ${this.file} can be written again; ${this.#lost} lines are missing`);
      this.#saidWhy = false;
    } catch (error) {
      this.#lost += linesIn(bytes);
      if (!this.#saidWhy) this.#say(`log: cannot write ${this.file}: ${(error as Error).message}; it runs on without a log`);
      this.#saidWhy = true;
      this.#shut();
    }
  }

  /** Opens, follows a rename by others (a second agent, logrotate), and rolls when it is time. */
  #prepare(now: number, more: number): void {
    // Also before each roll: the other may just have rolled, and what is there now is no file to set aside.
    if (this.#fd >= 0 && (now - this.#checkedAt >= CHECK_EVERY_MS || this.#mustRoll(now, more))) {
      this.#checkedAt = now;
      const there = fs.statSync(this.file, { throwIfNoEntry: false });
      if (there?.ino !== this.#inode) this.#shut();
      else this.#size = there.size;
    }
    if (this.#fd < 0) this.#open(now);
    if (this.#mustRoll(now, more)) {
      this.#shut();
      this.#roll();
      this.#open(now);
    }
  }

  #mustRoll(now: number, more: number): boolean {
    const { every, maxBytes } = this.#rolling;
    return every ? this.#period !== periodOf(now, every) : this.#size > 0 && this.#size + more > maxBytes;
  }

  #open(now: number): void {
    fs.mkdirSync(path.dirname(this.file), { recursive: true });
    this.#fd = fs.openSync(this.file, 'a', 0o644);
    const stat = fs.fstatSync(this.#fd);
    this.#inode = stat.ino;
    this.#size = stat.size;
    this.#period = periodOf(stat.size > 0 ? stat.mtimeMs : now, this.#rolling.every);
    this.#checkedAt = now;
  }

  #roll(): void {
    if (this.#rolling.every) {
      fs.renameSync(this.file, `${this.file}.${this.#period}`);
      return;
    }
    for (let i = this.#rolling.backups - 1; i >= 1; i--) {
      const from = `${this.file}.${i}`;
      if (fs.existsSync(from)) fs.renameSync(from, `${this.file}.${i + 1}`);
    }
    if (this.#rolling.backups > 0) fs.renameSync(this.file, `${this.file}.1`);
    else fs.rmSync(this.file, { force: true });
  }

  #shut(): void {
    if (this.#fd >= 0) fs.closeSync(this.#fd);
    this.#fd = -1;
  }
}
