/**
 * file_roll: writes events into files of a directory and begins a new file every so often (Flume's RollingFileSink).
 *
 * When is an event safe? `deliver` resolves when its bytes are in the operating system's page cache, as in Flume: a
 * killed agent loses nothing, a power cut may lose the last seconds. With sink.fsync they are on disk. A batch that
 * could not be written as a whole is cut off again, so no half event stays behind; a batch that was written but not
 * acknowledged (the agent was killed in between) comes again.
 *
 * As in Flume a new file begins with every interval, whether or not there are events. Unlike Flume no existing file is
 * ever written over: the next free number is taken. A file that somebody deleted is not written to any longer.
 */
import { closeSync, constants, fdatasync, fstatSync, fsync, ftruncateSync, openSync, rmSync, statSync, writevSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Timer } from '../../lib/clock.ts';
import { AppError, DeliveryError, errorText } from '../../lib/errors.ts';
import { javaDateFormatter } from '../../lib/java-date-format.ts';
import { bool, type Config, duration, int, oneOf, path as pathProperty, rest, text } from '../../lib/props/spec.ts';
import { defineSink, type SinkContext } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';
import type { Serializer } from '../core/serializer.ts';
import type { Sink } from '../core/sink.ts';

const DEFAULT_MANAGER = 'org.apache.flume.formatter.output.DefaultPathManager$Builder';
const ROLLTIME_MANAGER = 'org.apache.flume.formatter.output.RollTimePathManager$Builder';
/** Linux takes at most 1024 parts in one writev. */
const PARTS_PER_WRITE = 1024;

const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);

const properties = {
  'sink.directory': pathProperty({ required: true, doc: 'An existing directory for the files.' }),
  'sink.rollInterval': duration({ default: 30, min: -(2 ** 31), unit: 's', doc: 'A new file begins this often; 0 or less: never.' }),
  'sink.batchSize': int({ default: 100, min: 1, unit: 'events', doc: 'Events written at once.' }),
  'sink.serializer': text({ default: 'TEXT', doc: 'How events are written: TEXT, HEADER_AND_TEXT, AVRO_EVENT or a class name.' }),
  'sink.serializer.*': rest({ doc: 'Properties of the serializer, e.g. appendNewline.' }),
  'sink.pathManager': oneOf(['DEFAULT', 'ROLLTIME', DEFAULT_MANAGER, ROLLTIME_MANAGER], {
    default: 'DEFAULT',
    doc: 'Names: DEFAULT is <prefix><start in ms>-<number>, ROLLTIME <prefix><yyyyMMddHHmmss>-<number>.',
  }),
  'sink.pathManager.prefix': text({ default: '', doc: 'File names begin with it.' }),
  'sink.pathManager.extension': text({ default: '', doc: 'File names end with a dot and it.' }),
  'sink.fsync': bool({ default: false, doc: 'Wait until each batch is on disk, not only in the page cache. Not in Flume.' }),
} as const;

export default defineSink({
  type: 'file_roll',
  aliases: ['org.apache.flume.sink.RollingFileSink'],
  summary: 'Writes events into files of a directory, a new file every 30 seconds or as set.',
  properties,
  facts: (config) => ({ batchSize: config['sink.batchSize'] }),
  delivery: (config) => ({
    crash: config['sink.fsync']
      ? { effect: 'doubles', note: 'the batch being written may be written twice' }
      : { effect: 'loses', note: 'a power cut may lose what is not yet on disk; kill -9 loses nothing', improve: 'set sink.fsync = true' },
    stop: { effect: 'nothing', note: 'the batch under way is finished and the file closed' },
    dead: { effect: 'waits', note: 'a full disk or missing directory leaves events in the channel' },
  }),
  create: (config, ctx) => new FileRoll(config, ctx),
});

/** The file being written. `length` is where the last whole batch ends. */
interface OpenFile {
  readonly fd: number;
  readonly path: string;
  readonly serializer: Serializer;
  length: number;
  closed: boolean;
  /** Its name is on disk too. */
  named: boolean;
}

