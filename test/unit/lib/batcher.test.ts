import { expect, it } from 'vitest';
import { Batcher } from '../../../src/lib/batcher.ts';
import { ManualClock } from '../../../src/lib/clock.ts';

function setup(maxSize: number, maxWaitMs: number) {
  const clock = new ManualClock();
  const batches: number[][] = [];
  const landings: (() => void)[] = [];
  const batcher = new Batcher<number>({
    maxSize,
    maxWaitMs,
    clock,
    deliver: (batch) => {
      batches.push(batch);
      return new Promise((resolve) => landings.push(resolve));
    },
  });
  const land = async (): Promise<void> => {
    landings.shift()?.();
    await clock.advance(0);
  };
  return { clock, batches, batcher, land };
}

it('hands on when full, without waiting', () => {
  const { batches, batcher } = setup(2, 1000);
  batcher.add(1);
  expect(batches).toEqual([]);
  batcher.add(2);
  expect(batches).toEqual([[1, 2]]);
});

it('hands on what there is when the time of the first is over', async () => {
  const { clock, batches, batcher } = setup(10, 1000);
  batcher.add(1);
  await clock.advance(999);
  batcher.add(2);
  expect(batches).toEqual([]);
  await clock.advance(1);
  expect(batches).toEqual([[1, 2]]);
});

it('has one batch under way, says when to pause, and loses nothing of what came meanwhile', async () => {
  const { batches, batcher, land } = setup(2, 1000);
  expect([batcher.add(1), batcher.add(2), batcher.add(3), batcher.add(4)]).toEqual([true, true, true, false]);
  batcher.add(5);
  let roomy = false;
  const wait = batcher.room().then(() => {
    roomy = true;
  });
  await land();
  expect(batches).toEqual([
    [1, 2],
    [3, 4],
  ]);
  await wait;
  expect(roomy).toBe(true);
  const flushed = batcher.flush();
  await land();
  await land();
  await flushed;
  expect(batches.flat()).toEqual([1, 2, 3, 4, 5]);
});

it('tells a failed delivery to whoever waits, and does not go on', async () => {
  const clock = new ManualClock();
  let calls = 0;
  const batcher = new Batcher<number>({
    maxSize: 1,
    maxWaitMs: 0,
    clock,
    deliver: async () => {
      calls++;
      throw new Error('no');
    },
  });
  batcher.add(1);
  await expect(batcher.flush()).rejects.toThrow('no');
  batcher.add(2);
  await expect(batcher.room()).rejects.toThrow('no');
  expect(calls).toBe(1);
});
