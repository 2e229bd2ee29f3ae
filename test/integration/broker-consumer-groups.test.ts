/**
 * The new consumer protocol (KIP-848) over a socket: bytes as Java clients send them, rights, settings, the tools, and what
 * is left of a group after a restart and after kill -9.
 */
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { partitionFor } from '../../src/broker/coordinator/machine.ts';
import { readSettings } from '../../src/broker/settings.ts';
import { ApiVersions } from '../../src/kafka/apis/api-versions.ts';
import { ConsumerGroupDescribe } from '../../src/kafka/apis/consumer-group-describe.ts';
import { ConsumerGroupHeartbeat } from '../../src/kafka/apis/consumer-group-heartbeat.ts';
import { CreatePartitions } from '../../src/kafka/apis/create-partitions.ts';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { ListGroups } from '../../src/kafka/apis/list-groups.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { ErrorCode as E } from '../../src/kafka/errors.ts';
import type { RequestDraft } from '../../src/kafka/schema.ts';
import { endsWithTest } from '../ends-with-test.ts';
import { freePort } from './agent-process.ts';
import { BrokerProcess, brokerWith } from './broker-harness.ts';
import { runTool } from './kafka-tool.ts';

type Beat = Partial<RequestDraft<typeof ConsumerGroupHeartbeat>>;

function beat(client: KafkaConnection, memberId: string, memberEpoch: number, more: Beat = {}) {
  return client.call(ConsumerGroupHeartbeat, { groupId: 'g', memberId, memberEpoch, ...more });
}

function join(client: KafkaConnection, memberId: string, more: Beat = {}) {
  return beat(client, memberId, 0, { rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: [], ...more });
}

async function commit(client: KafkaConnection, memberId: string, epoch: number, offset: number): Promise<number> {
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: null }] }];
  const answer = await client.call(OffsetCommit, { groupId: 'g', memberId, generationIdOrMemberEpoch: epoch, topics });
  return answer.topics[0]!.partitions[0]!.errorCode;
}

async function committed(client: KafkaConnection, memberId: string | null = null, memberEpoch = -1) {
  const groups = [{ groupId: 'g', memberId, memberEpoch, topics: [{ name: 't', partitionIndexes: [0] }] }];
  const answer = await client.call(OffsetFetch, { groups, requireStable: true });
  return answer.groups[0]!;
}

async function describeGroup(client: KafkaConnection) {
  const { groups } = await client.call(ConsumerGroupDescribe, { groupIds: ['g'], includeAuthorizedOperations: false });
  return groups[0]!;
}

const counts = (topicPartitions: readonly { readonly partitions: readonly number[] }[]): number[] =>
  topicPartitions.flatMap(({ partitions }) => [...partitions]);

