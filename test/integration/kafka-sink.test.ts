/** The Kafka sink against our broker in this process: what it writes where, and what it does when the broker will not. */
import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Sealed } from '../../src/agent/core/event.ts';
import type { Sink } from '../../src/agent/core/sink.ts';
import kafka from '../../src/agent/sinks/kafka.ts';
import { AvroEventReader } from '../../src/agent/wire/avro-event-codec.ts';
import { partitionForKey } from '../../src/kafka/murmur2.ts';
import { batches } from '../../src/records/batch.ts';
import { type PlainRecord, records } from '../../src/records/cursor.ts';
import { configOf } from '../contract/config-of.ts';
import { events, numbered, sinkContext } from '../contract/contexts.ts';
import { sinkContract } from '../contract/sink-kit.ts';
import { freePort } from './agent-process.ts';
import { eventually, fetchFrom, TestBroker, tempDir } from './broker-harness.ts';

let broker: TestBroker;
const sinks: Sink[] = [];
beforeEach(async () => {
  broker = await TestBroker.start();
});
afterEach(async () => {
  for (const sink of sinks.splice(0)) await sink.stop();
  await broker.end();
});

function make(values: Readonly<Record<string, string | number | boolean>> = {}, address = broker.address) {
  const context = sinkContext();
  const said: string[] = [];
  const log = { ...context.log, error: (...words: unknown[]) => void said.push(String(words.at(-1))) };
  const config = configOf(kafka, { 'kafka.bootstrap.servers': address, 'kafka.topic': 't', ...values });
  const sink = kafka.create(config, { ...context, log: log as typeof context.log }) as Sink;
  sinks.push(sink);
  return { sink, context, said };
}

async function made(values: Readonly<Record<string, string | number | boolean>> = {}) {
  const one = make(values);
  await one.sink.start();
  return one;
}

async function stored(topic = 't', partition = 0, target = broker): Promise<PlainRecord[]> {
  const client = await target.client();
  const { records: bytes } = await fetchFrom(client, topic, partition, 0);
  return [...batches(bytes ?? Buffer.alloc(0))].flatMap((batch) => [...records(batch)]);
}

const texts = async (topic = 't', partition = 0): Promise<string[]> => (await stored(topic, partition)).map(({ value }) => String(value));
const event = (body: string, headers: Record<string, string> = {}): Sealed => ({ headers, body: Buffer.from(body) });

