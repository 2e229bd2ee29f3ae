import { expect, test } from 'vitest';
import { RateWindow } from '../../../src/broker/metrics.ts';
import type { Partition } from '../../../src/broker/storage/partition.ts';
import { ManualClock } from '../../../src/lib/clock.ts';

test('rates are those of the last minute, also of partitions that came later', async () => {
  const clock = new ManualClock();
  const partition = { highWatermark: 1000, appendedBytes: 0, fetchedBytes: 0 };
  const late = { highWatermark: 0, appendedBytes: 0, fetchedBytes: 0 };
  const all = [partition];
  const rates = new RateWindow(clock, () => all as unknown as Partition[]);
  const of = (one: typeof partition) => rates.of(one as unknown as Partition);
  expect(of(partition)).toEqual({ recordsIn: 0, bytesIn: 0, bytesOut: 0 });
  await clock.advance(5000);
  Object.assign(partition, { highWatermark: 1010, appendedBytes: 500, fetchedBytes: 5000 });
  expect(of(partition)).toEqual({ recordsIn: 2, bytesIn: 100, bytesOut: 1000 });
  all.push(late);
  await clock.advance(5000);
  late.appendedBytes = 300;
  await clock.advance(3000);
  expect(of(late).bytesIn).toBe(100);
  // Two minutes of silence: what was before is forgotten.
  await clock.advance(120_000);
  expect(of(partition)).toEqual({ recordsIn: 0, bytesIn: 0, bytesOut: 0 });
  rates.stop();
});
