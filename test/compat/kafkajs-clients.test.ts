/** kafkajs against the broker: producing, groups, transactions, seeking, and every call of its admin client. */
import kafkajs, {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  type Admin,
  ConfigResourceTypes,
  type Consumer,
  type Kafka,
  ResourcePatternTypes,
} from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, TestBroker } from '../integration/broker-harness.ts';

let broker: TestBroker;
let kafka: Kafka;
let admin: Admin;

beforeAll(async () => {
  broker = await TestBroker.start();
  kafka = new kafkajs.Kafka({ clientId: 'compat', brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING });
  admin = kafka.admin();
  await admin.connect();
});
afterAll(async () => {
  await admin.disconnect();
  await broker.end();
});

/** Consumes in a group of its own until `count` messages came. */
async function consume(topic: string, count: number, options: { readonly committed?: boolean } = {}): Promise<string[]> {
  const consumer = kafka.consumer({ groupId: `read-${topic}`, readUncommitted: !options.committed, maxWaitTimeInMs: 200 });
  const got: string[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => void got.push(message.value?.toString() ?? 'null') });
  try {
    await eventually(() => got.length >= count, `${count} messages of ${topic}`);
  } finally {
    await consumer.disconnect();
  }
  return got;
}

describe('producer and consumer', () => {
  test.each([0, 1, -1])('acks=%i', async (acks) => {
    const topic = `acks${acks}`;
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
    const producer = kafka.producer();
    await producer.connect();
    for (let i = 0; i < 5; i++) {
      const sent = await producer.send({ topic, acks, messages: [{ key: `k${i}`, value: `v${i}`, headers: { h: 'x' } }] });
      if (acks !== 0) expect(sent).toMatchObject([{ topicName: topic, partition: 0, errorCode: 0, baseOffset: String(i) }]);
    }
    await producer.disconnect();
    expect(await consume(topic, 5)).toEqual(['v0', 'v1', 'v2', 'v3', 'v4']);
  });

  test('gzip, headers, keys and null values arrive as they were sent', async () => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    await producer.send({
      topic: 'shapes',
      compression: kafkajs.CompressionTypes.GZIP,
      messages: [
        { key: 'a', value: 'x'.repeat(10_000), headers: { one: '1', two: Buffer.from([0, 255]) } },
        { key: 'gone', value: null },
        { key: null, value: 'last' },
      ],
    });
    await producer.disconnect();
    const consumer = kafka.consumer({ groupId: 'shapes', maxWaitTimeInMs: 200 });
    const got: { key: string | undefined; size: number; two: string | undefined }[] = [];
    await consumer.connect();
    await consumer.subscribe({ topics: ['shapes'], fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        const two = message.headers?.two as Buffer | undefined;
        got.push({ key: message.key?.toString(), size: message.value?.length ?? -1, two: two?.toString('hex') });
      },
    });
    await eventually(() => got.length === 3, 'three messages');
    await consumer.disconnect();
    expect(got).toEqual([
      { key: 'a', size: 10_000, two: '00ff' },
      { key: 'gone', size: -1, two: undefined },
      { key: undefined, size: 4, two: undefined },
    ]);
  });

  test('transactions: committed, aborted, and offsets sent with them', async () => {
    await admin.createTopics({ topics: [{ topic: 'in' }, { topic: 'out' }] });
    const producer = kafka.producer({ transactionalId: 'kjs-tx', idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    for (const [value, commit] of [
      ['one', true],
      ['two', false],
      ['three', true],
    ] as const) {
      const txn = await producer.transaction();
      await txn.send({ topic: 'out', messages: [{ value }] });
      if (value !== 'two') {
        const offset = value === 'one' ? '1' : '3';
        await txn.sendOffsets({ consumerGroupId: 'kjs-group', topics: [{ topic: 'in', partitions: [{ partition: 0, offset }] }] });
      }
      if (commit) await txn.commit();
      else await txn.abort();
    }
    await producer.disconnect();
    expect(await consume('out', 2, { committed: true })).toEqual(['one', 'three']);
    expect(await admin.fetchOffsets({ groupId: 'kjs-group', topics: ['in'] })).toMatchObject([{ topic: 'in', partitions: [{ partition: 0, offset: '3' }] }]);
  });

  test('seek, pause, resume and commit by hand', async () => {
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'seek', messages: Array.from({ length: 10 }, (_, i) => ({ value: `s${i}` })) });
    await producer.disconnect();
    const consumer = kafka.consumer({ groupId: 'seeker', maxWaitTimeInMs: 200 });
    const got: string[] = [];
    await consumer.connect();
    await consumer.subscribe({ topic: 'seek', fromBeginning: true });
    await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => void got.push(message.value!.toString()) });
    consumer.seek({ topic: 'seek', partition: 0, offset: '7' });
    await eventually(() => got.includes('s9'), 'the end after a seek');
    expect(got.filter((value) => value >= 's7')).toEqual(['s7', 's8', 's9']);
    consumer.seek({ topic: 'seek', partition: 0, offset: '2' });
    await eventually(() => got.filter((value) => value === 's9').length === 2, 'the end again');
    await consumer.commitOffsets([{ topic: 'seek', partition: 0, offset: '5', metadata: 'note' }]);
    await consumer.disconnect();
    expect(await admin.fetchOffsets({ groupId: 'seeker', topics: ['seek'] })).toMatchObject([{ partitions: [{ offset: '5', metadata: 'note' }] }]);
  });
});

