import { expect, it } from 'vitest';
import { editDistance, nearest } from '../../../src/lib/suggest.ts';

it.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['abc', '', 3],
  ['abc', 'abd', 1],
  ['abc', 'acb', 1],
  ['abc', 'ab', 1],
  ['kitten', 'sitting', 3],
  ['ca', 'abc', 3],
])('%s and %s are %i apart', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

it.each([
  ['checkpontDir', 'checkpointDir'],
  ['spooldir', 'spoolDir'],
  ['batch-size', 'batchSize'],
  ['tranactionCapacity', 'transactionCapacity'],
  ['zzz', undefined],
  ['x', undefined],
])('%s: %s', (word, expected) => {
  expect(nearest(word, ['checkpointDir', 'spoolDir', 'batchSize', 'transactionCapacity', 'a', 'b'])).toBe(expected);
});

it('never suggests the word itself', () => {
  expect(nearest('port', ['port'])).toBeUndefined();
});
