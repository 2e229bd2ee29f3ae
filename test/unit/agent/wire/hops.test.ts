import { expect, it } from 'vitest';
import { hopsOf } from '../../../../src/agent/wire/hops.ts';

it.each([
  [{}, -1],
  [{ topic: 't' }, -1],
  [{ partition: '0' }, -1],
  [{ partition: '0', offset: '5' }, 0],
  [{ 'millrace.hops': '3' }, 3],
  [{ 'millrace.hops': 'many', partition: '0', offset: '5' }, 0],
])('hopsOf(%o) is %i', (headers, expected) => expect(hopsOf(headers as Record<string, string>)).toBe(expected));