describe('two members', () => {
  test('share a topic, commit in their epochs, and are described', async () => {
    const broker = await brokerWith();
    await broker.topic('t', 4);
    const [a, b] = [await broker.client('app-a'), await broker.client('app-b')];
    const first = await join(a, 'a');
    expect(first).toMatchObject({ errorCode: 0, memberId: 'a', memberEpoch: 1, heartbeatIntervalMs: 5000 });
    const { topicId } = first.assignment!.topicPartitions[0]!;
    expect(topicId).toBe(broker.running.broker.topics.get('t')?.id);
    expect(await join(b, 'b')).toMatchObject({ memberEpoch: 2, assignment: { topicPartitions: [] } });
    const told = await beat(a, 'a', 1, { topicPartitions: [{ topicId, partitions: [0, 1, 2, 3] }] });
    expect(counts(told.assignment!.topicPartitions)).toEqual([0, 1]);
    expect(await beat(a, 'a', 1, { topicPartitions: told.assignment!.topicPartitions })).toMatchObject({ memberEpoch: 2 });
    expect(counts((await beat(b, 'b', 2)).assignment!.topicPartitions)).toEqual([2, 3]);
    expect([await commit(a, 'a', 2, 7), await commit(a, 'a', 1, 8), await commit(a, 'ghost', 2, 8), await commit(a, '', -1, 8)]).toEqual([
      0,
      E.STALE_MEMBER_EPOCH,
      E.UNKNOWN_MEMBER_ID,
      E.UNKNOWN_MEMBER_ID,
    ]);
    expect((await committed(a)).topics[0]!.partitions[0]).toMatchObject({ committedOffset: 7, errorCode: 0 });
    expect(await committed(a, 'a', 2)).toMatchObject({ errorCode: 0 });
    expect(await committed(a, 'a', 1)).toMatchObject({ errorCode: E.STALE_MEMBER_EPOCH, topics: [] });
    const group = await describeGroup(a);
    expect(group).toMatchObject({
      errorCode: 0,
      groupState: 'Stable',
      groupEpoch: 2,
      assignmentEpoch: 2,
      assignorName: 'uniform',
      authorizedOperations: -2147483648,
    });
    expect(group.members[0]).toMatchObject({
      memberId: 'a',
      memberEpoch: 2,
      clientId: 'app-a',
      clientHost: '/127.0.0.1',
      subscribedTopicNames: ['t'],
      memberType: 1,
    });
    expect(group.members[0]!.assignment).toEqual({ topicPartitions: [{ topicId, topicName: 't', partitions: [0, 1] }] });
    const listed = await a.call(ListGroups, { typesFilter: ['consumer'] });
    expect(listed.groups).toEqual([{ groupId: 'g', protocolType: 'consumer', groupState: 'Stable', groupType: 'consumer' }]);
    expect((await a.call(ListGroups, { typesFilter: ['classic'] })).groups).toEqual([]);
    await b.call(CreatePartitions, { topics: [{ name: 't', count: 5, assignments: null }], timeoutMs: 1000, validateOnly: false });
    expect((await beat(a, 'a', 2, { topicPartitions: told.assignment!.topicPartitions })).memberEpoch).toBe(3);
    expect(broker.said).toEqual([]);
  });

  test('are found again after a restart', async () => {
    const broker = await brokerWith();
    await broker.topic('t', 2);
    const client = await broker.client();
    await join(client, 'a');
    await join(client, 'b', { instanceId: 'static' });
    expect(await commit(client, 'a', 1, 9)).toBe(0);
    const before = await describeGroup(client);
    await broker.restart();
    const again = await broker.client();
    expect(await describeGroup(again)).toEqual(before);
    expect((await committed(again)).topics[0]!.partitions[0]!.committedOffset).toBe(9);
    expect(await beat(again, 'a', 1, { topicPartitions: [] })).toMatchObject({ errorCode: 0, memberEpoch: 2 });
    expect(await beat(again, 'b', 2, { instanceId: 'static' })).toMatchObject({ errorCode: 0, assignment: { topicPartitions: [{ partitions: [1] }] } });
  });

  test('and after kill -9, whatever was answered', async () => {
    const broker = endsWithTest(new BrokerProcess(await freePort()));
    await broker.start();
    const client = await broker.client();
    await client.call(CreateTopics, { topics: [{ name: 't', numPartitions: 3, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 5000 });
    expect(await join(client, 'a')).toMatchObject({ errorCode: 0, memberEpoch: 1 });
    for (let offset = 1; offset <= 20; offset++) expect(await commit(client, 'a', 1, offset)).toBe(0);
    expect(await join(client, 'b')).toMatchObject({ memberEpoch: 2 });
    const before = await describeGroup(client);
    await broker.kill();
    client.close();
    await broker.start();
    const again = await broker.client();
    expect(await describeGroup(again)).toEqual(before);
    expect((await committed(again)).topics[0]!.partitions[0]!.committedOffset).toBe(20);
    expect(await beat(again, 'a', 1, { topicPartitions: [] })).toMatchObject({ errorCode: 0, memberEpoch: 2 });
    again.close();
  });
});

describe('on the wire', () => {
  test('the Java client 3.9.1 joins, acknowledges and leaves: its bytes, and the answers to them', async () => {
    const broker = await brokerWith();
    await broker.topic('t', 1);
    const raw = await broker.raw();
    const id = Buffer.from(broker.running.broker.topics.get('t')!.id, 'base64url').toString('hex');
    const ask = async (hex: string): Promise<string> => {
      raw.sendHex(hex);
      return (await raw.frame())!.toString('hex');
    };
    const expectBytes = (actual: string, hex: string): void => expect(actual).toBe(hex.replaceAll(/\s/g, ''));
    // Group, member, epoch, instance, rack, rebalance timeout, topics, assignor, partitions; header and body end with their tags.
    const joined = await ask('0044 0000 00000015 0001 63 00  02 67 01 00000000 00 00 000493e0 02 02 74 00 01 00');
    const member = joined.slice(26, 98);
    expect(Buffer.from(member, 'hex').toString()).toMatch(/^[0-9a-f-]{36}$/);
    expectBytes(joined, `00000015 00  00000000 0000 00 25${member} 00000001 00001388 01 02 ${id} 02 00000000 00 00 00`);
    const acknowledged = await ask(`0044 0000 00000016 0001 63 00  02 67 25${member} 00000001 00 00 ffffffff 00 00 02 ${id} 02 00000000 00 00`);
    expectBytes(acknowledged, `00000016 00  00000000 0000 00 25${member} 00000001 00001388 ff 00`);
    const left = await ask(`0044 0000 0000001d 0001 63 00  02 67 25${member} ffffffff 00 00 ffffffff 01 00 01 00`);
    expectBytes(left, `0000001d 00  00000000 0000 00 25${member} ffffffff 00000000 ff 00`);
  });

  test('the feature group.version is told, in version 3 as old clients can read it', async () => {
    const broker = await brokerWith();
    const client = await broker.client();
    const ask = (version: number) => client.call(ApiVersions, { clientSoftwareName: 'test', clientSoftwareVersion: '1' }, { version });
    const finalizedFeatures = [{ name: 'group.version', minVersionLevel: 1, maxVersionLevel: 1 }];
    expect(await ask(3)).toMatchObject({ supportedFeatures: [{ name: 'group.version', minVersion: 1, maxVersion: 1 }], finalizedFeatures });
    expect(await ask(4)).toMatchObject({ supportedFeatures: [{ name: 'group.version', minVersion: 0, maxVersion: 1 }], finalizedFeatures });
    expect((await ask(3)).apiKeys.filter(({ apiKey }) => apiKey === 68 || apiKey === 69)).toEqual([
      { apiKey: 68, minVersion: 0, maxVersion: 1 },
      { apiKey: 69, minVersion: 0, maxVersion: 1 },
    ]);
  });
});

test('Metadata by topic id, with the empty name that Java 4 sends beside it', async () => {
  const broker = await brokerWith();
  await broker.topic('t', 2);
  const client = await broker.client();
  const topicId = broker.running.broker.topics.get('t')!.id;
  const stranger = 'abcdefghijklmnopqrstug';
  const { topics } = await client.call(
    Metadata,
    {
      topics: [
        { topicId, name: '' },
        { topicId: stranger, name: '' },
      ],
      allowAutoTopicCreation: false,
    },
    { version: 12 },
  );
  expect(topics[0]).toMatchObject({ errorCode: 0, name: 't', topicId, partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }] });
  expect(topics[1]).toMatchObject({ errorCode: E.UNKNOWN_TOPIC_ID, name: null, topicId: stranger });
});

