/**
 * The reader behind the spooldir source: one loop that lists, reads a file, delivers it and retires it, one file at a time.
 */
import { accessSync, constants, lstatSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Backoff } from '../../../lib/backoff.ts';
import { AppError, ConfigError, errorText } from '../../../lib/errors.ts';
import { javaRegex } from '../../../lib/java-regex.ts';
import type { SourceContext } from '../../core/define.ts';
import { type Event, eventOf } from '../../core/event.ts';
import type { ByteSource, Deserializer } from '../../core/serializer.ts';
import type { Source } from '../../core/source.ts';
import type { SpoolSettings } from '../spooldir.ts';
import { Completion, type CompletionPolicy } from './completion.ts';
import { PositionFile } from './position-file.ts';
import { isGone, Retirement } from './retirement.ts';
import { SpoolFile } from './spool-file.ts';
import { type Candidate, SpoolScan } from './spool-scan.ts';
import { Troubles } from './troubles.ts';

/** Events asked of a deserializer at once when batchSize is smaller; channels may take fewer. */
const READ_EVENTS = 10_000;
/** A channel that refuses is spoken of at most this often. */
const REPEAT_LOG_MS = 60_000;
const MIN_BACKOFF_MS = 250;
/** How long the loop runs before timers and sockets get a turn. */
const SLICE_MS = 5;

export class SpoolReader implements Source {
  readonly #config: SpoolSettings;
  readonly #ctx: SourceContext;
  readonly #onIdle: (() => void) | undefined;
  /** As the user wrote it, without doubled or trailing slashes: file names in headers and positions begin with it, as in Flume. */
  readonly #directory: string;
  readonly #scan: SpoolScan;
  readonly #completion: Completion;
  readonly #retirement: Retirement;
  readonly #position: PositionFile;
  readonly #troubles: Troubles;
  #queue: Candidate[] = [];
  #listedAt = Number.NEGATIVE_INFINITY;
  #listingMs = 0;
  /** Something came of the last listing, so the next one need not wait. */
  #progress = true;
  /** Where an earlier run stopped. */
  #resume: { readonly path: string; readonly offset: number } | undefined;
  #abort: AbortController | undefined;
  #loop: Promise<void> | undefined;
  #turnAt = 0;
  #refusedSaidAt = Number.NEGATIVE_INFINITY;

