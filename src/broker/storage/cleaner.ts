/**
 * Decides what is compacted and when (Kafka's LogCleanerManager; kafka-reference 7.2), and remembers how far each
 * partition is: `cleaner-offset-checkpoint` in its data directory, first dirty offset per partition, written after each round.
 * A checkpoint that is lost or wrong costs a second look at clean data, nothing else.
 *
 *     base of the log ──── clean ──── first dirty ──── dirty ──── limit ──── not yet ──── end
 *
 * The limit is the least of: the active segment, the last stable offset, what is durable, and the first segment with a
 * record younger than min.compaction.lag.ms. A partition is due when dirty / (clean + dirty) exceeds
 * min.cleanable.dirty.ratio, or its oldest dirty record max.compaction.lag.ms; the dirtiest one goes first.
 */
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { AppError, errorText } from '../../lib/errors.ts';
import { type FileSystem, StorageError } from '../../lib/files.ts';
import type { Logger } from '../../lib/log.ts';
import { BatchView } from '../../records/batch.ts';
import { Interrupted, Slices } from '../slices.ts';
import { readOffsets, writeOffsets } from './checkpoints.ts';
import { Compaction, type CompactionOutcome } from './compaction.ts';
import { OffsetMap } from './offset-map.ts';
import type { Partition } from './partition.ts';

const CHECKPOINT = 'cleaner-offset-checkpoint';
/** A lag of a century and more is none: what unset limits hold. */
const NO_LAG = 2 ** 52;

/** What the cleaner asks of the topics. */
export interface CleanableTopics {
  readonly dirs: readonly string[];
  allPartitions(): Iterable<Partition>;
  partition(topic: string, index: number): Partition | undefined;
}

export interface CleanerOptions {
  readonly topics: CleanableTopics;
  readonly disk: FileSystem;
  readonly clock: Clock;
  readonly log: Logger;
  /** Bound of the key map. */
  readonly memoryBytes: number;
}

/** What could be compacted of a partition. */
interface Candidate {
  readonly partition: Partition;
  readonly firstDirty: number;
  readonly limit: number;
  /** Share of dirty bytes. */
  readonly ratio: number;
  readonly due: boolean;
}

export class Cleaner {
  readonly #options: CleanerOptions;
  readonly #firstDirty = new Map<Partition, number>();
  /** Partitions with stored bytes that cannot be read; looked at again after a restart. */
  readonly #unreadable = new Set<Partition>();
  /** Directories whose checkpoint names partitions that are no more. */
  readonly #stale = new Set<string>();
  #stopped = false;
  #working: Promise<void> | null = null;
  /** Rounds ended since the start. */
  rounds = 0;
  /** Bytes that compaction freed since the start. */
  freedBytes = 0;

  constructor(options: CleanerOptions) {
    this.#options = options;
  }

  /** Reads the checkpoints; once, when all partitions are open. */
  load(): void {
    const { topics, disk } = this.#options;
    const known = new Map(topics.dirs.map((dir) => [dir, readOffsets(disk, join(dir, CHECKPOINT))]));
    for (const partition of topics.allPartitions()) {
      const offset = known.get(partition.dataDir)?.get(partition.label);
      if (offset !== undefined) this.#firstDirty.set(partition, offset);
    }
  }

  /** Ends a round under way at its next pause. */
  stop(): void {
    this.#stopped = true;
  }

