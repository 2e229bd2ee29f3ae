/**
 * Answers in which this broker once differed from Apache Kafka 3.9, found by test/compat/protocol-diff.test.ts, which asks
 * both: here without Kafka, each with what Kafka said.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AlterClientQuotas } from '../../src/kafka/apis/alter-client-quotas.ts';
import { AlterConfigs } from '../../src/kafka/apis/alter-configs.ts';
import { AlterPartitionReassignments } from '../../src/kafka/apis/alter-partition-reassignments.ts';
import { ConsumerGroupHeartbeat } from '../../src/kafka/apis/consumer-group-heartbeat.ts';
import { CreateAcls } from '../../src/kafka/apis/create-acls.ts';
import { CreatePartitions } from '../../src/kafka/apis/create-partitions.ts';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { DeleteTopics } from '../../src/kafka/apis/delete-topics.ts';
import { DescribeClientQuotas } from '../../src/kafka/apis/describe-client-quotas.ts';
import { DescribeConfigs } from '../../src/kafka/apis/describe-configs.ts';
import { DescribeTopicPartitions } from '../../src/kafka/apis/describe-topic-partitions.ts';
import { DescribeTransactions } from '../../src/kafka/apis/describe-transactions.ts';
import { ElectLeaders } from '../../src/kafka/apis/elect-leaders.ts';
import { Fetch } from '../../src/kafka/apis/fetch.ts';
import { Heartbeat } from '../../src/kafka/apis/heartbeat.ts';
import { IncrementalAlterConfigs } from '../../src/kafka/apis/incremental-alter-configs.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { OffsetDelete } from '../../src/kafka/apis/offset-delete.ts';
import { SyncGroup } from '../../src/kafka/apis/sync-group.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { ErrorCode } from '../../src/kafka/errors.ts';
import { ZERO_UUID } from '../../src/kafka/schema.ts';
import { batchOf, produceTo, TestBroker } from './broker-harness.ts';

const TOPIC = 2;
let broker: TestBroker;
let client: KafkaConnection;

beforeAll(async () => {
  broker = await TestBroker.start({
    'node.id': '1',
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
  });
  client = await broker.client();
  await broker.topic('t', 2, { 'retention.ms': '5000' });
});
afterAll(() => broker.end());

async function create(topic: object) {
  const { topics } = await client.call(CreateTopics, {
    topics: [{ numPartitions: -1, replicationFactor: -1, assignments: [], configs: [], name: 'made', ...topic } as never],
  });
  const { errorCode, errorMessage } = topics[0]!;
  return [errorCode, errorMessage];
}

it("places replicas by hand with Kafka's words for what is wrong", async () => {
  const placed = (...brokers: number[][]) => create({ assignments: brokers.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })) });
  expect(await placed([9])).toEqual([
    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    'The manual partition assignment includes broker 9, but no such broker is registered.',
  ]);
  expect(await placed([1, 1])).toEqual([ErrorCode.INVALID_REPLICA_ASSIGNMENT, 'The manual partition assignment includes the broker 1 more than once.']);
  expect(await placed([])).toEqual([ErrorCode.INVALID_REPLICA_ASSIGNMENT, 'The manual partition assignment includes an empty replica list.']);
  const twice = [0, 0].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] }));
  expect(await create({ assignments: twice })).toEqual([ErrorCode.INVALID_REPLICA_ASSIGNMENT, 'Found multiple manual partition assignments for partition 0']);
  const { responses } = await client.call(AlterPartitionReassignments, { topics: [{ name: 't', partitions: [{ partitionIndex: 0, replicas: [2] }] }] });
  expect(responses[0]?.partitions[0]?.errorMessage).toBe('The manual partition assignment includes broker 2, but no such broker is registered.');
});

it('takes the words of topic settings as they are written, and refuses what contradicts itself', async () => {
  const set = (name: string, value: string) => create({ configs: [{ name, value }] });
  expect((await set('compression.type', 'GZIP'))[0]).toBe(ErrorCode.INVALID_CONFIG);
  expect((await set('leader.replication.throttled.replicas', 'abc'))[0]).toBe(ErrorCode.INVALID_CONFIG);
  expect(await set('compression.gzip.level', '0')).toEqual([
    ErrorCode.INVALID_CONFIG,
    'Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1',
  ]);
  const lags = [
    { name: 'min.compaction.lag.ms', value: '10' },
    { name: 'max.compaction.lag.ms', value: '5' },
  ];
  expect(await create({ configs: lags })).toEqual([
    ErrorCode.INVALID_CONFIG,
    'conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)',
  ]);
});

it('grows and deletes nothing that is named twice', async () => {
  const growth = { name: 't', count: 5, assignments: null };
  const { results } = await client.call(CreatePartitions, { topics: [growth, { ...growth, count: 6 }], timeoutMs: 1000, validateOnly: false });
  expect(results).toEqual([{ name: 't', errorCode: ErrorCode.INVALID_REQUEST, errorMessage: 'Duplicate topic name.' }]);
  const remove = async (...topics: object[]) => (await client.call(DeleteTopics, { topics: topics as never, timeoutMs: 1000 })).responses;
  const topicId = broker.running.broker.topics.get('t')!.id;
  expect((await remove({ name: 't' }, { name: 't' })).map((one) => one.errorMessage)).toEqual(['Duplicate topic name.']);
  expect((await remove({ name: 't' }, { name: null, topicId })).map((one) => one.errorMessage)).toEqual([
    'The provided topic name maps to an ID that was already supplied.',
  ]);
  expect((await remove({ name: 't', topicId })).map((one) => one.errorMessage)).toEqual(['You may not specify both topic name and topic id.']);
  expect((await remove({ name: null, topicId: ZERO_UUID })).map((one) => one.errorMessage)).toEqual(['Neither topic name nor id were specified.']);
  expect(broker.running.broker.topics.get('t')?.partitions).toHaveLength(2);
});

it('changes no setting when a request to change some names none, and none when it names one twice', async () => {
  const alter = async (...configs: object[]) =>
    (await client.call(IncrementalAlterConfigs, { resources: [{ resourceType: TOPIC, resourceName: 't', configs: configs as never }], validateOnly: false }))
      .responses[0]!;
  const one = (value: string | null) => ({ name: 'retention.ms', configOperation: 0, value });
  expect((await alter()).errorCode).toBe(0);
  expect(broker.running.broker.topics.get('t')?.overrides).toEqual({ 'retention.ms': '5000' });
  expect(await alter(one('1'), one('2'))).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST, errorMessage: 'Error due to duplicate config keys' });
  expect(await alter(one(null))).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST, errorMessage: 'Null value not supported for : retention.ms' });
  expect((await alter({ name: 'no.such.key', configOperation: 1, value: null })).errorCode).toBe(0);
  expect(broker.running.broker.topics.get('t')?.overrides).toEqual({ 'retention.ms': '5000' });
  const { responses } = await client.call(AlterConfigs, { resources: [{ resourceType: 99, resourceName: 'x', configs: [] }], validateOnly: false });
  expect(responses[0]?.errorMessage).toBe('Unknown resource type 99');
});

it('takes an empty list of settings to describe for all of them', async () => {
  const { results } = await client.call(DescribeConfigs, { resources: [{ resourceType: TOPIC, resourceName: 't', configurationKeys: [] }] });
  expect(results[0]?.configs.length).toBeGreaterThan(30);
  expect(results[0]?.errorMessage).toBe('');
});

it('refuses filters of quotas that contradict themselves, and a pair of ids of which one is missing', async () => {
  const filter = async (...components: object[]) => (await client.call(DescribeClientQuotas, { components: components as never, strict: false })).errorMessage;
  expect(await filter({ entityType: 'user', matchType: 0, match: null })).toBe('Request specified MATCH_TYPE_EXACT, but set match string to null.');
  expect(await filter({ entityType: 'user', matchType: 3, match: 'a' })).toBe('Unknown match type 3');
  expect(await filter({ entityType: 'ip', matchType: 2, match: null }, { entityType: 'user', matchType: 2, match: null })).toContain('IP filter component');
  expect((await client.call(AlterClientQuotas, { entries: [], validateOnly: false })).entries).toEqual([]);
  for (const ids of [{ producerId: 5 }, { producerEpoch: 5 }])
    expect((await client.call(InitProducerId, { transactionalId: 'x', transactionTimeoutMs: 1000, ...ids })).errorCode).toBe(ErrorCode.INVALID_REQUEST);
  const { transactionStates } = await client.call(DescribeTransactions, { transactionalIds: ['unknown'] });
  expect(transactionStates[0]).toMatchObject({ errorCode: ErrorCode.TRANSACTIONAL_ID_NOT_FOUND, producerId: 0, transactionStartTimeMs: 0 });
});

it('refuses the group without a name where Kafka does', async () => {
  expect((await client.call(Heartbeat, { groupId: '', generationId: 1, memberId: 'm' })).errorCode).toBe(ErrorCode.INVALID_GROUP_ID);
  expect((await client.call(SyncGroup, { groupId: '', generationId: 1, memberId: 'm', assignments: [] })).errorCode).toBe(ErrorCode.INVALID_GROUP_ID);
  expect((await client.call(OffsetDelete, { groupId: '', topics: [] })).errorCode).toBe(ErrorCode.INVALID_GROUP_ID);
  const leaving = { groupId: 'none', memberId: 'm', memberEpoch: -1 };
  expect((await client.call(ConsumerGroupHeartbeat, leaving)).errorMessage).toBe('Group none not found.');
});

it('tells a reader where its epoch ended (KIP-595), and every segment to the oldest ListOffsets', async () => {
  for (let i = 0; i < 3; i++) await produceTo(client, 't', 0, batchOf(['v']));
  const fetch = async (part: object) => {
    const partitions = [{ partition: 0, partitionMaxBytes: 1000, currentLeaderEpoch: 0, ...part } as never];
    return (await client.call(Fetch, { maxWaitMs: 0, minBytes: 0, topics: [{ topic: 't', partitions }] }, { version: 12 })).responses[0]!.partitions[0]!;
  };
  expect(await fetch({ fetchOffset: 9, lastFetchedEpoch: 0 })).toMatchObject({ errorCode: 0, divergingEpoch: { epoch: 0, endOffset: 3 }, highWatermark: 3 });
  expect(await fetch({ fetchOffset: 3, lastFetchedEpoch: 7 })).toMatchObject({ errorCode: ErrorCode.OFFSET_OUT_OF_RANGE, abortedTransactions: null });
  expect((await fetch({ fetchOffset: 3, lastFetchedEpoch: 0 })).divergingEpoch).toEqual({ epoch: -1, endOffset: -1 });
  expect(await fetch({ partition: 9, fetchOffset: 0 })).toMatchObject({ errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, abortedTransactions: [] });
  const inSession = (sessionId: number, sessionEpoch: number, part: object) => {
    const partitions = [{ partition: 0, partitionMaxBytes: 1000, currentLeaderEpoch: 0, ...part } as never];
    return client.call(Fetch, { maxWaitMs: 0, minBytes: 0, sessionId, sessionEpoch, topics: [{ topic: 't', partitions }] }, { version: 12 });
  };
  const { sessionId } = await inSession(0, 0, { fetchOffset: 3, lastFetchedEpoch: -1 });
  expect((await inSession(sessionId, 1, { fetchOffset: 3, lastFetchedEpoch: -1 })).responses).toEqual([]);
  expect((await inSession(sessionId, 2, { fetchOffset: 9, lastFetchedEpoch: 0 })).responses[0]?.partitions[0]).toMatchObject({
    divergingEpoch: { endOffset: 3 },
  });
  const asked = { replicaId: -1, topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -1, maxNumOffsets: 3 }] }] };
  expect((await client.call(ListOffsets, asked, { version: 0 })).topics[0]?.partitions[0]?.oldStyleOffsets).toEqual([3, 0]);
});

it('says what is wrong with a first batch as Kafka does', async () => {
  const error = async (change: (batch: Buffer) => Buffer) => {
    const { errorCode, errorMessage } = await produceTo(client, 't', 1, change(Buffer.from(batchOf(['a']))));
    return [errorCode, errorMessage];
  };
  expect(await error(() => Buffer.alloc(100))).toEqual([ErrorCode.CORRUPT_MESSAGE, 'Record size 0 is less than the minimum record overhead (14)']);
  const magic3 = (batch: Buffer): Buffer => {
    batch.writeInt8(3, 16);
    return batch;
  };
  expect(await error(magic3)).toEqual([ErrorCode.CORRUPT_MESSAGE, 'Invalid magic found in record: 3']);
  expect((await error((batch) => batch.subarray(0, 65)))[0]).toBe(ErrorCode.INVALID_RECORD);
  await broker.topic('compacted', 1, { 'cleanup.policy': 'compact' });
  const { errorMessage, recordErrors } = await produceTo(client, 'compacted', 0, batchOf(['a']));
  const message = 'Compacted topic cannot accept message without key in topic partition compacted-0';
  expect(recordErrors).toEqual([{ batchIndex: 0, batchIndexErrorMessage: message }]);
  expect(errorMessage).toBe(
    `One or more records have been rejected due to 1 record errors in total, and only showing the first three errors at most: [RecordError(batchIndex=0, message='${message}')]`,
  );
});

it('lets a client of KIP-890 abort when it produced to a partition that it had not added', async () => {
  const { producerId, producerEpoch } = await client.call(InitProducerId, { transactionalId: 'tx', transactionTimeoutMs: 60_000 });
  const batch = () => batchOf(['a'], { transactional: true, producerId, producerEpoch, baseSequence: 0 });
  expect((await produceTo(client, 't', 0, batch(), { transactionalId: 'tx', version: 11 })).errorCode).toBe(ErrorCode.TRANSACTION_ABORTABLE);
  expect((await produceTo(client, 't', 0, batch(), { transactionalId: 'tx', version: 10 })).errorCode).toBe(ErrorCode.INVALID_TXN_STATE);
});

it('refuses cursors that lead nowhere, ids in versions without them, unknown elections, rules for other clusters', async () => {
  const pages = async (cursor: object) =>
    (await client.call(DescribeTopicPartitions, { topics: [{ name: 't' }], cursor: cursor as never })).topics[0]?.errorCode;
  expect(await pages({ topicName: 't', partitionIndex: -1 })).toBe(ErrorCode.INVALID_REQUEST);
  expect(await pages({ topicName: 'other', partitionIndex: 0 })).toBe(ErrorCode.INVALID_REQUEST);
  expect(await pages({ topicName: 't', partitionIndex: 1 })).toBe(0);
  const byId = { topics: [{ name: 't', topicId: broker.running.broker.topics.get('t')!.id }], allowAutoTopicCreation: false };
  expect((await client.call(Metadata, byId, { version: 10 })).topics[0]?.errorCode).toBe(ErrorCode.INVALID_REQUEST);
  const election = await client.call(ElectLeaders, { electionType: 2, topicPartitions: [{ topic: 't', partitions: [0] }] });
  expect([election.errorCode, election.replicaElectionResults[0]?.partitionResult[0]?.errorMessage]).toEqual([
    ErrorCode.INVALID_REQUEST,
    'Unknown election type 2',
  ]);
  const rule = { resourceType: 4, resourceName: 'mine', resourcePatternType: 3, principal: 'User:a', host: '*', operation: 3, permissionType: 3 };
  const { results } = await client.call(CreateAcls, { creations: [rule, { ...rule, resourceName: 'kafka-cluster', principal: 'a' }] });
  expect(results.map(({ errorMessage }) => errorMessage)).toEqual([
    'The only valid name for the CLUSTER resource is kafka-cluster',
    'Could not parse principal from `a` (no colon is present separating the principal type from the principal name)',
  ]);
});
