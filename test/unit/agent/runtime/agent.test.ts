import { describe, expect, it } from 'vitest';
import type { AgentModel } from '../../../../src/agent/config/model.ts';
import { defineSink, defineSource } from '../../../../src/agent/core/define.ts';
import { Agent } from '../../../../src/agent/runtime/agent.ts';
import { isEmpty } from '../../../../src/agent/runtime/changes.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { ConfigError } from '../../../../src/lib/errors.ts';
import { baseOf, channel, eventually, fresh, group, HandSink, HandSource, interceptorOf, Lines, model, noCatalog, passing, sink, source } from './fixture.ts';

function agentOf(parts: Partial<AgentModel>, stopTimeoutMs = 2_000, lines = new Lines()): Agent {
  return new Agent({ model: model(parts), catalog: noCatalog, base: baseOf(lines), stopTimeoutMs });
}

function oneFlow(raw?: Readonly<Record<string, string>>) {
  const from = new HandSource();
  const to = new HandSink();
  const parts = { channels: [channel('c1', raw)], sinks: [sink('k1', to.spec, 'c1')], sources: [source('r1', from.spec, ['c1'])] };
  return { from, to, parts };
}

describe('Agent', () => {
  it('carries events from source to sink, in order', async () => {
    const { from, to, parts } = oneFlow();
    const agent = agentOf(parts);
    await agent.start();
    await from.put('1', '2', '3');
    await from.put('4');
    await eventually(() => to.got.length === 4);
    expect(to.got).toEqual(['1', '2', '3', '4']);
    expect(agent.snapshot().status).toBe('running');
    expect(agent.snapshot().flows).toMatchObject([{ channel: 'c1', sources: ['r1'], sinks: ['k1'], received: 4, delivered: 4, inChannel: 0, gap: 0 }]);
    expect(await agent.stop()).toEqual([]);
    expect(agent.snapshot().status).toBe('stopped');
  });

  it('starts channels, sinks, sources and stops sources, sinks, channels', async () => {
    const steps: string[] = [];
    const noted = (name: string) => ({
      start: async () => void steps.push(`start ${name}`),
      stop: async () => void steps.push(`stop ${name}`),
    });
    const aSource = defineSource({ type: 's', summary: '', properties: {}, create: () => noted('source') });
    const aSink = defineSink({ type: 's', summary: '', properties: {}, create: () => ({ ...noted('sink'), deliver: async () => undefined }) });
    const aChannel = {
      kind: 'channel' as const,
      type: 'c',
      summary: '',
      properties: {},
      create: () => ({
        ...noted('channel'),
        put: async () => undefined,
        take: (_max: number, signal: AbortSignal) => new Promise<null>((resolve) => signal.addEventListener('abort', () => resolve(null))),
        gauges: () => ({ size: 0, capacity: 1, lent: 0 }),
      }),
    };
    const agent = agentOf({ channels: [channel('c1', {}, aChannel)], sinks: [sink('k1', aSink, 'c1')], sources: [source('r1', aSource, ['c1'])] });
    await agent.start();
    await agent.stop();
    expect(steps).toEqual(['start channel', 'start sink', 'start source', 'stop source', 'stop sink', 'stop channel']);
  });

  it('drains the memory channel before it stops', async () => {
    const { from, to, parts } = oneFlow();
    to.before = () => new Promise((resolve) => setTimeout(resolve, 20));
    const agent = agentOf(parts);
    await agent.start();
    for (let i = 0; i < 500; i++) await from.put(`${i}`);
    expect(await agent.stop()).toEqual([]);
    expect(to.got).toHaveLength(500);
  });

  it('says in numbers what a dead sink left behind, and stops in time', async () => {
    const { from, to, parts } = oneFlow();
    const lines = new Lines();
    to.deliverError = passing('the other end is gone');
    const agent = agentOf(parts, 300, lines);
    await agent.start();
    for (let i = 0; i < 7; i++) await from.put(`${i}`);
    const began = performance.now();
    expect(await agent.stop()).toEqual([{ channel: 'c1', events: 7 }]);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(lines.all.join('\n')).toContain('channel c1 still held 7 events, which are lost now');
  });

  it('does not wait for a sink that hangs longer than it may', async () => {
    const { from, to, parts } = oneFlow();
    const lines = new Lines();
    to.before = () => new Promise(() => undefined);
    const agent = agentOf(parts, 300, lines);
    await agent.start();
    await from.put('1');
    expect(await agent.stop()).toEqual([{ channel: 'c1', events: 1 }]);
    expect(lines.all.join('\n')).toContain('did not stop in time');
  });

  it('keeps events of failed deliveries and delivers them when the sink works again', async () => {
    const { from, to, parts } = oneFlow();
    to.deliverError = passing('refused');
    const agent = agentOf(parts);
    await agent.start();
    await from.put('1', '2');
    await eventually(() => agent.snapshot().components.find((each) => each.name === 'k1')?.status === 'degraded');
    expect(agent.snapshot().flows[0]).toMatchObject({ received: 2, delivered: 0, inChannel: 2, gap: 0 });
    to.deliverError = undefined;
    await agent.stop();
    expect(to.got).toEqual(['1', '2']);
  });

  it('commits the part of a batch that a sink delivered', async () => {
    const { from, to, parts } = oneFlow();
    to.most = 2;
    const agent = agentOf(parts);
    await agent.start();
    await from.put('1', '2', '3', '4', '5');
    await eventually(() => to.got.length === 5);
    expect(to.got).toEqual(['1', '2', '3', '4', '5']);
    expect(agent.snapshot().components.find((each) => each.name === 'k1')?.counters).toMatchObject({ EventDrainSuccessCount: 5, EventWriteFail: 0 });
    await agent.stop();
  });

  it('replicates to all channels and books what interceptors dropped', async () => {
    const from = new HandSource();
    const [a, b] = [new HandSink(), new HandSink()];
    const odd = interceptorOf('i1', (batch) => batch.filter((event) => Number(event.body.toString()) % 2 === 1));
    const agent = agentOf({
      channels: [channel('c1'), channel('c2')],
      sinks: [sink('k1', a.spec, 'c1'), sink('k2', b.spec, 'c2')],
      sources: [source('r1', from.spec, ['c1', 'c2'], { interceptors: [odd] })],
    });
    await agent.start();
    await from.put('1', '2', '3', '4', '5');
    await from.put('6');
    await eventually(() => a.got.length === 3 && b.got.length === 3);
    for (const flow of agent.snapshot().flows) expect(flow).toMatchObject({ received: 6, delivered: 3, dropped: { interceptor: 3 }, gap: 0 });
    expect(agent.snapshot().components.find((each) => each.name === 'r1')?.counters).toMatchObject({ EventReceivedCount: 6, EventAcceptedCount: 6 });
    await agent.stop();
  });

  it('starts a flow whose sink works although another sink does not', async () => {
    const { from, to, parts } = oneFlow();
    const broken = new HandSink();
    broken.startError = new ConfigError('no such directory');
    const agent = agentOf({ ...parts, channels: [...parts.channels, channel('c2')], sinks: [...parts.sinks, sink('k2', broken.spec, 'c2')] });
    await agent.start();
    expect([agent.someFlowRuns, agent.snapshot().status]).toEqual([true, 'degraded']);
    await from.put('1');
    await eventually(() => to.got.length === 1);
    await agent.stop();
  });

  it('starts its sources although a sink hangs in its start', async () => {
    const { from, parts } = oneFlow();
    const clock = new ManualClock();
    const hanging = defineSink({
      type: 'hanging',
      summary: '',
      properties: {},
      create: () => ({ start: () => new Promise(() => undefined), deliver: async () => undefined }),
    });
    const agent = new Agent({
      model: model({ ...parts, channels: [...parts.channels, channel('c2')], sinks: [...parts.sinks, sink('k2', hanging, 'c2')] }),
      catalog: noCatalog,
      base: baseOf(new Lines(), clock),
      stopTimeoutMs: 100,
    });
    const pass = async (work: Promise<unknown>): Promise<void> => {
      let done = false;
      void work.then(() => {
        done = true;
      });
      while (!done) await clock.advance(100);
    };
    await pass(agent.start());
    expect(clock.monotonic()).toBeLessThan(6_000);
    expect([from.starts.length, agent.someFlowRuns, agent.someStarts]).toEqual([1, true, true]);
    await pass(agent.stop());
  });

  it('does not drain for a sink that will never run', async () => {
    const { from, to, parts } = oneFlow();
    to.startError = new ConfigError('no');
    const agent = agentOf(parts, 60_000);
    await agent.start();
    await from.put('1');
    expect(await agent.stop()).toEqual([{ channel: 'c1', events: 1 }]);
  });

  it('knows when nothing runs, and when nothing ever will', async () => {
    const { from, parts } = oneFlow();
    from.startError = passing('port in use');
    const agent = agentOf(parts);
    await agent.start();
    expect([agent.someFlowRuns, agent.someStarts, agent.hopeless, agent.snapshot().status]).toEqual([false, false, false, 'failed']);
    await agent.stop();
    const other = oneFlow();
    other.from.startError = new ConfigError('no');
    const hopeless = agentOf(other.parts);
    await hopeless.start();
    expect(hopeless.hopeless).toBe(true);
    await hopeless.stop();
    // Its source and its sink run, but the only channel never will.
    const { parts: rest } = oneFlow();
    const refusing = {
      ...rest.channels[0]!.spec,
      create: () => ({ start: () => Promise.reject(new ConfigError('no')), stop: async () => undefined, gauges: () => ({ size: 0, capacity: 1, lent: 0 }) }),
    };
    const channelless = agentOf({ ...rest, channels: [channel('c1', {}, refusing as never)] });
    await channelless.start();
    expect(channelless.hopeless).toBe(true);
    await channelless.stop();
  });

  it('delivers through a group, and through the next member when one fails', async () => {
    const from = new HandSource();
    const [a, b] = [new HandSink(), new HandSink()];
    a.deliverError = passing('down');
    const agent = agentOf({
      channels: [channel('c1')],
      sinks: [sink('k1', a.spec, 'c1'), sink('k2', b.spec, 'c1')],
      groups: [group('g1', ['k1', 'k2'])],
      sources: [source('r1', from.spec, ['c1'])],
    });
    await agent.start();
    await from.put('1', '2');
    await eventually(() => b.got.length === 2);
    const rows = agent.snapshot().components;
    expect(rows.find((row) => row.name === 'k2')?.counters.EventDrainSuccessCount).toBe(2);
    expect(rows.find((row) => row.name === 'k1')?.counters.EventDrainSuccessCount).toBe(0);
    expect(rows.find((row) => row.name === 'k1')).toMatchObject({ group: 'g1', status: 'degraded' });
    await agent.stop();
  });
});

