/** What a log is opened with, and what it answers: the types of log.ts. */
import type { Clock } from '../lib/clock.ts';
import type { FileSystem } from '../lib/files.ts';
import type { Damage } from './recover.ts';

/** Kafka's topic settings of the same names; all may change while the log is open, see {@link Log.configure}. */
export interface LogConfig {
  /** segment.bytes, up to 2^31-1. */
  readonly segmentBytes: number;
  /** segment.ms. */
  readonly segmentMs: number;
  /** segment.jitter.ms. */
  readonly segmentJitterMs: number;
  /** segment.index.bytes: a full index rolls the segment. */
  readonly segmentIndexBytes: number;
  /** index.interval.bytes. */
  readonly indexIntervalBytes: number;
}

/** Kafka's defaults. */
export const DEFAULT_LOG_CONFIG: LogConfig = {
  segmentBytes: 1_073_741_824,
  segmentMs: 604_800_000,
  segmentJitterMs: 0,
  segmentIndexBytes: 10_485_760,
  indexIntervalBytes: 4096,
};

export interface LogOptions {
  /** Made when absent; the directory above it, if that is new too, is for the owner to sync. */
  readonly dir: string;
  readonly disk: FileSystem;
  readonly clock: Clock;
  readonly config?: Partial<LogConfig>;
  /** The last stop was clean: trust the files, scan nothing. Default false. */
  readonly clean?: boolean;
  /**
   * Everything below was durable when the owner last wrote it down. Default 0: verify all of an unclean log. After a clean
   * stop it is the end of the log; if the log ends elsewhere, the difference is verified or reported missing.
   */
  readonly recoveryPoint?: number;
  /** First offset of a log that has no segment yet. */
  readonly startOffset?: number;
  /** Offsets below are deleted, though their segment may still be there. Default: base of the first segment. */
  readonly logStartOffset?: number;
  /** Open for reading beside a running owner: nothing is made, changed or repaired. */
  readonly readOnly?: boolean;
  /**
   * The owner never leaves offsets out: no compaction, no numbering shared with other logs. Recovery then checks offsets
   * next to damage more strictly, which it must not where gaps are normal. Default false.
   */
  readonly gapless?: boolean;
  /** Told of everything that was lost, while opening and later. */
  readonly onDamage?: (damage: Damage) => void;
  /** A new segment with this base was begun; the owner may write its `.snapshot`. */
  readonly onRoll?: (baseOffset: number) => void;
}

/** What {@link Log.append} did. */
export interface Appended {
  readonly firstOffset: number;
  readonly lastOffset: number;
  /** Largest timestamp of the batches, -1 when they have none. */
  readonly maxTimestamp: number;
}

/** Whole batches, as they lie on disk. */
export interface Chunk {
  /** May begin before the asked offset: the batch that contains it comes whole. Empty at the end of the log. */
  readonly bytes: Buffer;
  /** Where to read on: the offset after the last batch in `bytes`, or the asked one when it is empty. */
  readonly nextOffset: number;
}

export interface SegmentInfo {
  readonly baseOffset: number;
  /** Base of the next segment, or the end of the log. */
  readonly nextOffset: number;
  readonly sizeBytes: number;
  readonly isActive: boolean;
  /** Path of its files without ending, for the owner's `.txnindex` and `.snapshot`. */
  readonly path: string;
}

/** An offset with the timestamp of its record. */
export interface TimedOffset {
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}