  /** A topic is no more; one of the same name that comes later is dirty from its start. */
  forget(partitions: readonly Partition[]): void {
    for (const partition of partitions) {
      this.#unreadable.delete(partition);
      if (this.#firstDirty.delete(partition)) this.#stale.add(partition.dataDir);
    }
  }

  /**
   * Compacts what is due, the dirtiest first, until nothing is. While it is at work, a second call waits for the same.
   * @throws StorageError a checkpoint cannot be written
   */
  run(): Promise<void> {
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
    });
    return this.#working;
  }

  async #work(): Promise<void> {
    for (const dir of this.#stale) this.#writeCheckpoint(dir);
    const tried = new Set<Partition>();
    while (!this.#stopped) {
      let next: Candidate | null = null;
      for (const partition of this.#options.topics.allPartitions()) {
        if (tried.has(partition) || !partition.config['cleanup.policy'].includes('compact') || this.#unreadable.has(partition)) continue;
        const candidate = await this.#candidate(partition);
        if (candidate?.due && (!next || candidate.ratio > next.ratio)) next = candidate;
      }
      if (!next) return;
      // One that failed has to wait for the next run.
      if (!(await this.#clean(next))) tried.add(next.partition);
    }
  }

  // ---- choosing ----

  async #candidate(partition: Partition): Promise<Candidate | null> {
    const { log, config } = partition;
    const segments = log.segments();
    const active = segments.at(-1)?.baseOffset ?? 0;
    if (segments.length < 2 || partition.isBroken) return null;
    const known = this.#firstDirty.get(partition) ?? 0;
    const firstDirty = known < log.logStartOffset || known > active ? log.logStartOffset : known;
    if (log.recoveryPoint < active && active > firstDirty && !(await this.#makeDurable(partition))) return null;
    const now = this.#options.clock.now();
    let limit = Math.min(active, partition.lastStableOffset, log.recoveryPoint);
    if (config['min.compaction.lag.ms'] > 0) {
      const young = segments.find(
        ({ baseOffset, isActive }) => !isActive && baseOffset >= firstDirty && log.segmentTimestamp(baseOffset) > now - config['min.compaction.lag.ms'],
      );
      if (young) limit = Math.min(limit, young.baseOffset);
    }
    let clean = 0;
    let dirty = 0;
    for (const { baseOffset, nextOffset, sizeBytes, isActive } of segments) {
      if (nextOffset <= firstDirty) clean += sizeBytes;
      else if (baseOffset < limit && !isActive) dirty += sizeBytes;
    }
    if (limit <= firstDirty || dirty === 0) return null;
    const ratio = dirty / (clean + dirty);
    const due = ratio > config['min.cleanable.dirty.ratio'] || this.#isOverdue(partition, firstDirty, now);
    return { partition, firstDirty, limit, ratio, due };
  }

  /** What was rolled may not be on the device yet. A disk that refuses is told of elsewhere: the log itself fails then. */
  async #makeDurable(partition: Partition): Promise<boolean> {
    try {
      await partition.sync();
      return this.#isLive(partition);
    } catch (error) {
      if (error instanceof AppError) return false;
      throw error;
    }
  }

  #isOverdue(partition: Partition, firstDirty: number, now: number): boolean {
    const lag = partition.config['max.compaction.lag.ms'];
    if (lag >= NO_LAG) return false;
    const chunk = partition.log.read(firstDirty, 1);
    if (!chunk || chunk.bytes.length === 0) return false;
    const batch = new BatchView(chunk.bytes);
    return batch.magic === 2 && batch.maxTimestamp >= 0 && now - batch.maxTimestamp > lag;
  }

  #isLive(partition: Partition): boolean {
    return !this.#stopped && !partition.isBroken && this.#options.topics.partition(partition.topic, partition.index) === partition;
  }

  // ---- doing ----

  /** One round. @returns false when it came to nothing and need not be tried again now */
  async #clean({ partition, firstDirty, limit }: Candidate): Promise<boolean> {
    const { disk, clock, memoryBytes } = this.#options;
    const slices = new Slices(clock, () => this.#isLive(partition));
    const map = new OffsetMap(limit - firstDirty, memoryBytes);
    try {
      const outcome = await new Compaction({ partition, disk, slices, map, now: clock.now() }).run(firstDirty, limit);
      this.#firstDirty.set(partition, outcome.nextDirty);
      this.#writeCheckpoint(partition.dataDir);
      this.#tell(partition, firstDirty, outcome);
      return true;
    } catch (error) {
      if (!this.#isLive(partition) || error instanceof Interrupted) return false;
      if (!(error instanceof AppError)) throw error;
      this.#complain(partition, error);
      return false;
    }
  }

  #tell(partition: Partition, firstDirty: number, { nextDirty, bytesBefore, bytesAfter }: CompactionOutcome): void {
    this.rounds++;
    this.freedBytes += Math.max(0, bytesBefore - bytesAfter);
    this.#options.log.info(
      { partition: partition.label, firstDirty, nextDirty, bytesBefore, bytesAfter },
      `compacted ${partition.label} up to offset ${nextDirty}: ${bytesBefore} bytes became ${bytesAfter}`,
    );
  }

  #complain(partition: Partition, error: AppError): void {
    const { label } = partition;
    if (error instanceof StorageError) {
      this.#options.log.warn({ err: error, partition: label }, `cannot compact ${label} now, trying again later: ${errorText(error)}`);
      return;
    }
    this.#unreadable.add(partition);
    this.#options.log.error(
      { err: error, partition: label },
      `${label} is not compacted any more until the next start, for a stored batch cannot be read: ${errorText(error)}`,
    );
  }

  #writeCheckpoint(dir: string): void {
    const entries = [...this.#firstDirty].filter(([partition]) => partition.dataDir === dir).map(([{ topic, index }, offset]) => ({ topic, index, offset }));
    writeOffsets(this.#options.disk, join(dir, CHECKPOINT), entries);
    this.#stale.delete(dir);
  }
}
