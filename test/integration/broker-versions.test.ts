/** Every API in every offered version through a real socket: the answer must decode, and the connection must stay open. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { handlers } from '../../src/broker/handlers/catalog.ts';
import { type RunningBroker, startBroker } from '../../src/broker/server.ts';
import { readSettings } from '../../src/broker/settings.ts';
import { decodeResponse, encodeRequest } from '../../src/kafka/headers.ts';
import type { AnyApi } from '../../src/kafka/schema.ts';
import { ByteReader } from '../../src/lib/bytes.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Logger } from '../../src/lib/log.ts';
import { BatchBuilder } from '../../src/records/builder.ts';
import { writeMessageSet } from '../../src/records/legacy.ts';

const errors: string[] = [];
const log = {
  trace() {},
  debug() {},
  info() {},
  warn: (...words: unknown[]) => errors.push(String(words.at(-1))),
  error: (...words: unknown[]) => errors.push(String(words.at(-1))),
  isLevelEnabled: () => false,
} as unknown as Logger;

let dir: string;
let running: RunningBroker;
let port: number;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'broker-versions-'));
  const raw = {
    listeners: 'PLAINTEXT://127.0.0.1:0',
    'log.dirs': dir,
    'offsets.topic.num.partitions': '2',
    'transaction.state.log.num.partitions': '2',
    'group.initial.rebalance.delay.ms': '0',
  };
  const { settings } = readSettings(Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
  if (!settings) throw new Error('settings');
  running = await startBroker({ settings, clock: systemClock, log });
  port = running.ports.get('PLAINTEXT') as number;
  await running.broker.topics.create('t', { partitions: 2, overrides: {} });
});

afterAll(async () => {
  await running.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Sends one request and answers the response frame without its size; null when the broker hung up. */
function call(socket: Socket, parts: readonly Buffer[]): Promise<Buffer | null> {
  return new Promise((resolve) => {
    let got = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      got = Buffer.concat([got, chunk]);
      if (got.length >= 4 && got.length >= 4 + got.readInt32BE(0)) {
        socket.off('data', onData);
        resolve(got.subarray(4));
      }
    };
    socket.on('data', onData);
    socket.once('close', () => resolve(null));
    for (const part of parts) socket.write(part);
  });
}

function records(version: number): Buffer {
  if (version < 3) return writeMessageSet(version < 2 ? 0 : 1, [{ offset: 0, timestamp: 1, key: null, value: Buffer.from('v') }]);
  const builder = new BatchBuilder();
  builder.append(null, Buffer.from('v'), Date.now());
  return builder.finish();
}

