/**
 * Compaction in a running broker: kafkajs reads compacted topics from any offset, coordinators come back from compacted
 * internal topics, work goes on meanwhile, and nothing reaches into a request.
 */
import fs from 'node:fs';
import path from 'node:path';
import { CompressionTypes, Kafka, logLevel } from 'kafkajs';
import { afterEach, describe, expect, test } from 'vitest';
import { batchOf, eventually, fetchFrom, produceTo, readAll, TestBroker } from './broker-harness.ts';

const SMALL = { 'cleanup.policy': 'compact', 'segment.bytes': '20000', 'min.cleanable.dirty.ratio': '0.01' };

let broker: TestBroker;
afterEach(() => broker.end());

function kafka(): Kafka {
  return new Kafka({ clientId: 'test', brokers: [broker.address], logLevel: logLevel.NOTHING });
}

function rounds(): number {
  return broker.running.broker.cleaner.rounds;
}

function sizeOf(topic: string, index = 0): number {
  return broker.running.broker.topics.partition(topic, index)?.sizeBytes ?? 0;
}

describe('a compacted topic', () => {
  test('keeps the last value of every key for kafkajs, plain and packed, and shrinks', async () => {
    broker = await TestBroker.start({ 'log.cleaner.backoff.ms': '20' });
    await broker.topic('users', 1, SMALL);
    const producer = kafka().producer();
    await producer.connect();
    for (let round = 0; round < 40; round++) {
      const messages = Array.from({ length: 50 }, (_, i) => ({ key: `user-${i}`, value: i % 10 === 9 ? null : `${'v'.repeat(50)} ${round}` }));
      await producer.send({ topic: 'users', messages, compression: round % 2 ? CompressionTypes.GZIP : CompressionTypes.None });
    }
    const full = 40 * 50;
    await eventually(() => rounds() > 0 && sizeOf('users') < 30_000, 'the topic to shrink');
    await producer.send({ topic: 'users', messages: [{ key: 'end', value: 'end' }] });
    await producer.disconnect();

    const consumer = kafka().consumer({ groupId: 'g' });
    await consumer.connect();
    await consumer.subscribe({ topic: 'users', fromBeginning: true });
    const seen = new Map<string, string | null>();
    let count = 0;
    let ended = false;
    await consumer.run({
      eachMessage: async ({ message }) => {
        count++;
        seen.set(String(message.key), message.value?.toString() ?? null);
        ended ||= String(message.key) === 'end';
      },
    });
    await eventually(() => ended, 'the last record');
    await consumer.disconnect();
    expect(count).toBeLessThan(full / 2);
    for (let i = 0; i < 50; i++) expect(seen.get(`user-${i}`)).toBe(i % 10 === 9 ? null : `${'v'.repeat(50)} 39`);
    expect(broker.said).toEqual([]);
  });

  test('can be fetched from every offset, also one that was compacted away', async () => {
    broker = await TestBroker.start({ 'log.cleaner.backoff.ms': '20' });
    await broker.topic('t', 1, { ...SMALL, 'segment.bytes': '1000' });
    const client = await broker.client();
    for (let i = 0; i < 200; i++) await produceTo(client, 't', 0, batchOf([`${i}`], { keys: [`k${i % 3}`] }), { acks: 1 });
    await eventually(() => rounds() > 0 && sizeOf('t') < 2000, 'the topic to shrink');
    broker.running.broker.cleaner.stop();
    const all = await readAll(client, 't', 0);
    expect(all.length).toBeLessThan(50);
    for (let offset = 0; offset <= 200; offset++) {
      const { errorCode, records } = await fetchFrom(client, 't', 0, offset);
      expect(errorCode).toBe(0);
      if (offset < 200) expect(records?.length).toBeGreaterThan(0);
    }
    expect((await readAll(client, 't', 0, { from: 57 }))[0]?.offset).toBe(all.find(({ offset }) => offset >= 57)?.offset);
  });

  test('goes on being written while it is compacted, and a restart changes nothing', async () => {
    broker = await TestBroker.start({ 'log.cleaner.backoff.ms': '1' });
    await broker.topic('busy', 2, SMALL);
    const client = await broker.client();
    const last = new Map<string, string>();
    for (let i = 0; i < 1500; i++) {
      const key = `k${i % 37}`;
      last.set(`${i % 2}/${key}`, `${i}`);
      const { errorCode } = await produceTo(client, 'busy', i % 2, batchOf([`${i}`], { keys: [key] }), { acks: i % 50 === 0 ? -1 : 1 });
      expect(errorCode).toBe(0);
    }
    expect(rounds()).toBeGreaterThan(0);
    const check = async (): Promise<void> => {
      const again = await broker.client();
      for (const index of [0, 1]) {
        const found = new Map((await readAll(again, 'busy', index)).map(({ key, value }) => [`${index}/${key}`, value]));
        for (const [key, value] of last) if (key.startsWith(`${index}/`)) expect([key, found.get(key)]).toEqual([key, value]);
      }
    };
    await check();
    await broker.restart();
    await check();
    const names = fs.readdirSync(path.join(broker.dir, 'busy-0'));
    expect(names.filter((name) => /cleaned|swap/.test(name))).toEqual([]);
    expect(fs.readFileSync(path.join(broker.dir, 'cleaner-offset-checkpoint'), 'utf8')).toMatch(/^0\n\d+\n(?:.+\n)*busy 0 \d+\n/);
  });

  test('is left alone while log.cleaner.enable=false, and a removed one stops its round', async () => {
    broker = await TestBroker.start({ 'log.cleaner.backoff.ms': '1', 'log.cleaner.enable': 'false' });
    await broker.topic('t', 1, SMALL);
    const client = await broker.client();
    const value = 'x'.repeat(900);
    for (let i = 0; i < 100; i++) await produceTo(client, 't', 0, batchOf([value], { keys: ['same'] }), { acks: 1 });
    const { cleaner, topics } = broker.running.broker;
    expect(cleaner.rounds).toBe(0);
    const working = cleaner.run();
    await topics.remove('t');
    await working;
    expect(broker.said).toEqual([]);
  });
});

