/** How long a sink runner leaves a failing sink alone: Flume's n × 1 s, at most 5 s, shortened by chance by up to a fifth. */
import { expect, test } from 'vitest';
import { Agent } from '../../../../src/agent/runtime/agent.ts';
import { type Clock, systemClock } from '../../../../src/lib/clock.ts';
import { baseOf, channel, eventually, HandSink, HandSource, Lines, model, noCatalog, passing, sink, source } from './fixture.ts';

test('waits longer after each failure in a row, up to five seconds, and begins anew after a delivery', async () => {
  const from = new HandSource();
  const to = new HandSink();
  const waits: number[] = [];
  const clock: Clock = {
    ...systemClock,
    // While the sink fails only its runner waits; that is over at once, but not before others had their turn.
    sleep: async (ms, signal) => {
      if (to.deliverError === undefined) return systemClock.sleep(ms, signal);
      waits.push(ms);
      if (waits.length === 7 || waits.length === 9) to.deliverError = undefined;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
  const parts = { channels: [channel('c1')], sinks: [sink('k1', to.spec, 'c1')], sources: [source('r1', from.spec, ['c1'])] };
  const agent = new Agent({ model: model(parts), catalog: noCatalog, base: baseOf(new Lines(), clock), stopTimeoutMs: 2_000 });
  await agent.start();
  for (const count of [1, 2]) {
    to.deliverError = passing('not now');
    await from.put(`${count}`);
    await eventually(() => to.got.length === count);
  }
  await agent.stop();
  const full = [1, 2, 3, 4, 5, 5, 5, 1, 2].map((seconds) => seconds * 1000);
  expect(waits).toHaveLength(full.length);
  expect(waits.filter((ms, i) => ms > full[i]! || ms < full[i]! * 0.8)).toEqual([]);
});
