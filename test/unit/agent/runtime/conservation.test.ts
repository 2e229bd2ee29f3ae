// received = delivered + in channel + dropped by reason, whatever happens to components and definition meanwhile.
import { describe, expect, it } from 'vitest';
import memory from '../../../../src/agent/channels/memory.ts';
import type { AgentModel } from '../../../../src/agent/config/model.ts';
import type { Channel } from '../../../../src/agent/core/channel.ts';
import { defineChannel } from '../../../../src/agent/core/define.ts';
import { Agent } from '../../../../src/agent/runtime/agent.ts';
import type { FlowSnapshot } from '../../../../src/agent/runtime/snapshot.ts';
import {
  baseOf,
  channel,
  eventually,
  fresh,
  HandSink,
  HandSource,
  interceptorOf,
  Lines,
  model,
  noCatalog,
  passing,
  selectorOf,
  sink,
  source,
} from './fixture.ts';

function agentOf(parts: Partial<AgentModel>, lines = new Lines()): Agent {
  return new Agent({ model: model(parts), catalog: noCatalog, base: baseOf(lines), stopTimeoutMs: 200 });
}

function flowOf(agent: Agent, name = 'c1'): FlowSnapshot {
  return agent.snapshot().flows.find((flow) => flow.channel === name) as FlowSnapshot;
}

function oneFlow(raw?: Readonly<Record<string, string>>, spec?: Parameters<typeof channel>[2]) {
  const from = new HandSource();
  const to = new HandSink();
  const parts = { channels: [channel('c1', raw, spec)], sinks: [sink('k1', to.spec, 'c1')], sources: [source('r1', from.spec, ['c1'])] };
  return { from, to, parts };
}

/** The memory channel, but not one that takes changed properties over while it runs. */
const { adopt: _without, ...stiff } = memory;
const rigid = stiff as typeof memory;

describe('a flow', () => {
  it('has no gap while a put, or a commit, is under way for long', async () => {
    let stored: () => void = () => undefined;
    let gone: () => void = () => undefined;
    const slow = defineChannel({
      ...stiff,
      create: (config, ctx) => {
        const inner = memory.create(config as never, ctx);
        return {
          start: () => inner.start(),
          stop: () => inner.stop(),
          gauges: () => inner.gauges(),
          put: async (batch, signal) => {
            await inner.put(batch, signal);
            await new Promise<void>((resolve) => {
              stored = resolve;
            });
          },
          take: async (max, signal) => {
            const lease = await inner.take(max, signal);
            if (lease === null) return null;
            const commit = async (count?: number): Promise<void> => {
              await lease.commit(count);
              await new Promise<void>((resolve) => {
                gone = resolve;
              });
            };
            return { events: lease.events, commit, rollback: () => lease.rollback() };
          },
        } satisfies Channel;
      },
    });
    const { from, to, parts } = oneFlow(undefined, slow);
    to.deliverError = passing('not yet');
    const agent = agentOf(parts);
    await agent.start();
    const putting = from.put('1', '2');
    await eventually(() => flowOf(agent).inChannel === 2);
    expect(flowOf(agent)).toMatchObject({ received: 0, gap: 0 });
    stored();
    await putting;
    expect(flowOf(agent)).toMatchObject({ received: 2, gap: 0 });
    to.deliverError = undefined;
    await eventually(() => flowOf(agent).inChannel === 0);
    expect(flowOf(agent)).toMatchObject({ received: 2, delivered: 0, gap: 0 });
    gone();
    await eventually(() => flowOf(agent).delivered === 2);
    expect(flowOf(agent)).toMatchObject({ received: 2, delivered: 2, gap: 0 });
    await agent.stop();
  });

  it('shows a gap when a channel loses or doubles events', async () => {
    let bias = 0;
    const liar = defineChannel({
      ...stiff,
      create: (config, ctx) => {
        const inner = memory.create(config as never, ctx);
        const gauges = () => ({ ...inner.gauges(), size: inner.gauges().size + bias });
        return { start: () => inner.start(), stop: () => inner.stop(), gauges, put: (b, s) => inner.put(b, s), take: (m, s) => inner.take(m, s) };
      },
    });
    const { from, to, parts } = oneFlow(undefined, liar);
    const agent = agentOf(parts);
    await agent.start();
    await from.put('1', '2', '3');
    await eventually(() => to.got.length === 3 && flowOf(agent).delivered === 3);
    expect(flowOf(agent).gap).toBe(0);
    bias = 1;
    expect(flowOf(agent)).toMatchObject({ gap: -1 });
    bias = 0;
    await agent.stop();
  });

  it('has no gap after its source and its sink died and were started again', async () => {
    const { from, to, parts } = oneFlow();
    const agent = agentOf(parts);
    await agent.start();
    await from.put('1');
    to.deliverError = passing('gone');
    await from.put('2');
    from.ctx?.failed(new Error('the listener died'));
    await eventually(() => from.starts.length === 2);
    to.deliverError = undefined;
    await from.put('3');
    await eventually(() => flowOf(agent).delivered === 3);
    expect(to.got).toEqual(['1', '2', '3']);
    expect(flowOf(agent)).toMatchObject({ received: 3, delivered: 3, inChannel: 0, gap: 0 });
    await agent.stop();
  });

  it('books what interceptors take out: by flow where the route is known, by source where it is not', async () => {
    const odd = interceptorOf('i1', (batch) => batch.filter((event) => Number(event.body) % 2 === 1));
    const { from, parts } = oneFlow();
    const other = new HandSource();
    const route = { required: [0], optional: [] };
    const agent = agentOf({
      ...parts,
      channels: [...parts.channels, channel('c2')],
      sinks: [...parts.sinks, sink('k2', new HandSink().spec, 'c2')],
      sources: [
        source('r1', from.spec, ['c1'], { interceptors: [odd] }),
        source('r2', other.spec, ['c2'], { interceptors: [odd], selector: selectorOf(() => ({ route: () => route })) }),
      ],
    });
    await agent.start();
    await from.put('1', '2', '3');
    await other.put('1', '2', '3', '4', '5');
    await eventually(() => flowOf(agent).delivered === 2 && flowOf(agent, 'c2').delivered === 3);
    expect(flowOf(agent)).toMatchObject({ received: 3, delivered: 2, dropped: { interceptor: 1 }, gap: 0 });
    expect(flowOf(agent, 'c2')).toMatchObject({ received: 3, delivered: 3, dropped: {}, gap: 0 });
    expect(agent.snapshot().filtered).toEqual({ r1: 0, r2: 2 });
    await agent.stop();
  });
});

