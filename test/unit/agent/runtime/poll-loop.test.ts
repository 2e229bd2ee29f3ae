import { expect, it } from 'vitest';
import { Complaint } from '../../../../src/agent/runtime/complaint.ts';
import { polling } from '../../../../src/agent/runtime/poll-loop.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { Lines, passing } from './fixture.ts';

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
