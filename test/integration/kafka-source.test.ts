/** The Kafka source against our broker in this process: headers, offsets, groups, and what goes wrong. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Event } from '../../src/agent/core/event.ts';
import type { PollableSource } from '../../src/agent/core/source.ts';
import kafka from '../../src/agent/sources/kafka.ts';
import { encodeAvroEvent } from '../../src/agent/wire/avro-event-codec.ts';
import { DescribeGroups } from '../../src/kafka/apis/describe-groups.ts';
import { LeaveGroup } from '../../src/kafka/apis/leave-group.ts';
import { ChannelFullError } from '../../src/lib/errors.ts';
import { parseProperties } from '../../src/lib/props/spec.ts';
import { BatchBuilder } from '../../src/records/builder.ts';
import type { RecordHeaders } from '../../src/records/cursor.ts';
import { configOf } from '../contract/config-of.ts';
import { sourceContext } from '../contract/contexts.ts';
import { pollLoop } from '../poll-loop.ts';
import { freePort } from './agent-process.ts';
import { batchOf, eventually, produceTo, TestBroker } from './broker-harness.ts';

let broker: TestBroker;
const running: RunningSource[] = [];
beforeEach(async () => {
  broker = await TestBroker.start();
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
  await broker.end();
});

const FAST = { 'kafka.consumer.auto.offset.reset': 'earliest', 'kafka.consumer.heartbeat.interval.ms': 100, 'kafka.consumer.fetch.max.wait.ms': 50 };

/** A source in a loop, as the runner has it. */
class RunningSource {
  readonly got: Event[] = [];
  /** Sizes of what was put at once. */
  readonly puts: number[] = [];
  readonly said: string[] = [];
  readonly context;
  readonly #source: PollableSource;
  #endPolling: () => Promise<void> = () => Promise.resolve();
  /** Makes puts fail. */
  full = false;

  constructor(values: Readonly<Record<string, string | number | boolean>>) {
    const put = async (batch: Event[]): Promise<void> => {
      if (this.full) throw new ChannelFullError('full');
      this.got.push(...batch);
      this.puts.push(batch.length);
    };
    this.context = sourceContext({ put, maxBatch: 1000 });
    const hear = (...words: unknown[]): void => void this.said.push(String(words.at(-1)));
    const config = configOf(kafka, { ...FAST, ...values });
    this.#source = kafka.create(config, {
      ...this.context,
      log: { ...this.context.log, error: hear, warn: hear } as typeof this.context.log,
    }) as PollableSource;
    running.push(this);
  }

  async start(): Promise<this> {
    await this.#source.start();
    this.#endPolling = pollLoop(this.#source);
    return this;
  }

  async stop(): Promise<void> {
    await this.#endPolling();
    await this.#source.stop();
  }

  bodies(): string[] {
    return this.got.map(({ body }) => body.toString());
  }

  has(count: number): Promise<unknown> {
    return eventually(() => this.got.length >= count, `${count} events, got ${this.got.length}`);
  }
}

function reader(values: Readonly<Record<string, string | number | boolean>> = {}, address = broker.address): Promise<RunningSource> {
  return new RunningSource({ 'kafka.bootstrap.servers': address, ...('kafka.topics.regex' in values ? {} : { 'kafka.topics': 't' }), ...values }).start();
}

async function produce(topic: string, values: readonly string[], partition = 0, target = broker): Promise<void> {
  const client = await target.client();
  expect((await produceTo(client, topic, partition, batchOf(values, { at: 1_700_000_000_000 }))).errorCode).toBe(0);
}

const numbers = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => `${from + i}`);

