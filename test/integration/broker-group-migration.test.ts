/**
 * A rolling change from the classic group protocol to the new one and back (KIP-848, online migration), over sockets and under
 * a running producer: kafkajs as it is for the classic members, heartbeats by hand for the others, kill -9 in the middle.
 * Nothing that was written stays unread, and no committed offset goes back.
 */
import { type Consumer, Kafka, logLevel, type Producer } from 'kafkajs';
import { expect, test } from 'vitest';
import { ConsumerGroupDescribe } from '../../src/kafka/apis/consumer-group-describe.ts';
import { ConsumerGroupHeartbeat } from '../../src/kafka/apis/consumer-group-heartbeat.ts';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { JoinGroup } from '../../src/kafka/apis/join-group.ts';
import { ListGroups } from '../../src/kafka/apis/list-groups.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { encodeSubscription } from '../../src/kafka/embedded.ts';
import { ErrorCode as E } from '../../src/kafka/errors.ts';
import { endsWithTest } from '../ends-with-test.ts';
import { freePort } from './agent-process.ts';
import { BrokerProcess, eventually, readAll } from './broker-harness.ts';

const PARTITIONS = 4;
const SETTINGS = {
  'group.consumer.heartbeat.interval.ms': '100',
  'group.consumer.min.heartbeat.interval.ms': '100',
  'group.consumer.session.timeout.ms': '10000',
  'group.consumer.min.session.timeout.ms': '1000',
};
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The broker, and all that was written, read and committed. */
class Scene {
  readonly broker: BrokerProcess;
  readonly #kafka: Kafka;
  readonly #consumers = new Map<string, Consumer>();
  readonly seen = new Set<string>();
  /** Committed offsets as they were seen, by partition; each may only grow. */
  readonly #committed = Array.from({ length: PARTITIONS }, () => -1);
  readonly backwards: string[] = [];
  written = 0;
  #running = true;
  #loops: Promise<void>[] = [];
  #producer: Producer;

  constructor(broker: BrokerProcess) {
    this.broker = broker;
    const retry = { initialRetryTime: 50, maxRetryTime: 500, retries: 100 };
    this.#kafka = new Kafka({ brokers: [`127.0.0.1:${broker.port}`], logLevel: logLevel.NOTHING, retry });
    this.#producer = this.#kafka.producer({ maxInFlightRequests: 1 });
  }

  async start(): Promise<void> {
    await this.#producer.connect();
    this.#loops = [this.#produce(), this.#watch()];
  }

  async #produce(): Promise<void> {
    while (this.#running) {
      const value = String(this.written);
      await this.#producer.send({ topic: 't', messages: [{ partition: this.written % PARTITIONS, key: 'k', value }] });
      this.written++;
      await pause(5);
    }
  }

  async #watch(): Promise<void> {
    while (this.#running) {
      await withClient(this.broker, async (client) => this.#compare(await committedOf(client))).catch(() => undefined);
      await pause(50);
    }
  }

  #compare(offsets: readonly number[]): void {
    for (const [partition, offset] of offsets.entries()) {
      const before = this.#committed[partition] as number;
      if (offset < before) this.backwards.push(`${partition}: ${before} -> ${offset}`);
      this.#committed[partition] = Math.max(before, offset);
    }
  }

  async classic(name: string): Promise<void> {
    const consumer = this.#kafka.consumer({ groupId: 'g', sessionTimeout: 10_000, rebalanceTimeout: 10_000, heartbeatInterval: 100, maxWaitTimeInMs: 100 });
    this.#consumers.set(name, consumer);
    await consumer.connect();
    await consumer.subscribe({ topics: ['t'], fromBeginning: true });
    // Commits of its own: kafkajs dies when an automatic one meets a rejoin that leaves it without partitions.
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message }) => {
        this.seen.add(String(message.value));
        // One that is refused belongs to a generation that is over: whoever reads on commits.
        await consumer.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1) }]).catch(() => undefined);
      },
    });
  }

  async stop(name: string): Promise<void> {
    await this.#consumers.get(name)!.disconnect();
    this.#consumers.delete(name);
  }

  async quiet(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
  }

  async end(): Promise<void> {
    await this.quiet();
    await this.#producer.disconnect();
    for (const consumer of this.#consumers.values()) await consumer.disconnect();
  }
}

