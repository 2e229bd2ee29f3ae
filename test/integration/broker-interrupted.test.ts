/**
 * What a broker does when its disk refuses, when the power goes off between two steps, and when requests cross each other:
 * through real sockets, on a disk in memory that fails on demand.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { OFFSETS_TOPIC } from '../../src/broker/storage/topics.ts';
import { AddPartitionsToTxn } from '../../src/kafka/apis/add-partitions-to-txn.ts';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { EndTxn } from '../../src/kafka/apis/end-txn.ts';
import { Fetch } from '../../src/kafka/apis/fetch.ts';
import { IncrementalAlterConfigs } from '../../src/kafka/apis/incremental-alter-configs.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { Produce } from '../../src/kafka/apis/produce.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { encodeRequest } from '../../src/kafka/headers.ts';
import { ManualClock } from '../../src/lib/clock.ts';
import { crc32c } from '../../src/lib/crc32c.ts';
import { MemoryDisk } from '../../src/lib/memory-disk.ts';
import { batchOf, eventually, fetchFrom, produceTo, readAll, TestBroker } from './broker-harness.ts';

const STORAGE_ERROR = 56;
const UNAVAILABLE = 15;
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function onMemory(settings: Readonly<Record<string, string>> = {}, disk = new MemoryDisk(), clock = new ManualClock(Date.now())) {
  const broker = await TestBroker.start({ 'log.dirs': '/data', ...settings }, { disk, clock });
  ends.push(() => broker.stop().catch(() => {}));
  return { broker, disk, clock, client: await broker.client() };
}

/** The power goes off and comes back; another broker starts on what is left. */
async function afterCrash(disk: MemoryDisk, settings: Readonly<Record<string, string>> = {}) {
  disk.crash();
  return onMemory(settings, disk);
}

describe('topics through crashes', () => {
  test('one that was deleted and made again does not begin where checkpoints say the first one ended', async () => {
    const { broker, disk, client } = await onMemory();
    const { topics } = broker.running.broker;
    await broker.topic('t');
    for (let i = 0; i < 10; i++) await produceTo(client, 't', 0, batchOf(['old']));
    await topics.raiseLogStart(topics.partition('t', 0)!, 8);
    topics.writeRecoveryPoints();
    await topics.remove('t');
    await broker.topic('t');
    await produceTo(client, 't', 0, batchOf(['new']));
    const next = await afterCrash(disk);
    expect(next.broker.said).toEqual([]);
    expect(await readAll(next.client, 't', 0)).toEqual([{ offset: 0, key: null, value: 'new' }]);
    expect((await produceTo(next.client, 't', 0, batchOf(['newer']))).baseOffset).toBe(1);
  });

  test('flush.messages=1: also what was answered with acks=1 outlives the power', async () => {
    const { broker, disk, client } = await onMemory();
    await broker.topic('t', 1, { 'flush.messages': '1' });
    expect((await produceTo(client, 't', 0, batchOf(['safe']), { acks: 1 })).errorCode).toBe(0);
    const next = await afterCrash(disk);
    expect(await readAll(next.client, 't', 0)).toEqual([{ offset: 0, key: null, value: 'safe' }]);
  });

  test('a raised log start is believed only when what is left behind it is durable', async () => {
    const { broker, disk, client } = await onMemory();
    const { topics } = broker.running.broker;
    await broker.topic('t');
    for (let i = 0; i < 10; i++) await produceTo(client, 't', 0, batchOf([`${i}`]), { acks: 1 });
    await topics.raiseLogStart(topics.partition('t', 0)!, 8);
    const next = await afterCrash(disk);
    expect(next.broker.said).toEqual([]);
    const left = next.broker.running.broker.topics.partition('t', 0);
    expect([left?.logStartOffset, left?.highWatermark]).toEqual([8, 10]);
  });

  test('partitions added while the topic goes do not stay behind', async () => {
    const { broker, disk } = await onMemory();
    await broker.topic('t');
    const { topics } = broker.running.broker;
    const outcomes = await Promise.all([topics.addPartitions('t', 3), topics.remove('t')]);
    expect(outcomes[1].errorCode).toBe(0);
    expect(disk.readdir('/data').filter((name) => /^t-\d+$/.test(name))).toEqual([]);
    const next = await afterCrash(disk);
    expect(next.broker.running.broker.topics.get('t')).toBeUndefined();
  });

  test('one that could not be made on a full disk is not there after a restart', async () => {
    const { broker, disk, client } = await onMemory();
    disk.failNext('write', 'ENOSPC', { path: 't-2' });
    const answer = await client.call(CreateTopics, { topics: [{ name: 't', numPartitions: 4, replicationFactor: 1, assignments: [], configs: [] }] });
    expect(answer.topics[0]?.errorCode).toBe(STORAGE_ERROR);
    await broker.restart();
    expect(broker.running.broker.topics.get('t')).toBeUndefined();
  });

  test('growing that failed half-way can be asked for again', async () => {
    const { broker, disk } = await onMemory();
    await broker.topic('t');
    const { topics } = broker.running.broker;
    disk.failNext('write', 'ENOSPC', { path: 't-2' });
    expect((await topics.addPartitions('t', 4)).errorCode).toBe(STORAGE_ERROR);
    expect((await topics.addPartitions('t', 4)).errorCode).toBe(0);
    expect(topics.get('t')?.partitions.length).toBe(4);
  });

  test('one that cannot be deleted stays usable, and can be deleted later', async () => {
    const { broker, disk, client } = await onMemory();
    await broker.topic('t', 2);
    await produceTo(client, 't', 0, batchOf(['a']));
    disk.failNext('rename', 'EIO', { path: 't-1' });
    const { topics } = broker.running.broker;
    expect((await topics.remove('t')).errorCode).toBe(STORAGE_ERROR);
    expect((await produceTo(client, 't', 0, batchOf(['b']))).errorCode).toBe(0);
    expect((await readAll(client, 't', 0)).map(({ value }) => value)).toEqual(['a', 'b']);
    expect((await topics.remove('t')).errorCode).toBe(0);
    expect((await fetchFrom(client, 't', 0, 0)).errorCode).toBe(3);
  });
});