describe('what events look like', () => {
  it('has the headers topic, partition, offset and timestamp', async () => {
    await broker.topic('t');
    await produce('t', ['a', 'b']);
    const source = await reader();
    await source.has(2);
    expect(source.bodies()).toEqual(['a', 'b']);
    expect(source.got[1]?.headers).toEqual({ topic: 't', partition: '0', offset: '1', timestamp: '1700000000000' });
  });

  it('has the key, and record headers that are asked for, and an empty body for a tombstone', async () => {
    await broker.topic('t');
    const builder = new BatchBuilder();
    const headers: RecordHeaders = [
      ['from', Buffer.from('web1')],
      ['other', Buffer.from('x')],
    ];
    builder.append(Buffer.from('k'), null, 5, headers);
    await produceTo(await broker.client(), 't', 0, builder.finish());
    const source = await reader({ 'header.host': 'from', topicHeader: 'origin' });
    await source.has(1);
    expect(source.got[0]).toEqual({ headers: { origin: 't', partition: '0', offset: '0', timestamp: '5', key: 'k', host: 'web1' }, body: Buffer.alloc(0) });
  });

  it('notes no topic with setTopicHeader = false, and puts at most batchSize events at once', async () => {
    await broker.topic('t');
    await produce('t', numbers(0, 25));
    const source = await reader({ setTopicHeader: false, batchSize: 10 });
    await source.has(25);
    expect(source.bodies()).toEqual(numbers(0, 25));
    expect(source.got[0]?.headers).toEqual({ partition: '0', offset: '0', timestamp: '1700000000000' });
    expect(source.puts).toEqual([10, 10, 5]);
  });

  it('reads a list of topics with blanks around its commas, and a pattern before any list', async () => {
    for (const topic of ['one', 'two', 'three']) {
      await broker.topic(topic);
      await produce(topic, [`in ${topic}`]);
    }
    const list = await reader({ 'kafka.topics': ' one , two ', 'kafka.consumer.group.id': 'a' });
    await list.has(2);
    expect(list.bodies().sort()).toEqual(['in one', 'in two']);
    const pattern = new RunningSource({
      'kafka.bootstrap.servers': broker.address,
      'kafka.topics': 'one',
      'kafka.topics.regex': 't.*',
      'kafka.consumer.group.id': 'b',
    });
    await (await pattern.start()).has(2);
    expect(pattern.bodies().sort()).toEqual(['in three', 'in two']);
  });

  it('reads AvroFlumeEvent, keeping the headers in it, and passes over what is none', async () => {
    await broker.topic('t');
    const builder = new BatchBuilder();
    builder.append(null, encodeAvroEvent({ headers: { topic: 'kept', x: 'y' }, body: Buffer.from('hi') }), 5);
    builder.append(null, Buffer.from('\xff\xff\xff', 'latin1'), 5);
    builder.append(null, encodeAvroEvent({ headers: {}, body: Buffer.from('last') }), 5);
    await produceTo(await broker.client(), 't', 0, builder.finish());
    const source = await reader({ useFlumeEventFormat: true });
    await source.has(2);
    expect(source.got[0]).toEqual({ headers: { topic: 'kept', x: 'y', partition: '0', offset: '0', timestamp: '5' }, body: Buffer.from('hi') });
    expect(source.bodies()).toEqual(['hi', 'last']);
    expect(source.context.counters.EventReadFail).toBe(1);
  });

  it('notes how often the record went round', async () => {
    await broker.topic('t');
    const builder = new BatchBuilder();
    builder.append(null, Buffer.from('x'), 5, [['millrace.hops', Buffer.from('3')]]);
    await produceTo(await broker.client(), 't', 0, builder.finish());
    const source = await reader();
    await source.has(1);
    expect(source.got[0]?.headers['millrace.hops']).toBe('3');
  });

  it.each([1, 2, 3, 4])('unpacks codec %i', async (codec) => {
    await broker.topic('t');
    await produceTo(await broker.client(), 't', 0, batchOf(numbers(0, 500), { codec }));
    const source = await reader();
    await source.has(500);
    expect(source.bodies()).toEqual(numbers(0, 500));
  });

  it('leaves out aborted transactions with read_committed', async () => {
    await broker.topic('t');
    const { Kafka, logLevel } = await import('kafkajs');
    const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).producer({
      transactionalId: 'x',
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    for (const [text, keep] of [
      ['a', true],
      ['b', false],
      ['c', true],
    ] as const) {
      const transaction = await producer.transaction();
      await transaction.send({ topic: 't', messages: [{ value: text }] });
      await (keep ? transaction.commit() : transaction.abort());
    }
    await producer.disconnect();
    const committed = await reader({ 'kafka.consumer.isolation.level': 'read_committed' });
    await committed.has(2);
    const all = await reader({ 'kafka.consumer.group.id': 'other' });
    await all.has(3);
    expect(committed.bodies()).toEqual(['a', 'c']);
    expect(all.bodies()).toEqual(['a', 'b', 'c']);
  });
});

describe('offsets', () => {
  it('goes on where it was, without repeating what was put', async () => {
    await broker.topic('t');
    await produce('t', numbers(0, 10));
    const first = await reader();
    await first.has(10);
    await first.stop();
    await produce('t', numbers(10, 10));
    const second = await reader();
    await second.has(10);
    expect(second.bodies()).toEqual(numbers(10, 10));
  });

  it('commits nothing that the channel has not taken', async () => {
    await broker.topic('t');
    await produce('t', numbers(0, 10));
    const first = new RunningSource({ 'kafka.bootstrap.servers': broker.address, 'kafka.topics': 't' });
    first.full = true;
    await first.start();
    await eventually(() => first.said.some((line) => line.includes('full')), 'a refused put');
    await first.stop();
    const second = await reader();
    await second.has(10);
    expect(second.bodies()).toEqual(numbers(0, 10));
  });

  it('keeps what a full channel refused, and puts it when there is room', async () => {
    await broker.topic('t');
    const source = await reader();
    source.full = true;
    await produce('t', numbers(0, 10));
    await eventually(() => source.said.some((line) => line.includes('full')), 'a refused put');
    source.full = false;
    await source.has(10);
    expect(source.bodies()).toEqual(numbers(0, 10));
  });

  it('goes on as auto.offset.reset says when its offset is gone, and counts it', async () => {
    await broker.topic('t');
    await produce('t', numbers(0, 10));
    const first = await reader();
    await first.has(10);
    await first.stop();
    // As after the broker came back with another data directory: the committed offset 10 is beyond the end.
    await broker.running.broker.topics.remove('t');
    await broker.topic('t');
    const client = await broker.client();
    const { OffsetCommit } = await import('../../src/kafka/apis/offset-commit.ts');
    await client.call(
      OffsetCommit,
      { groupId: 'flume', topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 99, committedMetadata: '' }] }] },
      { version: 8 },
    );
    await produce('t', ['fresh']);
    const second = await reader();
    await second.has(1);
    expect(second.bodies()).toEqual(['fresh']);
    expect(second.context.extra.OffsetOutOfRangeCount).toBe(1);
    expect(second.said.join()).toContain('gone from the broker');
  });

  it('begins at the end by default', async () => {
    await broker.topic('t');
    await produce('t', ['old']);
    const source = await reader({ 'kafka.consumer.auto.offset.reset': 'latest' });
    await eventually(async () => (await group()).members.length === 1 && (await committed()) === 1, 'the group to begin');
    await produce('t', ['new']);
    await source.has(1);
    expect(source.bodies()).toEqual(['new']);
  });
});