describe('internal topics', () => {
  test('committed offsets and transactions come back from compacted topics', async () => {
    const settings = {
      'log.cleaner.backoff.ms': '20',
      'offsets.topic.segment.bytes': '4000',
      'transaction.state.log.segment.bytes': '4000',
      'log.cleaner.min.cleanable.ratio': '0.01',
    };
    broker = await TestBroker.start({ ...settings, 'offsets.topic.num.partitions': '1', 'transaction.state.log.num.partitions': '1' });
    await broker.topic('t', 1);
    const producer = kafka().producer({ transactionalId: 'tx', maxInFlightRequests: 1, idempotent: true });
    await producer.connect();
    let expected = '';
    for (let i = 1; i <= 60; i++) {
      const transaction = await producer.transaction();
      await transaction.send({ topic: 't', messages: [{ key: `k${i}`, value: `${i}` }] });
      await transaction.sendOffsets({ consumerGroupId: 'g', topics: [{ topic: 't', partitions: [{ partition: 0, offset: `${i}` }] }] });
      if (i % 3 === 0) await transaction.abort();
      else {
        await transaction.commit();
        expected = `${i}`;
      }
    }
    await producer.disconnect();
    await eventually(() => rounds() >= 2 && sizeOf('__consumer_offsets') < 8000 && sizeOf('__transaction_state') < 8000, 'both to shrink');
    const look = async (): Promise<void> => {
      const admin = kafka().admin();
      await admin.connect();
      const [topic] = await admin.fetchOffsets({ groupId: 'g', topics: ['t'] });
      await admin.disconnect();
      expect(topic?.partitions).toEqual([expect.objectContaining({ partition: 0, offset: expected })]);
    };
    await look();
    await broker.restart();
    await look();
    const again = kafka().producer({ transactionalId: 'tx', maxInFlightRequests: 1, idempotent: true });
    await again.connect();
    const transaction = await again.transaction();
    await transaction.send({ topic: 't', messages: [{ key: 'last', value: 'last' }] });
    await transaction.commit();
    await again.disconnect();
    const values = (await readAll(await broker.client(), 't', 0, { committed: true })).map(({ value }) => value);
    expect(values).toHaveLength(41);
    expect(values.at(-1)).toBe('last');
    expect(broker.said).toEqual([]);
  });
});