describe('coordinators on a disk that refuses', () => {
  const commit = async (client: KafkaConnection, committedOffset: number): Promise<number | undefined> => {
    const answer = await client.call(OffsetCommit, {
      groupId: 'g',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset, committedLeaderEpoch: -1, committedMetadata: '', commitTimestamp: -1 }] }],
    });
    return answer.topics[0]?.partitions[0]?.errorCode;
  };
  const committed = ({ broker }: { readonly broker: TestBroker }): number | undefined =>
    broker.running.broker.groupState.fetchOffsets('g', { topics: null, requireStable: false })[0]?.partitions[0]?.committedOffset;
  const beginTransaction = async (client: KafkaConnection) => {
    const { producerId, producerEpoch } = await client.call(InitProducerId, { transactionalId: 'x', transactionTimeoutMs: 60_000 });
    const added = await client.call(AddPartitionsToTxn, {
      v3AndBelowTransactionalId: 'x',
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name: 't', partitions: [0] }],
    });
    expect(added.resultsByTopicV3AndBelow[0]?.resultsByPartition[0]?.partitionErrorCode).toBe(0);
    const batch = batchOf(['in'], { producerId, producerEpoch, baseSequence: 0, transactional: true });
    expect((await produceTo(client, 't', 0, batch, { transactionalId: 'x' })).errorCode).toBe(0);
    return { transactionalId: 'x', producerId, producerEpoch };
  };

  test('a commit whose sync failed once is durable when it is answered', async () => {
    const { broker, disk, client } = await onMemory();
    await broker.topic('t');
    expect(await commit(client, 4)).toBe(0);
    disk.failNext('sync', 'EIO', { path: OFFSETS_TOPIC });
    expect(await commit(client, 5)).toBe(0);
    expect(committed(await afterCrash(disk))).toBe(5);
  });

  test('one that cannot be stored is refused, the connection stays, and the log tells later what memory says', async () => {
    const { broker, disk, clock, client } = await onMemory();
    await broker.topic('t');
    expect(await commit(client, 4)).toBe(0);
    disk.failNext('sync', 'EIO', { path: OFFSETS_TOPIC, times: 2 });
    expect(await commit(client, 5)).toBe(UNAVAILABLE);
    await clock.advance(1000);
    disk.failNext('write', 'ENOSPC', { path: OFFSETS_TOPIC });
    expect(await commit(client, 6)).toBe(UNAVAILABLE);
    expect(await commit(client, 7)).toBe(0);
    expect(committed(await afterCrash(disk))).toBe(7);
  });

  test('metadata: a topic whose record was lost by a failed sync is there all the same', async () => {
    const { broker, disk, clock, client } = await onMemory();
    disk.failNext('sync', 'EIO', { path: 'millrace.metadata' });
    await broker.topic('a');
    disk.failNext('sync', 'EIO', { path: 'millrace.metadata', times: 2 });
    const create = async (name: string): Promise<number> => (await broker.running.broker.topics.create(name, { partitions: 1, overrides: {} })).errorCode;
    expect(await create('b')).toBe(STORAGE_ERROR);
    // Until the log is healed, which is tried every second and does not keep others waiting, nothing is taken.
    await eventually(async () => {
      await clock.advance(1000);
      return (await create('c')) === 0;
    }, 'the disk to be used again');
    await produceTo(client, 'a', 0, batchOf(['x']));
    const next = await afterCrash(disk);
    expect(next.broker.running.broker.topics.get('c')).toBeDefined();
    expect((await readAll(next.client, 'a', 0)).map(({ value }) => value)).toEqual(['x']);
  });

  test('a decided transaction ends as soon as the disk takes its markers', async () => {
    const { broker, disk, clock, client } = await onMemory();
    await broker.topic('t');
    const producer = await beginTransaction(client);
    disk.failNext('write', 'ENOSPC', { path: '/t-0/', times: 2 });
    expect((await client.call(EndTxn, { ...producer, producerId: producer.producerId, committed: true })).errorCode).toBe(0);
    expect(await readAll(client, 't', 0, { committed: true })).toEqual([]);
    await clock.advance(1000);
    await clock.advance(1000);
    await eventually(async () => (await readAll(client, 't', 0, { committed: true })).length === 1, 'the marker');
    expect(broker.running.broker.transactionState.describe('x').transactionState).toBe('CompleteCommit');
  });

  test('a broker starts although it cannot end a transaction yet', async () => {
    const { broker, disk, client } = await onMemory();
    await broker.topic('t');
    const producer = await beginTransaction(client);
    disk.failNext('write', 'ENOSPC', { path: '/t-0/', times: 1 });
    await client.call(EndTxn, { ...producer, committed: true });
    disk.failNext('write', 'ENOSPC', { path: '/t-0/0', times: 1 });
    const next = await afterCrash(disk);
    await next.clock.advance(1000);
    await eventually(async () => (await readAll(next.client, 't', 0, { committed: true })).length === 1, 'the marker');
  });

  test('producer ids on a full disk: refused without closing the connection', async () => {
    const { disk, client } = await onMemory();
    disk.failNext('write', 'ENOSPC', { path: 'millrace.metadata' });
    expect((await client.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 1000 })).errorCode).toBe(UNAVAILABLE);
    expect((await client.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 1000 })).errorCode).toBe(0);
  });

  test('a stop on a disk that takes nothing ends, and what was acknowledged is there afterwards', async () => {
    const { broker, disk, client } = await onMemory();
    await broker.topic('t');
    await produceTo(client, 't', 0, batchOf(['kept']));
    disk.readOnly = true;
    await broker.stop();
    disk.readOnly = false;
    const next = await onMemory({}, disk);
    expect((await readAll(next.client, 't', 0)).map(({ value }) => value)).toEqual(['kept']);
  });

  test('committed offsets of a topic that went just before a crash are forgotten at the next start', async () => {
    const { broker, disk, client } = await onMemory();
    await broker.topic('t');
    expect(await commit(client, 5)).toBe(0);
    disk.failNext('write', 'ENOSPC', { path: OFFSETS_TOPIC });
    await broker.running.broker.topics.remove('t');
    const next = await afterCrash(disk);
    expect(committed(next)).toBeUndefined();
  });
});

