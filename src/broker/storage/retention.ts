/**
 * The delete policy of a partition (kafka-reference 7.1): segments below the log start always go; then by size, then by
 * age, oldest first and only as a prefix. When every segment is due, a new one is begun, so that the active one can go.
 */
import type { Partition } from './partition.ts';
import type { TopicStore } from './topics.ts';

/** Applies it; resolves when what is gone is gone for good (the new start is on disk before any segment goes). */
export async function applyRetention(partition: Partition, topics: TopicStore, now: number): Promise<void> {
  const cut = partition.config['cleanup.policy'].includes('delete') ? dueBefore(partition, now) : partition.logStartOffset;
  if (cut > partition.logStartOffset) await topics.raiseLogStart(partition, cut);
  else partition.deleteBefore(partition.logStartOffset);
}

/** The offset before which everything is due. */
function dueBefore(partition: Partition, now: number): number {
  const { log, config } = partition;
  const segments = log.segments();
  const retentionBytes = config['retention.bytes'];
  const retentionMs = config['retention.ms'];
  let due = 0;
  if (retentionBytes >= 0) {
    let excess = log.sizeBytes - retentionBytes;
    while (due < segments.length && excess - (segments[due] as { sizeBytes: number }).sizeBytes >= 0)
      excess -= (segments[due++] as { sizeBytes: number }).sizeBytes;
  }
  if (retentionMs >= 0) {
    while (due < segments.length && now - log.segmentTimestamp((segments[due] as { baseOffset: number }).baseOffset) > retentionMs) due++;
  }
  const last = segments[due - 1];
  if (!last) return partition.logStartOffset;
  if (last.isActive) {
    if (last.sizeBytes === 0) return last.baseOffset;
    log.roll();
    return log.nextOffset;
  }
  return last.nextOffset;
}
