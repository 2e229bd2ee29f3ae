/** The figures of a running broker over HTTP: Prometheus text, JSON per topic, partition and group, and health. */
import { createServer } from 'node:net';
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, expect, test } from 'vitest';
import { Figures } from '../../src/broker/figures.ts';
import { MeteredDisk } from '../../src/broker/metered-disk.ts';
import type { BrokerFigures } from '../../src/broker/metrics.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { realDisk, StorageError } from '../../src/lib/files.ts';
import { batchOf, eventually, fetchFrom, produceTo, TestBroker } from './broker-harness.ts';

let broker: TestBroker | undefined;
afterEach(async () => {
  await broker?.end();
  broker = undefined;
});

const url = (path: string): string => `http://127.0.0.1:${broker?.running.metricsPort}${path}`;

async function json(): Promise<BrokerFigures> {
  return (await (await fetch(url('/metrics/json'))).json()) as BrokerFigures;
}

/** Samples of a scrape by name and labels; throws on a line that is none. */
async function scrape(): Promise<Map<string, number>> {
  const response = await fetch(url('/metrics'));
  expect(response.headers.get('content-type')).toContain('version=0.0.4');
  const out = new Map<string, number>();
  const typed = new Set<string>();
  for (const line of (await response.text()).trimEnd().split('\n')) {
    const type = /^# TYPE (\S+) (?:counter|gauge)$/.exec(line);
    if (type) typed.add(type[1] as string);
    if (line.startsWith('#')) continue;
    const match = /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)+\})? (-?[\d.e+-]+)$/.exec(line);
    if (!match || !typed.has(match[1] as string)) throw new Error(`no sample: ${line}`);
    out.set(`${match[1]}${match[2] ?? ''}`, Number(match[3]));
  }
  return out;
}

test('partitions, groups with lag, requests, waits, syncs', async () => {
  broker = await TestBroker.start({ 'millrace.metrics.port': '0' });
  await broker.topic('orders', 2);
  const client = await broker.client();
  await produceTo(client, 'orders', 0, batchOf(['a', 'b', 'c']));
  const waiting = fetchFrom(client, 'orders', 1, 0, { waitMs: 3000, minBytes: 1 });
  await eventually(async () => (await json()).requests.waitingFetches === 1, 'a waiting fetch');

  const kafka = new Kafka({ clientId: 'reader', brokers: [broker.address], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: 'g "1"' });
  await consumer.connect();
  await consumer.subscribe({ topic: 'orders', fromBeginning: true });
  await consumer.run({ autoCommit: false, eachMessage: async () => {} });
  await eventually(async () => (await json()).groups[0]?.members.length === 1, 'a member');
  await consumer.commitOffsets([{ topic: 'orders', partition: 0, offset: '1' }]);
  const producer = await broker.client();
  await produceTo(producer, 'orders', 1, batchOf(['d']));
  expect((await waiting).errorCode).toBe(0);

  const figures = await json();
  const orders = figures.topics.find(({ topic }) => topic === 'orders');
  expect(orders).toMatchObject({ internal: false, records: 4 });
  expect(orders?.partitions).toMatchObject([
    { partition: 0, segments: 1, logStartOffset: 0, highWatermark: 3, lastStableOffset: 3, failure: null },
    { partition: 1, highWatermark: 1 },
  ]);
  expect(orders?.sizeBytes).toBe(orders?.partitions.reduce((sum, { appendedBytes }) => sum + appendedBytes, 0));
  expect(figures.groups).toMatchObject([
    {
      group: 'g "1"',
      state: 'Stable',
      members: [{ clientId: 'reader' }],
      lagRecords: 2,
      partitions: [{ topic: 'orders', partition: 0, offset: 1, endOffset: 3, lagRecords: 2 }],
    },
  ]);
  expect(figures.disk.syncs).toBeGreaterThan(0);
  expect(figures.disk.syncMs).toBeGreaterThan(0);
  expect(figures.connections.open).toBeGreaterThanOrEqual(3);

  const samples = await scrape();
  expect(samples.get('millrace_partition_high_watermark{topic="orders",partition="0"}')).toBe(3);
  expect(samples.get('millrace_group_lag_records{group="g \\"1\\"",topic="orders",partition="0"}')).toBe(2);
  expect(samples.get('millrace_group_members{group="g \\"1\\"",state="Stable"}')).toBe(1);
  expect(samples.get('millrace_broker_requests_total{api="Produce"}')).toBe(2);
  expect(samples.get('millrace_broker_request_seconds_total{api="Produce"}')).toBeGreaterThan(0);
  await consumer.disconnect();
});

test('health tells of a log that takes nothing; other paths and methods are told apart', async () => {
  broker = await TestBroker.start({ 'millrace.metrics.port': '0' });
  expect(await (await fetch(url('/health'))).json()).toEqual({ ok: true, problems: [] });
  expect((await fetch(url('/nothing'))).status).toBe(404);
  expect((await fetch(url('/metrics'), { method: 'POST' })).status).toBe(405);
  await broker.topic('t', 1);
  const partition = broker.running.broker.topics.partition('t', 0);
  Object.defineProperty(partition?.log, 'failure', { get: () => new StorageError('sync', '/data/t-0', 'EIO') });
  const sick = await fetch(url('/health'));
  expect(sick.status).toBe(503);
  expect(await sick.json()).toEqual({ ok: false, problems: [expect.stringMatching(/^t-0 takes no records: cannot sync .*the disk reported an error/)] });
});

test('no port is open unless asked for; one in use stops the start', async () => {
  broker = await TestBroker.start();
  expect(broker.running.metricsPort).toBeUndefined();
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
  const { port } = blocker.address() as { port: number };
  await expect(TestBroker.start({ 'millrace.metrics.port': String(port) })).rejects.toThrow(/cannot serve figures on 127.0.0.1:\d+: the port is in use/);
  blocker.close();
});

test('syncs are counted with their failures', async () => {
  const figures = new Figures();
  const disk = new MeteredDisk(realDisk, figures, systemClock);
  await expect(disk.datasync(99_999)).rejects.toThrow(StorageError);
  expect(() => disk.sync(99_999)).toThrow(StorageError);
  expect([figures.syncs, figures.failedSyncs]).toEqual([2, 2]);
});