  /** `onIdle` is called whenever a listing found nothing to read and the next one has to wait. */
  constructor(config: SpoolSettings, ctx: SourceContext, onIdle?: () => void) {
    this.#config = config;
    this.#ctx = ctx;
    this.#onIdle = onIdle;
    this.#directory = config.spoolDir.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
    const trackerDirectory = path.resolve(this.#directory, config.trackerDir);
    const policy: CompletionPolicy = config.deletePolicy === 'immediate' ? 'delete' : config.trackingPolicy === 'rename' ? 'rename' : 'track';
    this.#completion = new Completion({ policy, directory: this.#directory, trackerDirectory, suffix: config.fileSuffix });
    this.#position = new PositionFile(path.join(trackerDirectory, '.flumespool-main.meta'));
    this.#troubles = new Troubles(ctx);
    this.#retirement = new Retirement(ctx, this.#completion, this.#troubles);
    this.#scan = new SpoolScan({
      directory: this.#directory,
      suffix: config.fileSuffix,
      include: javaRegex(config.includePattern, 'matches'),
      ignore: javaRegex(config.ignorePattern, 'matches'),
      recursive: config.recursiveDirectorySearch,
      order: config.consumeOrder,
      isDone: (relative) => this.#completion.isDone(relative),
    });
  }

  async start(): Promise<void> {
    if (this.#loop) return;
    this.#checkDirectory();
    this.#checkDeserializer();
    this.#retirement.load();
    this.#readPosition();
    this.#queue = [];
    this.#progress = true;
    this.#abort = new AbortController();
    this.#loop = this.#run(this.#abort.signal);
  }

  async stop(): Promise<void> {
    this.#abort?.abort();
    await this.#loop;
    this.#loop = undefined;
    this.#position.close();
  }

  /** @throws AppError, retriable: the directory is not there, not a directory, or closed to us */
  #checkDirectory(): void {
    const { trackerDir, trackingPolicy } = this.#config;
    const fail = (what: string, fix: string, cause?: unknown): AppError => new AppError('SPOOL_DIR', what, { fix, retriable: true, cause });
    const stats = statSync(this.#directory, { throwIfNoEntry: false });
    if (!stats) throw fail(`spoolDir ${this.#directory} does not exist`, `create it (mkdir -p ${this.#directory}); the source then starts by itself`);
    if (!stats.isDirectory()) throw fail(`spoolDir ${this.#directory} is not a directory`, 'name the directory, not a file in it');
    try {
      accessSync(this.#directory, constants.R_OK);
      if (trackingPolicy === 'rename') {
        const canary = path.join(this.#directory, `.flume-spooldir-perm-check-${process.pid}.canary`);
        writeFileSync(canary, '');
        rmSync(canary);
      }
      mkdirSync(path.resolve(this.#directory, trackerDir), { recursive: true });
    } catch (cause) {
      throw fail(`cannot read and change files in spoolDir ${this.#directory}: ${errorText(cause)}`, 'give the agent read and write permission there', cause);
    }
  }

  /** Builds a deserializer over nothing, so that a bad type or property is said now and not with the first file. @throws ConfigError */
  #checkDeserializer(): void {
    try {
      this.#deserializer({ path: this.#directory, length: 0, read: () => Buffer.alloc(0) }, 0);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
    }
  }

  #readPosition(): void {
    this.#resume = undefined;
    try {
      const stored = this.#position.read();
      if (stored && stored.offset > 0) this.#resume = { path: path.resolve(stored.target), offset: stored.offset };
    } catch (error) {
      this.#ctx.log.warn({ path: this.#position.path }, `The position file cannot be read (${errorText(error)}); files are read from their beginnings.`);
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        await this.#look(signal);
        const file = this.#queue.pop();
        if (file && !signal.aborted) await this.#consume(file, signal);
      }
    } catch (error) {
      this.#ctx.failed(error as Error);
    }
  }

  /** A listing is used up before the next one is made, unless new files may have come meanwhile; after one of no use there is a pause. */
  async #look(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ctx;
    const { pollDelay } = this.#config;
    if (this.#queue.length > 0 && clock.monotonic() - this.#listedAt <= Math.max(pollDelay, 10 * this.#listingMs)) return;
    if (this.#queue.length === 0 && !this.#progress) {
      this.#onIdle?.();
      await clock.sleep(pollDelay, signal);
    }
    if (signal.aborted) return;
    this.#progress = false;
    await this.#list();
  }

  async #list(): Promise<void> {
    const { clock } = this.#ctx;
    const began = clock.monotonic();
    let found: Candidate[] | undefined;
    try {
      found = await this.#scan.list();
      this.#troubles.clear('directory');
    } catch (cause) {
      const error = new AppError('SPOOL_DIR', `spoolDir ${this.#directory} cannot be listed: ${errorText(cause)}`, {
        fix: 'bring the directory back; reading then goes on by itself',
        retriable: true,
        cause,
      });
      if (this.#troubles.raise('directory', error)) this.#ctx.log.error(`${error.message}. Reading goes on when it is back.`);
    }
    this.#listedAt = clock.monotonic();
    this.#listingMs = this.#listedAt - began;
    if (!found) {
      this.#queue = [];
      return;
    }
    const names = new Set(found.map((file) => file.relative));
    this.#troubles.review('unreadable:', (relative) => names.has(relative));
    this.#retirement.review(names);
    this.#queue = found.filter((file) => !this.#retirement.holds(file));
    this.#putResumedFirst();
  }

  #putResumedFirst(): void {
    if (!this.#resume) return;
    const index = this.#queue.findIndex((file) => path.resolve(file.path) === this.#resume?.path);
    if (index >= 0) this.#queue.push(...this.#queue.splice(index, 1));
    else {
      // Should a file of that name come later, it is another one.
      this.#resume = undefined;
      this.#forgetPosition();
    }
  }

  /** Delivers one file and retires it; returns early, the file untouched, when the source stops. */
  async #consume(candidate: Candidate, signal: AbortSignal): Promise<void> {
    const file = this.#open(candidate);
    if (!file) return;
    this.#progress = true;
    try {
      const position = this.#startOf(file);
      if (!(await this.#deliver(candidate, file, { position, signal }))) return;
      const change = file.change();
      if (change === 'vanished') this.#ctx.log.warn({ path: file.path }, 'The file vanished while it was read; all of it was delivered.');
      else if (change !== undefined) this.#retirement.putAside(candidate, change);
      else this.#retirement.retire(candidate);
      this.#forgetPosition();
    } finally {
      file.close();
    }
  }

  #open(candidate: Candidate): SpoolFile | undefined {
    const subject = `unreadable:${candidate.relative}`;
    try {
      const file = new SpoolFile(candidate.path);
      this.#troubles.clear(subject);
      return file;
    } catch (cause) {
      if (isGone(cause) && lstatSync(candidate.path, { throwIfNoEntry: false }) === undefined) return undefined;
      const error = new AppError('SPOOL_FILE', `${candidate.path} cannot be opened: ${errorText(cause)}`, {
        fix: 'make it readable, or take it out of the spool directory',
        cause,
      });
      if (this.#troubles.raise(subject, error)) {
        this.#ctx.counters.EventReadFail++;
        this.#ctx.log.error(`${error.message}. It is tried again; other files go on.`);
      }
      return undefined;
    }
  }

  #startOf(file: SpoolFile): number {
    const resume = this.#resume;
    if (resume?.path !== path.resolve(file.path)) return 0;
    this.#resume = undefined;
    if (resume.offset > file.length) return 0;
    this.#ctx.log.info({ path: file.path, position: resume.offset }, 'Reading goes on where it stopped.');
    return resume.offset;
  }

  /** Puts the events of a file into the channel. False = not all: the source stops, or the file was put aside. */
  async #deliver(candidate: Candidate, file: SpoolFile, from: { readonly position: number; readonly signal: AbortSignal }): Promise<boolean> {
    const { output } = this.#ctx;
    const most = Math.max(1, Math.min(output.maxBatch, Math.max(this.#config.batchSize, READ_EVENTS)));
    let deserializer: Deserializer | undefined;
    for (let first = from.position === 0; ; first = false) {
      let events: Event[];
      try {
        // As in Flume a file without content is one event without content.
        if (file.length > 0) deserializer ??= this.#deserializer(file, from.position);
        events = deserializer?.read(most) ?? [];
      } catch (error) {
        if (error instanceof ConfigError) throw error;
        this.#ctx.counters.EventReadFail++;
        this.#retirement.putAside(candidate, errorText(error));
        this.#forgetPosition();
        return false;
      }
      if (events.length === 0 && first) events.push(eventOf(Buffer.alloc(0)));
      if (events.length === 0) break;
      this.#stamp(events, candidate);
      if (!(await this.#put(events, from.signal))) return false;
      this.#storePosition(candidate, deserializer?.mark() ?? 0);
      if (performance.now() - this.#turnAt > SLICE_MS) await this.#takeTurn();
    }
    this.#ctx.log.info({ path: file.path }, 'Last read took us just up to a file boundary. Rolling to the next file, if there is one.');
    return true;
  }

  #stamp(events: readonly Event[], file: Candidate): void {
    const { fileHeader, fileHeaderKey, basenameHeader, basenameHeaderKey } = this.#config;
    if (!fileHeader && !basenameHeader) return;
    const absolute = file.path.startsWith('/') ? file.path : path.join(process.cwd(), '/') + file.path;
    const basename = path.basename(file.path);
    for (const { headers } of events) {
      if (fileHeader) headers[fileHeaderKey] = absolute;
      if (basenameHeader) headers[basenameHeaderKey] = basename;
    }
  }

  /** Tries until the channel takes the batch; false = the source stops. */
  async #put(events: Event[], signal: AbortSignal): Promise<boolean> {
    const { output, counters, clock, log } = this.#ctx;
    let backoff: Backoff | undefined;
    let said = false;
    while (!signal.aborted) {
      counters.AppendBatchReceivedCount++;
      try {
        await output.put(events);
        counters.AppendBatchAcceptedCount++;
        if (backoff && said) log.info({ tries: backoff.attempts }, 'The channel takes events again.');
        return true;
      } catch (error) {
        if (signal.aborted) break;
        backoff ??= new Backoff({ minMs: MIN_BACKOFF_MS, maxMs: this.#config.maxBackoff, jitter: 0 });
        const waitMs = backoff.next();
        // A channel behind a slow sink is full again and again: that is one trouble, not many.
        if (clock.monotonic() - this.#refusedSaidAt >= REPEAT_LOG_MS) {
          this.#refusedSaidAt = clock.monotonic();
          said = true;
          log.warn(`The channel did not take a batch: ${errorText(error)}. The source tries again after ${waitMs} ms and goes on trying.`);
        }
        await clock.sleep(waitMs, signal);
      }
    }
    return false;
  }

  /** A position that cannot be stored costs repeated events after a crash, not events: reading goes on, degraded. */
  #storePosition(file: Candidate, offset: number): void {
    this.#remember(() => this.#position.store(file.path, offset));
  }

  #forgetPosition(): void {
    this.#remember(() => this.#position.remove());
  }

  #remember(write: () => void): void {
    try {
      write();
      this.#troubles.clear('position');
    } catch (cause) {
      const error = new AppError('SPOOL_DIR', `the position in spoolDir cannot be stored: ${errorText(cause)}`, {
        fix: 'make room and allow writing there; until then a crash would repeat events',
        cause,
      });
      if (this.#troubles.raise('position', error)) this.#ctx.log.error(error.message);
    }
  }

  #deserializer(source: ByteSource, position: number): Deserializer {
    const { deserializer, bufferMaxLineLength, inputCharset, decodeErrorPolicy } = this.#config;
    let options = this.#config['deserializer.*'];
    if (bufferMaxLineLength !== undefined && deserializer.toUpperCase() === 'LINE') options = { ...options, maxLineLength: String(bufferMaxLineLength) };
    return this.#ctx.deserializer(deserializer, options, { source, inputCharset, decodeErrorPolicy, position, log: this.#ctx.log });
  }

  async #takeTurn(): Promise<void> {
    await new Promise(setImmediate);
    this.#turnAt = performance.now();
  }
}
