/**
 * Idempotence and transactions through the protocol, over restarts and crashes: duplicates, gaps, fencing, what committed
 * readers see, timeouts, and the end of a transaction that a crash interrupted.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AddOffsetsToTxn } from '../../src/kafka/apis/add-offsets-to-txn.ts';
import { AddPartitionsToTxn } from '../../src/kafka/apis/add-partitions-to-txn.ts';
import { DescribeProducers } from '../../src/kafka/apis/describe-producers.ts';
import { DescribeTransactions } from '../../src/kafka/apis/describe-transactions.ts';
import { EndTxn } from '../../src/kafka/apis/end-txn.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import { TxnOffsetCommit } from '../../src/kafka/apis/txn-offset-commit.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { ManualClock } from '../../src/lib/clock.ts';
import { batches } from '../../src/records/batch.ts';
import { batchOf, eventually, fetchFrom, produceTo, readAll, TestBroker, tempDir } from './broker-harness.ts';

interface Producer {
  readonly id: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

async function init(client: KafkaConnection, id: string, transactionTimeoutMs = 60_000): Promise<Producer> {
  return eventually(async () => {
    const { errorCode, producerId, producerEpoch } = await client.call(InitProducerId, { transactionalId: id, transactionTimeoutMs });
    return errorCode === 0 && { id, producerId, producerEpoch };
  }, `an id for ${id}`);
}

async function add(
  client: KafkaConnection,
  { id, producerId, producerEpoch }: Producer,
  topic: string,
  partitions: readonly number[] = [0],
): Promise<number[]> {
  const answer = await client.call(AddPartitionsToTxn, {
    v3AndBelowTransactionalId: id,
    v3AndBelowProducerId: producerId,
    v3AndBelowProducerEpoch: producerEpoch,
    v3AndBelowTopics: [{ name: topic, partitions }],
  });
  return answer.resultsByTopicV3AndBelow[0]!.resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode);
}

async function send(client: KafkaConnection, producer: Producer, topic: string, value: string, baseSequence: number): Promise<number> {
  const { producerId, producerEpoch, id } = producer;
  const bytes = batchOf([value], { producerId, producerEpoch, baseSequence, transactional: true });
  return (await produceTo(client, topic, 0, bytes, { transactionalId: id })).errorCode;
}

const end = async (client: KafkaConnection, { id, producerId, producerEpoch }: Producer, committed: boolean): Promise<number> =>
  (await client.call(EndTxn, { transactionalId: id, producerId, producerEpoch, committed })).errorCode;
const state = async (client: KafkaConnection, id: string): Promise<string> =>
  (await client.call(DescribeTransactions, { transactionalIds: [id] })).transactionStates[0]!.transactionState;
const values = async (client: KafkaConnection, topic: string, committed: boolean): Promise<(string | null)[]> =>
  (await readAll(client, topic, 0, { committed })).map(({ value }) => value);

describe('one broker', () => {
  let broker: TestBroker;
  let client: KafkaConnection;
  beforeAll(async () => {
    broker = await TestBroker.start();
    client = await broker.client();
  });
  afterAll(() => broker.end());

  test('idempotence: duplicates of the last five batches, gaps, old duplicates, old and new epochs', async () => {
    await broker.topic('idem');
    const { producerId } = await client.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 1000 });
    const put = (baseSequence: number, count = 1, producerEpoch = 0) =>
      produceTo(client, 'idem', 0, batchOf(Array(count).fill('x'), { producerId, producerEpoch, baseSequence }));
    expect(await put(0, 3)).toMatchObject({ errorCode: 0, baseOffset: 0 });
    for (let n = 0; n < 5; n++) expect(await put(3 + n)).toMatchObject({ errorCode: 0, baseOffset: 3 + n });
    expect(await put(5)).toMatchObject({ errorCode: 0, baseOffset: 5 });
    expect((await put(0, 3)).errorCode, 'older than the window').toBe(45);
    expect((await put(4, 2)).errorCode, 'the same start with another end').toBe(45);
    expect((await put(9)).errorCode, 'a gap').toBe(45);
    expect((await put(1, 1, 1)).errorCode, 'a new epoch must start at zero').toBe(45);
    expect(await put(0, 1, 1)).toMatchObject({ errorCode: 0, baseOffset: 8 });
    expect((await put(8, 1, 0)).errorCode, 'the old epoch').toBe(47);
    await broker.restart();
    client = await broker.client();
    expect(await put(0, 1, 1), 'a duplicate after a restart').toMatchObject({ errorCode: 0, baseOffset: 8 });
    expect(await put(1, 1, 1)).toMatchObject({ errorCode: 0, baseOffset: 9 });
    expect((await put(5, 1, 1)).errorCode).toBe(45);
  });

  test('sequences wrap around after 2147483647', async () => {
    await broker.topic('wrap');
    const { producerId } = await client.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 1000 });
    const put = (baseSequence: number, count: number) =>
      produceTo(client, 'wrap', 0, batchOf(Array(count).fill('x'), { producerId, producerEpoch: 0, baseSequence }));
    expect((await put(2_147_483_646, 3)).errorCode).toBe(0);
    expect(await put(1, 1)).toMatchObject({ errorCode: 0, baseOffset: 3 });
    expect(await put(2_147_483_646, 3)).toMatchObject({ errorCode: 0, baseOffset: 0 });
  });

  test('the states of a transaction, and what each refuses', async () => {
    await broker.topic('states', 2);
    const producer = await init(client, 'states-id');
    expect(await state(client, 'states-id')).toBe('Empty');
    expect(await end(client, producer, true), 'nothing to end').toBe(48);
    expect(await send(client, producer, 'states', 'x', 0), 'a partition that was not added: TRANSACTION_ABORTABLE').toBe(120);
    expect(await add(client, producer, 'states', [0, 7]), 'one unknown partition stops all').toEqual([55, 3]);
    expect(await add(client, producer, 'states', [0, 1])).toEqual([0, 0]);
    expect(await state(client, 'states-id')).toBe('Ongoing');
    expect(await send(client, producer, 'states', 'x', 0)).toBe(0);
    const outside = batchOf(['y'], { producerId: producer.producerId, producerEpoch: producer.producerEpoch, baseSequence: 1 });
    expect((await produceTo(client, 'states', 0, outside)).errorCode, 'a plain batch while a transaction is open').toBe(48);
    const { topics } = await client.call(DescribeProducers, { topics: [{ name: 'states', partitionIndexes: [0] }] });
    expect(topics[0]!.partitions[0]!.activeProducers[0]).toMatchObject({ producerId: producer.producerId, currentTxnStartOffset: 0, lastSequence: 0 });
    expect(await end(client, { ...producer, producerId: producer.producerId + 1000 }, true), 'another producer').toBe(49);
    expect(await end(client, producer, true)).toBe(0);
    expect(await end(client, producer, true), 'a repeat').toBe(0);
    expect(await end(client, producer, false), 'the opposite').toBe(48);
    await eventually(async () => (await state(client, 'states-id')) === 'CompleteCommit', 'the end');
    expect(await values(client, 'states', true)).toEqual(['x']);
    const markers = await fetchFrom(client, 'states', 1, 0);
    expect(
      [...batches(markers.records!)].map(({ isControl }) => isControl),
      'a partition that got nothing gets a marker too',
    ).toEqual([true]);
  });

  test('a second producer with the id fences the first and aborts what it left', async () => {
    await broker.topic('fence');
    const old = await init(client, 'fence-id');
    await add(client, old, 'fence');
    expect(await send(client, old, 'fence', 'old', 0)).toBe(0);
    const young = await init(client, 'fence-id');
    expect(young).toMatchObject({ producerId: old.producerId });
    expect(young.producerEpoch).toBeGreaterThan(old.producerEpoch);
    expect([47, 90]).toContain(await send(client, old, 'fence', 'late', 1));
    expect([47, 90]).toContain((await add(client, old, 'fence'))[0]);
    expect([47, 90]).toContain(await end(client, old, true));
    await add(client, young, 'fence');
    expect(await send(client, young, 'fence', 'young', 0)).toBe(0);
    expect(await end(client, young, true)).toBe(0);
    expect(await values(client, 'fence', true)).toEqual(['young']);
    expect(await values(client, 'fence', false)).toEqual(['old', 'young']);
  });

  test('offsets in a transaction show after its commit, and never after an abort', async () => {
    await broker.topic('in');
    const committedAt = async (requireStable = false): Promise<number> => {
      const { groups } = await client.call(OffsetFetch, { groups: [{ groupId: 'tg', topics: [{ name: 'in', partitionIndexes: [0] }] }], requireStable });
      const { errorCode, committedOffset } = groups[0]!.topics[0]!.partitions[0]!;
      return errorCode === 0 ? committedOffset : -errorCode;
    };
    const producer = await init(client, 'offsets-id');
    const { producerId, producerEpoch } = producer;
    for (const [offset, commit] of [
      [5, true],
      [9, false],
    ] as const) {
      expect((await client.call(AddOffsetsToTxn, { transactionalId: 'offsets-id', producerId, producerEpoch, groupId: 'tg' })).errorCode).toBe(0);
      const before = await committedAt();
      const sent = await client.call(TxnOffsetCommit, {
        transactionalId: 'offsets-id',
        groupId: 'tg',
        producerId,
        producerEpoch,
        topics: [{ name: 'in', partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }] }],
      });
      expect(sent.topics[0]!.partitions[0]!.errorCode).toBe(0);
      expect(await committedAt()).toBe(before);
      expect(await committedAt(true), 'UNSTABLE_OFFSET_COMMIT').toBe(-88);
      expect(await end(client, producer, commit)).toBe(0);
      await eventually(async () => (await committedAt(true)) >= 0, 'a stable offset');
      expect(await committedAt()).toBe(5);
    }
    await broker.restart();
    client = await broker.client();
    expect(await committedAt(true)).toBe(5);
  });

  test('interleaved transactions: a committed reader gets exactly the committed ones, after restarts too', async () => {
    await broker.topic('mix', 1, { 'segment.bytes': '20000' });
    const producers = await Promise.all(['a', 'b', 'c'].map((name) => init(client, `mix-${name}`)));
    const wanted: string[] = [];
    const sequences = [0, 0, 0];
    for (let round = 0; round < 40; round++) {
      for (const [n, producer] of producers.entries()) {
        expect(await add(client, producer, 'mix')).toEqual([0]);
        expect(await send(client, producer, 'mix', `${round}-${n}-${'x'.repeat(200)}`, sequences[n]!++)).toBe(0);
      }
      for (const [n, producer] of producers.entries()) {
        const commit = (round * 7 + n) % 3 !== 0;
        expect(await end(client, producer, commit)).toBe(0);
        if (commit) wanted.push(`${round}-${n}`);
      }
    }
    const seen = async (): Promise<string[]> => (await values(client, 'mix', true)).map((value) => value!.replace(/-x+$/, ''));
    expect(await seen()).toEqual(wanted);
    await broker.restart();
    client = await broker.client();
    expect(await seen()).toEqual(wanted);
    expect(await values(client, 'mix', false)).toHaveLength(120);
  });
});

describe('time and crashes', () => {
  test('a transaction that outlives its timeout is aborted, and its producer fenced', async () => {
    const clock = new ManualClock();
    const broker = await TestBroker.start({}, { clock });
    const client = await broker.client();
    await broker.topic('slow');
    const producer = await init(client, 'slow-id', 5000);
    await add(client, producer, 'slow');
    expect(await send(client, producer, 'slow', 'late', 0)).toBe(0);
    await clock.advance(4000);
    expect(await state(client, 'slow-id')).toBe('Ongoing');
    expect((await fetchFrom(client, 'slow', 0, 0, { committed: true })).lastStableOffset).toBe(0);
    await clock.advance(12_000);
    await eventually(async () => (await state(client, 'slow-id')) === 'CompleteAbort', 'the abort');
    expect([47, 90]).toContain(await end(client, producer, true));
    expect(await values(client, 'slow', true)).toEqual([]);
    await broker.end();
  });

  test('what a crash leaves: an open transaction stays open, a prepared one is finished', async () => {
    const broker = await TestBroker.start();
    const client = await broker.client();
    await broker.topic('left');
    const open = await init(client, 'open-id');
    await add(client, open, 'left');
    expect(await send(client, open, 'left', 'open', 0)).toBe(0);
    const done = await init(client, 'done-id');
    await add(client, done, 'left');
    expect(await send(client, done, 'left', 'done', 0)).toBe(0);
    // A copy of the directory while it runs is what a power cut leaves: EndTxn was answered, perhaps without all markers.
    expect(await end(client, done, true)).toBe(0);
    const copy = tempDir('broker-copy');
    fs.cpSync(broker.dir, copy, { recursive: true, filter: (from) => path.basename(from) !== '.lock' });
    await broker.end();
    const again = await TestBroker.start({}, { dir: copy });
    const reader = await again.client();
    await eventually(async () => (await state(reader, 'done-id')) === 'CompleteCommit', 'the prepared one to finish');
    expect(await state(reader, 'open-id')).toBe('Ongoing');
    expect((await fetchFrom(reader, 'left', 0, 0, { committed: true })).lastStableOffset).toBe(0);
    expect(await end(reader, open, false)).toBe(0);
    expect(await values(reader, 'left', true)).toEqual(['done']);
    await again.end();
  });

  test('a prepared transaction whose markers a crash lost is finished at the next start', async () => {
    const broker = await TestBroker.start();
    const client = await broker.client();
    await broker.topic('cut');
    const producer = await init(client, 'cut-id');
    await add(client, producer, 'cut');
    expect(await send(client, producer, 'cut', 'value', 0)).toBe(0);
    expect(await end(client, producer, true)).toBe(0);
    await eventually(async () => (await state(client, 'cut-id')) === 'CompleteCommit', 'the end');
    const copy = tempDir('broker-copy');
    fs.cpSync(broker.dir, copy, { recursive: true, filter: (from) => path.basename(from) !== '.lock' });
    await broker.end();
    // Takes the marker off the data log and the final state off the transaction log, as if neither had been written.
    cutLastBatch(path.join(copy, 'cut-0'));
    for (const name of fs.readdirSync(copy).filter((entry) => entry.startsWith('__transaction_state-'))) cutLastBatch(path.join(copy, name));
    const again = await TestBroker.start({}, { dir: copy });
    const reader = await again.client();
    await eventually(async () => (await state(reader, 'cut-id')) === 'CompleteCommit', 'the end again');
    expect(await values(reader, 'cut', true)).toEqual(['value']);
    expect((await fetchFrom(reader, 'cut', 0, 0, { committed: true })).lastStableOffset).toBe(2);
    await again.end();
  });
});

/** Cuts the last batch off the newest segment in a partition's folder, if it has any. */
function cutLastBatch(dir: string): void {
  const name = fs
    .readdirSync(dir)
    .filter((entry) => entry.endsWith('.log'))
    .sort()
    .at(-1) as string;
  const bytes = fs.readFileSync(path.join(dir, name));
  const last = [...batches(bytes)].at(-1);
  if (last) fs.truncateSync(path.join(dir, name), last.at);
}
