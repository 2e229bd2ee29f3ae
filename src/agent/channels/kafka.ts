/**
 * A Kafka topic as a channel (Flume's KafkaChannel): a put is a produced batch, a lease is what the agent's member of the
 * consumer group has read and not yet committed. Other agents may put and take at the same topic, and Kafka programs too.
 *
 * When is an event safe? A put resolves when all brokers that must have it do (acks = all by default). A lease's commit
 * moves the group's offset past what was delivered from the front without a gap; the rest comes again after a crash or a
 * rebalance. At least once, in the order of each partition. The group is joined with the first take, so the channel of an
 * agent without sinks reads nothing.
 */
import { type Assigned, GroupConsumer } from '../../kafka/client/consumer.ts';
import { openProducer } from '../../kafka/client/open-producer.ts';
import type { OutRecord, Producer, RecordSource } from '../../kafka/client/records.ts';
import { bootstrapProperty, type ConsumerConfig, type ProducerConfig, readConsumerConfig, readProducerConfig } from '../../kafka/client/settings.ts';
import { ChannelError, errorText } from '../../lib/errors.ts';
import type { FindingDraft } from '../../lib/props/finding.ts';
import { bool, type Config, duration, int, rest, text } from '../../lib/props/spec.ts';
import type { RecordCursor } from '../../records/cursor.ts';
import type { Channel, ChannelGauges, Lease } from '../core/channel.ts';
import { type ChannelContext, defineChannel } from '../core/define.ts';
import type { Event, Sealed } from '../core/event.ts';
import { Takers } from '../core/takers.ts';
import { AvroEventReader, encodeAvroEvent } from '../wire/avro-event-codec.ts';
import { type Handed, KafkaLedger } from './kafka-ledger.ts';

const properties = {
  'kafka.bootstrap.servers': bootstrapProperty(['brokerList']),
  'kafka.topic': text({ default: 'flume-channel', aliases: ['topic'], doc: 'The topic that holds the events.' }),
  'kafka.consumer.group.id': text({ default: 'flume', aliases: ['groupId'], doc: 'Agents that share the events share the group.' }),
  'kafka.consumer.auto.offset.reset': text({ doc: 'Where a new group begins: earliest (default) or latest.' }),
  'kafka.producer.acks': text({ default: 'all', doc: '0, 1 or all: how many brokers must have an event before a put is done.' }),
  'kafka.producer.*': rest({ doc: 'Any setting of the Java producer.' }),
  'kafka.consumer.*': rest({ doc: 'Any setting of the Java consumer.' }),
  'kafka.pollTimeout': duration({ default: 500, unit: 'ms', aliases: ['pollTimeout'], doc: 'A fetch waits for events at most so long.' }),
  parseAsFlumeEvent: bool({ default: true, doc: 'Records hold AvroFlumeEvent. false: the body alone, headers are lost.' }),
  defaultPartitionId: int({ min: 0, doc: 'Partition for events whose header names none; left out: by key, or any.' }),
  partitionIdHeader: text({ doc: 'Header that holds the number of the partition.' }),
  readSmallestOffset: bool({ doc: 'Old way to say auto.offset.reset: true is earliest, false latest.' }),
  zookeeperConnect: text({ ignored: 'brokers are found by kafka.bootstrap.servers, and offsets are in Kafka', doc: 'No effect.' }),
  migrateZookeeperOffsets: bool({ ignored: 'there is no client for ZooKeeper here', doc: 'No effect.' }),
} as const;
type KafkaConfig = Config<typeof properties>;

function producerConfig(config: KafkaConfig): ReturnType<typeof readProducerConfig> {
  return readProducerConfig({ ...config['kafka.producer.*'], acks: config['kafka.producer.acks'] });
}

function consumerConfig(config: KafkaConfig): ReturnType<typeof readConsumerConfig> {
  const old = config.readSmallestOffset === false ? 'latest' : 'earliest';
  return readConsumerConfig(
    {
      ...config['kafka.consumer.*'],
      'group.id': config['kafka.consumer.group.id'],
      'auto.offset.reset': config['kafka.consumer.auto.offset.reset'] ?? old,
    },
    'kafka.consumer.',
    { 'fetch.max.wait.ms': `${config['kafka.pollTimeout']}` },
  );
}

