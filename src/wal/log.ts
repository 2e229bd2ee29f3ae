/**
 * An append-only log of record batches in Kafka's file layout: the storage of a partition and of a file channel.
 *
 *   DIR/00000000000000000000.log .index .timeindex …     a closed segment      (layout: segment.ts, indexes.ts)
 *   DIR/00000000000000004711.log .index .timeindex …     the active segment    (recovery rule: recover.ts)
 *   DIR/quarantine/…                                     what was damaged, with a report each
 *
 * Reads and appends are synchronous. {@link Log.append} is in the page cache when it returns; {@link Log.sync} resolves
 * when it is on the device, shared by all who wrote before it starts. Checkpoints belong to the owner: it keeps
 * {@link Log.recoveryPoint} and says at {@link Log.open} whether the last stop was clean.
 *
 * Errors: an append that fails (no space, too many files) has appended nothing, and the next may succeed. A failed sync
 * is worse: the kernel may have dropped the data, and a later sync would not say so. The log then refuses appends
 * until {@link Log.heal}, which cuts it back to the recovery point; nothing beyond it was ever reported durable.
 *
 * Above 400 lines because the invariants of offsets, segments and recovery point meet here and are read together.
 */
import { dirname, join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { AppError, CorruptLogError } from '../lib/errors.ts';
import { type FileSystem, StorageError } from '../lib/files.ts';
import { place, sizeAt } from '../records/batch.ts';
import { type Appended, type Chunk, DEFAULT_LOG_CONFIG, type LogConfig, type LogOptions, type SegmentInfo, type TimedOffset } from './config.ts';
import { GroupSync } from './group-sync.ts';
import { ReadHints, readBatches, searchTime } from './reading.ts';
import { type Damage, listSegments, recoverSegment, tidyDirectory, type Workshop } from './recover.ts';
import { SegmentRewrite } from './rewrite.ts';
import { HeaderScanner, lastOffsetAt, maxTimestampAt } from './scan.ts';
import { Segment } from './segment.ts';

/** Closed segments with an open file and loaded indexes, per log. */
const OPEN_CLOSED_SEGMENTS = 2;
const MAX_RELATIVE = 0x7fffffff;

export class Log {
  readonly dir: string;
  #config: LogConfig;
  readonly #disk: FileSystem;
  readonly #clock: Clock;
  readonly #shop: Workshop;
  readonly #onRoll: (baseOffset: number) => void;
  readonly #readOnly: boolean;
  /** Rising by base; the last is the active one. Never empty while the log is open. */
  #segments: Segment[] = [];
  #nextOffset = 0;
  #logStartOffset = 0;
  #recoveryPoint = 0;
  #rollJitterMs = 0;
  /** Names in the directory changed since it was last synced. */
  #namesUnsynced = false;
  /** The log's own directory may be new, and its name in the one above not yet durable. */
  #parentUnsynced = false;
  #failure: StorageError | null = null;
  /** At work after a failed sync. */
  #healing: Promise<void> | null = null;
  /** Since it was opened after a clean stop. */
  #changed = false;
  #closed = false;
  #repairs = 0;
  readonly #sync = new GroupSync(() => this.#syncNow());
  readonly #removals = new Set<Promise<void>>();
  /** Open closed segments, the one used last at the end. */
  #opened: Segment[] = [];
  readonly #hints = new ReadHints();

  /**
   * Opens or makes a log; afterwards everything in it that is good can be read, and all of it is durable.
   * @throws StorageError
   */
  static open(options: LogOptions): Log {
    return new Log(options);
  }

  private constructor(options: LogOptions) {
    this.dir = options.dir;
    this.#disk = options.disk;
    this.#clock = options.clock;
    this.#config = { ...DEFAULT_LOG_CONFIG, ...options.config };
    this.#onRoll = options.onRoll ?? (() => {});
    this.#readOnly = options.readOnly ?? false;
    this.#shop = {
      disk: options.disk,
      dir: options.dir,
      indexIntervalBytes: this.#config.indexIntervalBytes,
      now: () => options.clock.now(),
      readOnly: this.#readOnly,
      gapless: options.gapless ?? false,
      onDamage: options.onDamage ?? (() => {}),
    };
    this.#load(options);
  }

  #load(options: LogOptions): void {
    const disk = this.#disk;
    this.#parentUnsynced = !this.#readOnly && !options.clean;
    if (!this.#readOnly) disk.mkdir(this.dir);
    this.#segments = listSegments(this.#shop, tidyDirectory(this.#shop));
    if (this.#segments.length === 0) {
      this.#nextOffset = options.startOffset ?? options.recoveryPoint ?? 0;
      this.#addSegment(this.#nextOffset);
      this.#parentUnsynced = !this.#readOnly;
    } else if (options.clean) this.#resume(options.recoveryPoint);
    else this.#recover(0, options.recoveryPoint ?? 0);
    this.#logStartOffset = Math.max(options.logStartOffset ?? 0, this.#first.baseOffset);
    if (this.#logStartOffset > this.#nextOffset) this.#skipTo(this.#logStartOffset);
    this.#recoveryPoint = this.#nextOffset;
    this.#pickJitter();
  }

  /**
   * After a clean stop: look at nothing but the end. When that is not where the owner left it, a foreign file was put in or
   * the last offset is wrong: verify what lies behind.
   */
  #resume(recoveryPoint: number | undefined): void {
    const last = this.#segments.length - 1;
    try {
      this.#nextOffset = this.#active.resume(this.#config.indexIntervalBytes);
    } catch (error) {
      if (!(error instanceof CorruptLogError)) throw error;
      this.#recover(last, Math.max(recoveryPoint ?? 0, this.#active.baseOffset), false);
      return;
    }
    if (recoveryPoint !== undefined && this.#nextOffset > recoveryPoint) this.#recover(last, recoveryPoint);
    else this.#goOnAt(recoveryPoint ?? 0);
  }

  /** Verifies the segments from index `from` on, as far as they reach beyond the recovery point. */
  #recover(from: number, recoveryPoint: number, fromRecoveryPoint = true): void {
    this.#changed = true;
    let firstOffset = this.#segments[from]?.baseOffset ?? 0;
    for (let i = from; i < this.#segments.length; i++) {
      const segment = this.#segments[i] as Segment;
      const limitOffset = this.#segments[i + 1]?.baseOffset ?? Number.POSITIVE_INFINITY;
      if (limitOffset <= recoveryPoint && fromRecoveryPoint) continue;
      firstOffset = recoverSegment(this.#shop, segment, { firstOffset, limitOffset, recoveryPoint, fromRecoveryPoint });
      if (limitOffset !== Number.POSITIVE_INFINITY) {
        if (!this.#readOnly) segment.finish('durable');
        segment.close();
      }
    }
    this.#nextOffset = Math.max(firstOffset, this.#active.baseOffset);
    if (!this.#readOnly) this.#syncNames();
    this.#goOnAt(recoveryPoint);
  }

  /** Offsets that were in use must not be given out again: a log that ends too early goes on at `offset`. */
  #goOnAt(offset: number): void {
    if (this.#nextOffset >= offset) return;
    const { path, sizeBytes } = this.#active.asFile();
    const lost = { file: path, position: sizeBytes, sizeBytes: 0, firstOffset: this.#nextOffset, nextOffset: offset, savedAs: null };
    this.#shop.onDamage({ kind: 'missing', ...lost });
    this.#skipTo(offset);
  }

  #skipTo(offset: number): void {
    this.#nextOffset = offset;
    if (!this.#readOnly) this.#roll(offset);
  }

  get #active(): Segment {
    return this.#segments[this.#segments.length - 1] as Segment;
  }

  get #first(): Segment {
    return this.#segments[0] as Segment;
  }

  /** First offset that can be read. */
  get logStartOffset(): number {
    return this.#logStartOffset;
  }
  /** The offset that the next record will get. */
  get nextOffset(): number {
    return this.#nextOffset;
  }
  /** Everything below is durable. */
  get recoveryPoint(): number {
    return this.#recoveryPoint;
  }
  /** Set after a failed sync, until {@link heal}. */
  get failure(): StorageError | null {
    return this.#failure;
  }
  /** How often something was repaired since the log was opened: what was read before may be wrong or gone. */
  get repairs(): number {
    return this.#repairs;
  }
  get config(): LogConfig {
    return this.#config;
  }
  get segmentCount(): number {
    return this.#segments.length;
  }
  /** First offset of the active segment. */
  get activeBase(): number {
    return this.#active.baseOffset;
  }
  /** Bytes of all batches. */
  get sizeBytes(): number {
    let total = 0;
    for (const segment of this.#segments) total += segment.sizeBytes;
    return total;
  }

  segments(): SegmentInfo[] {
    return this.#segments.map((segment, i) => ({
      baseOffset: segment.baseOffset,
      nextOffset: this.#segments[i + 1]?.baseOffset ?? this.#nextOffset,
      sizeBytes: segment.sizeBytes,
      isActive: i === this.#segments.length - 1,
      path: segment.path,
    }));
  }

  /** Largest timestamp in a segment, by its base; its file's time when records have none. Loads its index. */
  segmentTimestamp(baseOffset: number): number {
    const segment = this.#segments.find((s) => s.baseOffset === baseOffset);
    if (!segment) return -1;
    const largest = this.#mending(() => this.#use(segment).maxTimestamp(this.#config.indexIntervalBytes));
    return largest >= 0 ? largest : (this.#disk.stat(segment.file('.log'))?.modifiedMs ?? -1);
  }

  configure(config: Partial<LogConfig>): void {
    this.#config = { ...this.#config, ...config };
    this.#pickJitter();
  }

  #pickJitter(): void {
    this.#rollJitterMs = Math.random() * Math.min(this.#config.segmentJitterMs, this.#config.segmentMs);
  }

  // ---- writing ----

  /**
   * Appends one or more whole, checked v2 batches and numbers them in place: base offset and leader epoch.
   * @param firstOffset not below {@link nextOffset}; offsets in between stay unused (logs that share one numbering)
   * @throws StorageError: nothing was appended, and the offsets now in `batches` mean nothing
   */
  append(batches: Buffer, leaderEpoch = 0, firstOffset: number = this.#nextOffset): Appended {
    this.#mayWrite();
    let next = firstOffset;
    let maxTimestamp = -1;
    for (let at = 0; at < batches.length; at += sizeAt(batches, at)) {
      place(batches, at, { baseOffset: next, leaderEpoch });
      next = lastOffsetAt(batches, at) + 1;
      maxTimestamp = Math.max(maxTimestamp, maxTimestampAt(batches, at));
    }
    if (this.#shouldRoll(batches.length, next - 1, maxTimestamp)) this.#roll(firstOffset);
    this.#active.append(batches, this.#config.indexIntervalBytes);
    this.#nextOffset = next;
    return { firstOffset, lastOffset: next - 1, maxTimestamp };
  }

  #mayWrite(): void {
    if (this.#closed || this.#readOnly) throw new AppError('LOG_CLOSED', `the log in ${this.dir} is ${this.#closed ? 'closed' : 'open for reading only'}`);
    if (this.#failure) throw this.#failure;
    this.#changed = true;
  }

  #shouldRoll(incomingBytes: number, lastOffset: number, maxTimestamp: number): boolean {
    const active = this.#active;
    const { segmentBytes, segmentMs, segmentIndexBytes } = this.#config;
    if (active.sizeBytes === 0) return lastOffset - active.baseOffset > MAX_RELATIVE;
    if (active.sizeBytes + incomingBytes > segmentBytes || lastOffset - active.baseOffset > MAX_RELATIVE) return true;
    if (active.indexEntries * 12 >= segmentIndexBytes - 12) return true;
    const first = active.firstTimestamp();
    const ageMs = first >= 0 && maxTimestamp >= 0 ? maxTimestamp - first : this.#clock.now() - active.createdMs;
    return ageMs > segmentMs - this.#rollJitterMs;
  }

  /** Begins a new segment at the end of the log, unless the active one is empty. */
  roll(): void {
    this.#mayWrite();
    if (this.#active.sizeBytes > 0) this.#roll(this.#nextOffset);
  }

  #roll(baseOffset: number): void {
    const old = this.#active;
    if (old.baseOffset === baseOffset) return;
    old.trimTail();
    old.finish('file');
    this.#addSegment(baseOffset);
    if (old.sizeBytes === 0) {
      this.#segments.splice(this.#segments.length - 2, 1);
      this.#retire(old);
      this.#hints.forget();
    } else if (!old.unsynced) this.#keepOpen(old);
    this.#pickJitter();
    this.#onRoll(baseOffset);
  }

  #addSegment(baseOffset: number): void {
    const segment = new Segment(this.#disk, { dir: this.dir, baseOffset, readOnly: this.#readOnly }, { sizeBytes: 0, createdMs: this.#clock.now() });
    if (!this.#readOnly) segment.openForAppend();
    this.#segments.push(segment);
    this.#namesUnsynced = true;
  }

  /**
   * Resolves when everything appended before this call is durable.
   * @throws StorageError as a rejection; the log then refuses appends until {@link heal}
   */
  sync(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#recoveryPoint >= this.#nextOffset && !this.#namesUnsynced) return Promise.resolve();
    return this.#sync.request();
  }

  async #syncNow(): Promise<void> {
    if (this.#failure) throw this.#failure;
    const upTo = this.#nextOffset;
    try {
      if (this.#namesUnsynced) this.#syncNames();
      const behind = this.#segments.filter((segment) => segment.unsynced);
      // All of them must have ended before anybody hears of one that failed: healing cuts files that are being synced.
      const ended = await Promise.allSettled(behind.map((segment) => segment.datasync()));
      for (const end of ended) if (end.status === 'rejected') throw end.reason;
      for (const segment of behind) if (segment !== this.#active && this.#segments.includes(segment)) this.#settle(segment);
    } catch (error) {
      if (error instanceof StorageError) this.#failure = error;
      throw error;
    }
    this.#recoveryPoint = Math.max(this.#recoveryPoint, Math.min(upTo, this.#nextOffset));
  }

  /** A closed segment's log is durable: its indexes follow, for behind the recovery point nobody looks whether they are whole. */
  #settle(segment: Segment): void {
    segment.finish('durable');
    this.#keepOpen(segment);
  }

  #syncNames(): void {
    this.#disk.syncDir(this.dir);
    if (this.#parentUnsynced) this.#disk.syncDir(dirname(this.dir));
    this.#parentUnsynced = false;
    this.#namesUnsynced = false;
  }

  /**
   * After a failed sync: cuts the log back to what is surely durable and takes appends again. The owner must forget what
   * it concluded from later records.
   * @throws StorageError when the disk still refuses; may be tried again
   */
  heal(): Promise<void> {
    // Whoever asks meanwhile shares it: a second cut would end the first one's wait for the device.
    this.#healing ??= this.#healNow().finally(() => {
      this.#healing = null;
    });
    return this.#healing;
  }

  async #healNow(): Promise<void> {
    await this.#sync.idle();
    const failure = this.#failure;
    if (!failure) return;
    try {
      this.#failure = null;
      this.truncateTo(this.#recoveryPoint);
      // Nothing is appended before the cut is durable, and a disk that has refused a sync may take long for the next.
      this.#failure = failure;
      const ended = await Promise.allSettled(this.#segments.filter((segment) => segment.unsynced).map((segment) => segment.datasync()));
      for (const end of ended) if (end.status === 'rejected') throw end.reason;
      this.#syncNames();
      this.#failure = null;
    } catch (error) {
      this.#failure = error instanceof StorageError ? error : failure;
      throw error;
    }
  }

  // ---- reading ----

  /**
   * Whole batches from the one that contains `offset` on, of one segment, up to `maxBytes` but one at least, and none that
   * begins at or above `upTo`. Null when `offset` is below the start or above the end of the log.
   * Damage met on the way is repaired and reported; reading goes on behind it.
   */
  read(offset: number, maxBytes: number, upTo: number = this.#nextOffset): Chunk | null {
    if (offset < this.#logStartOffset || offset > this.#nextOffset) return null;
    return this.#mending(() => this.#read(offset, maxBytes, Math.min(upTo, this.#nextOffset)));
  }

  /** Runs something that reads; when it meets damage, repairs that and runs it again. @throws CorruptLogError when reading only */
  #mending<T>(work: () => T): T {
    for (let sound = false; ; ) {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof CorruptLogError) || this.#readOnly || this.#failure || sound) throw error;
        // With nothing wrong in the log it was its index, which is new now: one more try.
        sound = !this.repair(error.file);
      }
    }
  }

  #read(offset: number, maxBytes: number, upTo: number): Chunk {
    if (offset >= upTo) return { bytes: Buffer.alloc(0), nextOffset: offset };
    const { segment, position, exact } = this.#placeOf(offset);
    const limitOffset = this.#segments[this.#segments.indexOf(segment) + 1]?.baseOffset ?? this.#nextOffset;
    const read = readBatches(this.#use(segment), { position, offset, maxBytes, upTo, limitOffset, exact });
    if (read.bytes.length > 0) this.#hints.remember(read.nextOffset, segment, position + read.bytes.length);
    return read;
  }

  /**
   * How many bytes of batches lie from the one that contains `from` up to the one that contains `upTo`, without reading them.
   * Infinity when a segment ends in between, for then one read cannot give them all; also for offsets outside of the log.
   */
  bytesBetween(from: number, upTo: number): number {
    if (from < this.#logStartOffset || from > this.#nextOffset) return Number.POSITIVE_INFINITY;
    if (from >= upTo) return 0;
    return this.#mending(() => {
      const begin = this.#placeOf(from);
      const end = upTo < this.#nextOffset ? this.#placeOf(upTo) : { segment: this.#active, position: this.#active.sizeBytes };
      return begin.segment === end.segment ? end.position - begin.position : Number.POSITIVE_INFINITY;
    });
  }

  /** Where the batch of an offset, or else the next one, begins. `exact`: a read ended there. */
  #placeOf(offset: number): { segment: Segment; position: number; exact: boolean } {
    const known = this.#hints.find(offset);
    let { segment, position } = known ?? this.#find(offset);
    for (let i = this.#segments.indexOf(segment); position >= segment.sizeBytes && segment !== this.#active; ) {
      segment = this.#segments[++i] as Segment;
      position = 0;
    }
    return { segment, position, exact: known !== null };
  }

  /** The segment of an offset, and the position of its batch in there, by the index. */
  #find(offset: number): { segment: Segment; position: number } {
    const segment = this.#segmentOf(offset);
    return { segment, position: this.#use(segment).locate(offset, this.#config.indexIntervalBytes) };
  }

  #segmentOf(offset: number): Segment {
    let low = 0;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#segments[middle] as Segment).baseOffset <= offset) low = middle;
      else high = middle - 1;
    }
    return this.#segments[low] as Segment;
  }

  /** Marks a segment as used; of the closed ones only the last used stay open. */
  #use(segment: Segment): Segment {
    if (segment !== this.#active && this.#opened[this.#opened.length - 1] !== segment) this.#keepOpen(segment);
    return segment;
  }

  #keepOpen(segment: Segment): void {
    const at = this.#opened.indexOf(segment);
    if (at >= 0) this.#opened.splice(at, 1);
    this.#opened.push(segment);
    if (this.#opened.length > OPEN_CLOSED_SEGMENTS) this.#opened.shift()?.close();
  }

  /**
   * The first record at or after `timestamp`, for ListOffsets; null when there is none.
   * @throws ProtocolError, CodecError when the batch that holds it cannot be read
   */
  offsetForTime(timestamp: number): TimedOffset | null {
    return this.#mending(() => this.#offsetForTime(timestamp));
  }

  #offsetForTime(timestamp: number): TimedOffset | null {
    for (const segment of this.#segments) {
      if (this.#use(segment).maxTimestamp(this.#config.indexIntervalBytes) < timestamp) continue;
      const timed = searchTime(segment, { timestamp, fromOffset: this.#logStartOffset, intervalBytes: this.#config.indexIntervalBytes });
      if (timed) return timed;
    }
    return null;
  }

  /** The first record with the largest timestamp of all (KIP-734), or null when no record has one. */
  offsetOfMaxTime(): TimedOffset | null {
    const largest = this.#mending(() => Math.max(...this.#segments.map((segment) => this.#use(segment).maxTimestamp(this.#config.indexIntervalBytes))));
    return largest < 0 ? null : this.offsetForTime(largest);
  }

  // ---- cutting ----

  /** Drops everything from `offset` on; a batch that contains it goes whole. */
  truncateTo(offset: number): void {
    this.#mayWrite();
    if (offset >= this.#nextOffset) return;
    this.#hints.forget();
    if (offset <= this.#first.baseOffset) {
      this.truncateFullyTo(offset);
      return;
    }
    while (this.#active.baseOffset >= offset) this.#retire(this.#segments.pop() as Segment);
    const active = this.#active;
    const position = this.#mending(() => active.locate(offset, this.#config.indexIntervalBytes));
    const scanner = new HeaderScanner(active.asFile(), position);
    const next = scanner.next() ? scanner.baseOffset : Math.max(offset, active.baseOffset);
    active.openForAppend();
    active.truncate(position, next);
    this.#opened = this.#opened.filter((segment) => segment !== active);
    this.#nextOffset = Math.min(offset, next);
    this.#recoveryPoint = Math.min(this.#recoveryPoint, this.#nextOffset);
    this.#logStartOffset = Math.min(this.#logStartOffset, this.#nextOffset);
  }

  /** Drops everything; the next record gets `offset`. */
  truncateFullyTo(offset: number): void {
    this.#mayWrite();
    this.#hints.forget();
    const old = this.#segments;
    this.#segments = [];
    for (const segment of old) this.#retire(segment);
    this.#addSegment(offset);
    this.#nextOffset = offset;
    this.#logStartOffset = offset;
    this.#recoveryPoint = offset;
  }

  /**
   * Moves the start of the log up to `offset` and deletes the segments that lie wholly below it.
   * @returns the deleted segments
   */
  deleteBefore(offset: number): SegmentInfo[] {
    this.#mayWrite();
    if (offset > this.#logStartOffset) this.#logStartOffset = Math.min(offset, this.#nextOffset);
    const gone: SegmentInfo[] = [];
    const all = this.segments();
    while (this.#segments.length > 1 && (this.#segments[1] as Segment).baseOffset <= this.#logStartOffset) {
      gone.push(all[gone.length] as SegmentInfo);
      this.#retire(this.#segments.shift() as Segment);
    }
    if (gone.length > 0) this.#hints.forget();
    return gone;
  }

  /** Takes a segment's files out of the log at once; the space is freed in the background. */
  #retire(segment: Segment): void {
    this.#opened = this.#opened.filter((other) => other !== segment);
    segment.unsynced = false;
    this.#erase(segment.retire());
    this.#namesUnsynced = true;
  }

  /** Frees files that are out of the log already, in the background. */
  #erase(paths: readonly string[]): void {
    for (const path of paths) {
      const removal = this.#disk.remove(path).catch(() => {
        // Left for the next start, which removes it.
      });
      this.#removals.add(removal);
      void removal.finally(() => this.#removals.delete(removal));
    }
  }

  // ---- verifying, closing ----

  /**
   * Verifies the segment that holds `offset` and repairs it: for readers that found a wrong checksum.
   * @returns whether there was anything to repair; its indexes are new in any case
   * @throws CorruptLogError when the log is open for reading only
   */
  repairAt(offset: number): boolean {
    const file = this.#segmentOf(offset).file('.log');
    if (this.#readOnly) throw new CorruptLogError(`${file} is damaged at offset ${offset} or behind`, { file, position: 0 });
    return this.repair(file);
  }

  /**
   * Verifies the whole log, in slices that let other work pass, and repairs what it finds.
   * @param signal ends it early
   * @returns how many segments had damage; `onDamage` was told of each
   */
  async verify(signal?: AbortSignal): Promise<number> {
    let found = 0;
    for (const { path } of this.segments()) {
      if (signal?.aborted) break;
      if (this.repair(`${path}.log`)) found++;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return found;
  }

  /**
   * Verifies the segment with this log file and repairs it.
   * @returns whether there was anything to repair
   */
  repair(logFile: string): boolean {
    const i = this.#segments.findIndex((segment) => segment.file('.log') === logFile);
    const segment = this.#segments[i];
    if (!segment) return false;
    let found = false;
    this.#changed = true;
    const onDamage = (damage: Damage): void => {
      found = true;
      this.#shop.onDamage(damage);
    };
    const shop: Workshop = { ...this.#shop, onDamage };
    const end = this.#nextOffset;
    const limitOffset = this.#segments[i + 1]?.baseOffset ?? Number.POSITIVE_INFINITY;
    const range = { firstOffset: segment.baseOffset, limitOffset, recoveryPoint: end, fromRecoveryPoint: false, knownEnd: end };
    const next = recoverSegment(shop, segment, range);
    if (found) this.#repairs++;
    this.#hints.forget();
    if (segment !== this.#active) segment.finish('durable');
    else if (next < end) this.#roll(end);
    return found;
  }

  /** Closes all files. `clean`: after writing out and syncing everything, so that the next open need not scan. */
  async close(options: { readonly clean: boolean } = { clean: true }): Promise<void> {
    if (this.#closed) return;
    await this.#sync.idle();
    try {
      if (options.clean && !this.#readOnly && !this.#failure) this.#writeOut();
    } finally {
      this.#closed = true;
      for (const segment of this.#segments) segment.close();
      await Promise.all(this.#removals);
    }
  }

  /** Everything to the device. When that fails, what was never durable is cut off: the next open could not tell it from what was. */
  #writeOut(): void {
    if (!this.#changed && !this.#namesUnsynced && !this.#active.indexesBehind) return;
    try {
      this.#active.trimTail();
      for (const segment of this.#segments) {
        if (!segment.unsynced && (segment !== this.#active || segment.sizeBytes === 0)) continue;
        segment.sync();
        segment.finish('durable');
      }
      if (this.#namesUnsynced) this.#syncNames();
      this.#recoveryPoint = this.#nextOffset;
    } catch (error) {
      this.truncateTo(this.#recoveryPoint);
      throw error;
    }
  }

  /**
   * Begins to write some neighbouring closed segments anew as one, for compaction. Appends and reads go on meanwhile.
   * @param bases base offsets of the segments to replace, rising
   */
  rewrite(bases: readonly number[]): SegmentRewrite {
    this.#mayWrite();
    const sources = bases.map((base) => this.#segments.find((segment) => segment.baseOffset === base));
    if (sources.length === 0 || sources.includes(undefined) || sources.includes(this.#active)) {
      throw new AppError('LOG_REWRITE', `cannot rewrite segments ${bases.join(', ')} of ${this.dir}: they must exist and not be the active one`);
    }
    return new SegmentRewrite(this.#shop, sources as Segment[], (replacement, doomed) => {
      this.#replace(sources as Segment[], replacement);
      this.#erase(doomed);
    });
  }

  /** Swaps a rewritten segment in; its files have their final names already. */
  #replace(sources: readonly Segment[], replacement: Segment): void {
    const at = this.#segments.indexOf(sources[0] as Segment);
    this.#segments.splice(at, sources.length, replacement);
    this.#opened = this.#opened.filter((segment) => !sources.includes(segment));
    this.#hints.forget();
    this.#keepOpen(replacement);
  }

  /** Path of a file of this log's directory. */
  path(name: string): string {
    return join(this.dir, name);
  }
}