async function group(groupId = 'flume') {
  const client = await broker.client();
  const answer = await client.call(DescribeGroups, { groups: [groupId] });
  client.close();
  return answer.groups[0]!;
}

async function committed(groupId = 'flume', topic = 't'): Promise<number> {
  const { OffsetFetch } = await import('../../src/kafka/apis/offset-fetch.ts');
  const client = await broker.client();
  const answer = await client.call(OffsetFetch, { groupId, topics: [{ name: topic, partitionIndexes: [0] }] }, { version: 7 });
  client.close();
  return answer.topics[0]?.partitions[0]?.committedOffset ?? -1;
}

describe('groups', () => {
  it('shares partitions, and takes over those of a member that leaves, losing and doubling nothing', async () => {
    await broker.topic('t', 4);
    const one = await reader();
    await eventually(async () => (await group()).groupState === 'Stable', 'a stable group');
    for (let p = 0; p < 4; p++) await produce('t', numbers(p * 100, 50), p);
    await one.has(200);
    const two = await reader();
    await eventually(async () => (await group()).members.length === 2 && (await group()).groupState === 'Stable', 'two members');
    for (let p = 0; p < 4; p++) await produce('t', numbers(p * 100 + 50, 50), p);
    await eventually(() => one.got.length + two.got.length >= 400, 'all events');
    expect(two.got.length).toBe(100);
    await two.stop();
    for (let p = 0; p < 4; p++) await produce('t', [`last-${p}`], p);
    await eventually(() => one.got.length + two.got.length >= 404, 'the last ones');
    const all = [...one.bodies(), ...two.bodies()];
    expect(new Set(all).size).toBe(404);
    expect(all).toHaveLength(404);
  });

  it.each(['StickyAssignor', 'CooperativeStickyAssignor'])('keeps what it has under the %s while others come and go', async (assignor) => {
    const strategy = { 'kafka.consumer.partition.assignment.strategy': `org.apache.kafka.clients.consumer.${assignor}` };
    await broker.topic('t', 6);
    const first = await reader(strategy);
    await eventually(async () => (await group()).groupState === 'Stable', 'a stable group');
    const members = [first];
    let sent = 0;
    const total = (): string[] => members.flatMap((one) => one.bodies());
    const sendAll = async (): Promise<void> => {
      for (let p = 0; p < 6; p++) await produce('t', numbers(sent + p * 10, 10), p);
      sent += 60;
      await eventually(() => total().length >= sent, `${sent} events`);
    };
    const stable = async (count: number): Promise<void> => {
      await eventually(async () => (await group()).members.length === count && (await group()).groupState === 'Stable', `${count} members`);
    };
    await sendAll();
    for (const count of [2, 3]) {
      members.push(await reader(strategy));
      await stable(count);
      await sendAll();
    }
    expect((await group()).protocolData).toBe(assignor === 'StickyAssignor' ? 'sticky' : 'cooperative-sticky');
    // A partition that moves under the cooperative one is nobody's for a moment, and the group stable all the same.
    await eventually(async () => {
      const isShared = members.every(({ got }) => got.length > 0);
      if (!isShared) await sendAll();
      return isShared;
    }, 'events for the last member');
    const had = new Set((members[1] as RunningSource).got.map(({ headers }) => headers.partition));
    await members[2]?.stop();
    await stable(2);
    await sendAll();
    const has = new Set((members[1] as RunningSource).got.map(({ headers }) => headers.partition));
    expect([...has]).toEqual(expect.arrayContaining([...had]));
    expect(new Set(total()).size).toBe(sent);
    expect(total()).toHaveLength(sent);
  });

  it('leaves the group when it stops', async () => {
    await broker.topic('t');
    const source = await reader();
    await eventually(async () => (await group()).members.length === 1, 'a member');
    await source.stop();
    expect((await group()).members).toEqual([]);
  });

  it('joins again when it is thrown out, and goes on', async () => {
    await broker.topic('t');
    await produce('t', ['a']);
    const source = await reader();
    await source.has(1);
    await eventually(async () => (await committed()) === 1, 'the commit');
    const { memberId } = (await group()).members[0]!;
    await (await broker.client()).call(LeaveGroup, { groupId: 'flume', members: [{ memberId }] }, { version: 4 });
    await produce('t', ['b']);
    await eventually(() => source.bodies().includes('b'), 'the next event');
    await eventually(() => (source.context.extra.GroupThrownOutCount ?? 0) === 1, 'the count');
    await eventually(async () => (await group()).members.length === 1, 'membership again');
    expect(new Set(source.bodies())).toEqual(new Set(['a', 'b']));
  });

  it('does not hold up a rebalance when its channel is full', async () => {
    await broker.topic('t', 2);
    const stuck = await reader();
    await eventually(async () => (await group()).groupState === 'Stable', 'a stable group');
    stuck.full = true;
    await produce('t', ['a'], 0);
    await produce('t', ['b'], 1);
    await eventually(() => stuck.said.some((line) => line.includes('full')), 'a refused put');
    const other = await reader();
    await eventually(async () => (await group()).members.length === 2 && (await group()).groupState === 'Stable', 'two members', 15_000);
    await other.has(1);
    stuck.full = false;
    await eventually(() => new Set([...stuck.bodies(), ...other.bodies()]).size === 2, 'both events');
  });

  it('reads topics by pattern, new ones too', async () => {
    await broker.topic('log-a');
    await broker.topic('other');
    await produce('log-a', ['a']);
    await produce('other', ['no']);
    const source = await reader({ 'kafka.topics.regex': 'log-.*', 'kafka.consumer.metadata.max.age.ms': 200 });
    await source.has(1);
    await broker.topic('log-b');
    await produce('log-b', ['b']);
    await source.has(2);
    expect(source.bodies()).toEqual(['a', 'b']);
  });
});

