/** The delete policy by size and by time, the end of an idle active segment, and log starts that outlive a restart. */
import { describe, expect, test } from 'vitest';
import { applyRetention } from '../../../../src/broker/storage/retention.ts';
import type { TopicStore } from '../../../../src/broker/storage/topics.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { openPartition, type PartitionBench, produce, seen } from './partition-kit.ts';

const HOUR = 3_600_000;

/** What TopicStore does besides writing checkpoints. */
const topics = {
  raiseLogStart: async (partition: PartitionBench['partition'], offset: number) => {
    await partition.sync();
    partition.deleteBefore(offset);
  },
} as unknown as TopicStore;

function open(config: Readonly<Record<string, string>>, clock = new ManualClock()): PartitionBench {
  return openPartition({ clock, config: { 'cleanup.policy': 'delete', ...config } });
}

const offsets = ({ partition }: PartitionBench): number[] => seen(partition).map(({ offset }) => offset);
const bases = ({ partition }: PartitionBench): number[] => partition.log.segments().map(({ baseOffset }) => baseOffset);

/** One record per segment. */
function segments(bench: PartitionBench, count: number, at: (i: number) => number = () => bench.clock.now()): void {
  for (let i = 0; i < count; i++) {
    bench.partition.log.roll();
    produce(bench.partition, [['k', `${i}`]], { at: at(i) });
  }
}

async function retain({ partition, clock }: PartitionBench): Promise<void> {
  await applyRetention(partition, topics, clock.now());
}

describe('by size', () => {
  test('the oldest go while what is left is not smaller than the limit', async () => {
    const bench = open({ 'retention.ms': '-1' });
    segments(bench, 5);
    const one = bench.partition.sizeBytes / 5;
    bench.partition.configure({ ...bench.partition.config, 'retention.bytes': 3 * one - 1 });
    await retain(bench);
    expect(bases(bench)).toEqual([2, 3, 4]);
    bench.partition.configure({ ...bench.partition.config, 'retention.bytes': 2 * one });
    await retain(bench);
    expect(bases(bench)).toEqual([3, 4]);
    expect(bench.partition.logStartOffset).toBe(3);
  });

  test('-1 is no limit; 0 takes everything', async () => {
    const bench = open({ 'retention.ms': '-1' });
    segments(bench, 3);
    await retain(bench);
    expect(offsets(bench)).toEqual([0, 1, 2]);
    bench.partition.configure({ ...bench.partition.config, 'retention.bytes': 0 });
    await retain(bench);
    expect(offsets(bench)).toEqual([]);
    expect(bench.partition.highWatermark).toBe(3);
  });
});

describe('by time', () => {
  test('segments go when their newest record is too old, the active one too, though nothing is appended', async () => {
    const bench = open({ 'retention.ms': String(2 * HOUR) });
    segments(bench, 2);
    await bench.clock.advance(HOUR);
    segments(bench, 1);
    await bench.clock.advance(HOUR);
    await retain(bench);
    expect(offsets(bench)).toEqual([0, 1, 2]);
    await bench.clock.advance(1);
    await retain(bench);
    expect(offsets(bench)).toEqual([2]);
    await bench.clock.advance(HOUR);
    await retain(bench);
    expect(offsets(bench)).toEqual([]);
    expect([bench.partition.logStartOffset, bench.partition.highWatermark]).toEqual([3, 3]);
    await retain(bench);
    expect(bases(bench)).toEqual([3]);
    expect(produce(bench.partition, [['k', 'next']])).toBe(3);
  });

  test('a record of the future keeps its segment and all behind it', async () => {
    const bench = open({ 'retention.ms': String(HOUR) });
    segments(bench, 4, (i) => bench.clock.now() + (i === 1 ? 10 * HOUR : 0));
    await bench.clock.advance(2 * HOUR);
    await retain(bench);
    expect(offsets(bench)).toEqual([1, 2, 3]);
  });

  test('records without a time count from the last change of their file', async () => {
    const bench = open({ 'retention.ms': String(HOUR) });
    (bench.disk as { nowMs?: number }).nowMs = bench.clock.now();
    segments(bench, 2, () => -1);
    await retain(bench);
    expect(offsets(bench)).toEqual([0, 1]);
    await bench.clock.advance(HOUR + 1);
    await retain(bench);
    expect(offsets(bench)).toEqual([]);
  });

  test('a compacted topic keeps its records, whatever their age; compact,delete does not', async () => {
    const bench = open({ 'cleanup.policy': 'compact', 'retention.ms': '1' });
    segments(bench, 2);
    await bench.clock.advance(HOUR);
    await retain(bench);
    expect(offsets(bench)).toEqual([0, 1]);
    bench.partition.configure({ ...bench.partition.config, 'cleanup.policy': ['compact', 'delete'] });
    await retain(bench);
    expect(offsets(bench)).toEqual([]);
  });
});

test('segments below a raised log start go under every policy; the start outlives a restart', async () => {
  const bench = open({ 'cleanup.policy': 'compact' });
  segments(bench, 3);
  produce(bench.partition, [
    ['k', '3'],
    ['k', '4'],
  ]);
  bench.partition.deleteBefore(3);
  expect(offsets(bench)).toEqual([3, 4]);
  await retain(bench);
  expect(bases(bench)).toEqual([2]);
  await bench.partition.close(true);
  const again = openPartition({ disk: bench.disk, clock: bench.clock, clean: true, recoveryPoint: 5, logStartOffset: 3 });
  expect(seen(again.partition).map(({ offset }) => offset)).toEqual([3, 4]);
});
