/**
 * Which segments a log may drop by age and size (Kafka's UnifiedLog.deleteOldSegments): only a prefix of them, only what
 * lies below `upTo`, the oldest first. The owner decides when, with {@link Log.deleteBefore}.
 */
import type { Log } from './log.ts';

export interface RetentionLimits {
  /** retention.ms; negative: no limit. By the largest timestamp of a segment, or its file's time when it has none. */
  readonly retentionMs: number;
  /** retention.bytes; negative: no limit. */
  readonly retentionBytes: number;
  /** Offsets from here on stay: the high watermark. */
  readonly upTo: number;
}

/**
 * The offset below which the log may be deleted. Begins a new segment first when all of it is due, so that the active
 * one can go too.
 * @throws StorageError when that segment cannot be made
 */
export function retentionOffset(log: Log, limits: RetentionLimits, now: number): number {
  const segments = log.segments();
  let spare = limits.retentionBytes < 0 ? -1 : log.sizeBytes - limits.retentionBytes;
  let due = 0;
  for (const segment of segments) {
    if (segment.nextOffset > limits.upTo || (segment.isActive && segment.sizeBytes === 0)) break;
    const tooMuch = spare >= segment.sizeBytes && spare > 0;
    const tooOld = limits.retentionMs >= 0 && now - log.segmentTimestamp(segment.baseOffset) > limits.retentionMs;
    if (!tooMuch && !tooOld) break;
    if (tooMuch) spare -= segment.sizeBytes;
    due++;
  }
  if (due === 0) return log.logStartOffset;
  if (due === segments.length) log.roll();
  return segments[due - 1]?.nextOffset ?? log.logStartOffset;
}