describe('when the broker is not as it should be', () => {
  it('waits for a broker that is not there yet, and says so', async () => {
    const port = await freePort();
    const source = await reader({}, `127.0.0.1:${port}`);
    await eventually(() => source.said.some((line) => line.includes(`127.0.0.1:${port}`)), 'a word');
    const late = await TestBroker.start({ listeners: `PLAINTEXT://127.0.0.1:${port}` });
    try {
      await late.topic('t');
      await produce('t', ['a'], 0, late);
      await source.has(1);
      await late.stop();
      await late.up();
      await produce('t', ['b'], 0, late);
      await source.has(2);
      await source.stop();
      expect(source.bodies()).toEqual(['a', 'b']);
    } finally {
      await late.end();
    }
  });

  it('waits for a topic that is not there yet when nobody creates it', async () => {
    const strict = await TestBroker.start({ 'auto.create.topics.enable': 'false' });
    try {
      const source = await reader({}, strict.address);
      await eventually(async () => (await strict.client()) !== undefined, 'a client');
      await strict.topic('t');
      await produce('t', ['a'], 0, strict);
      await source.has(1);
      await source.stop();
    } finally {
      await strict.end();
    }
  });
});

describe('the definition', () => {
  const findings = (values: Record<string, string>): string[] => {
    const raw = Object.fromEntries(Object.entries({ 'kafka.bootstrap.servers': 'h:1', ...values }).map(([key, value]) => [key, { value }]));
    const { config, findings: read } = parseProperties(kafka.properties, raw);
    return [...read, ...(config === null ? [] : (kafka.check?.(config, raw) ?? []))].map(({ severity, message }) => `${severity}: ${message}`);
  };
  it('needs a topic', () => expect(findings({})).toEqual(['error: At least one Kafka topic must be specified.']));
  it('takes the keys of 1.6', () => expect(findings({ topic: 't', groupId: 'g' }).join()).toMatch(/"topic" is retired.*"groupId" is retired/));
  it('refuses to take over offsets from ZooKeeper, with a reason', () => {
    expect(findings({ 'kafka.topics': 't', zookeeperConnect: 'z:2181' }).join()).toMatch(/error: offsets cannot be taken over from ZooKeeper/);
    expect(findings({ 'kafka.topics': 't', zookeeperConnect: 'z:2181', migrateZookeeperOffsets: 'false' }).join()).not.toContain('error');
  });
  it('names settings that no Kafka client has', () => {
    expect(findings({ 'kafka.topics': 't', 'kafka.consumer.auto.ofset.reset': 'earliest' }).join()).toContain(
      '"kafka.consumer.auto.ofset.reset" is no setting',
    );
  });
});
