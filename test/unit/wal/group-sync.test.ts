import { expect, test } from 'vitest';
import { GroupSync } from '../../../src/wal/group-sync.ts';

/** A sync whose end is in the hands of the test. */
function bench(): { group: GroupSync; started: () => number; end: (error?: Error) => void } {
  let started = 0;
  let finish: { resolve: () => void; reject: (e: Error) => void } | null = null;
  const group = new GroupSync(() => {
    started++;
    return new Promise((resolve, reject) => {
      finish = { resolve, reject };
    });
  });
  return { group, started: () => started, end: (error) => (error ? finish?.reject(error) : finish?.resolve()) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('requests of one turn share a sync; those during it share the next; never two at once', async () => {
  const { group, started, end } = bench();
  const done: string[] = [];
  const first = [group.request().then(() => done.push('a')), group.request().then(() => done.push('b'))];
  expect(started()).toBe(0);
  await turn();
  expect(started()).toBe(1);
  const second = [group.request().then(() => done.push('c')), group.request().then(() => done.push('d'))];
  await turn();
  expect([started(), done]).toEqual([1, []]);
  end();
  await Promise.all(first);
  await turn();
  expect([started(), done]).toEqual([2, ['a', 'b']]);
  end();
  await Promise.all(second);
  await group.idle();
  expect([started(), done]).toEqual([2, ['a', 'b', 'c', 'd']]);
});

test('a failure reaches those who waited for it, and nobody after', async () => {
  const { group, started, end } = bench();
  const failing = expect(group.request()).rejects.toThrow('no');
  await turn();
  const next = group.request();
  end(new Error('no'));
  await failing;
  await turn();
  expect(started()).toBe(2);
  end();
  await next;
});

test('idle waits for the running and the asked-for one', async () => {
  const { group, end } = bench();
  await group.idle();
  void group.request();
  await turn();
  void group.request();
  let idle = false;
  const waiting = group.idle().then(() => {
    idle = true;
  });
  end();
  await turn();
  await turn();
  expect(idle).toBe(false);
  end();
  await waiting;
  expect(idle).toBe(true);
});
