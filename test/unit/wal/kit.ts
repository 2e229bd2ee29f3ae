/** Building logs for the tests of wal/: batches with readable contents, and a log read back as a list of them. */
import { ManualClock } from '../../../src/lib/clock.ts';
import { MemoryDisk } from '../../../src/lib/memory-disk.ts';
import { BatchView, batches } from '../../../src/records/batch.ts';
import { BatchBuilder } from '../../../src/records/builder.ts';
import { records } from '../../../src/records/cursor.ts';
import type { LogOptions } from '../../../src/wal/config.ts';
import { Log } from '../../../src/wal/log.ts';
import { LogReader } from '../../../src/wal/reader.ts';
import type { Damage } from '../../../src/wal/recover.ts';

export const DIR = '/data/t-0';

/** One batch of records without keys. */
export function batchOf(values: readonly string[], timestamp = 1000): Buffer {
  const builder = new BatchBuilder({}, 256);
  for (const value of values) builder.append(null, Buffer.from(value), timestamp);
  return builder.finish();
}

export interface Bench {
  readonly disk: MemoryDisk;
  readonly clock: ManualClock;
  readonly damage: Damage[];
  readonly log: Log;
}

export function openLog(options: Partial<LogOptions> & { disk?: MemoryDisk } = {}): Bench {
  const disk = options.disk ?? new MemoryDisk();
  const clock = (options.clock as ManualClock | undefined) ?? new ManualClock();
  if (!disk.stat('/data')) {
    disk.mkdir('/data');
    disk.syncDir('/');
  }
  const damage: Damage[] = [];
  const log = Log.open({ dir: DIR, onDamage: (d) => damage.push(d), ...options, disk, clock });
  return { disk, clock, damage, log };
}

/** offset:value of everything from `from` on, by the reader. */
export function contents(log: Log, from = 0, options: { verify?: boolean; chunkBytes?: number } = {}): string[] {
  const out: string[] = [];
  const reader = new LogReader(log, from, options);
  for (let batch = reader.next(); batch; batch = reader.next()) for (const r of records(batch)) out.push(`${r.offset}:${r.value?.toString()}`);
  return out;
}

/** offset:value of what a read answered. */
export function valuesOf(bytes: Buffer): string[] {
  return [...batches(bytes)].flatMap((batch) => [...records(new BatchView(batch.buf, batch.at))].map((r) => `${r.offset}:${r.value?.toString()}`));
}

/** A log with `count` batches of two records, value `vN` at offset N. */
export function fill(log: Log, count: number): void {
  for (let i = 0; i < count; i++) {
    const next = log.nextOffset;
    log.append(batchOf([`v${next}`, `v${next + 1}`], 1000 + next));
  }
}

export const upTo = (n: number, from = 0): string[] => Array.from({ length: n - from }, (_, i) => `${from + i}:v${from + i}`);