describe('Agent.apply', () => {
  it('touches nothing when nothing changed', async () => {
    const { from, to, parts } = oneFlow();
    const agent = agentOf(parts);
    await agent.start();
    expect(isEmpty(await agent.apply(model({ ...parts })))).toBe(true);
    expect([from.starts.length, from.stops, to.stops]).toEqual([1, 0, 0]);
    await agent.stop();
  });

  it('replaces a changed sink, leaving source and channel with its events alone', async () => {
    const { from, to, parts } = oneFlow();
    to.deliverError = passing('down');
    const agent = agentOf(parts);
    await agent.start();
    await from.put('1', '2', '3');
    const better = new HandSink();
    await agent.apply(model({ ...parts, sinks: [sink('k1', better.spec, 'c1', { fingerprint: fresh() })] }));
    await eventually(() => better.got.length === 3);
    expect([from.starts.length, from.stops, to.stops]).toEqual([1, 0, 1]);
    expect(agent.snapshot().flows[0]).toMatchObject({ received: 3, delivered: 3, gap: 0 });
    await agent.stop();
  });

  it('resizes a running memory channel without losing an event', async () => {
    const { from, to, parts } = oneFlow({ capacity: '10', transactionCapacity: '10', 'keep-alive': '0' });
    to.deliverError = passing('down');
    const agent = agentOf(parts);
    await agent.start();
    for (let i = 0; i < 10; i++) await from.put(`${i}`);
    await expect(from.put('x')).rejects.toThrow();
    const wider = channel('c1', { capacity: '20', transactionCapacity: '10', 'keep-alive': '0' });
    const { adopted, stop } = await agent.apply(model({ ...parts, channels: [wider] }));
    expect([adopted, stop.sources, from.stops]).toEqual([['c1'], [], 0]);
    await from.put('10');
    to.deliverError = undefined;
    await agent.stop();
    expect(to.got).toEqual(Array.from({ length: 11 }, (_, i) => `${i}`));
  });

  it('adds and removes whole flows', async () => {
    const one = oneFlow();
    const agent = agentOf(one.parts);
    await agent.start();
    const from = new HandSource();
    const to = new HandSink();
    const two = {
      channels: [...one.parts.channels, channel('c2')],
      sinks: [...one.parts.sinks, sink('k2', to.spec, 'c2')],
      sources: [...one.parts.sources, source('r2', from.spec, ['c2'])],
    };
    await agent.apply(model(two));
    await from.put('1');
    await eventually(() => to.got.length === 1);
    await agent.apply(model(one.parts));
    expect([from.stops, to.stops, one.from.stops]).toEqual([1, 1, 0]);
    expect(agent.snapshot().components.map((row) => row.name)).toEqual(['c1', 'k1', 'r1']);
    await agent.stop();
  });

  it('brings the old parts back when a new one cannot start', async () => {
    const { from, to, parts } = oneFlow();
    const agent = agentOf(parts);
    await agent.start();
    const bad = new HandSource();
    bad.startError = passing('port 1 is taken');
    const next = model({ ...parts, sources: [source('r1', bad.spec, ['c1'], { fingerprint: fresh() })] });
    await expect(agent.apply(next)).rejects.toThrow('port 1 is taken; the previous definition runs again');
    expect(bad.stops).toBeGreaterThan(0);
    expect(from.starts.length).toBe(2);
    await from.put('still here');
    await eventually(() => to.got.length === 1);
    expect(agent.snapshot()).toMatchObject({ status: 'running', reloads: { applied: 0, refused: 1 } });
    await agent.stop();
  });

  it('moves events from a channel that is built anew to its successor', async () => {
    const { from, to, parts } = oneFlow();
    to.deliverError = passing('down');
    const agent = agentOf(parts, 200);
    await agent.start();
    await from.put('1', '2', '3');
    const sinkAfter = new HandSink();
    const { adopt: _without, ...rigid } = parts.channels[0]!.spec as never as Record<string, unknown>;
    const next = model({
      channels: [channel('c1', { capacity: '500' }, rigid as never)],
      sinks: [sink('k1', sinkAfter.spec, 'c1', { fingerprint: fresh() })],
      sources: parts.sources,
    });
    await agent.apply(next);
    await eventually(() => sinkAfter.got.length === 3);
    expect(sinkAfter.got).toEqual(['1', '2', '3']);
    expect(agent.snapshot().flows[0]).toMatchObject({ received: 3, delivered: 3, gap: 0 });
    await agent.stop();
  });
});
