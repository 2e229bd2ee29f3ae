/**
 * A partition folder written by Apache Kafka 3.9.1 (test/fixtures/kafka-segment: 55 records in batches of every codec with
 * headers and tombstones, then four transactions, two of them aborted), put into a stopped broker, is served.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { batches } from '../../src/records/batch.ts';
import { batchOf, fetchFrom, produceTo, readAll, TestBroker } from './broker-harness.ts';

const FIXTURE = path.resolve(import.meta.dirname, '../fixtures/kafka-segment');
const T0 = 1_795_226_193_000;
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
let broker: TestBroker;
afterEach(() => broker.end());

const expected = Array.from({ length: 55 }, (_, n) => {
  const codec = CODECS[Math.floor(n / 11)]!;
  return n % 11 === 10 ? { offset: n, key: `gone${n}`, value: null } : { offset: n, key: `k${n}`, value: `${codec}-${n}-${'x'.repeat(40)}` };
});

async function isServed(): Promise<void> {
  const client = await broker.client();
  const committed = await readAll(client, 'real', 0, { committed: true });
  expect(committed.slice(0, 55)).toEqual(expected);
  expect(committed.slice(55).map(({ value }) => value)).toEqual(['commit-1', 'commit-2']);
  expect((await readAll(client, 'real', 0)).slice(55).map(({ value }) => value)).toEqual(['commit-1', 'abort-1', 'commit-2', 'abort-2']);
  const whole = await fetchFrom(client, 'real', 0, 0, { committed: true });
  expect(whole).toMatchObject({ highWatermark: 63, lastStableOffset: 63, logStartOffset: 0 });
  expect(whole.abortedTransactions).toHaveLength(2);
  expect(new Set([...batches(whole.records!)].map(({ codec }) => codec))).toEqual(new Set([0, 1, 2, 3, 4]));
  const { topics } = await client.call(ListOffsets, { replicaId: -1, topics: [{ name: 'real', partitions: [{ partitionIndex: 0, timestamp: T0 + 25 }] }] });
  expect(topics[0]!.partitions[0]).toMatchObject({ offset: 25, timestamp: T0 + 25 });
  expect(broker.said.filter((line) => /damaged|cut off/.test(line))).toEqual([]);
}

test('under a name the broker does not know: taken over with the id in partition.metadata', async () => {
  broker = await TestBroker.start();
  await broker.stop();
  fs.cpSync(FIXTURE, path.join(broker.dir, 'real-0'), { recursive: true });
  await broker.up();
  await isServed();
  expect(fs.readFileSync(path.join(FIXTURE, 'partition.metadata'), 'utf8')).toContain(broker.running.broker.topics.get('real')!.id);
  expect(await produceTo(await broker.client(), 'real', 0, batchOf(['next']))).toMatchObject({ errorCode: 0, baseOffset: 63 });
});

test('files alone, dropped into the folder of an empty partition', async () => {
  broker = await TestBroker.start();
  await broker.topic('real');
  await broker.stop();
  for (const name of fs.readdirSync(path.join(broker.dir, 'real-0'))) if (name.startsWith('0')) fs.rmSync(path.join(broker.dir, 'real-0', name));
  for (const name of fs.readdirSync(FIXTURE)) if (name.startsWith('0')) fs.copyFileSync(path.join(FIXTURE, name), path.join(broker.dir, 'real-0', name));
  await broker.up();
  await isServed();
});

test('the log file alone: indexes and aborted transactions are found again', async () => {
  broker = await TestBroker.start();
  await broker.topic('real');
  await broker.stop();
  const dir = path.join(broker.dir, 'real-0');
  for (const name of fs.readdirSync(dir)) if (name.startsWith('0')) fs.rmSync(path.join(dir, name));
  fs.copyFileSync(path.join(FIXTURE, '00000000000000000000.log'), path.join(dir, '00000000000000000000.log'));
  await broker.up();
  await isServed();
});
