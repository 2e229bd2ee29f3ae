/** Retention in a running broker by its own timers, and DeleteRecords: what is gone stays gone over restarts and crashes. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DeleteRecords } from '../../src/kafka/apis/delete-records.ts';
import { IncrementalAlterConfigs } from '../../src/kafka/apis/incremental-alter-configs.ts';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { endsWithTest } from '../ends-with-test.ts';
import { BrokerProcess, batchOf, brokerWith, eventually, fetchFrom, produceTo, readAll } from './broker-harness.ts';

async function fill(client: KafkaConnection, topic: string, count: number, at = Date.now()): Promise<void> {
  for (let i = 0; i < count; i++) await produceTo(client, topic, 0, batchOf([`${i} ${'x'.repeat(900)}`], { at }), { acks: 1 });
}

/** Offset of the first record (-2) or the next one (-1). */
async function offsetAt(client: KafkaConnection, topic: string, timestamp: number): Promise<number> {
  const answer = await client.call(ListOffsets, {
    replicaId: -1,
    isolationLevel: 0,
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }],
  });
  return answer.topics[0]?.partitions[0]?.offset ?? Number.NaN;
}

async function deleteTo(client: KafkaConnection, topic: string, offset: number): Promise<{ readonly errorCode: number; readonly lowWatermark: number }> {
  const answer = await client.call(DeleteRecords, { topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset }] }], timeoutMs: 1000 });
  const { errorCode, lowWatermark } = answer.topics[0]!.partitions[0]!;
  return { errorCode, lowWatermark };
}

describe('retention', () => {
  test('by size and by time, at the interval of the settings; an idle topic empties too', async () => {
    const broker = await brokerWith({ 'log.retention.check.interval.ms': '50', 'log.initial.task.delay.ms': '0' });
    await broker.topic('big', 1, { 'segment.bytes': '5000', 'retention.bytes': '20000' });
    await broker.topic('old', 1, { 'segment.bytes': '5000', 'retention.ms': '3600000' });
    const client = await broker.client();
    await fill(client, 'big', 60);
    await fill(client, 'old', 10, Date.now() - 2 * 3_600_000);
    await eventually(async () => (await offsetAt(client, 'old', -2)) === 10, 'the old records to go');
    await eventually(() => (broker.running.broker.topics.partition('big', 0)?.sizeBytes ?? 0) < 25_000, 'the size to fall');
    expect(broker.running.broker.topics.partition('big', 0)?.sizeBytes).toBeGreaterThanOrEqual(20_000);
    expect(await offsetAt(client, 'old', -1)).toBe(10);
    expect((await fetchFrom(client, 'old', 0, 3)).errorCode).toBe(1);
    expect(await produceTo(client, 'old', 0, batchOf(['fresh']))).toMatchObject({ errorCode: 0, baseOffset: 10 });
    const start = await offsetAt(client, 'big', -2);
    await broker.restart();
    const again = await broker.client();
    expect(await offsetAt(again, 'big', -2)).toBeGreaterThanOrEqual(start);
    expect((await readAll(again, 'old', 0, { from: 10 })).map(({ value }) => value)).toEqual(['fresh']);
    const files = fs.readdirSync(path.join(broker.dir, 'big-0')).filter((name) => name.endsWith('.log'));
    expect(files.length).toBeLessThan(7);
    expect(broker.said).toEqual([]);
  });

  test('a change of retention.ms is seen at the next check', async () => {
    const broker = await brokerWith({ 'log.retention.check.interval.ms': '50', 'log.initial.task.delay.ms': '0' });
    await broker.topic('t', 1);
    const client = await broker.client();
    await fill(client, 't', 5, Date.now() - 60_000);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(await offsetAt(client, 't', -2)).toBe(0);
    const answer = await client.call(IncrementalAlterConfigs, {
      resources: [{ resourceType: 2, resourceName: 't', configs: [{ name: 'retention.ms', configOperation: 0, value: '1000' }] }],
      validateOnly: false,
    });
    expect(answer.responses[0]?.errorCode).toBe(0);
    await eventually(async () => (await offsetAt(client, 't', -2)) === 5, 'the records to go');
  });
});

describe('DeleteRecords', () => {
  test('moves the start, inside of a segment too; -1 is the end; beyond it is an error; a restart keeps it', async () => {
    const broker = await brokerWith();
    await broker.topic('t', 1, { 'segment.bytes': '5000' });
    const client = await broker.client();
    await fill(client, 't', 20);
    expect(await deleteTo(client, 't', 7)).toEqual({ errorCode: 0, lowWatermark: 7 });
    expect(await deleteTo(client, 't', 3)).toEqual({ errorCode: 0, lowWatermark: 7 });
    expect((await deleteTo(client, 't', 21)).errorCode).toBe(1);
    expect((await fetchFrom(client, 't', 0, 6)).errorCode).toBe(1);
    await broker.restart();
    const again = await broker.client();
    expect(await offsetAt(again, 't', -2)).toBe(7);
    expect((await readAll(again, 't', 0, { from: 7 }))[0]?.offset).toBe(7);
    expect((await fetchFrom(again, 't', 0, 6)).errorCode).toBe(1);
    expect(await deleteTo(again, 't', -1)).toEqual({ errorCode: 0, lowWatermark: 20 });
    await broker.restart();
    expect(await offsetAt(await broker.client(), 't', -2)).toBe(20);
  });

  test('what was answered outlives kill -9', async () => {
    const program = endsWithTest(new BrokerProcess(0));
    const connect = async (): Promise<KafkaConnection> => {
      const ports = [...program.output.matchAll(/listening on PLAINTEXT:\S*:(\d+)/g)];
      const client = await KafkaConnection.open({ host: '127.0.0.1', port: Number(ports.at(-1)?.[1]), clientId: 't' });
      onTestFinished(() => client.close());
      return client;
    };
    await program.start({ 'num.partitions': '1', 'log.segment.bytes': '5000' });
    const client = await connect();
    // The first fetch of its metadata makes the topic.
    await client.call(Metadata, { topics: [{ name: 't' }], allowAutoTopicCreation: true });
    await fill(client, 't', 20);
    expect(await deleteTo(client, 't', 13)).toEqual({ errorCode: 0, lowWatermark: 13 });
    await program.kill();
    await program.start({ 'num.partitions': '1', 'log.segment.bytes': '5000' });
    const again = await connect();
    expect(await offsetAt(again, 't', -2)).toBe(13);
    expect(await offsetAt(again, 't', -1)).toBe(20);
    expect((await readAll(again, 't', 0, { from: 13 })).map(({ offset }) => offset)).toEqual([13, 14, 15, 16, 17, 18, 19]);
  });
});