function check(config: KafkaConfig): FindingDraft[] {
  return [...producerConfig(config).findings, ...consumerConfig(config).findings];
}

export default defineChannel({
  type: 'kafka',
  aliases: ['org.apache.flume.channel.kafka.KafkaChannel'],
  summary: 'Keeps events in a Kafka topic.',
  properties,
  counters: {
    KafkaEventGetTimer: 'Not measured: events are fetched ahead.',
    KafkaEventSendTimer: 'Milliseconds spent in puts, added up.',
    KafkaCommitTimer: 'Milliseconds spent in commits, added up.',
    RollbackCount: 'Leases given back.',
  },
  check,
  delivery: ({ 'kafka.producer.acks': acks }) => ({
    crash:
      acks.trim() === '0'
        ? { effect: 'loses', note: 'with acks = 0 nobody says whether an event arrived', improve: 'set kafka.producer.acks = all' }
        : { effect: 'doubles', note: 'events delivered but not yet committed are delivered again' },
    stop: { effect: 'nothing', note: 'events are in the topic' },
  }),
  create: (config, ctx) => new KafkaChannel(config, ctx),
});

class KafkaChannel implements Channel {
  readonly #config: KafkaConfig;
  readonly #ctx: ChannelContext;
  readonly #takers = new Takers();
  readonly #ledger = new KafkaLedger();
  readonly #avro = new AvroEventReader();
  #producer: Producer | undefined;
  #consumer: GroupConsumer | undefined;
  #handed: Handed = emptyHand();
  #trouble = '';
  #saidUnreadable = false;

  constructor(config: KafkaConfig, ctx: ChannelContext) {
    this.#config = config;
    this.#ctx = ctx;
  }

  /** Reads key stores; brokers are reached when they are needed. @throws ConfigError */
  async start(): Promise<void> {
    const options = this.#clientOptions();
    this.#producer ??= openProducer({ ...options, config: producerConfig(this.#config).config as ProducerConfig, log: this.#ctx.log, client: 'lean' });
    this.#consumer ??= new GroupConsumer({
      ...options,
      config: consumerConfig(this.#config).config as ConsumerConfig,
      topics: [this.#config['kafka.topic']],
      onTrouble: (error) => this.#note(error),
      onReady: () => this.#takers.wakeOne(),
      onAssigned: () => this.#ledger.dropRevoked(),
    });
    this.#takers.open();
  }