async function withClient<T>(broker: BrokerProcess, use: (client: KafkaConnection) => Promise<T>): Promise<T> {
  const client = await broker.client();
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

/** Committed offsets of t in the order of its partitions; -1 where there is none. */
async function committedOf(client: KafkaConnection): Promise<number[]> {
  const topics = [{ name: 't', partitionIndexes: Array.from({ length: PARTITIONS }, (_, i) => i) }];
  const answer = await client.call(OffsetFetch, { groups: [{ groupId: 'g', memberId: null, memberEpoch: -1, topics }], requireStable: true });
  return answer.groups[0]!.topics[0]!.partitions.map(({ committedOffset }) => committedOffset);
}

/** A member of the new protocol, as clients are written: it lets go before it takes, and commits what it has read. */
class NewMember {
  readonly #scene: Scene;
  readonly #id: string;
  #epoch = 0;
  #topicId = '';
  /** Next offset by partition. */
  #positions = new Map<number, number>();
  #running = true;
  readonly #loop: Promise<void>;

  constructor(scene: Scene, id: string) {
    this.#scene = scene;
    this.#id = id;
    this.#loop = this.#live();
  }

  get partitions(): number[] {
    return [...this.#positions.keys()].sort();
  }

  async #live(): Promise<void> {
    while (this.#running) {
      // Whatever happens on the way (the broker is killed), it calls again.
      await withClient(this.#scene.broker, async (client) => {
        while (this.#running) await this.#round(client);
      }).catch(() => pause(50));
    }
  }

  async #round(client: KafkaConnection): Promise<void> {
    const held = this.#positions.size > 0 ? [{ topicId: this.#topicId, partitions: this.partitions }] : [];
    const joining = { rebalanceTimeoutMs: 10_000, subscribedTopicNames: ['t'] };
    const request = { groupId: 'g', memberId: this.#id, memberEpoch: this.#epoch, topicPartitions: held, ...(this.#epoch === 0 && joining) };
    const reply = await client.call(ConsumerGroupHeartbeat, request);
    if (reply.errorCode !== E.NONE) {
      this.#epoch = 0;
      this.#positions.clear();
      return pause(50);
    }
    this.#epoch = reply.memberEpoch;
    if (reply.assignment) await this.#take(client, reply.assignment.topicPartitions);
    for (const partition of this.partitions) await this.#read(client, partition);
    await pause(50);
  }

  async #take(client: KafkaConnection, assigned: readonly { readonly topicId: string; readonly partitions: readonly number[] }[]): Promise<void> {
    const wanted = new Set(assigned.flatMap(({ partitions }) => [...partitions]));
    this.#topicId = assigned[0]?.topicId ?? this.#topicId;
    for (const partition of this.partitions) if (!wanted.has(partition)) this.#positions.delete(partition);
    const offsets = await committedOf(client);
    for (const partition of wanted) if (!this.#positions.has(partition)) this.#positions.set(partition, Math.max(0, offsets[partition]!));
  }

  async #read(client: KafkaConnection, partition: number): Promise<void> {
    const from = this.#positions.get(partition) as number;
    const got = await readAll(client, 't', partition, { from });
    const last = got.at(-1);
    if (!last) return;
    for (const { value } of got) this.#scene.seen.add(String(value));
    const partitions = [{ partitionIndex: partition, committedOffset: last.offset + 1, committedMetadata: null }];
    const request = { groupId: 'g', memberId: this.#id, generationIdOrMemberEpoch: this.#epoch, topics: [{ name: 't', partitions }] };
    const { topics } = await client.call(OffsetCommit, request);
    if (topics[0]!.partitions[0]!.errorCode === E.NONE) this.#positions.set(partition, last.offset + 1);
  }

  /** Goes without a word to the group. */
  async end(): Promise<void> {
    this.#running = false;
    await this.#loop;
  }

  async leave(): Promise<void> {
    await this.end();
    await withClient(this.#scene.broker, (client) => client.call(ConsumerGroupHeartbeat, { groupId: 'g', memberId: this.#id, memberEpoch: -1 }));
  }
}

/** Kind and state of the group, and how many members of either protocol: `consumer Stable 1+1`. */
async function shape(broker: BrokerProcess): Promise<string> {
  return withClient(broker, async (client) => {
    const { groups } = await client.call(ListGroups, { statesFilter: [], typesFilter: [] });
    const { groupType, groupState } = groups.find(({ groupId }) => groupId === 'g')!;
    const described = await client.call(ConsumerGroupDescribe, { groupIds: ['g'], includeAuthorizedOperations: false });
    const kinds = described.groups[0]!.members.map(({ memberType }) => memberType);
    return `${groupType} ${groupState} ${kinds.filter((kind) => kind === 0).length}+${kinds.filter((kind) => kind === 1).length}`;
  });
}

const becomes = (broker: BrokerProcess, wanted: string): Promise<unknown> =>
  eventually(async () => {
    const now = await shape(broker);
    if (now !== wanted) throw new Error(`the group is ${now}`);
    return true;
  }, `the group to be ${wanted}`);

test('member by member to the new protocol and back, with kill -9 in between', async () => {
  const broker = endsWithTest(new BrokerProcess(await freePort()));
  await broker.start(SETTINGS);
  await withClient(broker, (client) =>
    client.call(CreateTopics, { topics: [{ name: 't', numPartitions: PARTITIONS, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 5000 }),
  );
  const scene = endsWithTest(new Scene(broker));
  await scene.start();
  await scene.classic('a');
  await scene.classic('b');
  await becomes(broker, 'classic Stable 0+0');
  const one = endsWithTest(new NewMember(scene, 'one'));
  await becomes(broker, 'consumer Stable 2+1');
  await scene.stop('a');
  await becomes(broker, 'consumer Stable 1+1');
  await broker.kill();
  await broker.start(SETTINGS);
  await becomes(broker, 'consumer Stable 1+1');
  await eventually(() => one.partitions.length === 2, 'the members to share the partitions');
  const two = endsWithTest(new NewMember(scene, 'two'));
  await becomes(broker, 'consumer Stable 1+2');
  await scene.stop('b');
  await becomes(broker, 'consumer Stable 0+2');
  await scene.classic('c');
  await becomes(broker, 'consumer Stable 1+2');
  await one.leave();
  await becomes(broker, 'consumer Stable 1+1');
  await scene.classic('d');
  await becomes(broker, 'consumer Stable 2+1');
  await two.leave();
  await becomes(broker, 'classic Stable 0+0');
  await scene.quiet();
  const all = Array.from({ length: scene.written }, (_, i) => String(i));
  await eventually(() => all.every((value) => scene.seen.has(value)), 'everything that was written to be read');
  expect(scene.backwards).toEqual([]);
}, 90_000);

test('group.consumer.migration.policy=disabled keeps groups with members as they are', async () => {
  const broker = endsWithTest(new BrokerProcess(await freePort()));
  await broker.start({ ...SETTINGS, 'group.consumer.migration.policy': 'DISABLED' });
  const client = await broker.client();
  const metadata = encodeSubscription({ topics: ['t'] });
  const join = { groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, memberId: '', protocolType: 'consumer', reason: null };
  const call = { ...join, protocols: [{ name: 'range', metadata }] };
  expect(await client.call(JoinGroup, call, { version: 3 })).toMatchObject({ errorCode: 0 });
  const beat = { groupId: 'g', memberId: 'new', memberEpoch: 0, rebalanceTimeoutMs: 10_000, subscribedTopicNames: ['t'], topicPartitions: [] };
  expect(await client.call(ConsumerGroupHeartbeat, beat)).toMatchObject({ errorCode: E.GROUP_ID_NOT_FOUND, errorMessage: 'Group g is not a consumer group.' });
  client.close();
});