describe('rights', () => {
  test('reading the group and describing its topics', async () => {
    const broker = await brokerWith({ 'authorizer.class.name': 'any', 'allow.everyone.if.no.acl.found': 'true' });
    for (const name of ['t', 'secret']) await broker.topic(name, 1);
    const deny = (resourceType: number, resourceName: string, operation: number) =>
      broker.running.broker.changeMetadata({
        kind: 'create-acls',
        bindings: [{ resourceType, resourceName, patternType: 3, principal: 'User:*', host: '*', operation, permissionType: 2 }],
      });
    await deny(2, 'secret', 8);
    const client = await broker.client();
    expect(await join(client, 'a', { subscribedTopicNames: ['t', 'secret'] })).toMatchObject({ errorCode: E.TOPIC_AUTHORIZATION_FAILED });
    const reply = await join(client, 'a', { subscribedTopicNames: null, subscribedTopicRegex: 't|secret' });
    expect(reply.assignment!.topicPartitions).toHaveLength(1);
    expect(await describeGroup(client)).toMatchObject({ errorCode: 0 });
    await deny(2, 't', 8);
    expect(await describeGroup(client)).toMatchObject({ errorCode: E.TOPIC_AUTHORIZATION_FAILED, members: [] });
    await deny(3, 'g', 3);
    expect(await beat(client, 'a', 1)).toMatchObject({ errorCode: E.GROUP_AUTHORIZATION_FAILED });
    await deny(3, 'g', 8);
    expect(await describeGroup(client)).toMatchObject({ errorCode: E.GROUP_AUTHORIZATION_FAILED });
  });
});