  async stop(): Promise<void> {
    this.#takers.close();
    const [producer, consumer] = [this.#producer, this.#consumer];
    this.#producer = undefined;
    this.#consumer = undefined;
    await producer?.close();
    await consumer?.stop();
    this.#ledger.clear();
  }

  async put(batch: readonly Event[], signal: AbortSignal): Promise<void> {
    if (batch.length === 0) return;
    const producer = this.#producer;
    if (producer === undefined || signal.aborted) throw new ChannelError(`channel ${this.#ctx.name} is not running`, { retriable: true });
    const { clock, extra } = this.#ctx;
    const began = clock.monotonic();
    const refusals = await producer.send(new PutRecords(batch, this.#config, clock.now()));
    extra.KafkaEventSendTimer = (extra.KafkaEventSendTimer ?? 0) + Math.round(clock.monotonic() - began);
    const [first] = refusals;
    if (first === undefined) return;
    throw new ChannelError(`channel ${this.#ctx.name} cannot hold an event: ${first.reason}`, {
      fix: 'raise max.message.bytes of the topic and kafka.producer.max.request.size',
    });
  }

  take(max: number, signal: AbortSignal): Promise<Lease | null> {
    this.#consumer?.start();
    return this.#takers.take(signal, () => this.#lend(max));
  }

  gauges(): ChannelGauges {
    return { size: this.#ledger.returned, capacity: 0, lent: this.#ledger.lent, shared: true };
  }

  #lend(max: number): Lease | null {
    const consumer = this.#consumer;
    if (consumer === undefined) return null;
    let handed = this.#ledger.takeReturned(max);
    if (handed === null) {
      handed = emptyHand();
      this.#handed = handed;
      consumer.drain(max, this.#visit);
      if (handed.events.length === 0) return null;
      this.#ledger.hand(handed);
    }
    return this.#lease(handed, consumer);
  }

  #lease(handed: Handed, consumer: GroupConsumer): Lease {
    const { extra } = this.#ctx;
    let isOver = false;
    const end = (): void => {
      if (isOver) throw new ChannelError('a lease was committed or rolled back before');
      isOver = true;
    };
    const giveBack = (from: number): void => {
      this.#ledger.giveBack(handed, from);
      this.#takers.wakeOne();
    };
    return {
      events: handed.events,
      commit: async (count = handed.events.length) => {
        if (!(count >= 0 && count <= handed.events.length)) throw new ChannelError(`commit of ${count} events, but ${handed.events.length} were lent`);
        end();
        this.#ledger.settle(handed, count);
        if (count < handed.events.length) giveBack(count);
        await consumer.commit();
        extra.KafkaCommitTimer = Math.round(consumer.commitMs);
      },
      rollback: () => {
        end();
        extra.RollbackCount = (extra.RollbackCount ?? 0) + 1;
        giveBack(0);
      },
    };
  }

  readonly #visit = (partition: Assigned, cursor: RecordCursor): void => {
    const value = cursor.value() ?? EMPTY;
    let event: Event = { headers: {}, body: value };
    if (this.#config.parseAsFlumeEvent) {
      try {
        event = this.#avro.open(value).event();
      } catch (error) {
        this.#sayUnreadable(partition, cursor.offset, error);
      }
    }
    if (cursor.keyLength >= 0) event.headers.key = cursor.data.toString('utf8', cursor.keyAt, cursor.keyAt + cursor.keyLength);
    this.#handed.events.push(event);
    this.#handed.partitions.push(partition);
    this.#handed.nextOffsets.push(cursor.offset + 1);
  };

  #clientOptions() {
    const { clock, agent, name } = this.#ctx;
    return { bootstrap: this.#config['kafka.bootstrap.servers'], clientId: `${agent}-${name}`, clock };
  }

  /** Once per start: a topic that others write to would fill the log. */
  #sayUnreadable({ topic, partition }: Assigned, offset: number, error: unknown): void {
    if (this.#saidUnreadable) return;
    this.#saidUnreadable = true;
    this.#ctx.log.warn(
      `the record at offset ${offset} of ${topic}-${partition} is no Flume event: ${errorText(error)}; bodies of such records are taken as they are; set parseAsFlumeEvent = false if others than Flume write to the topic`,
    );
  }

  #note(error: Error | undefined): void {
    // Errors that differ in numbers only (an offset, a port) are the same trouble.
    const text = error?.message ?? '';
    const key = text.replace(/\d+/g, '#');
    if (key === this.#trouble) return;
    this.#trouble = key;
    if (error === undefined) this.#ctx.healthy();
    else {
      this.#ctx.log.error(`${text}; it is tried again`);
      this.#ctx.degraded(error);
    }
  }
}

const EMPTY = Buffer.alloc(0);

function emptyHand(): Handed {
  return { events: [], partitions: [], nextOffsets: [], sequences: [] };
}

/** The events of a put as records. */
class PutRecords implements RecordSource {
  readonly #batch: readonly Sealed[];
  readonly #config: KafkaConfig;
  readonly #now: number;

  constructor(batch: readonly Sealed[], config: KafkaConfig, now: number) {
    this.#batch = batch;
    this.#config = config;
    this.#now = now;
  }

  get count(): number {
    return this.#batch.length;
  }

  load(index: number, into: OutRecord): boolean {
    const event = this.#batch[index] as Sealed;
    const { key } = event.headers;
    into.topic = this.#config['kafka.topic'];
    into.key = key === undefined ? null : Buffer.from(key);
    into.value = this.#config.parseAsFlumeEvent ? encodeAvroEvent(event) : event.body;
    into.partition = this.#partition(event);
    into.timestamp = this.#now;
    into.headers = NO_HEADERS;
    return true;
  }

  #partition({ headers }: Sealed): number {
    const { partitionIdHeader, defaultPartitionId = -1 } = this.#config;
    const named = partitionIdHeader === undefined ? undefined : headers[partitionIdHeader];
    if (named === undefined) return defaultPartitionId;
    if (/^\+?\d{1,9}$/.test(named.trim())) return Number(named);
    throw new ChannelError(`the header ${partitionIdHeader} of an event is "${named}", which is no number of a partition`, {
      fix: 'correct what writes that header',
    });
  }
}

const NO_HEADERS: OutRecord['headers'] = [];
