import { expect, test } from 'vitest';
import multiplexing from '../../../../src/agent/selectors/multiplexing.ts';
import { ConfigError } from '../../../../src/lib/errors.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

const CHANNELS = ['c1', 'c2', 'c3'];

function selector(raw: Record<string, string>) {
  const { config, unknown } = parseProperties(multiplexing.properties, Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
  expect(unknown).toEqual([]);
  const built = multiplexing.create(config as NonNullable<typeof config>, CHANNELS);
  return (headers: Record<string, string>) => built.route({ headers, body: Buffer.alloc(0) });
}

test('the value of the header decides; other values and none go to the default', () => {
  const route = selector({ header: 'state', 'mapping.CZ': 'c1', 'mapping.US': 'c1 c2', 'mapping.a.b.c': 'c2', default: 'c3' });
  expect(route({ state: 'CZ' })).toEqual({ required: [0], optional: [] });
  expect(route({ state: 'US' })).toEqual({ required: [0, 1], optional: [] });
  expect(route({ state: 'a.b.c' })).toEqual({ required: [1], optional: [] });
  for (const headers of [{}, { state: 'cz' }, { state: ' ' }, { other: 'CZ' }]) expect(route(headers)).toEqual({ required: [2], optional: [] });
});

test('the same route object every time', () => {
  const route = selector({ header: 's', 'mapping.a': 'c1', default: 'c2' });
  expect(route({ s: 'a' })).toBe(route({ s: 'a' }));
  expect(route({})).toBe(route({ s: 'z' }));
});

test('without a default what is not mapped has an empty route', () => {
  const route = selector({ 'mapping.a': 'c1' });
  expect(route({ 'flume.selector.header': 'a' })).toEqual({ required: [0], optional: [] });
  expect(route({ 'flume.selector.header': 'b' })).toEqual({ required: [], optional: [] });
});

test('optional channels less the required ones, also for values without a mapping', () => {
  const route = selector({ header: 's', 'mapping.a': 'c1', 'optional.a': 'c1 c2', 'optional.b': 'c1 c3', default: 'c3' });
  expect(route({ s: 'a' })).toEqual({ required: [0], optional: [1] });
  expect(route({ s: 'b' })).toEqual({ required: [2], optional: [0] });
});

test.each([{ 'mapping.a': 'c9' }, { default: 'c9' }, { 'optional.a': 'c1 c9' }])('an unknown channel is named: %j', (raw) => {
  expect(() => selector(raw)).toThrow(ConfigError);
  expect(() => selector(raw)).toThrow('"c9"');
});

test('a channel named twice is a finding, since it gets the event twice', () => {
  const config = { header: 'h', 'mapping.*': { a: 'c1 c1', b: 'c1 c2' }, default: ['c3', 'c3'], 'optional.*': {} };
  expect(multiplexing.check?.(config, {}).map((finding) => [finding.severity, finding.key])).toEqual([
    ['warning', 'default'],
    ['warning', 'mapping.a'],
  ]);
});