describe('settings', () => {
  test('session, interval, size and assignors are those of the file; the protocol can be left out', async () => {
    const times = {
      'group.consumer.session.timeout.ms': '300',
      'group.consumer.min.session.timeout.ms': '100',
      'group.consumer.heartbeat.interval.ms': '50',
      'group.consumer.min.heartbeat.interval.ms': '50',
    };
    const more = { 'group.consumer.max.size': '1', 'group.consumer.assignors': 'org.apache.kafka.coordinator.group.assignor.RangeAssignor' };
    const broker = await brokerWith({ ...times, ...more });
    await broker.topic('t', 1);
    const client = await broker.client();
    expect(await join(client, 'a')).toMatchObject({ errorCode: 0, heartbeatIntervalMs: 50 });
    expect(await join(client, 'b')).toMatchObject({ errorCode: E.GROUP_MAX_SIZE_REACHED });
    expect(await join(client, 'a', { serverAssignor: 'uniform' })).toMatchObject({ errorCode: E.UNSUPPORTED_ASSIGNOR });
    const deadline = Date.now() + 20_000;
    while ((await join(client, 'b')).errorCode !== 0) expect(Date.now(), 'the session of a ends').toBeLessThan(deadline);
    const classic = await brokerWith({ 'group.coordinator.rebalance.protocols': 'classic' });
    const other = await classic.client();
    expect(await join(other, 'a')).toMatchObject({ errorCode: E.UNSUPPORTED_VERSION });
    expect(await describeGroup(other)).toMatchObject({ errorCode: E.UNSUPPORTED_VERSION });
    expect((await other.call(ApiVersions, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })).finalizedFeatures).toEqual([]);
  });

  test.each([
    [{ 'group.consumer.session.timeout.ms': '30000' }, /session\.timeout\.ms=30000 is not between .*=45000 and .*=60000/],
    [{ 'group.consumer.heartbeat.interval.ms': '20000' }, /interval\.ms=20000 is not between/],
    [{ 'group.consumer.heartbeat.interval.ms': '50000', 'group.consumer.max.heartbeat.interval.ms': '50000' }, /is not less than/],
    [{ 'group.consumer.assignors': 'uniform,sticky' }, /no assignor "sticky"/],
  ])('that contradict each other are refused: %o', (raw, text) => {
    const { settings, findings } = readSettings(Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
    expect(settings).toBeNull();
    expect(findings.filter(({ severity }) => severity === 'error').map(({ message }) => message)).toEqual([expect.stringMatching(text)]);
  });
});