describe('consumer groups', () => {
  test('three members come, share six partitions, one leaves, nothing is lost', async () => {
    await admin.createTopics({ topics: [{ topic: 'shared', numPartitions: 6 }] });
    const seen = new Map<string, number>();
    const assigned = new Map<number, number>();
    const members: Consumer[] = [];
    for (let n = 0; n < 3; n++) {
      const consumer = kafka.consumer({ groupId: 'three', maxWaitTimeInMs: 200, sessionTimeout: 10_000, heartbeatInterval: 300, rebalanceTimeout: 10_000 });
      consumer.on('consumer.group_join', ({ payload }) => void assigned.set(n, payload.memberAssignment.shared?.length ?? 0));
      await consumer.connect();
      await consumer.subscribe({ topic: 'shared', fromBeginning: true });
      await consumer.run({ eachMessage: async ({ message }) => void seen.set(message.value!.toString(), (seen.get(message.value!.toString()) ?? 0) + 1) });
      members.push(consumer);
    }
    await eventually(() => [...assigned.values()].join() === '2,2,2', 'an even share', 40_000);
    const { groups } = await admin.describeGroups(['three']);
    expect(groups[0]).toMatchObject({ state: 'Stable', protocolType: 'consumer', protocol: 'RoundRobinAssigner' });
    expect(groups[0]!.members).toHaveLength(3);
    const producer = kafka.producer();
    await producer.connect();
    const send = (from: number) =>
      producer.send({ topic: 'shared', messages: Array.from({ length: 60 }, (_, i) => ({ value: `m${from + i}`, partition: i % 6 })) });
    await send(0);
    await eventually(() => seen.size === 60, 'the first sixty');
    await members[0]!.disconnect();
    await eventually(() => (assigned.get(1) ?? 0) + (assigned.get(2) ?? 0) === 6, 'the others to take over', 40_000);
    await send(60);
    await eventually(() => seen.size === 120, 'the last sixty');
    expect([...seen.values()].filter((times) => times !== 1)).toEqual([]);
    await producer.disconnect();
    for (const member of members.slice(1)) await member.disconnect();
    expect((await admin.describeGroups(['three'])).groups[0]!.state).toBe('Empty');
  });
});

