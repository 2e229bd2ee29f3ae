/** Requests that name one thing several times: answered as Kafka 3.9.1 answers them, and in bounds when it is many times. */
import { expect, test } from 'vitest';
import { AlterClientQuotas } from '../../src/kafka/apis/alter-client-quotas.ts';
import { ConsumerGroupDescribe } from '../../src/kafka/apis/consumer-group-describe.ts';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { DeleteGroups } from '../../src/kafka/apis/delete-groups.ts';
import { DescribeConfigs } from '../../src/kafka/apis/describe-configs.ts';
import { DescribeGroups } from '../../src/kafka/apis/describe-groups.ts';
import { DescribeTopicPartitions } from '../../src/kafka/apis/describe-topic-partitions.ts';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { ErrorCode as E } from '../../src/kafka/errors.ts';
import { brokerWith } from './broker-harness.ts';

const PLAIN = { includeAuthorizedOperations: false };

async function commit(client: KafkaConnection, partitions: number): Promise<void> {
  const list = Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, committedOffset: 3, committedMetadata: null }));
  await client.call(OffsetCommit, { groupId: 'g', memberId: '', generationIdOrMemberEpoch: -1, topics: [{ name: 't', partitions: list }] });
}

test('groups are described and their offsets told each time they are named; topics and groups to delete once', async () => {
  const broker = await brokerWith();
  await broker.topic('t');
  const client = await broker.client();
  await commit(client, 1);
  const described = await client.call(DescribeGroups, { groups: ['g', 'g', 'x', 'x'], ...PLAIN });
  expect(described.groups.map(({ groupId, groupState }) => `${groupId} ${groupState}`)).toEqual(['g Empty', 'g Empty', 'x Dead', 'x Dead']);
  expect((await client.call(ConsumerGroupDescribe, { groupIds: ['g', 'g'], ...PLAIN })).groups).toHaveLength(2);
  const all = { groupId: 'g', topics: null };
  const fetched = await client.call(OffsetFetch, { groups: [all, all], requireStable: false });
  expect(fetched.groups.map(({ topics }) => topics[0]?.partitions[0]?.committedOffset)).toEqual([3, 3]);
  const metadata = await client.call(Metadata, {
    topics: [{ name: 't' }, { name: 't' }],
    allowAutoTopicCreation: false,
    includeTopicAuthorizedOperations: false,
  });
  expect(metadata.topics).toHaveLength(1);
  const pages = await client.call(DescribeTopicPartitions, { topics: [{ name: 't' }, { name: 't' }], responsePartitionLimit: 10, cursor: null });
  expect(pages.topics).toHaveLength(1);
  const partitions = [0, 0, 1].map((partitionIndex) => ({ partitionIndex, timestamp: -1 }));
  const offsets = await client.call(ListOffsets, { replicaId: -1, isolationLevel: 0, topics: [{ name: 't', partitions }] });
  expect(offsets.topics[0]!.partitions.map(({ errorCode }) => errorCode)).toEqual([E.INVALID_REQUEST, E.INVALID_REQUEST, E.UNKNOWN_TOPIC_OR_PARTITION]);
  const deleted = await client.call(DeleteGroups, { groupsNames: ['g', 'g', 'x', 'x'] });
  expect(deleted.results).toEqual([
    { groupId: 'g', errorCode: E.NONE },
    { groupId: 'x', errorCode: E.GROUP_ID_NOT_FOUND },
  ]);
});

test('a small request does not get an answer of any size: the connection ends, and the broker goes on', async () => {
  const broker = await brokerWith();
  await broker.topic('t', 100);
  await commit(await broker.client(), 100);
  const often = <T>(one: T): T[] => new Array(30_000).fill(one);
  const requests: ((client: KafkaConnection) => Promise<unknown>)[] = [
    (client) => client.call(DescribeGroups, { groups: often('g'), ...PLAIN }),
    (client) => client.call(ConsumerGroupDescribe, { groupIds: often('g'), ...PLAIN }),
    (client) => client.call(OffsetFetch, { groups: often({ groupId: 'g', topics: null }), requireStable: false }),
    (client) =>
      client.call(DescribeConfigs, {
        resources: often({ resourceType: 2, resourceName: 't', configurationKeys: null }),
        includeSynonyms: true,
        includeDocumentation: true,
      }),
  ];
  for (const request of requests) await expect(request(await broker.client())).rejects.toThrow();
  expect(broker.said.filter((line) => /again and again; closed$/.test(line))).toHaveLength(requests.length);
  const client = await broker.client();
  expect((await client.call(DescribeGroups, { groups: ['g'], ...PLAIN })).groups).toHaveLength(1);
});

test('who makes topics by asking for them is told how long to wait for its quota; who only asks is not', async () => {
  const broker = await brokerWith();
  await broker.topic('t');
  const client = await broker.client('maker');
  const entity = [{ entityType: 'client-id', entityName: 'maker' }];
  const ops = [{ key: 'controller_mutation_rate', value: 1, remove: false }];
  await client.call(AlterClientQuotas, { entries: [{ entity, ops }], validateOnly: false });
  const ask = (name: string, from = client) =>
    from.call(Metadata, { topics: [{ name }], allowAutoTopicCreation: true, includeTopicAuthorizedOperations: false });
  expect((await ask('first')).throttleTimeMs).toBe(0);
  // The last change may go over the quota; the next ones wait. Eleven seconds' worth is there at the start.
  await client.call(CreateTopics, {
    topics: [{ name: 'many', numPartitions: 30, replicationFactor: 1, assignments: [], configs: [] }],
    timeoutMs: 10_000,
    validateOnly: false,
  });
  const second = await ask('second', await broker.client('maker'));
  expect([second.topics[0]!.errorCode, second.topics[0]!.partitions.length]).toEqual([E.NONE, 1]);
  expect(second.throttleTimeMs).toBeGreaterThan(0);
  expect((await ask('t', await broker.client('maker'))).throttleTimeMs).toBe(0);
});
