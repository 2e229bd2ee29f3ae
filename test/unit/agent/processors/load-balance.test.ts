import { expect, test } from 'vitest';
import { eventOf } from '../../../../src/agent/core/event.ts';
import loadBalance from '../../../../src/agent/processors/load-balance.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { ConfigError } from '../../../../src/lib/errors.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

const BATCH = [eventOf(Buffer.from('x'))];
const ALL_FAILED = '! All configured sinks have failed';

function group(raw: Record<string, string>, names: string[]) {
  const clock = new ManualClock();
  const calls: string[] = [];
  const down = new Set<string>();
  const { config } = parseProperties(loadBalance.properties, Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
  const members = names.map((name) => ({
    name,
    async deliver() {
      calls.push(name);
      if (down.has(name)) throw new Error(`${name} is down`);
    },
  }));
  const processor = loadBalance.create(config as NonNullable<typeof config>, members, { clock, log: { warn: () => {} } as never });
  const deliver = async (): Promise<string> => {
    calls.length = 0;
    const outcome = await processor.deliver(BATCH).then(
      () => '',
      (error: Error) => ` ${error.message.replace(/^/, '! ')}`,
    );
    return calls.join(' ') + outcome;
  };
  return { clock, down, deliver };
}

test('sinks take turns, and the next gets the batch when one fails', async () => {
  const { deliver, down } = group({}, ['k1', 'k2', 'k3']);
  expect([await deliver(), await deliver(), await deliver(), await deliver()]).toEqual(['k1', 'k2', 'k3', 'k1']);
  down.add('k2').add('k3');
  expect(await deliver()).toBe('k2 k3 k1');
  down.add('k1');
  expect(await deliver()).toBe(`k3 k1 k2 ${ALL_FAILED}`);
});

test('without backoff a failed sink keeps its turn', async () => {
  const { deliver, down } = group({}, ['k1', 'k2']);
  down.add('k1');
  expect([await deliver(), await deliver(), await deliver()]).toEqual(['k1 k2', 'k2', 'k1 k2']);
});

test('with backoff a failed sink is left out: 2 s, 4 s, … up to maxTimeOut', async () => {
  const { deliver, down, clock } = group({ backoff: 'true', 'selector.maxTimeOut': '5000' }, ['k1', 'k2']);
  down.add('k1');
  const called = async () => new Set([await deliver(), await deliver()].join(' ').split(' '));
  for (const leftOutMs of [2000, 4000, 5000, 5000]) {
    expect(await called()).toContain('k1');
    await clock.advance(leftOutMs);
    expect(await called()).not.toContain('k1');
    await clock.advance(1);
  }
});

test('a failure long after the last begins again at 2 s', async () => {
  const { deliver, down, clock } = group({ backoff: 'true' }, ['k1', 'k2']);
  down.add('k1');
  await deliver();
  await clock.advance(2001);
  await deliver();
  await deliver();
  await clock.advance(3_600_000 + 4000);
  await deliver();
  await deliver();
  await clock.advance(2001);
  expect(new Set([await deliver(), await deliver()].join(' ').split(' '))).toContain('k1');
});

test('all sinks backing off is a failure without a try', async () => {
  const { deliver, down } = group({ backoff: 'true' }, ['k1', 'k2']);
  down.add('k1').add('k2');
  expect(await deliver()).toBe(`k1 k2 ${ALL_FAILED}`);
  expect(await deliver()).toBe(` ${ALL_FAILED}`);
});

test('random: every sink gets its share, and all are tried when they fail', async () => {
  const { deliver, down } = group({ selector: 'RANDOM' }, ['k1', 'k2', 'k3']);
  const seen = new Set<string>();
  for (let i = 0; i < 200; i++) seen.add(await deliver());
  expect(seen).toEqual(new Set(['k1', 'k2', 'k3']));
  down.add('k1').add('k2').add('k3');
  const tried = (await deliver()).replace(` ${ALL_FAILED}`, '').split(' ').sort();
  expect(tried).toEqual(['k1', 'k2', 'k3']);
});

test('one sink is too few', () => {
  expect(() => group({}, ['k1'])).toThrow(ConfigError);
});