describe('admin', () => {
  test('topics: create, list, metadata, partitions, offsets, delete records, delete', async () => {
    expect(await admin.createTopics({ topics: [{ topic: 'adm', numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '60000' }] }] })).toBe(true);
    expect(await admin.createTopics({ topics: [{ topic: 'adm' }] })).toBe(false);
    await expect(admin.createTopics({ topics: [{ topic: 'two', replicationFactor: 2 }] })).rejects.toMatchObject({
      errors: [{ type: 'INVALID_REPLICATION_FACTOR' }],
    });
    expect(await admin.listTopics()).toContain('adm');
    const { topics } = await admin.fetchTopicMetadata({ topics: ['adm'] });
    expect(topics[0]!.partitions.map(({ partitionId, leader, replicas, isr }) => [partitionId, leader, replicas, isr])).toEqual([
      [0, 0, [0], [0]],
      [1, 0, [0], [0]],
    ]);
    await admin.createPartitions({ topicPartitions: [{ topic: 'adm', count: 3 }] });
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'adm', messages: [1, 2, 3, 4].map((n) => ({ value: String(n), partition: 0, timestamp: String(1_700_000_000_000 + n) })) });
    await producer.disconnect();
    const ends = await admin.fetchTopicOffsets('adm');
    expect(ends.find(({ partition }) => partition === 0)).toMatchObject({ offset: '4', high: '4', low: '0' });
    const byTime = await admin.fetchTopicOffsetsByTimestamp('adm', 1_700_000_000_003);
    expect(byTime.find(({ partition }) => partition === 0)?.offset).toBe('2');
    await admin.deleteTopicRecords({ topic: 'adm', partitions: [{ partition: 0, offset: '3' }] });
    expect((await admin.fetchTopicOffsets('adm')).find(({ partition }) => partition === 0)?.low).toBe('3');
    await admin.deleteTopicRecords({ topic: 'adm', partitions: [{ partition: 0, offset: '-1' }] });
    expect((await admin.fetchTopicOffsets('adm')).find(({ partition }) => partition === 0)?.low).toBe('4');
    await admin.deleteTopics({ topics: ['adm'] });
    expect(await admin.listTopics()).not.toContain('adm');
  });

  test('configs', async () => {
    await admin.createTopics({ topics: [{ topic: 'conf' }] });
    const resource = { type: ConfigResourceTypes.TOPIC, name: 'conf' };
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }] });
    const { resources } = await admin.describeConfigs({ includeSynonyms: true, resources: [resource] });
    const policy = resources[0]!.configEntries.find(({ configName }) => configName === 'cleanup.policy');
    expect(policy).toMatchObject({ configValue: 'compact', isDefault: false });
    expect(policy!.configSynonyms.length).toBeGreaterThan(1);
  });

  test('cluster, groups and offsets', async () => {
    const cluster = await admin.describeCluster();
    expect(cluster).toMatchObject({ controller: 0, brokers: [{ nodeId: 0, host: '127.0.0.1', port: broker.port }] });
    await admin.createTopics({ topics: [{ topic: 'off', numPartitions: 2 }] });
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'off', messages: [1, 2, 3].map((n) => ({ value: String(n), partition: 0 })) });
    await producer.disconnect();
    await admin.setOffsets({ groupId: 'og', topic: 'off', partitions: [{ partition: 0, offset: '2' }] });
    expect((await admin.fetchOffsets({ groupId: 'og', topics: ['off'] }))[0]!.partitions.find(({ partition }) => partition === 0)?.offset).toBe('2');
    await admin.resetOffsets({ groupId: 'og', topic: 'off', earliest: true });
    const [reset] = await admin.fetchOffsets({ groupId: 'og', topics: ['off'], resolveOffsets: true });
    expect(reset!.partitions.find(({ partition }) => partition === 0)?.offset).toBe('0');
    expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).toContain('og');
    await admin.deleteGroups(['og']);
    expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).not.toContain('og');
    expect(await admin.fetchOffsets({ groupId: 'og', topics: ['off'] })).toMatchObject([{ partitions: [{ offset: '-1' }, { offset: '-1' }] }]);
  });

  test('reassignments are none; ACLs need an authorizer', async () => {
    expect((await admin.listPartitionReassignments({})).topics).toEqual([]);
    const acl = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: 't',
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:bob',
      host: '*',
      operation: AclOperationTypes.READ,
      permissionType: AclPermissionTypes.ALLOW,
    };
    await expect(admin.createAcls({ acl: [acl] })).rejects.toThrow(/[Ss]ecurity/);
    const guarded = await TestBroker.start({ 'authorizer.class.name': 'x', 'super.users': 'User:ANONYMOUS' });
    const own = new kafkajs.Kafka({ brokers: [guarded.address], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await own.connect();
    expect(await own.createAcls({ acl: [acl] })).toBe(true);
    const { resources } = await own.describeAcls({ ...acl, host: '*' });
    expect(resources[0]).toMatchObject({ resourceName: 't', acls: [{ principal: 'User:bob' }] });
    const { filterResponses } = await own.deleteAcls({ filters: [{ ...acl }] });
    expect(filterResponses[0]!.matchingAcls).toHaveLength(1);
    await own.disconnect();
    await guarded.end();
  });
});
