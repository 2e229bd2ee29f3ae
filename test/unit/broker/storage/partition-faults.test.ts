/** A partition whose disk fails: nothing that is about to be cut off counts as stored, and it takes appends again. */
import { expect, test } from 'vitest';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { MemoryDisk } from '../../../../src/lib/memory-disk.ts';
import { keyed, openPartition, produce, seen, texts } from './partition-kit.ts';

const RULES = { oneBatch: true, zstdAllowed: true, inTransaction: () => 0 };
const STORAGE_ERROR = 56;
const sequence = (baseSequence: number) => ({ producerId: 7, producerEpoch: 0, baseSequence });

test('a repeated batch is no duplicate while the first one is being cut off', async () => {
  const disk = new MemoryDisk();
  const { partition, clock } = openPartition({ disk });
  produce(partition, [['a', '1']], sequence(0));
  await partition.sync();
  produce(partition, [['b', '2']], sequence(1));
  disk.failNext('sync', 'EIO');
  disk.failNext('truncate', 'EIO');
  await expect(partition.sync()).rejects.toThrow();
  expect(partition.append(keyed([['b', '2']], sequence(1)), RULES).errorCode).toBe(STORAGE_ERROR);
  await clock.advance(1000);
  expect(produce(partition, [['b', '2']], sequence(1))).toBe(1);
  await partition.sync();
  expect(texts(seen(partition))).toEqual(['0 a=1', '1 b=2']);
  expect(partition.cuts).toBe(1);
});

test('appends wait until the state is rebuilt, not only until the log is cut', async () => {
  const disk = new MemoryDisk();
  const { partition, clock } = openPartition({ disk });
  produce(partition, [['a', '1']], sequence(0));
  await partition.sync();
  produce(partition, [['b', '2']], sequence(1));
  disk.failNext('sync', 'EIO');
  disk.failNext('list', 'EIO');
  await expect(partition.sync()).rejects.toThrow();
  // The log is whole again, but what is known of producers is not.
  expect(partition.append(keyed([['a', '1']], sequence(0)), RULES).errorCode).toBe(STORAGE_ERROR);
  await clock.advance(1000);
  expect(partition.append(keyed([['a', '1']], sequence(0)), RULES)).toMatchObject({ errorCode: 0, baseOffset: 0 });
  expect(partition.highWatermark).toBe(1);
});

/** A clock on which looking at it takes a millisecond, so that long work is long on any machine. */
class SlowClock extends ManualClock {
  #looked = 0;
  override monotonic(): number {
    return super.monotonic() + this.#looked++;
  }
}

test('a long log is looked through in slices: others go on, and nothing that may be open counts as committed', async () => {
  const disk = new MemoryDisk();
  const { partition } = openPartition({ disk, clock: new SlowClock() });
  const value = 'x'.repeat(400_000);
  const transactional = { producerId: 9, producerEpoch: 0, transactional: true };
  for (let i = 0; i < 40; i++) {
    if (i === 20) produce(partition, [['open', '1']], { ...transactional, baseSequence: 0 });
    produce(partition, [['k', value]], sequence(i));
  }
  await partition.sync();
  expect(partition.lastStableOffset).toBe(20);
  produce(partition, [['lost', '2']], sequence(40));
  disk.failNext('sync', 'EIO');
  let turns = 0;
  const stable: number[] = [];
  const failing = partition.sync().then(
    () => 'done',
    () => 'failed',
  );
  for (let end: string | null = null; end === null; turns++) {
    end = await Promise.race([failing, new Promise<null>((resolve) => setImmediate(() => resolve(null)))]);
    if (partition.isBroken) stable.push(partition.lastStableOffset);
    if (partition.isBroken) expect(partition.append(keyed([['k', 'v']]), RULES).errorCode).toBe(STORAGE_ERROR);
  }
  expect(turns).toBeGreaterThan(5);
  expect(Math.max(...stable)).toBeLessThanOrEqual(20);
  expect([partition.isBroken, partition.lastStableOffset, partition.highWatermark]).toEqual([false, 20, 41]);
  expect(produce(partition, [['again', '2']], sequence(40))).toBe(41);
});

test('a partition that is closed while its disk refuses is not mended any more', async () => {
  const disk = new MemoryDisk();
  const { partition, clock } = openPartition({ disk });
  produce(partition, [['a', '1']]);
  disk.failNext('sync', 'EIO');
  disk.failNext('truncate', 'EIO');
  await expect(partition.sync()).rejects.toThrow();
  await partition.close(false);
  // An attempt now would be an unhandled rejection, which ends the process.
  await clock.advance(5000);
  expect(disk.openFiles).toBe(0);
});