class FileRoll implements Sink {
  readonly #config: Config<typeof properties>;
  readonly #ctx: SinkContext;
  readonly #names: () => string;
  #newSerializer: (() => Serializer) | undefined;
  #file: OpenFile | undefined;
  #timer: Timer | undefined;
  #rollDue = false;
  /** A sync is under way: the file must not be closed under it. */
  #syncing = false;
  #running = false;

  constructor(config: Config<typeof properties>, ctx: SinkContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#names = fileNames(config, () => ctx.clock.now());
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#newSerializer ??= this.#ctx.serializer(this.#config['sink.serializer'], this.#config['sink.serializer.*']);
    this.#file ??= this.#open();
    this.#running = true;
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    this.#close();
  }

  async deliver(batch: readonly Sealed[]): Promise<void> {
    if (this.#rollDue) this.#roll();
    if (this.#file && fstatSync(this.#file.fd).nlink === 0) {
      this.#ctx.log.warn({ path: this.#file.path }, 'The file was deleted while it was written; a new one begins.');
      this.#drop(this.#file);
    }
    this.#file ??= this.#open();
    const file = this.#file;
    const parts = this.#serialize(file, batch);
    const before = file.length;
    this.#write(file, parts);
    if (!this.#config['sink.fsync']) return;
    await this.#sync(file, before);
    if (this.#rollDue) this.#rollOnTime();
  }

  #serialize(file: OpenFile, batch: readonly Sealed[]): Buffer[] {
    const parts: Buffer[] = [];
    try {
      file.serializer.write(batch, parts);
      const pending = file.serializer.flush?.();
      if (pending) parts.push(pending);
      return parts;
    } catch (cause) {
      // What the serializer holds now is half a batch: it and its file are done with.
      this.#drop(file);
      if (cause instanceof AppError) throw cause;
      throw new DeliveryError(`${this.#config['sink.serializer']} cannot serialize an event for ${file.path}: ${errorText(cause)}`, { cause });
    }
  }

  /** All of the parts or none. */
  #write(file: OpenFile, parts: readonly Buffer[]): void {
    try {
      file.length += writeAll(file, parts);
    } catch (cause) {
      this.#cutBack(file, file.length);
      const full = ['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '');
      throw new DeliveryError(`cannot write to ${file.path}: ${errorText(cause)}`, {
        fix: full ? 'make room on that disk; writing goes on by itself' : 'check the disk and the permissions of that directory',
        cause,
      });
    }
  }

  async #sync(file: OpenFile, before: number): Promise<void> {
    this.#syncing = true;
    try {
      await syncData(file.fd);
      if (!file.named) await syncName(file);
    } catch (cause) {
      this.#cutBack(file, before);
      throw new DeliveryError(`cannot bring ${file.path} to disk: ${errorText(cause)}`, { fix: 'check the disk', cause });
    } finally {
      this.#syncing = false;
    }
  }

  /** Removes what was written behind `length`; a file where that fails is left as it is, and a new one begins. */
  #cutBack(file: OpenFile, length: number): void {
    file.length = length;
    try {
      ftruncateSync(file.fd, length);
    } catch (error) {
      this.#ctx.log.error({ path: file.path, length }, `The end of the file, a batch that failed, cannot be cut off: ${errorText(error)}. A new file begins.`);
      this.#drop(file);
    }
  }

