import { afterEach, describe, expect, it } from 'vitest';
import type { AgentModel } from '../../../../src/agent/config/model.ts';
import { defineChannel } from '../../../../src/agent/core/define.ts';
import type { Event } from '../../../../src/agent/core/event.ts';
import { Agent } from '../../../../src/agent/runtime/agent.ts';
import { baseOf, channel, eventually, HandSink, HandSource, interceptorOf, model, noCatalog, passing, selectorOf, sink, source } from './fixture.ts';

const agents: Agent[] = [];
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop();
});

async function started(parts: Partial<AgentModel>): Promise<Agent> {
  const agent = new Agent({ model: model(parts), catalog: noCatalog, base: baseOf(), stopTimeoutMs: 1_000 });
  agents.push(agent);
  await agent.start();
  return agent;
}

/** A channel that notes the batches it is handed, and refuses when told to. */
class Notes {
  readonly batches: (readonly Event[])[] = [];
  refusal: Error | undefined;
  readonly spec = defineChannel({
    type: 'notes',
    summary: 'Notes.',
    properties: {},
    facts: () => ({ transactionCapacity: 3 }),
    create: () => ({
      start: async () => undefined,
      stop: async () => undefined,
      put: async (batch) => {
        if (this.refusal !== undefined) throw this.refusal;
        this.batches.push(batch);
      },
      take: (_max, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(null), { once: true })),
      gauges: () => ({ size: this.batches.flat().length, capacity: 0, lent: 0 }),
    }),
  });

  get bodies(): string[] {
    return this.batches.flat().map((event) => event.body.toString());
  }
}

/** Sends by the first letter: `a…` to channel 0, `b…` to 1, `o…` optionally to 1, the rest nowhere. */
const byLetter = selectorOf(() => {
  const routes = {
    a: { required: [0], optional: [] },
    b: { required: [1], optional: [] },
    o: { required: [0], optional: [1] },
    other: { required: [], optional: [] },
  };
  return { route: (event) => routes[event.body.toString()[0] as 'a'] ?? routes.other };
});

