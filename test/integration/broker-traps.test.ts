/**
 * The 25 usual reasons why a home-made broker fails with real clients (docs of the reference, section 11), each as a test
 * through a real socket, with the request and response bytes of real clients where there are some. A long file, because it
 * is one list that is read by number.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { handlers } from '../../src/broker/handlers/catalog.ts';
import { AddPartitionsToTxn } from '../../src/kafka/apis/add-partitions-to-txn.ts';
import { AlterConfigs } from '../../src/kafka/apis/alter-configs.ts';
import { CreatePartitions } from '../../src/kafka/apis/create-partitions.ts';
import { DeleteTopics } from '../../src/kafka/apis/delete-topics.ts';
import { DescribeConfigs } from '../../src/kafka/apis/describe-configs.ts';
import { EndTxn } from '../../src/kafka/apis/end-txn.ts';
import { Fetch } from '../../src/kafka/apis/fetch.ts';
import { FindCoordinator } from '../../src/kafka/apis/find-coordinator.ts';
import { Heartbeat } from '../../src/kafka/apis/heartbeat.ts';
import { IncrementalAlterConfigs } from '../../src/kafka/apis/incremental-alter-configs.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { JoinGroup } from '../../src/kafka/apis/join-group.ts';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import { Produce } from '../../src/kafka/apis/produce.ts';
import { SyncGroup } from '../../src/kafka/apis/sync-group.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { codec } from '../../src/kafka/compile.ts';
import { encodeRequest } from '../../src/kafka/headers.ts';
import { ZERO_UUID } from '../../src/kafka/schema.ts';
import { ByteReader } from '../../src/lib/bytes.ts';
import { batches, checkBatch } from '../../src/records/batch.ts';
import { batchOf, eventually, fetchFrom, produceTo, readAll, TestBroker } from './broker-harness.ts';

let broker: TestBroker;
let client: KafkaConnection;
const I64_MAX = 2 ** 63;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client();
});
afterAll(() => broker.end());

const hex = (text: string): string => text.replaceAll(/\s/g, '');
const transaction = async (transactionalId: string): Promise<{ producerId: number; producerEpoch: number }> => {
  const { errorCode, producerId, producerEpoch } = await client.call(InitProducerId, { transactionalId, transactionTimeoutMs: 60_000 });
  expect(errorCode).toBe(0);
  return { producerId, producerEpoch };
};
const addPartition = async (id: string, producer: { producerId: number; producerEpoch: number }, topic: string): Promise<number> => {
  const answer = await client.call(AddPartitionsToTxn, {
    v3AndBelowTransactionalId: id,
    v3AndBelowProducerId: producer.producerId,
    v3AndBelowProducerEpoch: producer.producerEpoch,
    v3AndBelowTopics: [{ name: topic, partitions: [0] }],
  });
  return answer.resultsByTopicV3AndBelow[0]!.resultsByPartition[0]!.partitionErrorCode;
};

describe('versions and headers', () => {
  test('1: ApiVersions answers without header tags in every version', async () => {
    const raw = await broker.raw();
    raw.sendHex('0012 0003 00000001 0007 72646b61666b61 00 0b 6c696272646b61666b61 06 322e302e32 00');
    const frame = (await raw.frame()) as Buffer;
    expect(frame.readInt32BE(0)).toBe(1);
    expect(frame.readInt16BE(4)).toBe(0);
    expect(frame[6]).toBe(handlers().size + 1);
  });

  test('2: a too new ApiVersions is answered in version 0 with our range, and the connection lives', async () => {
    const raw = await broker.raw();
    raw.sendHex('0012 0009 0000004d 0007 72646b61666b61 00 ffffff');
    expect((await raw.frame())?.toString('hex')).toBe(hex('0000004d 0023 00000001 0012 0000 0004'));
    raw.sendHex('0012 0000 0000004e ffff');
    expect((await raw.frame())?.readInt32BE(0)).toBe(0x4e);
  });

  test('3: metadata, coordinator and the bootstrap address agree', async () => {
    const { brokers, controllerId } = await client.call(Metadata, { topics: [] });
    expect(brokers).toEqual([{ nodeId: controllerId, host: '127.0.0.1', port: broker.port, rack: null }]);
    const { coordinators } = await client.call(FindCoordinator, { keyType: 0, coordinatorKeys: ['g'] });
    expect(coordinators[0]).toMatchObject({ nodeId: controllerId, host: '127.0.0.1', port: broker.port, errorCode: 0 });
  });

  test('3: behind a wildcard listener a client is told the address it reached', async () => {
    const wild = await TestBroker.start({ listeners: 'PLAINTEXT://0.0.0.0:0' });
    const { brokers } = await (await wild.client()).call(Metadata, { topics: [] });
    expect(brokers[0]).toMatchObject({ host: '127.0.0.1', port: wild.port });
    await wild.end();
  });

  test('4: the ranges that old librdkafka and the 0.9 client look for', () => {
    const offered = (key: number): readonly number[] => client.offered.get(key) ?? [];
    for (const [key, max] of [
      [0, 11],
      [1, 17],
      [2, 9],
      [3, 12],
      [8, 9],
      [9, 9],
      [10, 6],
      [11, 9],
      [12, 4],
      [13, 5],
      [14, 5],
      [22, 5],
      [24, 3],
      [26, 4],
      [28, 4],
    ] as const) {
      expect(offered(key), `API ${key}`).toEqual([0, max]);
    }
    for (const absent of [4, 5, 6, 7, 38, 58, 71, 72]) expect(offered(absent)).toEqual([]);
  });

  test('6: an empty partition answers zero bytes of records, not null, in every version', async () => {
    await broker.topic('empty');
    const { id } = broker.running.broker.topics.get('empty')!;
    for (let version = 0; version <= 17; version++) {
      const answer = await client.call(
        Fetch,
        {
          maxWaitMs: 0,
          minBytes: 1,
          sessionEpoch: -1,
          topics: [{ ...(version < 13 ? { topic: 'empty' } : { topicId: id }), partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }],
        },
        { version },
      );
      expect(answer.responses[0]!.partitions[0]!.records, `version ${version}`).toEqual(Buffer.alloc(0));
    }
  });

  test('7: every nested struct of a flexible answer ends in its tags: read back and written again it is the same bytes', async () => {
    await broker.topic('tags', 2);
    const raw = await broker.raw();
    for (const part of encodeRequest({ api: Metadata, version: 12, correlationId: 1, clientId: 'x' }, { topics: [{ name: 'tags' }] })) raw.send(part);
    const frame = (await raw.frame()) as Buffer;
    const reader = new ByteReader(frame.subarray(5));
    const { topics } = codec(Metadata, 12).decodeResponse(reader) as { topics: readonly { partitions: readonly unknown[] }[] };
    expect(reader.remaining).toBe(0);
    expect(topics[0]!.partitions).toHaveLength(2);
  });

  test('other unknown APIs and versions close the connection', async () => {
    for (const request of ['0063 0000 00000001 ffff', '0003 0063 00000001 ffff', '0004 0000 00000001 ffff']) {
      const raw = await broker.raw();
      raw.sendHex(request);
      expect(await raw.frame()).toBeNull();
    }
  });
});

describe('request and response vectors of real clients', () => {
  test('Metadata v0, InitProducerId v4, Produce v9, FindCoordinator v0, OffsetFetch v2, ListOffsets v1', async () => {
    await broker.topic('hx');
    const raw = await broker.raw();
    const port = broker.port.toString(16).padStart(8, '0');
    const host = `0009 ${Buffer.from('127.0.0.1').toString('hex')}`;
    const ask = async (request: string): Promise<string> => {
      raw.sendHex(request);
      return (await raw.frame())!.toString('hex');
    };
    expect(await ask('0003 0000 00000000 000a 70726f64756365722d31 00000001 0002 6878')).toBe(
      hex(`00000000 00000001 00000000 ${host} ${port} 00000001 0000 0002 6878 00000001 0000 00000000 00000000 00000001 00000000 00000001 00000000`),
    );
    const id = await ask('0016 0004 00000002 000a 70726f64756365722d31 00 00 7fffffff ffffffffffffffff ffff 00');
    expect(id).toMatch(/^000000020{14}[0-9a-f]{16}000000$/);
    const hello = hex(
      '0000000000000000 0000003d 00000000 02 fd1346fb 0000 00000000 000001a1fbd813fa 000001a1fbd813fa ffffffffffffffff ffff ffffffff 00000001 16 00 00 00 01 0a 68656c6c6f 00',
    );
    const size = (hello.length / 2 + 1).toString(16).padStart(2, '0');
    const old = Buffer.from(hello, 'hex');
    expect(await ask(`0000 0009 00000004 000a 70726f64756365722d31 00 00 ffff 00007530 02 03 6878 02 00000000 ${size} ${old.toString('hex')} 00 00 00`)).toBe(
      hex('00000004 00 02 03 6878 02 00000000 0000 0000000000000000 ffffffffffffffff 0000000000000000 01 00 00 00 00000000 00'),
    );
    expect(await ask('000a 0000 00000000 000a 636f6e73756d65722d31 0003 687867')).toBe(hex(`00000000 0000 00000000 ${host} ${port}`));
    expect(await ask('0009 0002 00000006 ffff 0003 687867 00000001 0002 6878 00000001 00000000')).toBe(
      hex('00000006 00000001 0002 6878 00000001 00000000 ffffffffffffffff 0000 0000 0000'),
    );
    expect(await ask('0002 0001 00000007 ffff ffffffff 00000001 0002 6878 00000001 00000000 fffffffffffffffe')).toBe(
      hex('00000007 00000001 0002 6878 00000001 00000000 0000 ffffffffffffffff 0000000000000000'),
    );
  });

  test('Produce v2 with a message of format 1', async () => {
    await broker.topic('hy');
    const raw = await broker.raw();
    const value = hex(`00000022 ${Buffer.from(`value-0-${'x'.repeat(26)}`).toString('hex')}`);
    const message = hex(`0000000000000000 0000003a ac79fc91 01 00 000001a1fbd7f930 00000002 6b30 ${value}`);
    raw.sendHex(`0000 0002 00000003 000a 70726f64756365722d31 ffff 00007530 00000001 0002 6879 00000001 00000000 00000046 ${message}`);
    expect((await raw.frame())?.toString('hex')).toBe(hex('00000003 00000001 0002 6879 00000001 00000000 0000 0000000000000000 ffffffffffffffff 00000000'));
    expect(await readAll(client, 'hy', 0)).toEqual([{ offset: 0, key: 'k0', value: `value-0-${'x'.repeat(26)}` }]);
  });

  test('JoinGroup v1 and SyncGroup v0 of a consumer', async () => {
    const raw = await broker.raw();
    raw.sendHex(
      '000b 0001 00000003 000a 636f6e73756d65722d31 0003 687867 00002710 000493e0 0000 0008 636f6e73756d6572 00000001 0005 72616e6765 0000000e 0000 00000001 0002 6878 00000000',
    );
    const joined = (await raw.frame()) as Buffer;
    const reader = new ByteReader(joined.subarray(4));
    expect(reader.i16()).toBe(0);
    expect(reader.i32()).toBe(1);
    const memberAt = 4 + 2 + 4 + 2 + 'range'.length;
    const member = joined.subarray(memberAt, memberAt + 2 + joined.readInt16BE(memberAt)).toString('hex');
    const assignment = hex('0000 00000001 0002 6878 00000001 00000000 00000000');
    raw.sendHex(`000e 0000 00000005 ffff 0003 687867 00000001 ${member} 00000001 ${member} 00000016 ${assignment}`);
    expect((await raw.frame())?.toString('hex')).toBe(hex(`00000005 0000 00000016 ${assignment}`));
  });
});

describe('reading and writing', () => {
  test('8: a fetch inside a batch returns that batch whole', async () => {
    await broker.topic('inside');
    await produceTo(client, 'inside', 0, batchOf(['a', 'b', 'c']));
    await produceTo(client, 'inside', 0, batchOf(['d']));
    const got = await fetchFrom(client, 'inside', 0, 1);
    expect([...batches(got.records!)].map((batch) => batch.baseOffset)).toEqual([0, 3]);
    expect((await fetchFrom(client, 'inside', 0, 2, { maxBytes: 1 })).records!.readBigInt64BE(0)).toBe(0n);
    expect((await readAll(client, 'inside', 0, { from: 1 })).map(({ value }) => value)).toEqual(['b', 'c', 'd']);
  });

  test('9: producer ids never repeat, restarts included (broker-kill.test.ts: kills too)', async () => {
    const own = await TestBroker.start();
    const seen = new Set<number>();
    for (let round = 0; round < 4; round++) {
      const asking = await own.client();
      for (let i = 0; i < 3; i++) {
        const { errorCode, producerId } = await asking.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 2 ** 31 - 1 });
        expect(errorCode).toBe(0);
        expect(seen.has(producerId)).toBe(false);
        seen.add(producerId);
      }
      await own.restart();
    }
    await own.end();
  });

  test('10 and 11: five batches in flight keep their order, and each retry gets the original offset', async () => {
    await broker.topic('retry');
    const { producerId } = await client.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 1000 });
    const batch = (sequence: number): Buffer => batchOf([`v${sequence}`], { producerId, producerEpoch: 0, baseSequence: sequence });
    const sent = await Promise.all([0, 1, 2, 3, 4].map((sequence) => produceTo(client, 'retry', 0, batch(sequence))));
    expect(sent.map(({ errorCode, baseOffset }) => [errorCode, baseOffset])).toEqual([0, 1, 2, 3, 4].map((offset) => [0, offset]));
    const again = await Promise.all([0, 1, 2, 3, 4].map((sequence) => produceTo(client, 'retry', 0, batch(sequence))));
    expect(again.map(({ errorCode, baseOffset }) => [errorCode, baseOffset])).toEqual([0, 1, 2, 3, 4].map((offset) => [0, offset]));
    expect((await readAll(client, 'retry', 0)).map(({ value }) => value)).toEqual(['v0', 'v1', 'v2', 'v3', 'v4']);
    expect((await produceTo(client, 'retry', 0, batch(9))).errorCode).toBe(45);
  });

  test('11: two hundred mixed requests in one write are answered in their order', async () => {
    await broker.topic('pipeline');
    const raw = await broker.raw();
    const parts: Buffer[] = [];
    for (let id = 0; id < 200; id++) {
      const produce = { acks: 1, timeoutMs: 1000, topicData: [{ name: 'pipeline', partitionData: [{ index: 0, records: batchOf([`p${id}`]) }] }] };
      const call = { correlationId: id, clientId: null };
      parts.push(
        ...(id % 3 === 0
          ? encodeRequest({ api: Metadata, version: 9, ...call }, { topics: [] })
          : encodeRequest({ api: Produce, version: 9, ...call }, id % 3 === 1 ? produce : { ...produce, acks: -1 })),
      );
    }
    raw.send(Buffer.concat(parts));
    for (let id = 0; id < 200; id++) expect((await raw.frame())?.readInt32BE(0)).toBe(id);
    expect((await readAll(client, 'pipeline', 0)).map(({ value }) => value)).toEqual(
      Array.from({ length: 200 }, (_, id) => id).flatMap((id) => (id % 3 === 0 ? [] : [`p${id}`])),
    );
  });

  test('12: acks=0 has no answer; an error closes the connection', async () => {
    await broker.topic('silent');
    const raw = await broker.raw();
    const produce = (topic: string): Buffer =>
      Buffer.concat(
        encodeRequest(
          { api: Produce, version: 9, correlationId: 1, clientId: null },
          { acks: 0, timeoutMs: 1000, topicData: [{ name: topic, partitionData: [{ index: 0, records: batchOf(['x']) }] }] },
        ),
      );
    raw.send(produce('silent'));
    raw.sendHex('0012 0000 00000002 ffff');
    expect((await raw.frame())?.readInt32BE(0)).toBe(2);
    raw.send(produce('no-such-topic'));
    expect(await raw.frame()).toBeNull();
    expect(await readAll(client, 'silent', 0)).toHaveLength(1);
  });

  test('17 and 18: committed readers stop at an open transaction, skip aborted ones, and get the markers', async () => {
    await broker.topic('lso');
    const producer = await transaction('lso-id');
    const { producerId, producerEpoch } = producer;
    const batch = (value: string, baseSequence: number): Buffer => batchOf([value], { producerId, producerEpoch, baseSequence, transactional: true });
    await produceTo(client, 'lso', 0, batchOf(['before']));
    expect(await addPartition('lso-id', producer, 'lso')).toBe(0);
    expect((await produceTo(client, 'lso', 0, batch('aborted', 0), { transactionalId: 'lso-id' })).errorCode).toBe(0);
    await produceTo(client, 'lso', 0, batchOf(['after']));
    const open = await fetchFrom(client, 'lso', 0, 0, { committed: true });
    expect(open).toMatchObject({ highWatermark: 3, lastStableOffset: 1, abortedTransactions: [] });
    expect([...batches(open.records!)]).toHaveLength(1);
    expect((await fetchFrom(client, 'lso', 0, 0)).abortedTransactions).toBeNull();
    expect((await client.call(EndTxn, { transactionalId: 'lso-id', ...producer, committed: false })).errorCode).toBe(0);
    const done = await fetchFrom(client, 'lso', 0, 0, { committed: true });
    expect(done).toMatchObject({ lastStableOffset: 4, abortedTransactions: [{ producerId, firstOffset: 1 }] });
    expect((await readAll(client, 'lso', 0, { committed: true })).map(({ value }) => value)).toEqual(['before', 'after']);
    const marker = await fetchFrom(client, 'lso', 0, 3);
    expect([...batches(marker.records!)].map(({ isControl, baseOffset }) => [isControl, baseOffset])).toEqual([[true, 3]]);
  });

  test('19: max.message.bytes goes by the stored size of the batch', async () => {
    await broker.topic('sizes', 1, { 'max.message.bytes': '1000' });
    expect((await produceTo(client, 'sizes', 0, batchOf(['x'.repeat(2000)]))).errorCode).toBe(10);
    expect((await produceTo(client, 'sizes', 0, batchOf(['x'.repeat(2000)], { codec: 1 }))).errorCode).toBe(0);
  });

  test('20: what comes back has sound checksums; what came with a wrong one is refused', async () => {
    await broker.topic('sums');
    const bad = batchOf(['y']);
    bad[bad.length - 2] = bad[bad.length - 2]! ^ 1;
    expect((await produceTo(client, 'sums', 0, bad)).errorCode).toBe(2);
    await produceTo(client, 'sums', 0, batchOf(['y']));
    expect(checkBatch((await fetchFrom(client, 'sums', 0, 0)).records!)).toBeNull();
  });

  test('21: numbers at the edge of 64 bits keep their bits', async () => {
    await broker.topic('edges');
    const commit = await client.call(OffsetCommit, {
      groupId: 'edges',
      topics: [{ name: 'edges', partitions: [{ partitionIndex: 0, committedOffset: 2 ** 53 - 1, committedMetadata: 'm' }] }],
    });
    expect(commit.topics[0]!.partitions[0]!.errorCode).toBe(0);
    const { groups } = await client.call(OffsetFetch, { groups: [{ groupId: 'edges', topics: null }] });
    expect(groups[0]!.topics[0]!.partitions[0]).toMatchObject({ committedOffset: 2 ** 53 - 1, metadata: 'm' });
    const at = 1_795_226_193_001;
    await produceTo(client, 'edges', 0, batchOf(['t'], { at }));
    const list = async (timestamp: number) => {
      const { topics } = await client.call(ListOffsets, { replicaId: -1, topics: [{ name: 'edges', partitions: [{ partitionIndex: 0, timestamp }] }] });
      return topics[0]!.partitions[0]!;
    };
    expect(await list(at)).toMatchObject({ offset: 0, timestamp: at });
    expect(await list(I64_MAX)).toMatchObject({ offset: -1, timestamp: -1, errorCode: 0 });
    expect(await list(-3)).toMatchObject({ offset: 0, timestamp: at });
  });

  test('22: a long poll waits for its bytes and is woken by an append, by deletion, and by nothing else than its time', async () => {
    await broker.topic('poll');
    const reader = await broker.client();
    const began = performance.now();
    const waiting = fetchFrom(reader, 'poll', 0, 0, { waitMs: 15_000, minBytes: 1 });
    await produceTo(client, 'poll', 0, batchOf(['wake']));
    expect((await waiting).records!.length).toBeGreaterThan(0);
    expect(performance.now() - began).toBeLessThan(10_000);

    const early = performance.now();
    expect((await fetchFrom(reader, 'poll', 0, 1, { waitMs: 300, minBytes: 1 })).records).toHaveLength(0);
    expect(performance.now() - early).toBeGreaterThan(290);

    const doomed = fetchFrom(reader, 'poll', 0, 1, { waitMs: 15_000 });
    await client.call(DeleteTopics, { topics: [{ name: 'poll', topicId: ZERO_UUID }], timeoutMs: 1000 });
    expect((await doomed).errorCode).toBe(3);
  });

  test('22: a long poll for many bytes is answered when they are there, and reads them once', async () => {
    await broker.topic('patient');
    const reader = await broker.client();
    const batch = batchOf(['x'.repeat(20_000)]);
    const began = performance.now();
    const waiting = fetchFrom(reader, 'patient', 0, 0, { waitMs: 60_000, minBytes: 100 * batch.length });
    for (let i = 0; i < 100; i++) await produceTo(client, 'patient', 0, batchOf(['x'.repeat(20_000)]), { acks: 1 });
    expect((await waiting).records).toHaveLength(100 * batch.length);
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(broker.running.broker.topics.partition('patient', 0)!.fetchedBytes).toBeLessThan(150 * batch.length);
  });

  test('22: what lies before the last segment is answered at once, and open transactions do not count as bytes', async () => {
    await broker.topic('early', 1, { 'segment.bytes': '50000' });
    for (let i = 0; i < 4; i++) await produceTo(client, 'early', 0, batchOf(['x'.repeat(20_000)]));
    const began = performance.now();
    expect((await fetchFrom(client, 'early', 0, 0, { waitMs: 60_000, minBytes: 1_000_000 })).records!.length).toBeGreaterThan(20_000);
    expect(performance.now() - began).toBeLessThan(30_000);

    await broker.topic('open');
    const producer = await transaction('open-txn');
    expect(await addPartition('open-txn', producer, 'open')).toBe(0);
    const inside = batchOf(['not yet'], { ...producer, baseSequence: 0, transactional: true });
    await produceTo(client, 'open', 0, inside, { transactionalId: 'open-txn' });
    const reader = await broker.client();
    const waiting = fetchFrom(reader, 'open', 0, 0, { waitMs: 60_000, committed: true });
    await produceTo(client, 'open', 0, batchOf(['behind it']));
    const { errorCode } = await client.call(EndTxn, { transactionalId: 'open-txn', ...producer, committed: true });
    expect(errorCode).toBe(0);
    expect([...batches((await waiting).records!)].map(({ isControl }) => isControl)).toEqual([false, false, true]);
  });

  test('23: an incremental session forgets nothing: only changes come, and an unknown session is told so', async () => {
    await broker.topic('session', 2);
    const topics = [0, 1].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1000 }));
    const ask = (sessionId: number, sessionEpoch: number, partitions: typeof topics) =>
      client.call(
        Fetch,
        { maxWaitMs: 0, minBytes: 1, sessionId, sessionEpoch, topics: partitions.length > 0 ? [{ topic: 'session', partitions }] : [] },
        { version: 12 },
      );
    const first = await ask(0, 0, topics);
    expect(first.sessionId).toBeGreaterThan(0);
    expect(first.responses[0]!.partitions).toHaveLength(2);
    await produceTo(client, 'session', 1, batchOf(['s']));
    const second = await ask(first.sessionId, 1, []);
    expect(second.sessionId).toBe(first.sessionId);
    expect(second.responses[0]!.partitions.map(({ partitionIndex }) => partitionIndex)).toEqual([1]);
    expect((await ask(first.sessionId, 7, [])).errorCode).toBe(71);
    expect((await ask(first.sessionId + 1, 1, [])).errorCode).toBe(70);
    const closed = await ask(first.sessionId, -1, topics);
    expect(closed).toMatchObject({ errorCode: 0, sessionId: 0 });
  });
});

describe('groups', () => {
  const rejoin = async (
    member: KafkaConnection,
    group: string,
    memberId: string,
    sessionTimeoutMs = 10_000,
  ): Promise<{ errorCode: number; memberId: string; generationId: number; leader: string }> => {
    const ask = (id: string) =>
      member.call(
        JoinGroup,
        {
          groupId: group,
          sessionTimeoutMs,
          rebalanceTimeoutMs: 20_000,
          memberId: id,
          protocolType: 'consumer',
          protocols: [{ name: 'range', metadata: Buffer.alloc(4) }],
        },
        { version: 9 },
      );
    const first = await ask(memberId);
    return first.errorCode === 79 ? ask(first.memberId) : first;
  };
  const heartbeat = async (member: KafkaConnection, groupId: string, memberId: string, generationId: number): Promise<number> =>
    (await member.call(Heartbeat, { groupId, memberId, generationId })).errorCode;
  const sync = (
    member: KafkaConnection,
    groupId: string,
    joined: { memberId: string; generationId: number },
    assignments: { memberId: string; assignment: Buffer }[],
  ) =>
    member.call(SyncGroup, {
      groupId,
      generationId: joined.generationId,
      memberId: joined.memberId,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments,
    });

  test('13, 14 and 16: a second member makes the first rejoin; both get one generation, the follower waits for the leader', async () => {
    const [one, two] = [await broker.client(), await broker.client()];
    const refused = await one.call(
      JoinGroup,
      {
        groupId: 'pair',
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 20_000,
        memberId: '',
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata: Buffer.alloc(4) }],
      },
      { version: 4 },
    );
    expect(refused).toMatchObject({ errorCode: 79, generationId: -1 });
    expect(refused.memberId.length).toBeGreaterThan(0);
    const alone = await rejoin(one, 'pair', refused.memberId);
    expect(alone).toMatchObject({ errorCode: 0, generationId: 1, leader: alone.memberId });
    await sync(one, 'pair', alone, [{ memberId: alone.memberId, assignment: Buffer.from('all') }]);
    expect(await heartbeat(one, 'pair', alone.memberId, 1)).toBe(0);

    const joining = rejoin(two, 'pair', '');
    const watcher = await broker.client();
    await eventually(async () => (await heartbeat(watcher, 'pair', alone.memberId, 1)) === 27, 'REBALANCE_IN_PROGRESS');
    const again = await rejoin(one, 'pair', alone.memberId);
    const other = await joining;
    expect([again.generationId, other.generationId]).toEqual([2, 2]);
    expect([again.errorCode, other.errorCode]).toEqual([0, 0]);
    const leader = again.leader === again.memberId ? { by: one, is: again } : { by: two, is: other };
    const follower = leader.by === one ? { by: two, is: other } : { by: one, is: again };
    const given = sync(follower.by, 'pair', follower.is, []);
    expect(await heartbeat(watcher, 'pair', follower.is.memberId, 2)).toBe(0);
    await sync(leader.by, 'pair', leader.is, [
      { memberId: leader.is.memberId, assignment: Buffer.from('L') },
      { memberId: follower.is.memberId, assignment: Buffer.from('F') },
    ]);
    expect((await given).assignment.toString()).toBe('F');
    expect(await heartbeat(watcher, 'pair', follower.is.memberId, 1)).toBe(22);
    expect(await heartbeat(watcher, 'pair', 'stranger', 2)).toBe(25);
  });

  test('15: a member whose JoinGroup waits does not expire, however long the others take', async () => {
    const own = await TestBroker.start({ 'group.min.session.timeout.ms': '1' });
    const members = [await own.client(), await own.client(), await own.client()] as const;
    const first = await rejoin(members[0], 'patient', '', 10_000);
    await sync(members[0], 'patient', first, []);
    // Both wait four times their session timeout for the first one to come back.
    const waiting = [rejoin(members[1], 'patient', '', 300), rejoin(members[2], 'patient', '', 300)];
    const began = performance.now();
    await eventually(async () => performance.now() - began > 1200, 'time to pass');
    const joined = [await rejoin(members[0], 'patient', first.memberId), ...(await Promise.all(waiting))];
    expect(joined.map(({ errorCode, generationId }) => [errorCode, generationId])).toEqual([
      [0, 2],
      [0, 2],
      [0, 2],
    ]);
    await own.end();
  });
});

describe('administration', () => {
  test('24: an answer for every item asked, in the order of the request', async () => {
    await broker.topic('items', 1, { 'cleanup.policy': 'compact' });
    const configs = await client.call(DescribeConfigs, {
      resources: [
        { resourceType: 2, resourceName: 'items', configurationKeys: null },
        { resourceType: 2, resourceName: 'nope', configurationKeys: null },
        { resourceType: 4, resourceName: '0', configurationKeys: ['log.retention.hours'] },
      ],
    });
    expect(configs.results.map(({ errorCode }) => errorCode)).toEqual([0, 3, 0]);
    expect(configs.results[0]!.configs.find(({ name }) => name === 'cleanup.policy')).toMatchObject({ value: 'compact', configSource: 1 });
    expect(configs.results[2]!.configs.map(({ name }) => name)).toEqual(['log.retention.hours']);
    const grown = await client.call(CreatePartitions, {
      topics: [
        { name: 'nope', count: 3, assignments: null },
        { name: 'items', count: 3, assignments: null },
      ],
      timeoutMs: 1000,
      validateOnly: false,
    });
    expect(grown.results.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['nope', 3],
      ['items', 0],
    ]);
    const deleted = await client.call(DeleteTopics, { topics: ['nope', 'nope-2'].map((name) => ({ name, topicId: ZERO_UUID })), timeoutMs: 1000 });
    expect(deleted.responses.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['nope', 3],
      ['nope-2', 3],
    ]);
  });

  test('24: a compacted topic refuses a record without key and names it', async () => {
    await broker.topic('compacted', 1, { 'cleanup.policy': 'compact' });
    const refused = await produceTo(client, 'compacted', 0, batchOf(['a', 'b'], { keys: ['k', null] }));
    expect(refused.errorCode).toBe(87);
    expect(refused.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1]);
  });

  test('24: append and subtract of a list, and the old AlterConfigs replaces all', async () => {
    await broker.topic('lists');
    const change = async (configOperation: number, value: string) => {
      const answer = await client.call(IncrementalAlterConfigs, {
        resources: [{ resourceType: 2, resourceName: 'lists', configs: [{ name: 'cleanup.policy', configOperation, value }] }],
        validateOnly: false,
      });
      expect(answer.responses[0]!.errorCode).toBe(0);
      return broker.running.broker.topics.get('lists')!.overrides['cleanup.policy'];
    };
    expect(await change(2, 'compact')).toBe('delete,compact');
    expect(await change(3, 'delete')).toBe('compact');
    const old = await client.call(AlterConfigs, {
      resources: [{ resourceType: 2, resourceName: 'lists', configs: [{ name: 'retention.ms', value: '1000' }] }],
      validateOnly: false,
    });
    expect(old.responses[0]!.errorCode).toBe(0);
    expect(broker.running.broker.topics.get('lists')!.overrides).toEqual({ 'retention.ms': '1000' });
  });

  test('24: a transaction timeout above the limit is refused', async () => {
    expect((await client.call(InitProducerId, { transactionalId: 'long', transactionTimeoutMs: 900_001 })).errorCode).toBe(50);
    expect((await client.call(InitProducerId, { transactionalId: '', transactionTimeoutMs: 1000 })).errorCode).toBe(42);
  });

  test('25: Metadata creates an unknown topic when the client wants it, and never otherwise', async () => {
    const ask = async (name: string, version: number, allowAutoTopicCreation: boolean) =>
      (await client.call(Metadata, { topics: [{ name }], allowAutoTopicCreation }, { version })).topics[0]!;
    expect((await ask('ghost', 12, false)).errorCode).toBe(3);
    expect(broker.running.broker.topics.get('ghost')).toBeUndefined();
    expect(await ask('made-12', 12, true)).toMatchObject({ errorCode: 0, partitions: [{ leaderId: 0 }] });
    const old = (await client.call(Metadata, { topics: [{ name: 'made-1' }] }, { version: 1 })).topics[0]!;
    expect(old).toMatchObject({ errorCode: 0, partitions: [{ leaderId: 0 }] });
    expect((await ask('not/legal', 12, true)).errorCode).toBe(17);
    const { topics } = await client.call(Metadata, { topics: null });
    expect(topics.map(({ name }) => name)).toContain('__consumer_offsets');
    expect((await client.call(Metadata, { topics: [] })).topics).toEqual([]);
  });
});