describe('a changed definition', () => {
  it('is taken back when a smaller channel has no room for what its predecessor holds, and nothing is lost', async () => {
    const { from, to, parts } = oneFlow({ capacity: '100', 'keep-alive': '0' }, rigid);
    to.deliverError = passing('down');
    const agent = agentOf(parts);
    await agent.start();
    for (let i = 0; i < 30; i++) await from.put(`${i}`);
    const small = { ...parts, channels: [channel('c1', { capacity: '20', transactionCapacity: '10', 'keep-alive': '0' }, rigid)] };
    await expect(agent.apply(model(small))).rejects.toThrow(/channel c1 has no room for 10 events of its predecessor.*the previous definition runs again/);
    expect(flowOf(agent)).toMatchObject({ received: 30, inChannel: 30, dropped: {}, gap: 0 });
    to.deliverError = undefined;
    await eventually(() => to.got.length === 30);
    expect(to.got).toEqual(Array.from({ length: 30 }, (_, i) => `${i}`));
    await agent.stop();
  });

  it('with a smaller channel takes all over while the sink works', async () => {
    const { from, to, parts } = oneFlow({ capacity: '100' }, rigid);
    to.deliverError = passing('down');
    const agent = agentOf(parts);
    await agent.start();
    for (let i = 0; i < 60; i++) await from.put(`${i}`);
    const better = new HandSink();
    await agent.apply(
      model({
        ...parts,
        channels: [channel('c1', { capacity: '5', transactionCapacity: '5' }, rigid)],
        sinks: [sink('k1', better.spec, 'c1', { fingerprint: fresh() })],
      }),
    );
    await eventually(() => flowOf(agent).delivered === 60);
    expect(better.got).toEqual(Array.from({ length: 60 }, (_, i) => `${i}`));
    expect(flowOf(agent)).toMatchObject({ received: 60, delivered: 60, gap: 0 });
    await agent.stop();
  });

  it('says in numbers what a channel that is taken out could not deliver', async () => {
    const { from, to, parts } = oneFlow();
    to.deliverError = passing('down');
    const lines = new Lines();
    const agent = agentOf(parts, lines);
    await agent.start();
    await from.put('1', '2', '3');
    const other = oneFlow();
    await agent.apply(model({ channels: [channel('c9')], sinks: [sink('k9', other.to.spec, 'c9')], sources: [source('r9', other.from.spec, ['c9'])] }));
    expect(lines.all).toContain('warn channel c1 leaves the definition with 3 events that could not be delivered and are lost');
    await agent.stop();
  });
});
