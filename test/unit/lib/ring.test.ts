import { expect, it } from 'vitest';
import { Ring } from '../../../src/lib/ring.ts';

it('keeps order over the seam, refuses when full, and takes again after a shift', () => {
  const ring = new Ring<number>(3);
  expect(ring.shift()).toBeUndefined();
  for (let round = 0; round < 5; round++) {
    expect([ring.push(1), ring.push(2), ring.push(3), ring.push(4)]).toEqual([true, true, true, false]);
    expect(ring.shift()).toBe(1);
    expect(ring.push(4)).toBe(true);
    expect(ring.length).toBe(3);
    expect(ring.drain(2)).toEqual([2, 3]);
    expect(ring.drain(9)).toEqual([4]);
  }
});
