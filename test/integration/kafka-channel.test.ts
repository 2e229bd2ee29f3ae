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
import { eventually, fetchFrom, TestBroker } from './broker-harness.ts';

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

  it('chooses partitions by header, by default, by key, and refuses a header that is no number', async () => {
    await broker.topic('parts', 4);
    const channel = make('parts', { partitionIdHeader: 'p', defaultPartitionId: 2, parseAsFlumeEvent: false });
    await channel.start();
    await channel.put([{ headers: { p: '3' }, body: Buffer.from('third') }, ...events('second')], patience());
    const inside = async (partition: number): Promise<string[]> => {
      const { records: bytes } = await fetchFrom(await broker.client(), 'parts', partition, 0);
      return [...batches(bytes ?? Buffer.alloc(0))].flatMap((batch) => [...records(batch)].map(({ value }) => String(value)));
    };
    expect([await inside(2), await inside(3)]).toEqual([['second'], ['third']]);
    await expect(channel.put([{ headers: { p: 'x' }, body: Buffer.from('') }], patience())).rejects.toThrow('"x", which is no number of a partition');
    await channel.stop();
  });

  it.each([
    [{}, ['before', 'after']],
    [{ readSmallestOffset: false }, ['after']],
    [{ 'kafka.consumer.auto.offset.reset': 'latest' }, ['after']],
    [{ readSmallestOffset: false, 'kafka.consumer.auto.offset.reset': 'earliest' }, ['before', 'after']],
  ])('begins where it is told when the group is new: %j', async (values, expected) => {
    const topic = `begin${++last}`;
    const writer = make(topic);
    await writer.start();
    await writer.put(events('before'), patience());
    const channel = make(topic, { ...values, 'kafka.consumer.group.id': `new-${topic}` });
    await channel.start();
    const got: string[] = [];
    const abort = new AbortController();
    const reading = (async () => {
      for (let lease = await channel.take(10, abort.signal); lease !== null; lease = await channel.take(10, abort.signal)) {
        got.push(...bodies(lease.events));
        await lease.commit();
      }
    })();
    // Until the group has a place in the topic, what is written there counts as before it.
    const { OffsetFetch } = await import('../../src/kafka/apis/offset-fetch.ts');
    await eventually(async () => {
      const client = await broker.client();
      const topics = [{ name: topic, partitionIndexes: [0] }];
      const answer = await client.call(OffsetFetch, { groupId: `new-${topic}`, topics }, { version: 7 });
      client.close();
      return (answer.topics[0]?.partitions[0]?.committedOffset ?? -1) >= 0;
    }, 'a committed offset');
    await writer.put(events('after'), patience());
    await eventually(() => got.includes('after'), 'what came after');
    expect(got).toEqual(expected);
    abort.abort();
    await reading;
    await channel.stop();
    await writer.stop();
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
