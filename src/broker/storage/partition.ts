/**
 * One partition: a log of batches (wal/log.ts) with what Kafka keeps beside it (partition-state.ts).
 *
 *   TOPIC-N/%020d.log .index .timeindex     the log
 *   TOPIC-N/%020d.snapshot .txnindex        producers, aborted transactions
 *   TOPIC-N/leader-epoch-checkpoint         epoch → first offset
 *   TOPIC-N/partition.metadata              topic id; on disk before the first record
 *
 * When it is safe: `append` is in the page cache when it returns, `sync` resolves when it is on the device (grouped).
 * One replica: the high watermark is the end of the log; the last stable offset is the first open transaction's.
 * After a failed sync the log is cut back to what is surely durable, and state is rebuilt from it.
 */
import { join } from 'node:path';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { AppError, errorText } from '../../lib/errors.ts';
import { type FileSystem, StorageError } from '../../lib/files.ts';
import { batches } from '../../records/batch.ts';
import { downConvert } from '../../records/legacy.ts';
import { Log } from '../../wal/log.ts';
import type { Damage } from '../../wal/recover.ts';
import { logConfigOf, type TopicConfig } from '../topic-config.ts';
import { admit, type RecordError, type Refused } from './admission.ts';
import { readPartitionMetadata, writePartitionMetadata } from './data-dir.ts';
import { PartitionState } from './partition-state.ts';
import type { AbortedTxn, ProducerState } from './producers.ts';

const ZSTD = 4;
const NONE = ErrorCode.NONE;
const EMPTY = Buffer.alloc(0);

export interface PartitionOptions {
  readonly topic: string;
  readonly topicId: string;
  readonly index: number;
  /** The `log.dirs` entry it lies in. */
  readonly dataDir: string;
  readonly disk: FileSystem;
  readonly clock: Clock;
  readonly config: TopicConfig;
  /** The last stop was clean. */
  readonly clean: boolean;
  readonly recoveryPoint: number;
  readonly logStartOffset: number;
  readonly onDamage: (damage: Damage) => void;
}

export interface AppendRules {
  readonly oneBatch: boolean;
  readonly zstdAllowed: boolean;
  /** Asked for transactional batches: NONE, or why the partition is not part of the transaction. */
  readonly inTransaction: (producerId: number, epoch: number) => number;
}

export interface AppendOutcome {
  readonly errorCode: number;
  readonly message?: string;
  readonly recordErrors?: readonly RecordError[];
  readonly baseOffset: number;
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
}

export interface ReadLimits {
  readonly maxBytes: number;
  /** The first batch may exceed `maxBytes`. */
  readonly firstWhole: boolean;
  readonly readCommitted: boolean;
}

export interface ReadOutcome {
  readonly errorCode: number;
  readonly records: Buffer;
  readonly aborted: readonly AbortedTxn[];
}

/** With these refusals Kafka does not tell where the log starts. */
const STARTLESS: ReadonlySet<number> = new Set([ErrorCode.CORRUPT_MESSAGE, ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE]);

export class Partition {
  readonly topic: string;
  readonly topicId: string;
  readonly index: number;
  readonly dataDir: string;
  readonly dir: string;
  /** Since the start. */
  appendedBytes = 0;
  fetchedBytes = 0;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #state: PartitionState;
  #config: TopicConfig;
  /** Records since the last sync began, for flush.messages, and when the first of them came. */
  #unflushed = 0;
  #unflushedSince = 0;
  #healing: Promise<void> | null = null;
  /** Why nothing can be appended: a sync failed, and the log is not yet cut back with the state rebuilt from it. */
  #broken: StorageError | null = null;
  #nextHeal: Timer | undefined;
  #closed = false;
  #cuts = 0;