  #schedule(): void {
    const seconds = this.#config['sink.rollInterval'];
    if (seconds <= 0 || !this.#running) return;
    this.#timer = this.#ctx.clock.after(seconds * 1000, () => {
      this.#rollDue = true;
      this.#schedule();
      if (!this.#syncing) this.#rollOnTime();
    });
  }

  /** Rolls without a batch; what goes wrong is told, and the next batch tries again. */
  #rollOnTime(): void {
    try {
      this.#roll();
      this.#file = this.#open();
    } catch (error) {
      this.#ctx.degraded(error as Error);
    }
  }

  #roll(): void {
    this.#rollDue = false;
    this.#close();
  }

  #open(): OpenFile {
    const directory = path.resolve(this.#config['sink.directory']);
    const serializer = (this.#newSerializer as () => Serializer)();
    let file: OpenFile;
    try {
      const name = this.#freeName(directory);
      file = {
        path: name,
        fd: openSync(name, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666),
        serializer,
        length: 0,
        closed: false,
        named: false,
      };
    } catch (cause) {
      this.#ctx.counters.ConnectionFailedCount++;
      const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
      throw new DeliveryError(missing ? `sink.directory ${directory} does not exist` : `cannot begin a file in ${directory}: ${errorText(cause)}`, {
        fix: missing ? `create it (mkdir -p ${directory}); the sink then goes on by itself` : 'check permissions and free space of that directory',
        cause,
      });
    }
    this.#ctx.counters.ConnectionCreatedCount++;
    const head = serializer.head?.();
    if (head) this.#begin(file, head);
    this.#ctx.healthy();
    return file;
  }

  /** Writes a file's head; where that fails the file is taken away again, or a full disk would fill with empty ones. */
  #begin(file: OpenFile, head: Buffer): void {
    try {
      this.#write(file, [head]);
    } catch (error) {
      this.#drop(file);
      rmSync(file.path, { force: true });
      throw error;
    }
  }

  #freeName(directory: string): string {
    for (;;) {
      const name = path.join(directory, this.#names());
      if (statSync(name, { throwIfNoEntry: false }) === undefined) return name;
    }
  }

  /** Writes what the serializer still holds and closes. */
  #close(): void {
    const file = this.#file;
    if (!file) return;
    try {
      const tail = file.serializer.tail?.();
      if (tail) this.#write(file, [tail]);
    } finally {
      this.#drop(file);
    }
  }

  #drop(file: OpenFile): void {
    if (this.#file === file) this.#file = undefined;
    if (file.closed) return;
    file.closed = true;
    closeSync(file.fd);
    this.#ctx.counters.ConnectionClosedCount++;
  }
}

/** A file whose directory was not synced may be gone after a power cut, whatever is in it. */
async function syncName(file: OpenFile): Promise<void> {
  const fd = openSync(path.dirname(file.path), constants.O_RDONLY);
  try {
    await syncAll(fd);
  } finally {
    closeSync(fd);
  }
  file.named = true;
}

/** Names without the directory, a new one each call. */
function fileNames(config: Config<typeof properties>, now: () => number): () => string {
  const prefix = config['sink.pathManager.prefix'];
  const extension = config['sink.pathManager.extension'];
  const end = extension === '' ? '' : `.${extension}`;
  const byTime = config['sink.pathManager'] === 'ROLLTIME' || config['sink.pathManager'] === ROLLTIME_MANAGER;
  const stamp = byTime ? javaDateFormatter('yyyyMMddHHmmss') : String;
  const began = now();
  let last = '';
  let number = 0;
  return () => {
    const series = stamp(byTime ? now() : began);
    if (series !== last) number = 0;
    last = series;
    number++;
    return `${prefix}${series}-${number}${end}`;
  };
}

/** Appends all parts behind `file.length`; answers how many bytes. Written at stated positions, so a cut-back file has no gap. */
function writeAll(file: OpenFile, parts: readonly Buffer[]): number {
  let written = 0;
  for (let from = 0; from < parts.length; from += PARTS_PER_WRITE) {
    let group = parts.slice(from, from + PARTS_PER_WRITE);
    while (group.length > 0) {
      const bytes = writevSync(file.fd, group, file.length + written);
      written += bytes;
      group = behind(group, bytes);
    }
  }
  return written;
}

/** What of the parts is left after `bytes` of them. */
function behind(parts: Buffer[], bytes: number): Buffer[] {
  let rest = bytes;
  let index = 0;
  while (index < parts.length && rest >= (parts[index] as Buffer).length) rest -= (parts[index++] as Buffer).length;
  const left = parts.slice(index);
  if (rest > 0) left[0] = (left[0] as Buffer).subarray(rest);
  return left;
}
