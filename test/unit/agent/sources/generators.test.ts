/** The sources that make their events themselves: seq and stress. */
import { describe, expect, it } from 'vitest';
import seq, { type SeqSource } from '../../../../src/agent/sources/seq.ts';
import stress, { type StressSource } from '../../../../src/agent/sources/stress.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { rig, TestOutput } from './source-harness.ts';

const never = new AbortController().signal;

describe('seq', () => {
  it('counts from 0, one event a batch, without headers', async () => {
    const { source, output } = rig<SeqSource>(seq, {});
    await source.start();
    for (let i = 0; i < 3; i++) expect(await source.poll(never)).toBe('ready');
    expect(output.bodies).toEqual(['0', '1', '2']);
    expect(output.batches).toEqual([1, 1, 1]);
    expect(output.events[0]?.headers).toEqual({});
  });

  it('ends with totalEvents, also in the middle of a batch, and begins anew with a start', async () => {
    const { source, output } = rig<SeqSource>(seq, { batchSize: '4', totalEvents: '10' });
    await source.start();
    expect([await source.poll(never), await source.poll(never), await source.poll(never), await source.poll(never)]).toEqual([
      'ready',
      'ready',
      'ready',
      'backoff',
    ]);
    expect(output.batches).toEqual([4, 4, 2]);
    await source.stop();
    await source.start();
    await source.poll(never);
    expect(output.bodies.slice(10)).toEqual(['0', '1', '2', '3']);
  });

  it('repeats the same numbers after a refusal', async () => {
    const output = new TestOutput();
    output.room = 2;
    const { source } = rig<SeqSource>(seq, { batchSize: '2' }, { output });
    await source.start();
    await source.poll(never);
    expect(await source.poll(never)).toBe('ready');
    output.room = 2;
    await source.poll(never);
    expect(output.bodies).toEqual(['0', '1', '2', '3']);
  });

  it('lets an error of an interceptor through to the runner', async () => {
    const { source, output } = rig<SeqSource>(seq, {});
    output.error = new TypeError('bug');
    await source.start();
    await expect(source.poll(never)).rejects.toThrow('bug');
  });

  it('refuses a batch size of 0', () => {
    expect(() => rig(seq, { batchSize: '0' })).toThrow('batchSize');
  });
});

describe('stress', () => {
  it('sends 500 bytes 0x7F unless told otherwise', async () => {
    const { source, output } = rig<StressSource>(stress, {});
    await source.start();
    await source.poll(never);
    expect(output.events[0]?.body.equals(Buffer.alloc(500, 0x7f))).toBe(true);
    const small = rig<StressSource>(stress, { size: '0', batchSize: '3' });
    await small.source.start();
    await small.source.poll(never);
    expect(small.output.bodies).toEqual(['', '', '']);
  });

  it('ends with maxTotalEvents, refused ones counted', async () => {
    const { source, output, ctx } = rig<StressSource>(stress, { batchSize: '4', maxTotalEvents: '10' });
    output.room = 4;
    await source.start();
    const outcomes = [];
    for (let i = 0; i < 4; i++) outcomes.push(await source.poll(never));
    expect(outcomes).toEqual(['ready', 'backoff', 'backoff', 'backoff']);
    expect(output.count).toBe(4);
    expect(ctx.extra.FailedCount).toBe(6);
  });

  it('ends with maxSuccessfulEvents', async () => {
    const { source, output } = rig<StressSource>(stress, { batchSize: '4', maxSuccessfulEvents: '6' });
    await source.start();
    for (let i = 0; i < 5; i++) await source.poll(never);
    expect(output.count).toBe(8);
    expect(await source.poll(never)).toBe('backoff');
  });

  it('keeps to maxEventsPerSecond, with a second of it saved up', async () => {
    const clock = new ManualClock();
    const { source, output } = rig<StressSource>(stress, { batchSize: '10', maxEventsPerSecond: '100' }, { clock });
    const stop = new AbortController();
    await source.start();
    const loop = (async () => {
      while (!stop.signal.aborted) await source.poll(stop.signal);
    })();
    for (let i = 0; i < 100; i++) await clock.advance(20);
    // Two seconds: the first batch goes at once, then one each 100 ms.
    expect(output.count).toBe(210);
    stop.abort();
    await loop;
    await clock.advance(60_000);
    const before = output.count;
    for (let i = 0; i < 10; i++) await source.poll(never);
    expect(output.count - before).toBe(100);
  });
});
