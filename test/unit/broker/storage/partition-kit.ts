/** A partition on a memory disk with a manual clock, a cleaner for it, and the records read back as a consumer would. */
import { dirname } from 'node:path';
import { Cleaner } from '../../../../src/broker/storage/cleaner.ts';
import { Partition } from '../../../../src/broker/storage/partition.ts';
import { effectiveTopicConfig } from '../../../../src/broker/topic-config.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import type { FileSystem } from '../../../../src/lib/files.ts';
import type { Logger } from '../../../../src/lib/log.ts';
import { MemoryDisk } from '../../../../src/lib/memory-disk.ts';
import { type BatchView, batches } from '../../../../src/records/batch.ts';
import { BatchBuilder, type BatchOptions, controlBatch } from '../../../../src/records/builder.ts';
import { records } from '../../../../src/records/cursor.ts';
import type { Damage } from '../../../../src/wal/recover.ts';

export const DATA = '/data';

export interface PartitionBench {
  readonly disk: FileSystem;
  readonly clock: ManualClock;
  readonly partition: Partition;
  readonly cleaner: Cleaner;
  readonly damage: Damage[];
  /** What the cleaner said, level first. */
  readonly said: string[];
}

export interface BenchOptions {
  readonly disk?: FileSystem;
  readonly clock?: ManualClock;
  readonly clean?: boolean;
  readonly recoveryPoint?: number;
  readonly logStartOffset?: number;
  readonly memoryBytes?: number;
  readonly dataDir?: string;
  readonly config?: Readonly<Record<string, string>>;
}

export function openPartition(options: BenchOptions = {}): PartitionBench {
  const disk = options.disk ?? new MemoryDisk();
  const clock = options.clock ?? new ManualClock();
  const dataDir = options.dataDir ?? DATA;
  if (!disk.stat(dataDir)) {
    disk.mkdir(dataDir);
    disk.syncDir(dirname(dataDir));
  }
  const damage: Damage[] = [];
  const partition = new Partition({
    topic: 't',
    topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
    index: 0,
    dataDir,
    disk,
    clock,
    config: effectiveTopicConfig({ 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0', ...options.config }, {}),
    clean: options.clean ?? false,
    recoveryPoint: options.recoveryPoint ?? 0,
    logStartOffset: options.logStartOffset ?? 0,
    onDamage: (found) => damage.push(found),
  });
  const said: string[] = [];
  const hear = (level: string) => (_fields: unknown, text: string) => void said.push(`${level} ${text}`);
  const log = { info: hear('info'), warn: hear('warn'), error: hear('error') } as unknown as Logger;
  const topics = { dirs: [dataDir], allPartitions: () => [partition], partition: () => partition };
  const cleaner = new Cleaner({ topics, disk, clock, log, memoryBytes: options.memoryBytes ?? 1_000_000 });
  cleaner.load();
  return { disk, clock, partition, cleaner, damage, said };
}

export type KeyValue = readonly [key: string, value: string | null];

export function keyed(pairs: readonly KeyValue[], options: BatchOptions & { readonly at?: number } = {}): Buffer {
  const builder = new BatchBuilder(options);
  for (const [key, value] of pairs) builder.append(Buffer.from(key), value === null ? null : Buffer.from(value), options.at ?? 1_700_000_000_000);
  return builder.finish();
}

const RULES = { oneBatch: true, zstdAllowed: true, inTransaction: () => 0 };

/** Produces one batch; its base offset. */
export function produce(partition: Partition, pairs: readonly KeyValue[], options: BatchOptions & { readonly at?: number } = {}): number {
  const { errorCode, baseOffset, message } = partition.append(keyed(pairs, options), RULES);
  if (errorCode !== 0) throw new Error(`error ${errorCode}: ${message}`);
  return baseOffset;
}

export function end(partition: Partition, producerId: number, commit: boolean, { epoch = 0, at = 1_700_000_000_000 } = {}): number {
  return partition.appendOwn(controlBatch({ type: commit ? 1 : 0, producerId, producerEpoch: epoch, coordinatorEpoch: 0, timestamp: at }));
}

export interface Seen {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
}

/** All batches of a partition as they are stored. */
export function stored(partition: Partition): BatchView[] {
  const out: BatchView[] = [];
  for (let offset = partition.logStartOffset; offset < partition.highWatermark; ) {
    const chunk = partition.log.read(offset, 4096);
    if (!chunk || chunk.bytes.length === 0) break;
    out.push(...batches(chunk.bytes));
    offset = chunk.nextOffset;
  }
  return out;
}

/** `offset key=value` of the records that a consumer sees; `committed`: those of aborted transactions left out. */
export function seen(partition: Partition, { committed = true, maxBytes = 400 } = {}): Seen[] {
  const out: Seen[] = [];
  for (let offset = partition.logStartOffset; ; ) {
    const { errorCode, records: bytes, aborted } = partition.read(offset, { maxBytes, firstWhole: true, readCommitted: committed });
    if (errorCode !== 0) throw new Error(`error ${errorCode} at ${offset}`);
    if (bytes.length === 0) return out;
    for (const batch of batches(bytes)) {
      offset = batch.nextOffset;
      const isAborted = aborted.some(
        ({ producerId, firstOffset, lastOffset }) => producerId === batch.producerId && firstOffset <= batch.lastOffset && batch.baseOffset < lastOffset,
      );
      if (batch.isControl || (committed && batch.isTransactional && isAborted)) continue;
      for (const record of records(batch)) out.push({ offset: record.offset, key: record.key?.toString() ?? null, value: record.value?.toString() ?? null });
    }
  }
}

export function texts(list: readonly Seen[]): string[] {
  return list.map(({ offset, key, value }) => `${offset} ${key}=${value}`);
}
