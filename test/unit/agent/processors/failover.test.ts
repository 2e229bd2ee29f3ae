import { describe, expect, test } from 'vitest';
import { eventOf } from '../../../../src/agent/core/event.ts';
import failover from '../../../../src/agent/processors/failover.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

const BATCH = [eventOf(Buffer.from('x'))];

function group(raw: Record<string, string>, names: string[]) {
  const clock = new ManualClock();
  const calls: string[] = [];
  const down = new Set<string>();
  const answers: Record<string, number> = {};
  const warnings: string[] = [];
  const { config } = parseProperties(failover.properties, Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
  const members = names.map((name) => ({
    name,
    async deliver() {
      calls.push(name);
      if (down.has(name)) throw new Error(`${name} is down`);
      return answers[name];
    },
  }));
  const log = { info: () => {}, warn: (...words: unknown[]) => warnings.push(String(words.at(-1))) };
  const processor = failover.create(config as NonNullable<typeof config>, members, { clock, log: log as never });
  /** Sinks called for one delivery. */
  const deliver = async (): Promise<string> => {
    calls.length = 0;
    const outcome = await processor.deliver(BATCH).then(
      () => '',
      (error: Error) => ` ! ${error.message}`,
    );
    return calls.join(' ') + outcome;
  };
  return { clock, down, answers, warnings, deliver, processor };
}

const THREE = { 'priority.k1': '5', 'priority.k2': '10', 'priority.k3': '1' };
const NONE_LEFT = '! All sinks failed to process, nothing left to failover to';

describe('order', () => {
  test('the highest priority delivers; the next takes over in the same call', async () => {
    const { deliver, down } = group(THREE, ['k1', 'k2', 'k3']);
    expect(await deliver()).toBe('k2');
    down.add('k2');
    expect(await deliver()).toBe('k2 k1');
    expect(await deliver()).toBe('k1');
    down.add('k1');
    expect(await deliver()).toBe('k1 k3');
  });

  test('sinks without a usable priority come last', async () => {
    const { deliver, down } = group({ 'priority.k2': '0', 'priority.k3': 'high' }, ['k1', 'k2', 'k3']);
    expect(await deliver()).toBe('k2');
    down.add('k2');
    expect(await deliver()).toBe('k2 k1');
    down.add('k1');
    expect(await deliver()).toBe('k1 k3');
  });

  test('of two sinks with one priority one is left out, with a warning', async () => {
    const { deliver, down, warnings } = group({ 'priority.k1': '5', 'priority.k2': '5' }, ['k1', 'k2']);
    expect(warnings).toEqual(['Sink k2 not added to FailverSinkProcessor as priority duplicates that of sink k1']);
    down.add('k1');
    expect(await deliver()).toBe(`k1 ${NONE_LEFT}`);
  });
});

describe('penalty', () => {
  test('2 s at first, doubled with each failed retry, and over only after it', async () => {
    const { deliver, down, clock } = group(THREE, ['k1', 'k2', 'k3']);
    down.add('k2');
    expect(await deliver()).toBe('k2 k1');
    await clock.advance(2000);
    expect(await deliver()).toBe('k1');
    await clock.advance(1);
    expect(await deliver()).toBe('k2 k1');
    await clock.advance(4000);
    expect(await deliver()).toBe('k1');
    await clock.advance(1);
    expect(await deliver()).toBe('k2 k1');
    await clock.advance(8000);
    expect(await deliver()).toBe('k1');
  });

  test('at most maxpenalty, also after many failures', async () => {
    const { deliver, down, clock } = group({ ...THREE, maxpenalty: '3000' }, ['k1', 'k2', 'k3']);
    down.add('k2');
    expect(await deliver()).toBe('k2 k1');
    await clock.advance(2001);
    for (let i = 0; i < 40; i++) {
      expect(await deliver()).toBe('k2 k1');
      await clock.advance(3001);
    }
  });

  test('a success ends it: the sink is active again if it is the highest', async () => {
    const { deliver, down, clock } = group(THREE, ['k1', 'k2', 'k3']);
    down.add('k2').add('k1');
    expect(await deliver()).toBe('k2 k1 k3');
    down.clear();
    await clock.advance(2001);
    expect(await deliver()).toBe('k2');
    expect(await deliver()).toBe('k1');
    expect(await deliver()).toBe('k2');
    down.add('k2');
    expect(await deliver()).toBe('k2 k1');
    await clock.advance(2000);
    expect(await deliver()).toBe('k1');
    await clock.advance(1);
    expect(await deliver()).toBe('k2 k1');
  });

  test('a retry that delivers nothing leaves the sink among the failed', async () => {
    const { deliver, down, answers, clock, processor } = group(THREE, ['k1', 'k2', 'k3']);
    down.add('k2');
    await deliver();
    down.clear();
    answers.k2 = 0;
    await clock.advance(2001);
    expect(await processor.deliver(BATCH)).toBe(0);
    down.add('k2');
    expect(await deliver()).toBe('k2 k1');
    // Its second failure in a row, so it sits out four seconds.
    await clock.advance(4000);
    expect(await deliver()).toBe('k1');
    await clock.advance(1);
    expect(await deliver()).toBe('k2 k1');
  });

  test('when all have failed a delivery fails at once, until a penalty ends', async () => {
    const { deliver, down, clock } = group({}, ['k1', 'k2']);
    down.add('k1').add('k2');
    expect(await deliver()).toBe(`k1 k2 ${NONE_LEFT}`);
    expect(await deliver()).toBe(` ${NONE_LEFT}`);
    down.delete('k2');
    await clock.advance(2001);
    expect(await deliver()).toBe('k1 k2');
    expect(await deliver()).toBe('k2');
  });
});

test('a priority for a sink that is not there is said', () => {
  expect(group({ 'priority.k9': '5' }, ['k1']).warnings).toEqual(['priority.k9 names no sink of this group']);
});

test('two sinks of one priority are a finding', () => {
  const config = { 'priority.*': { k1: '5', k2: '5', k3: '6' }, maxpenalty: 1 };
  expect(failover.check?.(config, {}).map((finding) => [finding.severity, finding.key])).toEqual([['warning', 'priority.k2']]);
});