describe('where events go', () => {
  it('creates the topic and writes bodies, in order, without headers', async () => {
    const { sink } = await made();
    await sink.deliver(numbered(0, 250));
    expect(await texts()).toEqual(Array.from({ length: 250 }, (_, i) => `${i}`));
    expect((await stored())[0]).toMatchObject({ key: null, headers: [] });
  });

  it('expands escapes in the topic, and lets the header topic override it', async () => {
    const { sink } = await made({ 'kafka.topic': 'log-%{level}-%Y' });
    await sink.deliver([event('a', { level: 'warn', timestamp: '1700000000000' }), event('b', { topic: 'other' })]);
    expect(await texts('log-warn-2023')).toEqual(['a']);
    expect(await texts('other')).toEqual(['b']);
  });

  it('keeps to its topic with allowTopicOverride = false', async () => {
    const { sink } = await made({ allowTopicOverride: false });
    await sink.deliver([event('a', { topic: 'other' })]);
    expect(await texts()).toEqual(['a']);
  });

  it('chooses partitions by key as Java does, by header, by default, and one for the rest of a batch', async () => {
    await broker.topic('t', 5);
    const { sink } = await made({ partitionIdHeader: 'p' });
    await sink.deliver(Array.from({ length: 40 }, (_, i) => event(`k${i}`, { key: `key-${i}` })));
    for (let partition = 0; partition < 5; partition++) {
      for (const { key } of await stored('t', partition)) expect(partitionForKey(key as Buffer, 5)).toBe(partition);
    }
    await sink.deliver([event('third', { p: '3' })]);
    expect(await texts('t', 3)).toContain('third');
    const other = await made({ defaultPartitionId: 4 });
    await other.sink.deliver(events('fourth'));
    expect(await texts('t', 4)).toContain('fourth');
    await sink.deliver(events('s1', 's2', 's3'));
    const where = await Promise.all([0, 1, 2, 3, 4].map(async (p) => (await texts('t', p)).filter((text) => /^s\d$/.test(text)).length));
    expect(where.filter((count) => count > 0)).toEqual([3]);
  });

  it('takes the topic from the header that topicHeader names, and the partition from its header before the default', async () => {
    await broker.topic('t', 3);
    const { sink } = await made({ topicHeader: 'to', partitionIdHeader: 'p', defaultPartitionId: 1 });
    await sink.deliver([event('a', { to: 'other', p: '0' }), event('b', { topic: 'not me' }), event('c', { p: '2' })]);
    expect([await texts('other'), await texts('t', 1), await texts('t', 2)]).toEqual([['a'], ['b'], ['c']]);
  });

  it('says that a partition header is no number', async () => {
    const { sink } = await made({ partitionIdHeader: 'p' });
    await expect(sink.deliver([event('x', { p: 'seven' })])).rejects.toThrow('"seven"');
  });

  it('copies headers and the time into the record', async () => {
    const { sink } = await made({ timestampHeader: 'when', 'header.host': 'from' });
    await sink.deliver([event('x', { when: '1234567890123', host: 'web1' })]);
    expect(await stored()).toMatchObject([{ timestamp: 1234567890123, headers: [['from', Buffer.from('web1')]] }]);
  });

  it('writes whole events as AvroFlumeEvent', async () => {
    const { sink } = await made({ useFlumeEventFormat: true });
    await sink.deliver([event('hi', { k: 'v' })]);
    const [{ value }] = (await stored()) as [PlainRecord];
    expect(value?.toString('hex')).toBe('02026b02760004' + '6869');
    expect(new AvroEventReader().open(value as Buffer).event()).toEqual(event('hi', { k: 'v' }));
  });

  it.each(['gzip', 'snappy', 'lz4', 'zstd'])('packs with %s', async (codec) => {
    const { sink } = await made({ 'kafka.producer.compression.type': codec });
    await sink.deliver(numbered(0, 300));
    expect(await texts()).toHaveLength(300);
    const client = await broker.client();
    const { records: bytes } = await fetchFrom(client, 't', 0, 0);
    expect([...batches(bytes as Buffer)].map((batch) => batch.codec)).not.toContain(0);
  });

  it('cuts a batch that is larger than a request into several', async () => {
    const { sink } = await made();
    await sink.deliver(Array.from({ length: 40 }, (_, i) => event(`${i}`.padEnd(100_000, 'x'))));
    expect((await texts()).map((text) => Number.parseInt(text, 10))).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });

  it('does not wait with acks = 0', async () => {
    const { sink } = await made({ 'kafka.producer.acks': 0 });
    await broker.topic('t');
    await sink.deliver(events('a'));
    await eventually(async () => (await texts()).length === 1, 'the event');
  });

  it('keeps sequence numbers with enable.idempotence', async () => {
    const { sink } = await made({ 'kafka.producer.enable.idempotence': true });
    for (let i = 0; i < 3; i++) await sink.deliver(numbered(i * 10, 10));
    const client = await broker.client();
    const { records: bytes } = await fetchFrom(client, 't', 0, 0);
    const all = [...batches(bytes as Buffer)];
    expect(all.map((batch) => batch.baseSequence)).toEqual([0, 10, 20]);
    expect(new Set(all.map((batch) => batch.producerId)).size).toBe(1);
  });
});

describe('on kafkajs', () => {
  it('writes the same with kafka.client = kafkajs', async () => {
    await broker.topic('t');
    const { sink } = await made({ 'kafka.client': 'kafkajs', 'kafka.producer.compression.type': 'snappy' });
    await sink.deliver([event('a', { key: 'k' }), event('b')]);
    expect(await texts()).toEqual(['a', 'b']);
  });

  it('makes each batch one transaction with transactional.id', async () => {
    await broker.topic('t');
    const { sink } = await made({ 'kafka.producer.transactional.id': 'tx1' });
    await sink.deliver(numbered(0, 5));
    await sink.deliver(numbered(5, 5));
    const client = await broker.client();
    const { records: bytes } = await fetchFrom(client, 't', 0, 0, { committed: true });
    const all = [...batches(bytes as Buffer)];
    expect(all.map((batch) => [batch.isTransactional, batch.isControl])).toEqual([
      [true, false],
      [true, true],
      [true, false],
      [true, true],
    ]);
  });
});

describe('what a topic will not take', () => {
  it('sets an event aside that is too large, and delivers the others', async () => {
    await broker.topic('t', 1, { 'max.message.bytes': '20000' });
    const place = tempDir('aside');
    const { sink, context, said } = await made({ setAsideDirectory: place });
    await sink.deliver([...events('a', 'b'), event('x'.repeat(30_000), { n: '1' }), ...events('c')]);
    expect(await texts()).toEqual(['a', 'b', 'c']);
    expect(context.extra.EventsSetAsideCount).toBe(1);
    expect(said.join()).toMatch(/set aside, topic t will not take it: .*too large/);
    const [body, about] = fs.readdirSync(place).sort() as [string, string];
    expect(fs.readFileSync(`${place}/${body}`)).toHaveLength(30_000);
    expect(JSON.parse(fs.readFileSync(`${place}/${about}`, 'utf8'))).toMatchObject({ topic: 't', headers: { n: '1' } });
    fs.rmSync(place, { recursive: true });
  });

  it('keeps to max.request.size itself', async () => {
    const { sink, context } = await made({ 'kafka.producer.max.request.size': 1000 });
    await sink.deliver([event('x'.repeat(2000)), event('y')]);
    expect(await texts()).toEqual(['y']);
    expect(context.extra.EventsSetAsideCount).toBe(1);
  });

  it('sets events aside whose header names an impossible topic', async () => {
    const { sink, said } = await made();
    await sink.deliver([event('a', { topic: 'no such/topic' }), event('b')]);
    expect(await texts()).toEqual(['b']);
    expect(said.join()).toContain('cannot be the name of a topic');
  });
});

