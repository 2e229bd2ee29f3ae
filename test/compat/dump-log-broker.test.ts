/**
 * The real kafka-dump-log reads everything a broker leaves: rolled and compacted segments, their indexes, aborted
 * transactions, producer snapshots, internal topics. See real-kafka.ts.
 */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { batchOf, produceTo, TestBroker } from '../integration/broker-harness.ts';
import { NEEDS_KAFKA, realKafka } from './real-kafka.ts';

const run = promisify(execFile);

async function dump(files: readonly string[], ...flags: string[]): Promise<string> {
  const { stdout, stderr } = await run(realKafka!.script, ['dump-log', '--files', files.join(','), ...flags], { maxBuffer: 100_000_000 });
  return stdout + stderr;
}

describe.runIf(realKafka)(`kafka-dump-log on the files of a broker (${NEEDS_KAFKA})`, () => {
  let broker: TestBroker;
  let files: string[];
  const ending = (pattern: RegExp): string[] => files.filter((file) => pattern.test(file));

  beforeAll(async () => {
    broker = await TestBroker.start({
      'log.cleaner.backoff.ms': '20',
      'log.cleaner.min.cleanable.ratio': '0.01',
      'offsets.topic.num.partitions': '1',
      'transaction.state.log.num.partitions': '1',
      'offsets.topic.segment.bytes': '3000',
      'transaction.state.log.segment.bytes': '3000',
    });
    const { topics } = broker.running.broker;
    await broker.topic('compacted', 1, {
      'cleanup.policy': 'compact',
      'segment.bytes': '30000',
      'index.interval.bytes': '500',
      'min.cleanable.dirty.ratio': '0',
    });
    await broker.topic('plain', 1, { 'segment.bytes': '30000', 'index.interval.bytes': '500' });
    const client = await broker.client();
    for (let i = 0; i < 600; i++) {
      const values = [`${'v'.repeat(100)}${i}`, i % 7 === 0 ? null : `${i}`, `${i}`];
      const keys = [`k${i % 40}`, `sometimes ${i % 9}`, `rare ${i}`];
      const bytes = batchOf(values, { keys, codec: i % 5, at: 1_700_000_000_000 + i * 1000 + (i % 3) * -5000 });
      await produceTo(client, 'compacted', 0, Buffer.from(bytes), { acks: 1 });
      await produceTo(client, 'plain', 0, bytes, { acks: 1 });
    }
    const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).producer({
      transactionalId: 'tx',
      maxInFlightRequests: 1,
      idempotent: true,
    });
    await producer.connect();
    for (let i = 0; i < 30; i++) {
      const transaction = await producer.transaction();
      for (const topic of ['compacted', 'plain']) await transaction.send({ topic, messages: [{ key: `t${i % 4}`, value: `${i}` }] });
      await transaction.sendOffsets({ consumerGroupId: 'g', topics: [{ topic: 'plain', partitions: [{ partition: 0, offset: `${i}` }] }] });
      await (i % 2 ? transaction.abort() : transaction.commit());
    }
    await producer.disconnect();
    // The rest of it is closed, so that markers and aborted data are compacted too.
    for (let i = 0; i < 3; i++) {
      await produceTo(client, 'compacted', 0, batchOf(['x'], { keys: ['tail'] }), { acks: 1 });
      topics.partition('compacted', 0)?.log.roll();
      await broker.running.broker.cleaner.run();
      await broker.running.broker.cleaner.run();
    }
    await broker.stop();
    files = readdirSync(broker.dir, { recursive: true, encoding: 'utf8' }).map((name) => join(broker.dir, name));
  }, 60_000);
  afterAll(() => broker.end());

  test('every batch of every log is valid', async () => {
    const logs = ending(/\d{20}\.log$/);
    expect(logs.length).toBeGreaterThan(6);
    const out = await dump(logs, '--deep-iteration', '--print-data-log');
    expect(out).not.toMatch(/invalid bytes|isvalid: false|Exception/i);
    expect(out).toMatch(/deleteHorizonMs: OptionalLong\[\d+\]/);
    expect(out).toMatch(/endTxnMarker: ABORT/);
  });

  test('indexes agree with their logs', async () => {
    const out = await dump(ending(/\.(time)?index$/));
    expect(out).not.toMatch(/mismatch|out of order|not found|Exception/i);
    expect(await dump(ending(/\d{20}\.index$/), '--index-sanity-check')).not.toMatch(/Exception|fail/i);
  });

  test('aborted transactions and producer snapshots are read', async () => {
    const txns = ending(/\.txnindex$/);
    expect(txns.length).toBeGreaterThan(0);
    expect((await dump(txns)).match(/version: 0 producerId: \d+ firstOffset: \d+/g)?.length).toBeGreaterThan(10);
    const snapshots = ending(/\.snapshot$/);
    expect(snapshots.length).toBeGreaterThan(2);
    expect(await dump(snapshots)).toMatch(/producerId: \d+ producerEpoch: \d+ coordinatorEpoch: 0 currentTxnFirstOffset: OptionalLong\.empty/);
  });

  test('the offsets and transaction decoders read the internal topics', async () => {
    const offsets = await dump(ending(/__consumer_offsets-0\/\d{20}\.log$/), '--offsets-decoder', '--print-data-log');
    expect(offsets).not.toMatch(/Exception|isvalid: false/);
    expect(offsets).toMatch(/"group":"g"/);
    const transactions = await dump(ending(/__transaction_state-0\/\d{20}\.log$/), '--transaction-log-decoder', '--print-data-log');
    expect(transactions).not.toMatch(/Exception|isvalid: false/);
    expect(transactions).toMatch(/"?transactionalId"?[:=]"?tx|transaction_metadata::transactionalId=tx/);
  });
});
