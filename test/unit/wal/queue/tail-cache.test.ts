/** The cache of the last puts: what it finds, and that it lets go of what it has handed out. */
import v8 from 'node:v8';
import vm from 'node:vm';
import { expect, it } from 'vitest';
import { TailCache } from '../../../../src/wal/queue/tail-cache.ts';

const events = (count: number) => Array.from({ length: count }, (_, i) => ({ headers: {}, body: Buffer.from(`event ${i}`) }));

it('finds the put that holds a number, and none where there was no room', () => {
  const cache = new TailCache();
  cache.add(10, events(5));
  cache.add(15, events(5));
  cache.add(20, [{ headers: {}, body: Buffer.alloc(20_000_000) }]);
  expect(cache.find(9)).toBeUndefined();
  expect(cache.find(12)?.from).toBe(10);
  expect(cache.nextFrom(15)).toBe(15);
  expect(cache.find(19)?.from).toBe(15);
  expect(cache.find(20)).toBeUndefined();
  expect(cache.nextFrom(20)).toBe(Number.POSITIVE_INFINITY);
});

it('keeps nothing alive that was taken', async () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  const cache = new TailCache();
  const taken: WeakRef<object>[] = [];
  for (let from = 0; from < 100; from += 10) {
    const put = events(10);
    taken.push(new WeakRef(put));
    cache.add(from, put);
  }
  cache.find(95);
  // A WeakRef holds its target until the turn is over.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(taken.map((put) => put.deref() !== undefined)).toEqual([...Array(9).fill(false), true]);
});
