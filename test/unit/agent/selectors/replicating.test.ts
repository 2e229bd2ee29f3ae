import { expect, test } from 'vitest';
import replicating from '../../../../src/agent/selectors/replicating.ts';
import { ConfigError } from '../../../../src/lib/errors.ts';

test('all channels are required but the optional ones', () => {
  expect(replicating.create({ optional: [] }, ['c1', 'c2']).constant).toEqual({ required: [0, 1], optional: [] });
  expect(replicating.create({ optional: ['c3', 'c1'] }, ['c1', 'c2', 'c3']).constant).toEqual({ required: [1], optional: [0, 2] });
});

test('an unknown optional channel is named', () => {
  expect(() => replicating.create({ optional: ['c9'] }, ['c1'])).toThrow(ConfigError);
  expect(() => replicating.create({ optional: ['c9'] }, ['c1'])).toThrow('"c9"');
});