describe('the tools', () => {
  test('kafka-dump-log.sh shows what is stored of a group', async () => {
    const broker = await brokerWith();
    await broker.topic('t', 1);
    const client = await broker.client('app');
    await join(client, 'a');
    await beat(client, 'a', -1);
    const topicId = broker.running.broker.topics.get('t')!.id;
    const file = path.join(broker.dir, `__consumer_offsets-${partitionFor('g', 3)}`, '00000000000000000000.log');
    const { out } = await runTool('kafka-dump-log.sh', ['--offsets-decoder', '--files', file]);
    const records = [...out.matchAll(/key: (.*) payload: (.*)/g)].map(([, key, payload]) => `${key} ${payload}`);
    const of = (type: number, member = ',"memberId":"a"'): string => `{"type":"${type}","data":{"groupId":"g"${member}}}`;
    expect(records.slice(1, 6)).toEqual([
      `${of(4, '')} {"version":"0","data":{"topics":[{"topicId":"${topicId}","topicName":"t","numPartitions":1,"partitionMetadata":[]}]}}`,
      `${of(3, '')} {"version":"0","data":{"epoch":1}}`,
      `${of(7)} {"version":"0","data":{"topicPartitions":[{"topicId":"${topicId}","partitions":[0]}]}}`,
      `${of(6, '')} {"version":"0","data":{"assignmentEpoch":1}}`,
      `${of(8)} {"version":"0","data":{"memberEpoch":1,"previousMemberEpoch":0,"state":0,"assignedPartitions":[{"topicId":"${topicId}","partitions":[0]}],"partitionsPendingRevocation":[]}}`,
    ]);
    expect(records[0]).toContain(
      '"subscribedTopicNames":["t"],"subscribedTopicRegex":"","rebalanceTimeoutMs":60000,"serverAssignor":null,"classicMemberMetadata":null}}',
    );
    expect(records.slice(6, 9)).toEqual([`${of(8)} <DELETE>`, `${of(7)} <DELETE>`, `${of(5)} <DELETE>`]);
  });

  test('kafka-consumer-groups.sh lists and describes groups of both kinds', async () => {
    const broker = await brokerWith();
    await broker.topic('t', 2);
    const client = await broker.client('app');
    await join(client, 'member-1');
    await commit(client, 'member-1', 1, 3);
    const groups = async (...args: string[]): Promise<string> => {
      const { out } = await runTool('kafka-consumer-groups.sh', ['--bootstrap-server', broker.address, ...args]);
      return out.replaceAll(/ +/g, ' ').replaceAll(' \n', '\n').trim();
    };
    expect(await groups('--list', '--type', '--state')).toBe('GROUP TYPE STATE\ng Consumer Stable');
    expect(await groups('--list', '--type', 'classic')).toBe('GROUP TYPE');
    expect(await groups('--describe', '--group', 'g', '--state')).toBe(
      `GROUP COORDINATOR (ID) ASSIGNMENT-STRATEGY STATE #MEMBERS\ng ${broker.address} (0) uniform Stable 1`,
    );
    expect(await groups('--describe', '--group', 'g', '--members', '--verbose')).toBe(
      'GROUP CONSUMER-ID HOST CLIENT-ID #PARTITIONS ASSIGNMENT\ng member-1 /127.0.0.1 app 2 t(0,1)',
    );
    expect((await groups('--describe', '--group', 'g')).split('\n')[1]).toBe('g t 0 3 0 -3 member-1 /127.0.0.1 app');
    expect(await groups('--delete', '--group', 'g')).toMatch(/NON_EMPTY_GROUP|GroupNotEmptyException/);
    await beat(client, 'member-1', -1);
    expect(await groups('--delete', '--group', 'g')).toMatch(/was successful/);
    expect(await groups('--list')).toBe('');
  });
});