/** Request bodies by API name; what is left out takes its default. */
function body(name: string, version: number): object {
  const id = running.broker.topics.get('t')?.id as string;
  const bodies: Record<string, () => object> = {
    Produce: () => ({ acks: 1, timeoutMs: 1000, topicData: [{ name: 't', partitionData: [{ index: 0, records: records(version) }] }] }),
    Fetch: () => ({
      ...(version <= 14 ? { replicaId: -1 } : {}),
      maxWaitMs: 10,
      minBytes: 1,
      topics: [{ ...(version < 13 ? { topic: 't' } : { topicId: id }), partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100_000 }] }],
      ...(version >= 7 ? { forgottenTopicsData: [] } : {}),
    }),
    ListOffsets: () => ({ replicaId: -1, topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: version % 2 === 0 ? -1 : 1 }] }] }),
    Metadata: () => ({ topics: [{ name: 't' }] }),
    OffsetCommit: () => ({ groupId: `c${version}`, topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }] }] }),
    OffsetFetch: () => (version >= 8 ? { groups: [{ groupId: 'c2', topics: null }] } : { groupId: 'c2', topics: [{ name: 't', partitionIndexes: [0] }] }),
    FindCoordinator: () => (version >= 4 ? { coordinatorKeys: ['g'] } : { key: 'g' }),
    JoinGroup: () => ({
      groupId: `j${version}`,
      sessionTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(4) }],
    }),
    Heartbeat: () => ({ groupId: 'g', generationId: 1, memberId: 'm' }),
    LeaveGroup: () => (version >= 3 ? { groupId: 'g', members: [{ memberId: 'm' }] } : { groupId: 'g', memberId: 'm' }),
    SyncGroup: () => ({ groupId: 'g', generationId: 1, memberId: 'm', assignments: [] }),
    DescribeGroups: () => ({ groups: ['c2', 'nobody'] }),
    ListGroups: () => ({}),
    SaslHandshake: () => ({ mechanism: 'PLAIN' }),
    ApiVersions: () => ({ clientSoftwareName: 'x', clientSoftwareVersion: '1' }),
    CreateTopics: () => ({ topics: [{ name: `n${version}`, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 1000 }),
    DeleteTopics: () => (version >= 6 ? { topics: [{ name: `n${version}` }], timeoutMs: 1 } : { topicNames: [`n${version}`], timeoutMs: 1 }),
    DeleteRecords: () => ({ topics: [{ name: 't', partitions: [{ partitionIndex: 1, offset: 0 }] }], timeoutMs: 1 }),
    InitProducerId: () => ({ transactionalId: `x${version}`, transactionTimeoutMs: 1000 }),
    OffsetForLeaderEpoch: () => ({ topics: [{ topic: 't', partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
    AddPartitionsToTxn: () => ({
      v3AndBelowTransactionalId: 'x',
      v3AndBelowProducerId: 1,
      v3AndBelowProducerEpoch: 0,
      v3AndBelowTopics: [{ name: 't', partitions: [0] }],
    }),
    AddOffsetsToTxn: () => ({ transactionalId: 'x', producerId: 1, producerEpoch: 0, groupId: 'g' }),
    EndTxn: () => ({ transactionalId: 'x', producerId: 1, producerEpoch: 0, committed: true }),
    WriteTxnMarkers: () => ({
      markers: [{ producerId: 7, producerEpoch: 0, transactionResult: false, topics: [{ name: 't', partitionIndexes: [1, 9] }], coordinatorEpoch: 0 }],
    }),
    TxnOffsetCommit: () => ({
      transactionalId: 'x',
      groupId: 'g',
      producerId: 1,
      producerEpoch: 0,
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }] }],
    }),
    DescribeAcls: () => ({ resourceTypeFilter: 1, resourceNameFilter: null, principalFilter: null, hostFilter: null, operation: 1, permissionType: 1 }),
    CreateAcls: () => ({ creations: [{ resourceType: 2, resourceName: 't', principal: 'User:a', host: '*', operation: 3, permissionType: 3 }] }),
    DeleteAcls: () => ({
      filters: [{ resourceTypeFilter: 1, resourceNameFilter: null, principalFilter: null, hostFilter: null, operation: 1, permissionType: 1 }],
    }),
    DescribeConfigs: () => ({
      resources: [
        { resourceType: 2, resourceName: 't', configurationKeys: null },
        { resourceType: 4, resourceName: '0', configurationKeys: null },
      ],
    }),
    AlterConfigs: () => ({ resources: [{ resourceType: 2, resourceName: 't', configs: [{ name: 'retention.ms', value: '100000' }] }], validateOnly: false }),
    IncrementalAlterConfigs: () => ({
      resources: [{ resourceType: 2, resourceName: 't', configs: [{ name: 'retention.ms', configOperation: 1, value: null }] }],
      validateOnly: false,
    }),
    AlterReplicaLogDirs: () => ({ dirs: [{ path: dir, topics: [{ name: 't', partitions: [0] }] }] }),
    DescribeLogDirs: () => ({ topics: null }),
    SaslAuthenticate: () => ({ authBytes: Buffer.alloc(1) }),
    CreatePartitions: () => ({ topics: [{ name: 't', count: 1, assignments: null }], timeoutMs: 1, validateOnly: false }),
    DeleteGroups: () => ({ groupsNames: ['nobody'] }),
    ElectLeaders: () => ({ topicPartitions: [{ topic: 't', partitions: [0] }] }),
    AlterPartitionReassignments: () => ({ topics: [{ name: 't', partitions: [{ partitionIndex: 0, replicas: [0] }] }] }),
    ListPartitionReassignments: () => ({}),
    OffsetDelete: () => ({ groupId: 'c2', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] }),
    DescribeClientQuotas: () => ({ components: [], strict: false }),
    AlterClientQuotas: () => ({
      entries: [{ entity: [{ entityType: 'user', entityName: 'u' }], ops: [{ key: 'producer_byte_rate', value: 1e9, remove: false }] }],
      validateOnly: false,
    }),
    DescribeUserScramCredentials: () => ({ users: null }),
    AlterUserScramCredentials: () => ({ deletions: [{ name: 'u', mechanism: 1 }], upsertions: [] }),
    DescribeCluster: () => ({ includeClusterAuthorizedOperations: true }),
    DescribeProducers: () => ({ topics: [{ name: 't', partitionIndexes: [0, 9] }] }),
    DescribeTransactions: () => ({ transactionalIds: ['x4', 'nobody'] }),
    ListTransactions: () => ({ stateFilters: [], producerIdFilters: [] }),
    ConsumerGroupHeartbeat: () => ({
      groupId: 'new',
      memberId: 'm',
      memberEpoch: 0,
      rebalanceTimeoutMs: 1000,
      subscribedTopicNames: ['t'],
      topicPartitions: [],
    }),
    ConsumerGroupDescribe: () => ({ groupIds: ['new', 'g'] }),
    DescribeTopicPartitions: () => ({ topics: [{ name: 't' }] }),
  };
  const make = bodies[name];
  if (!make) throw new Error(`no request body for ${name}: add one`);
  return make();
}

const all = [...handlers().values()].flatMap(({ api }) =>
  Array.from({ length: api.offered[1] - api.offered[0] + 1 }, (_, i) => ({ api: api as AnyApi, version: api.offered[0] + i })),
);

describe('every API answers in every version', () => {
  test.each(all.map(({ api, version }) => [api.name, version, api] as const))('%s %i', async (name, version, api) => {
    const socket = connect(port, '127.0.0.1');
    errors.length = 0;
    const frame = await call(socket, encodeRequest({ api, version, correlationId: 7, clientId: 'test' }, body(name, version) as never));
    expect(errors).toEqual([]);
    expect(frame, 'the broker hung up').not.toBeNull();
    const reader = new ByteReader(frame as Buffer);
    expect(reader.i32()).toBe(7);
    decodeResponse(api, version, reader);
    expect(reader.remaining).toBe(0);
    socket.destroy();
  });
});