describe('when the broker is not as it should be', () => {
  it('starts without a broker, says what is missing, and delivers when it comes', async () => {
    const port = await freePort();
    const { sink } = make({}, `127.0.0.1:${port}`);
    await sink.start();
    await expect(sink.deliver(events('a'))).rejects.toThrow(`127.0.0.1:${port}`);
    const late = await TestBroker.start({ listeners: `PLAINTEXT://127.0.0.1:${port}` });
    try {
      await sink.deliver(events('a'));
      expect((await stored('t', 0, late)).map(({ value }) => String(value))).toEqual(['a']);
    } finally {
      await late.end();
    }
  });

  it('reaches a cluster of which one named broker of three answers', async () => {
    const { sink } = make({}, `127.0.0.1:${await freePort()},${broker.address},127.0.0.1:${await freePort()}`);
    await sink.start();
    await sink.deliver(events('a'));
    expect(await texts()).toEqual(['a']);
  });

  it('says what to do when the topic is missing and nobody creates it', async () => {
    const strict = await TestBroker.start({ 'auto.create.topics.enable': 'false' });
    try {
      const { sink } = make({ 'kafka.producer.max.block.ms': 100 }, strict.address);
      await sink.start();
      await expect(sink.deliver(events('a'))).rejects.toMatchObject({ message: 'topic t does not exist', fix: expect.stringContaining('--create --topic t') });
      await strict.topic('t');
      await sink.deliver(events('a'));
      expect((await stored('t', 0, strict)).map(({ value }) => String(value))).toEqual(['a']);
    } finally {
      await strict.end();
    }
  });

  it('goes on after the broker was stopped and started again on the same port', async () => {
    const port = await freePort();
    const fixed = await TestBroker.start({ listeners: `PLAINTEXT://127.0.0.1:${port}` });
    try {
      const { sink } = make({}, fixed.address);
      await sink.start();
      await sink.deliver(events('a'));
      await fixed.stop();
      await expect(sink.deliver(events('b'))).rejects.toThrow();
      await fixed.up();
      await sink.deliver(events('b'));
      expect((await stored('t', 0, fixed)).map(({ value }) => String(value))).toEqual(['a', 'b']);
    } finally {
      await fixed.end();
    }
  });
});

describe('the topic loop', () => {
  it('is counted along and stopped, and said', async () => {
    const { sink, context, said } = await made({ 'kafka.maxHops': 2 });
    const from = { topic: 't', partition: '0', offset: '7' };
    await sink.deliver([event('first', from), event('second', { ...from, 'millrace.hops': '1' }), event('third', { ...from, 'millrace.hops': '2' })]);
    expect((await stored()).map(({ value, headers }) => [String(value), String(headers[0]?.[1])])).toEqual([
      ['first', '1'],
      ['second', '2'],
    ]);
    expect(context.extra.LoopedEventCount).toBe(1);
    expect(said.join()).toContain('topic loop');
  });

  it('leaves events of other flows unmarked', async () => {
    const { sink } = await made();
    await sink.deliver([event('x', { topic: 't' }), event('y', { partition: '0', offset: '1' })]);
    expect((await stored()).map(({ headers }) => headers.length)).toEqual([0, 0]);
  });
});

const own: { broker?: TestBroker } = {};
sinkContract({
  name: 'kafka',
  make: async () => {
    const port = await freePort();
    const target = await TestBroker.start({ listeners: `PLAINTEXT://127.0.0.1:${port}` });
    own.broker = target;
    const config = configOf(kafka, { 'kafka.bootstrap.servers': target.address, 'kafka.topic': 'c' });
    return {
      sink: kafka.create(config, sinkContext()),
      arrived: async () => {
        const client = await target.client();
        const got: string[] = [];
        for (let offset = 0; ; ) {
          const { records: bytes } = await fetchFrom(client, 'c', 0, offset);
          const all = [...batches(bytes ?? Buffer.alloc(0))];
          if (all.length === 0) break;
          for (const batch of all) {
            offset = batch.nextOffset;
            for (const { value } of records(batch)) got.push(String(value));
          }
        }
        client.close();
        return got;
      },
      breakEnd: () => target.stop(),
      mendEnd: async () => {
        if (target.running.broker.ports.size === 0 || !(await alive(port))) await target.up();
      },
      close: () => target.end(),
    };
  },
});

async function alive(port: number): Promise<boolean> {
  const net = await import('node:net');
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
