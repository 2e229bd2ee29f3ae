/** The Kafka channel against our broker in this process: the contract of all channels, and what others see in its topic. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import kafka from '../../src/agent/channels/kafka.ts';
import type { Channel, Lease } from '../../src/agent/core/channel.ts';
import { AvroEventReader } from '../../src/agent/wire/avro-event-codec.ts';
import { batches } from '../../src/records/batch.ts';
import { records } from '../../src/records/cursor.ts';
import { channelContract } from '../contract/channel-kit.ts';
import { configOf } from '../contract/config-of.ts';
import { bodies, channelContext, events, numbered, patience } from '../contract/contexts.ts';
import { fetchFrom, TestBroker } from './broker-harness.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
});
afterAll(() => broker.end());

let last = 0;
const topics = new Map<string, string>();

function make(topic: string, values: Readonly<Record<string, string | number | boolean>> = {}): Channel {
  const config = configOf(kafka, {
    'kafka.bootstrap.servers': broker.address,
    'kafka.topic': topic,
    'kafka.consumer.group.id': `g-${topic}`,
    'kafka.consumer.heartbeat.interval.ms': 100,
    'kafka.pollTimeout': 50,
    ...values,
  });
  return kafka.create(config, channelContext());
}

channelContract({
  name: 'kafka',
  durable: true,
  bounded: false,
  make: (_settings, place) => {
    const topic = topics.get(place) ?? `c${++last}`;
    topics.set(place, topic);
    return make(topic);
  },
});

async function take(channel: Channel, max = 100): Promise<Lease> {
  return (await channel.take(max, patience())) as Lease;
}

describe('the topic of a Kafka channel', () => {
  it('holds AvroFlumeEvents, keyed by the header key', async () => {
    const channel = make('f');
    await channel.start();
    await channel.put([{ headers: { key: 'k', a: 'b' }, body: Buffer.from('x') }], patience());
    const { records: bytes } = await fetchFrom(await broker.client(), 'f', 0, 0);
    const [record] = [...batches(bytes as Buffer)].flatMap((batch) => [...records(batch)]);
    expect(String(record?.key)).toBe('k');
    expect(new AvroEventReader().open(record?.value as Buffer).event()).toEqual({ headers: { key: 'k', a: 'b' }, body: Buffer.from('x') });
    await channel.stop();
  });

  it('holds plain bodies with parseAsFlumeEvent = false, and gives the key back', async () => {
    const channel = make('p', { parseAsFlumeEvent: false });
    await channel.start();
    await channel.put([{ headers: { key: 'k', a: 'b' }, body: Buffer.from('x') }], patience());
    const lease = await take(channel);
    expect(lease.events).toEqual([{ headers: { key: 'k' }, body: Buffer.from('x') }]);
    await lease.commit();
    await channel.stop();
  });

  it('moves the offset only past what was delivered without a gap', async () => {
    const channel = make('gap');
    await channel.start();
    await channel.put(numbered(0, 10), patience());
    const first = await take(channel, 4);
    const second = await take(channel, 6);
    await second.commit();
    await channel.stop();
    void first;
    const again = make('gap');
    await again.start();
    expect(bodies((await take(again)).events)[0]).toBe('0');
    await again.stop();
  });

  it('shares events between two agents of a group', async () => {
    await broker.topic('two', 2);
    const one = make('two', { 'kafka.consumer.group.id': 'both' });
    const two = make('two', { 'kafka.consumer.group.id': 'both' });
    await one.start();
    await two.start();
    const got: string[] = [];
    const abort = new AbortController();
    const read = async (channel: Channel): Promise<void> => {
      for (let lease = await channel.take(10, abort.signal); lease !== null; lease = await channel.take(10, abort.signal)) {
        got.push(...bodies(lease.events));
        await lease.commit();
      }
    };
    const reading = [read(one), read(two)];
    for (let i = 0; i < 20; i++) await one.put(events(`${i}`), patience());
    const deadline = Date.now() + 20_000;
    while (new Set(got).size < 20 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(new Set(got).size).toBe(20);
    abort.abort();
    await Promise.all(reading);
    await one.stop();
    await two.stop();
  });
});
