import { expect, test } from 'vitest';
import { eventOf } from '../../../../src/agent/core/event.ts';
import loadBalancing from '../../../../src/agent/selectors/load-balancing.ts';

const event = eventOf(Buffer.alloc(0));

test('channels take turns', () => {
  const selector = loadBalancing.create({ policy: 'round_robin' }, ['c1', 'c2', 'c3']);
  expect(selector.constant).toBeUndefined();
  expect(Array.from({ length: 5 }, () => selector.route(event).required[0])).toEqual([0, 1, 2, 0, 1]);
});

test('by chance every channel gets some, one channel per event', () => {
  const selector = loadBalancing.create({ policy: 'random' }, ['c1', 'c2']);
  const routes = Array.from({ length: 200 }, () => selector.route(event).required);
  expect(routes.every((route) => route.length === 1)).toBe(true);
  expect(new Set(routes.map(([index]) => index))).toEqual(new Set([0, 1]));
});