describe('requests that cross each other', () => {
  test('a fetch session that names a topic by its id does not go on with another topic of the same name', async () => {
    const { broker, client } = await onMemory();
    await broker.topic('t');
    const { topics } = broker.running.broker;
    const topicId = topics.get('t')?.id as string;
    const wanted = { topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] };
    const opened = await client.call(Fetch, { maxWaitMs: 0, minBytes: 1, sessionEpoch: 0, topics: [wanted] }, { version: 13 });
    await topics.remove('t');
    await broker.topic('t');
    await produceTo(client, 't', 0, batchOf(['another']));
    const more = { maxWaitMs: 0, minBytes: 1, sessionId: opened.sessionId, sessionEpoch: 1, topics: [] };
    const answer = await client.call(Fetch, more, { version: 13 });
    expect(answer.responses[0]?.partitions[0]?.errorCode).toBe(100);
  });

  test('a batch that cannot be unpacked for an old consumer is its error, not that of the producer', async () => {
    const { broker, client } = await onMemory();
    await broker.topic('t');
    const old = await broker.client();
    const waiting = fetchFrom(old, 't', 0, 0, { version: 2, waitMs: 60_000 });
    await eventually(() => broker.running.broker.purgatory.size === 1, 'the fetch to wait');
    const bad = batchOf(['x'.repeat(100)], { codec: 1 });
    bad.fill(0xff, 61);
    bad.writeUInt32BE(crc32c(bad, 21) >>> 0, 17);
    expect((await produceTo(client, 't', 0, bad)).errorCode).toBe(0);
    expect((await waiting).errorCode).toBe(2);
    expect((await produceTo(client, 't', 0, batchOf(['y']))).errorCode).toBe(0);
  });

  test('a sync that fails for one partition is no error for the other', async () => {
    const { broker, disk, client } = await onMemory();
    await broker.topic('t', 2);
    for (const index of [0, 1]) await produceTo(client, 't', index, batchOf(['a']));
    disk.failNext('sync', 'EIO', { path: '/t-1/' });
    const partitionData = [0, 1].map((index) => ({ index, records: batchOf(['b']) }));
    const answer = await client.call(Produce, { acks: -1, timeoutMs: 1000, topicData: [{ name: 't', partitionData }] });
    expect(answer.responses[0]?.partitionResponses.map(({ errorCode }) => errorCode)).toEqual([0, STORAGE_ERROR]);
  });

  test('a stop before the producers are known again is no clean one: the next start looks for them', async () => {
    const { broker, disk, client } = await onMemory();
    await broker.topic('t');
    const first = batchOf(['a'], { producerId: 7, producerEpoch: 0, baseSequence: 0 });
    expect(await produceTo(client, 't', 0, first)).toMatchObject({ errorCode: 0, baseOffset: 0 });
    disk.failNext('sync', 'EIO', { path: '/t-0/' });
    disk.failNext('list', 'EIO', { path: '/t-0' });
    expect((await produceTo(client, 't', 0, batchOf(['b']))).errorCode).toBe(STORAGE_ERROR);
    await broker.restart();
    const again = await broker.client();
    expect(await produceTo(again, 't', 0, first)).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect((await readAll(again, 't', 0)).map(({ value }) => value)).toEqual(['a']);
  });

  test('nobody is told to begin at the start because it is not known yet what is committed', async () => {
    const { broker, disk, clock, client } = await onMemory();
    await broker.topic('t');
    await produceTo(client, 't', 0, batchOf(['a']));
    disk.failNext('sync', 'EIO', { path: '/t-0/' });
    disk.failNext('list', 'EIO', { path: '/t-0' });
    expect((await produceTo(client, 't', 0, batchOf(['b']))).errorCode).toBe(STORAGE_ERROR);
    const ask = async (timestamp: number) => {
      const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp }] }];
      const { errorCode, offset } = (await client.call(ListOffsets, { replicaId: -1, isolationLevel: 1, topics })).topics[0]!.partitions[0]!;
      return [errorCode, offset];
    };
    expect([await ask(-1), await ask(1), await ask(-2)]).toEqual([
      [STORAGE_ERROR, -1],
      [STORAGE_ERROR, -1],
      [0, 0],
    ]);
    await clock.advance(1000);
    expect([await ask(-1), await ask(1)]).toEqual([
      [0, 1],
      [0, 0],
    ]);
  });

  test('a client that ends its side and never reads does not stay for ever', async () => {
    const broker = await TestBroker.start({ 'connections.max.idle.ms': '300', 'socket.send.buffer.bytes': '1024' });
    ends.push(() => broker.end());
    await broker.topic('t');
    const client = await broker.client();
    for (let i = 0; i < 20; i++) await produceTo(client, 't', 0, batchOf(['x'.repeat(900_000)]));
    const raw = await broker.raw();
    raw.socket.pause();
    const topics = [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 50_000_000 }] }];
    const body = { maxWaitMs: 200, minBytes: 49_000_000, maxBytes: 50_000_000, sessionEpoch: -1, topics };
    raw.send(Buffer.concat(encodeRequest({ api: Fetch, version: 12, correlationId: 1, clientId: 'silent' }, body)));
    raw.socket.end();
    await eventually(() => broker.running.broker.figures.bytesOut > 18_000_000, 'the answer');
    await eventually(() => broker.running.broker.figures.connections === 0, 'the connection to end', 5000);
  });
});

describe('settings through restarts', () => {
  test('those of a broker whose id stands in meta.properties alone', async () => {
    const disk = new MemoryDisk();
    const first = await onMemory({ 'node.id': '5' }, disk);
    await first.broker.stop();
    const { broker, client } = await onMemory({}, disk);
    const answer = await client.call(IncrementalAlterConfigs, {
      validateOnly: false,
      resources: [{ resourceType: 4, resourceName: '5', configs: [{ name: 'log.retention.ms', configOperation: 0, value: '1234567' }] }],
    });
    expect(answer.responses[0]?.errorCode).toBe(0);
    await broker.restart();
    expect(broker.running.broker.config.server['log.retention.ms']).toBe('1234567');
  });
});
