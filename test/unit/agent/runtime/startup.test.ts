import { expect, it } from 'vitest';
import type { Agent } from '../../../../src/agent/runtime/agent.ts';
import { type StartPolicy, watchStart } from '../../../../src/agent/runtime/startup.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';

function setup(policy: StartPolicy) {
  const clock = new ManualClock();
  const agent = { allRuns: false, someFlowRuns: false, someStarts: false, hopeless: false };
  let verdict: boolean | undefined;
  const watch = watchStart({ agent: agent as unknown as Agent, clock, policy, graceMs: 8_000, signal: new AbortController().signal }).then((up) => {
    verdict = up;
  });
  return { clock, agent, watch, verdict: () => verdict };
}

it('lets an agent run of which some flow runs', async () => {
  const { clock, agent, verdict } = setup('degraded');
  await clock.advance(3_000);
  agent.someFlowRuns = true;
  await clock.advance(100);
  expect(verdict()).toBe(true);
});

it('ends an agent of which nothing runs after its time', async () => {
  const { clock, verdict } = setup('degraded');
  await clock.advance(7_900);
  expect(verdict()).toBeUndefined();
  await clock.advance(200);
  expect(verdict()).toBe(false);
});

it('ends at once when time will change nothing', async () => {
  const { clock, agent, verdict } = setup('degraded');
  agent.hopeless = true;
  await clock.advance(100);
  expect(verdict()).toBe(false);
});

it('waits for a first attempt however long it takes', async () => {
  const { clock, agent, verdict } = setup('degraded');
  agent.someStarts = true;
  await clock.advance(60_000);
  expect(verdict()).toBeUndefined();
  agent.someStarts = false;
  await clock.advance(100);
  expect(verdict()).toBe(false);
});

it('wants everything with the policy exit, and nothing with retry', async () => {
  const all = setup('exit');
  all.agent.someFlowRuns = true;
  await all.clock.advance(8_100);
  expect(all.verdict()).toBe(false);
  const none = setup('retry');
  await none.watch;
  expect(none.verdict()).toBe(true);
});
