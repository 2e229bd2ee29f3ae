import { expect, it } from 'vitest';
import { Backoff } from '../../../src/lib/backoff.ts';

it('doubles up to its limit and starts over after a reset', () => {
  const backoff = new Backoff({ minMs: 1000, maxMs: 30_000, jitter: 0 });
  expect([1, 2, 3, 4, 5, 6, 7].map(() => backoff.next())).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  expect(backoff.attempts).toBe(7);
  backoff.reset();
  expect(backoff.next()).toBe(1000);
});

it('takes off at most its jitter', () => {
  const low = new Backoff({ minMs: 1000, maxMs: 30_000, jitter: 0.2, random: () => 0.999_999 });
  expect(low.next()).toBe(800);
  const high = new Backoff({ minMs: 1000, maxMs: 30_000, jitter: 0.2, random: () => 0 });
  expect(high.next()).toBe(1000);
});

it('does not overflow after very many failures', () => {
  const backoff = new Backoff({ minMs: 1, maxMs: 5000, jitter: 0 });
  for (let i = 0; i < 5000; i++) backoff.next();
  expect(backoff.next()).toBe(5000);
});