  /** Opens or makes it. @throws StorageError */
  constructor(options: PartitionOptions) {
    this.topic = options.topic;
    this.topicId = options.topicId;
    this.index = options.index;
    this.dataDir = options.dataDir;
    this.dir = join(options.dataDir, `${options.topic}-${options.index}`);
    this.#clock = options.clock;
    this.#config = options.config;
    options.disk.mkdir(this.dir);
    if (readPartitionMetadata(options.disk, this.dir) === null) writePartitionMetadata(options.disk, this.dir, options.topicId);
    this.#log = Log.open({
      dir: this.dir,
      disk: options.disk,
      clock: options.clock,
      config: logConfigOf(options.config),
      clean: options.clean,
      recoveryPoint: options.recoveryPoint,
      logStartOffset: options.logStartOffset,
      onDamage: options.onDamage,
      onRoll: (baseOffset) => this.#state?.snapshot(baseOffset),
    });
    this.#state = new PartitionState(this.#log, { disk: options.disk, clock: options.clock, cleanEnd: options.clean ? options.recoveryPoint : 0 });
  }

  /** `topic-0`, for messages. */
  get label(): string {
    return `${this.topic}-${this.index}`;
  }
  get producers(): ProducerState {
    return this.#state.producers;
  }
  get epoch(): number {
    return this.#state.epoch;
  }
  get logStartOffset(): number {
    return this.#log.logStartOffset;
  }
  /** The offset the next record gets; with one replica also where consumers may read to. */
  get highWatermark(): number {
    return this.#log.nextOffset;
  }
  get lastStableOffset(): number {
    return this.#state.lastStableOffset;
  }
  get recoveryPoint(): number {
    return this.#log.recoveryPoint;
  }
  get sizeBytes(): number {
    return this.#log.sizeBytes;
  }
  get config(): TopicConfig {
    return this.#config;
  }
  /** A sync failed, and what is beside the log is not yet what the log says: conclusions must wait. */
  get isBroken(): boolean {
    return this.#broken !== null;
  }
  /** How often the log was cut back to what is durable: what was appended before and not yet synced is gone. */
  get cuts(): number {
    return this.#cuts;
  }
  /** The log itself, for retention and compaction. */
  get log(): Log {
    return this.#log;
  }

  configure(config: TopicConfig): void {
    this.#config = config;
    this.#log.configure(logConfigOf(config));
  }

  // ---- writing ----

  /** Checks and appends what a client produced. */
  append(records: Buffer, rules: AppendRules): AppendOutcome {
    const broken = this.#broken ?? this.#log.failure;
    // Before anything else: a duplicate of what is about to be cut off must not be taken for stored.
    if (broken) return failed({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR, message: errorText(broken) });
    const now = this.#clock.now();
    const admitted = admit(records, { config: this.#config, oneBatch: rules.oneBatch, zstdAllowed: rules.zstdAllowed, now, label: this.label });
    if (admitted.errorCode !== NONE || !('batch' in admitted)) return failed(admitted, STARTLESS.has(admitted.errorCode) ? -1 : this.#log.logStartOffset);
    const { batch } = admitted;
    if (batch.producerId >= 0) {
      if (batch.isTransactional) {
        const errorCode = rules.inTransaction(batch.producerId, batch.producerEpoch);
        if (errorCode !== NONE) return failed({ errorCode, message: errorMessage(errorCode) });
      }
      const verdict = this.producers.check(batch);
      if (verdict.kind === 'refuse') return failed({ errorCode: verdict.error, message: errorMessage(verdict.error) }, this.#log.logStartOffset);
      if (verdict.kind === 'duplicate') return this.#stored(verdict.baseOffset, verdict.timestamp);
    }
    try {
      const { firstOffset } = this.#write(batch.bytes);
      if (batch.producerId >= 0) this.producers.appended(batch, firstOffset);
      if (this.#unflushed === 0) this.#unflushedSince = now;
      this.#unflushed += batch.count;
      return this.#stored(firstOffset, now);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return failed({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR, message: errorText(error) });
    }
  }

  #stored(baseOffset: number, appendTime: number): AppendOutcome {
    const logAppendTimeMs = this.#config['message.timestamp.type'] === 'LogAppendTime' ? appendTime : -1;
    return { errorCode: NONE, baseOffset, logAppendTimeMs, logStartOffset: this.#log.logStartOffset };
  }

  /**
   * Appends batches of our own: coordinator records, transaction markers.
   * @returns offset of the first record
   * @throws StorageError
   */
  appendOwn(own: Buffer): number {
    const { firstOffset } = this.#write(own);
    for (const batch of batches(own)) this.#state.note(batch);
    return firstOffset;
  }

  #write(bytes: Buffer): { readonly firstOffset: number } {
    if (this.#broken) throw this.#broken;
    this.#state.ensureEpoch();
    const appended = this.#log.append(bytes, this.epoch);
    this.appendedBytes += bytes.length;
    return appended;
  }

  /** True when flush.messages asks for a sync now. */
  get isFlushDue(): boolean {
    return this.#unflushed >= this.#config['flush.messages'];
  }

  /** True when flush.ms asks for a sync now. */
  get isFlushOverdue(): boolean {
    return this.#unflushed > 0 && this.#clock.now() - this.#unflushedSince >= this.#config['flush.ms'];
  }

  /** Resolves when everything appended so far is durable. @throws StorageError (rejection); what was not is gone then */
  async sync(): Promise<void> {
    this.#unflushed = 0;
    try {
      await this.#log.sync();
    } catch (error) {
      if (error instanceof StorageError) this.#broken ??= error;
      this.#healing ??= this.#heal();
      await this.#healing;
      throw error;
    }
  }

  /** Cuts the log back to what is surely durable and forgets what later records said; tries again while the disk refuses. */
  async #heal(): Promise<void> {
    try {
      if (this.#log.failure) {
        await this.#log.heal();
        this.#cuts++;
      }
      await this.#state.reload();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (this.#closed) return;
      this.#nextHeal = this.#clock.after(1000, () => {
        this.#healing = this.#heal();
      });
      return;
    }
    this.#broken = null;
    this.#healing = null;
  }

  // ---- reading ----

  read(offset: number, limits: ReadLimits): ReadOutcome {
    const upTo = limits.readCommitted ? this.lastStableOffset : this.#log.nextOffset;
    if (offset < this.#log.logStartOffset || offset > this.#log.nextOffset) return { errorCode: ErrorCode.OFFSET_OUT_OF_RANGE, records: EMPTY, aborted: [] };
    if (offset >= upTo || (limits.maxBytes <= 0 && !limits.firstWhole)) return { errorCode: NONE, records: EMPTY, aborted: [] };
    try {
      const chunk = this.#log.read(offset, Math.max(limits.maxBytes, 1), upTo);
      if (chunk === null) return { errorCode: ErrorCode.OFFSET_OUT_OF_RANGE, records: EMPTY, aborted: [] };
      if (chunk.bytes.length > limits.maxBytes && !limits.firstWhole) return { errorCode: NONE, records: EMPTY, aborted: [] };
      this.fetchedBytes += chunk.bytes.length;
      return { errorCode: NONE, records: chunk.bytes, aborted: limits.readCommitted ? this.#state.aborted.within(offset, chunk.nextOffset) : [] };
    } catch (error) {
      return { errorCode: readErrorCode(error), records: EMPTY, aborted: [] };
    }
  }

  /** How many bytes {@link read} would find, without reading them; Infinity when it should just be asked. */
  readableBytes(offset: number, readCommitted: boolean): number {
    try {
      return this.#log.bytesBetween(offset, readCommitted ? this.lastStableOffset : this.#log.nextOffset);
    } catch (error) {
      readErrorCode(error);
      return Number.POSITIVE_INFINITY;
    }
  }

  /** Batches in an older format, for fetches below version 4. */
  downConvert(records: Buffer, magic: 0 | 1): { readonly errorCode: number; readonly records: Buffer } {
    if (records.length === 0) return { errorCode: NONE, records };
    if (!this.#config['message.downconversion.enable']) return { errorCode: ErrorCode.UNSUPPORTED_VERSION, records: EMPTY };
    if (this.holdsZstd(records)) return { errorCode: ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, records: EMPTY };
    try {
      return { errorCode: NONE, records: downConvert(records, magic) };
    } catch (error) {
      // Packed batches are taken as they come: nobody may have looked inside before.
      return { errorCode: readErrorCode(error), records: EMPTY };
    }
  }

  holdsZstd(records: Buffer): boolean {
    for (const batch of batches(records)) if (batch.codec === ZSTD) return true;
    return false;
  }

  /** First record at or after a time; -1 and -1 when there is none. */
  offsetForTime(timestamp: number, readCommitted: boolean): { readonly offset: number; readonly timestamp: number } {
    const found = this.#log.offsetForTime(timestamp);
    const limit = readCommitted ? this.lastStableOffset : this.#log.nextOffset;
    return found && found.offset < limit ? found : { offset: -1, timestamp: -1 };
  }

  offsetOfMaxTimestamp(): { readonly offset: number; readonly timestamp: number } {
    return this.#log.offsetOfMaxTime() ?? { offset: -1, timestamp: -1 };
  }

  /** Starts of segments last written before a time, newest first, after the end of the log (ListOffsets version 0). */
  offsetsBefore(timestamp: number): number[] {
    const starts = this.#log.segments().filter(({ baseOffset }) => this.#log.segmentTimestamp(baseOffset) <= timestamp);
    const offsets = starts.map(({ baseOffset }) => Math.max(baseOffset, this.#log.logStartOffset)).reverse();
    return starts.at(-1)?.isActive ? [this.#log.nextOffset, ...offsets] : offsets;
  }

  /** NONE, or why a client's idea of the leader epoch is wrong; -1 = it has none. */
  epochError(current: number): number {
    if (current < 0 || current === this.epoch) return NONE;
    return current < this.epoch ? ErrorCode.FENCED_LEADER_EPOCH : ErrorCode.UNKNOWN_LEADER_EPOCH;
  }

  /** See {@link PartitionState.endOfEpoch}. */
  endOfEpoch(asked: number): { readonly epoch: number; readonly endOffset: number } {
    return this.#state.endOfEpoch(asked);
  }

  epochOf(offset: number): number {
    return this.#state.epochOf(offset);
  }

  // ---- keeping ----

  /** Aborted transactions with data or marker in [from, to), by first offset. */
  abortedWithin(from: number, to: number): AbortedTxn[] {
    return this.#state.aborted.within(from, to);
  }

  /** Moves the start of the log up; what lies wholly below is deleted. */
  deleteBefore(offset: number): void {
    this.#log.deleteBefore(offset);
    this.#state.aborted.dropBelow(this.#log.logStartOffset);
  }

  /** Ends it. `clean`: a snapshot at the end and everything synced, so that the next start reads nothing. */
  async close(clean: boolean): Promise<void> {
    this.#closed = true;
    this.#nextHeal?.cancel();
    await this.#healing;
    // What was not found again after a cut must be looked for at the next start.
    const isSound = clean && this.#log.failure === null && !this.isBroken;
    if (isSound) this.#state.snapshotAtEnd();
    await this.#log.close({ clean: isSound });
  }
}

/** The error code for something stored that cannot be read. @throws what is no error of ours */
export function readErrorCode(error: unknown): number {
  if (error instanceof StorageError) return ErrorCode.KAFKA_STORAGE_ERROR;
  if (error instanceof AppError) return ErrorCode.CORRUPT_MESSAGE;
  throw error;
}

function failed({ errorCode, message, recordErrors }: Omit<Refused, 'message'> & { readonly message?: string }, logStartOffset = -1): AppendOutcome {
  return { errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset, ...(message !== undefined && { message }), ...(recordErrors && { recordErrors }) };
}