describe('a source’s output', () => {
  it('hands the same array to all channels when the route is constant', async () => {
    const from = new HandSource();
    const [one, two] = [new Notes(), new Notes()];
    await started({ channels: [channel('c1', {}, one.spec), channel('c2', {}, two.spec)], sources: [source('r1', from.spec, ['c1', 'c2'])] });
    await from.put('1', '2');
    expect(one.batches[0]).toBe(two.batches[0]);
  });

  it('splits by selector, keeping the order in each channel, and counts what goes nowhere', async () => {
    const from = new HandSource();
    const [one, two] = [new Notes(), new Notes()];
    const agent = await started({
      channels: [channel('c1', {}, one.spec), channel('c2', {}, two.spec)],
      sources: [source('r1', from.spec, ['c1', 'c2'], { selector: byLetter })],
    });
    await from.put('a1', 'b1', 'x');
    await from.put('b2', 'a2', 'o1');
    expect([one.bodies, two.bodies]).toEqual([
      ['a1', 'a2', 'o1'],
      ['b1', 'b2', 'o1'],
    ]);
    expect(agent.snapshot().unrouted).toEqual({ r1: 1 });
    expect(agent.snapshot().flows).toMatchObject([
      { received: 3, gap: 0 },
      { received: 3, gap: 0 },
    ]);
  });

  it('fails when a required channel refuses, and counts it', async () => {
    const from = new HandSource();
    const [one, two] = [new Notes(), new Notes()];
    two.refusal = passing('full');
    const agent = await started({ channels: [channel('c1', {}, one.spec), channel('c2', {}, two.spec)], sources: [source('r1', from.spec, ['c1', 'c2'])] });
    await expect(from.put('1')).rejects.toThrow('full');
    const row = agent.snapshot().components.find(({ name }) => name === 'r1');
    expect(row).toMatchObject({ status: 'degraded', counters: { EventReceivedCount: 1, EventAcceptedCount: 0, ChannelWriteFail: 1 } });
    expect(row?.failingSince).toBeGreaterThan(0);
    two.refusal = undefined;
    await from.put('1');
    expect(agent.snapshot().components.find(({ name }) => name === 'r1')).toMatchObject({ status: 'running', failingSince: 0 });
  });

  it('goes on without an optional channel that refuses, and books the drop', async () => {
    const from = new HandSource();
    const [one, two] = [new Notes(), new Notes()];
    two.refusal = passing('full');
    const agent = await started({
      channels: [channel('c1', {}, one.spec), channel('c2', {}, two.spec)],
      sources: [source('r1', from.spec, ['c1', 'c2'], { selector: byLetter })],
    });
    await from.put('o1', 'o2');
    expect(one.bodies).toEqual(['o1', 'o2']);
    expect(agent.snapshot().flows[1]).toMatchObject({ received: 2, dropped: { 'optional-channel-refused': 2 }, gap: 0 });
  });

  it('tells sources the smallest transaction, and cuts what interceptors made larger', async () => {
    const from = new HandSource();
    const notes = new Notes();
    const twice = interceptorOf('i1', (batch) => batch.flatMap((event) => [event, { headers: {}, body: Buffer.from(`${event.body}'`) }]));
    await started({
      channels: [channel('c1', {}, notes.spec), channel('c2', { capacity: '50', transactionCapacity: '50' })],
      sources: [source('r1', from.spec, ['c1', 'c2'], { interceptors: [twice] })],
    });
    expect(from.ctx?.output.maxBatch).toBe(3);
    await from.put('1', '2');
    expect(notes.batches.map((batch) => batch.length)).toEqual([3, 1]);
    expect(notes.bodies).toEqual(['1', "1'", '2', "2'"]);
  });

  it('changes and counts a batch once, however often it is put again', async () => {
    const from = new HandSource();
    const notes = new Notes();
    const mark = interceptorOf('i1', (batch) => {
      for (const event of batch) event.body = Buffer.from(`${event.body}!`);
      return batch;
    });
    await started({ channels: [channel('c1', {}, notes.spec)], sources: [source('r1', from.spec, ['c1'], { interceptors: [mark] })] });
    const batch: Event[] = [{ headers: {}, body: Buffer.from('a') }];
    notes.refusal = new Error('full');
    await expect(from.ctx?.output.put(batch)).rejects.toThrow('full');
    notes.refusal = undefined;
    await from.ctx?.output.put(batch);
    expect(notes.bodies).toEqual(['a!']);
    expect(from.ctx?.counters).toMatchObject({ EventReceivedCount: 1, EventAcceptedCount: 1, ChannelWriteFail: 1 });
  });

  it('runs interceptors in order, stops at an empty batch, and stores nothing when one throws', async () => {
    const from = new HandSource();
    const notes = new Notes();
    const steps: string[] = [];
    const step = (name: string, act: (batch: Event[]) => Event[]) =>
      interceptorOf(name, (batch) => {
        steps.push(name);
        return act(batch);
      });
    const agent = await started({
      channels: [channel('c1', {}, notes.spec)],
      sources: [
        source('r1', from.spec, ['c1'], {
          interceptors: [
            step('i1', (batch) => batch.filter((event) => event.body.toString() !== 'drop')),
            step('i2', (batch) => {
              if (batch.some((event) => event.body.toString() === 'bad')) throw new Error('no');
              return batch;
            }),
          ],
        }),
      ],
    });
    await from.put('ok', 'drop');
    await from.put('drop');
    await expect(from.put('fine', 'bad')).rejects.toThrow('no');
    expect(steps).toEqual(['i1', 'i2', 'i1', 'i1', 'i2']);
    expect(notes.bodies).toEqual(['ok']);
    expect(agent.snapshot().components.find(({ name }) => name === 'r1')?.counters).toMatchObject({
      EventReceivedCount: 5,
      EventAcceptedCount: 3,
      GenericProcessingFail: 1,
    });
  });

  it('refuses at once while the channel does not run', async () => {
    const from = new HandSource();
    const broken = defineChannel({
      type: 'broken',
      summary: '',
      properties: {},
      create: () => ({
        start: async () => {
          throw passing('the disk is gone');
        },
        stop: async () => undefined,
        put: async () => undefined,
        take: async () => null,
        gauges: () => ({ size: 0, capacity: 0, lent: 0 }),
      }),
    });
    const to = new HandSink();
    const agent = await started({ channels: [channel('c1', {}, broken)], sinks: [sink('k1', to.spec, 'c1')], sources: [source('r1', from.spec, ['c1'])] });
    await expect(from.put('1')).rejects.toThrow('channel c1 is not running: the disk is gone');
    await eventually(() => agent.snapshot().status === 'failed');
  });
});
