import { expect, it } from 'vitest';
import { defineSource } from '../../../../src/agent/core/define.ts';
import { Agent } from '../../../../src/agent/runtime/agent.ts';
import { Complaint } from '../../../../src/agent/runtime/complaint.ts';
import { polling } from '../../../../src/agent/runtime/poll-loop.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { baseOf, channel, HandSink, Lines, model, noCatalog, passing, sink, source } from './fixture.ts';

function setup(outcomes: ('ready' | 'backoff' | Error)[]) {
  const clock = new ManualClock();
  const polls: number[] = [];
  const lines = new Lines();
  const life = polling(
    {
      start: async () => undefined,
      stop: async () => undefined,
      poll: async () => {
        polls.push(clock.monotonic());
        const outcome = outcomes.shift() ?? 'backoff';
        if (outcome instanceof Error) throw outcome;
        return outcome;
      },
    },
    { clock, complaint: new Complaint(clock, lines.logger()), incrementMs: 1_000, maxMs: 5_000, onError: () => undefined, onSuccess: () => undefined },
  );
  return { clock, polls, lines, life };
}

it('waits n × the increment up to the limit, and starts over after a ready', async () => {
  const { clock, polls, life } = setup(['backoff', 'backoff', 'ready', 'backoff', 'backoff']);
  await life.start();
  await clock.advance(3_000);
  expect(polls).toEqual([0, 1_000, 3_000, 3_000]);
  await clock.advance(1_000);
  expect(polls.at(-1)).toBe(4_000);
  await clock.advance(100_000);
  const gaps = polls.slice(1).map((at, i) => at - (polls[i] as number));
  expect(Math.max(...gaps)).toBe(5_000);
  await life.stop();
});

it('waits after an error too, and says it once', async () => {
  const { clock, polls, lines, life } = setup([passing('x'), passing('x'), passing('x'), 'ready']);
  await life.start();
  await clock.advance(6_000);
  expect(polls.slice(0, 4)).toEqual([0, 1_000, 3_000, 6_000]);
  expect(lines.all.filter((line) => line.startsWith('error'))).toHaveLength(1);
  expect(lines.all.at(-1)).toContain('works again after 3 failed attempts');
  await life.stop();
});

it('ends at once while it waits', async () => {
  const { polls, life } = setup([]);
  await life.start();
  await life.stop();
  await life.stop();
  expect(polls).toHaveLength(1);
});

it('has its waits from backoffSleepIncrement and maxBackoffSleep of the source', async () => {
  const clock = new ManualClock();
  const polls: number[] = [];
  const idle = defineSource({
    type: 'idle',
    summary: 'Has nothing.',
    properties: {},
    create: () => ({
      start: async () => undefined,
      stop: async () => undefined,
      poll: async () => {
        polls.push(clock.monotonic());
        return 'backoff' as const;
      },
    }),
  });
  const raw = { backoffSleepIncrement: { value: '10' }, maxBackoffSleep: { value: '25' } };
  const parts = { channels: [channel('c1')], sinks: [sink('k1', new HandSink().spec, 'c1')], sources: [source('r1', idle, ['c1'], { raw })] };
  const agent = new Agent({ model: model(parts), catalog: noCatalog, base: baseOf(new Lines(), clock), stopTimeoutMs: 0 });
  await agent.start();
  await clock.advance(85);
  await agent.stop();
  const [first = 0] = polls;
  expect(polls.map((at) => at - first)).toEqual([0, 10, 30, 55, 80]);
});
