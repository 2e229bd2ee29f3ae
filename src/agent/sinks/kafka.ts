/**
 * Writes events to Kafka topics (Flume's KafkaSink, of 1.11 with the keys of all earlier releases).
 *
 * When is an event safe? `deliver` resolves when every record of the batch is acknowledged as `acks` says. If one is not,
 * the whole batch comes again, and what was stored before is stored twice, as in Flume; enable.idempotence spares the
 * repetitions within a send, transactional.id all for readers with isolation.level = read_committed.
 *
 * Unlike Flume, an event that the topic will never take (too large, an impossible topic name) does not hold up those
 * behind it: it is set aside, said and counted. Escapes in kafka.topic are expanded only with allowTopicOverride, as in Flume.
 */
import { openProducer } from '../../kafka/client/open-producer.ts';
import type { OutRecord, Producer, RecordSource, Refusal } from '../../kafka/client/records.ts';
import { bootstrapProperty, type ProducerConfig, readProducerConfig } from '../../kafka/client/settings.ts';
import { DeliveryError } from '../../lib/errors.ts';
import type { FindingDraft, RawValue } from '../../lib/props/finding.ts';
import { bool, type Config, int, oneOf, path, rest, text } from '../../lib/props/spec.ts';
import { defineSink, type SinkContext } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';
import type { Sink } from '../core/sink.ts';
import { compileTemplate, type Template } from '../core/template.ts';
import { encodeAvroEvent } from '../wire/avro-event-codec.ts';
import { HOPS_HEADER, hopsOf } from '../wire/hops.ts';
import { SetAside } from './kafka-set-aside.ts';

const DEFAULT_TOPIC = 'default-flume-topic';

const properties = {
  'kafka.bootstrap.servers': bootstrapProperty(['brokerList']),
  'kafka.topic': text({
    default: DEFAULT_TOPIC,
    aliases: ['topic'],
    doc: 'Topic for events whose headers name none; %{header} and time escapes are expanded.',
  }),
  flumeBatchSize: int({ default: 100, min: 1, unit: 'events', aliases: ['kafka.flumeBatchSize', 'batchSize'], doc: 'Events sent at once.' }),
  'kafka.producer.acks': text({
    default: '1',
    aliases: ['requiredAcks'],
    doc: '0: do not wait; 1: the leader has it; all or -1: all in-sync replicas have it.',
  }),
  'kafka.producer.*': rest({ doc: 'Any setting of the Java producer, e.g. compression.type, security.protocol, sasl.jaas.config.' }),
  useFlumeEventFormat: bool({ default: false, doc: 'Write headers and body as AvroFlumeEvent instead of the body alone.' }),
  defaultPartitionId: int({ min: 0, doc: 'Partition for events whose header names none; left out: by key, or any.' }),
  partitionIdHeader: text({ doc: 'Header that holds the number of the partition.' }),
  allowTopicOverride: bool({ default: true, doc: 'Whether a header may name the topic.' }),
  topicHeader: text({ default: 'topic', doc: 'That header.' }),
  timestampHeader: text({ doc: 'Header with the record’s time in epoch milliseconds; left out: the time of sending.' }),
  'header.*': rest({ doc: 'header.<event header> = <record header>: copies a header into the record.' }),
  'kafka.client': oneOf(['lean', 'kafkajs'], { default: 'lean', doc: 'Which producer to use; transactions always use kafkajs. Not in Flume.' }),
  'kafka.maxHops': int({ default: 16, min: 0, doc: 'An event that went round from Kafka to Kafka so often is not written again; 0: no limit. Not in Flume.' }),
  setAsideDirectory: path({ doc: 'Where events that a topic will never take are kept, a file each; left out: they are only said and counted. Not in Flume.' }),
  'serializer.class': text({ ignored: 'bodies are sent as they are', doc: 'No effect.' }),
  'key.serializer.class': text({ ignored: 'keys are sent as text', doc: 'No effect.' }),
} as const;
type KafkaConfig = Config<typeof properties>;

function producerConfig(config: KafkaConfig): ReturnType<typeof readProducerConfig> {
  return readProducerConfig({ ...config['kafka.producer.*'], acks: config['kafka.producer.acks'] });
}

function check(config: KafkaConfig, raw: Readonly<Record<string, RawValue>>): FindingDraft[] {
  const findings = [...producerConfig(config).findings];
  if (!('kafka.topic' in raw) && !('topic' in raw) && !config.allowTopicOverride) {
    findings.push({ code: 'default-topic', severity: 'warning', message: `no kafka.topic: everything goes to ${DEFAULT_TOPIC}`, fix: 'set kafka.topic' });
  }
  if ('kafka.flumeBatchSize' in raw && !('flumeBatchSize' in raw)) {
    const message = 'Flume itself ignores kafka.flumeBatchSize, though its guide names it; here it counts';
    findings.push({ code: 'honoured-property', severity: 'info', message, fix: 'write flumeBatchSize, which both understand', key: 'kafka.flumeBatchSize' });
  }
  if (!config.allowTopicOverride && /%[{[\w]/.test(config['kafka.topic'])) {
    const message = 'kafka.topic has escapes, which are not expanded with allowTopicOverride = false, as in Flume';
    findings.push({ code: 'literal-topic', severity: 'warning', message, fix: 'set allowTopicOverride = true, and another topicHeader', key: 'kafka.topic' });
  }
  return findings;
}

export default defineSink({
  type: 'kafka',
  aliases: ['org.apache.flume.sink.kafka.KafkaSink'],
  summary: 'Writes events to Kafka topics.',
  properties,
  counters: {
    KafkaEventSendTimer: 'Milliseconds spent in sending, added up.',
    RollbackCount: 'Batches that failed and came again.',
    EventsSetAsideCount: 'Events that a topic will never take.',
    LoopedEventCount: 'Events not written because they went round in a topic loop.',
  },
  check,
  facts: (config) => ({ batchSize: config.flumeBatchSize }),
  delivery: ({ 'kafka.producer.acks': acks }) => ({
    crash:
      acks.trim() === '0'
        ? { effect: 'loses', note: 'with acks = 0 nobody says whether an event arrived', improve: 'set kafka.producer.acks = all' }
        : { effect: 'doubles', note: 'a batch that was sent but not yet committed is sent again' },
    stop: { effect: 'nothing', note: 'the batch under way is finished' },
    dead: { effect: 'waits', note: 'events stay in the channel until a broker answers' },
  }),
  create: (config, ctx) => new KafkaSink(config, ctx),
});

class KafkaSink implements Sink {
  readonly #config: KafkaConfig;
  readonly #ctx: SinkContext;
  readonly #setAside: SetAside;
  #records: EventRecords | undefined;
  #producer: Producer | undefined;

  constructor(config: KafkaConfig, ctx: SinkContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#setAside = new SetAside(config.setAsideDirectory, ctx);
  }

  /** Reads key stores; connects only with the first batch, so that absent brokers do not stop anything. @throws ConfigError */
  async start(): Promise<void> {
    const { counters, clock, log, name, agent } = this.#ctx;
    this.#records ??= new EventRecords(this.#config, this.#ctx);
    this.#producer ??= openProducer({
      bootstrap: this.#config['kafka.bootstrap.servers'],
      config: producerConfig(this.#config).config as ProducerConfig,
      clientId: `${agent}-${name}`,
      clock,
      log,
      client: this.#config['kafka.client'],
      onConnection: (what) => {
        if (what === 'opened') counters.ConnectionCreatedCount++;
        else if (what === 'closed') counters.ConnectionClosedCount++;
        else counters.ConnectionFailedCount++;
      },
    });
  }

  async stop(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.close();
  }

  async deliver(batch: readonly Sealed[]): Promise<void> {
    const { clock, extra } = this.#ctx;
    const began = clock.monotonic();
    const records = this.#records as EventRecords;
    let refusals: readonly Refusal[];
    try {
      refusals = await (this.#producer as Producer).send(records.open(batch));
    } catch (error) {
      extra.RollbackCount = (extra.RollbackCount ?? 0) + 1;
      throw error;
    } finally {
      extra.KafkaEventSendTimer = (extra.KafkaEventSendTimer ?? 0) + Math.round(clock.monotonic() - began);
    }
    if (refusals.length > 0) this.#setAside.keep(batch, refusals);
    if (records.looped.size > 0) this.#setAside.stopLoop(batch, records.looped, this.#config);
    else this.#setAside.noLoop();
  }
}

/** The events of a batch as records. */
class EventRecords implements RecordSource {
  readonly #config: KafkaConfig;
  readonly #ctx: SinkContext;
  readonly #topic: Template | undefined;
  /** Event header and record header, in pairs. */
  readonly #copied: readonly (readonly [string, string])[];
  /** Indexes of events left out because they went round too often. */
  readonly looped = new Set<number>();
  readonly #hopValues: Buffer[] = [];
  #batch: readonly Sealed[] = [];
  #now = 0;

  constructor(config: KafkaConfig, ctx: SinkContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#topic = config.allowTopicOverride ? compileTemplate(config['kafka.topic'], { clock: ctx.clock }) : undefined;
    this.#copied = Object.entries(config['header.*']);
  }

  open(batch: readonly Sealed[]): this {
    this.#batch = batch;
    this.#now = this.#ctx.clock.now();
    if (this.looped.size > 0) this.looped.clear();
    return this;
  }

  get count(): number {
    return this.#batch.length;
  }

  load(index: number, into: OutRecord): boolean {
    const event = this.#batch[index] as Sealed;
    const { headers } = event;
    const config = this.#config;
    into.headers = NO_HEADERS;
    into.topic = config['kafka.topic'];
    if (this.#topic !== undefined) {
      const named = headers[config.topicHeader];
      into.topic = named ?? this.#topic.render(headers);
      if (named !== undefined && !this.#hop(index, headers, into)) return false;
    }
    into.key = headers.key === undefined ? null : Buffer.from(headers.key);
    into.value = config.useFlumeEventFormat ? encodeAvroEvent(event) : event.body;
    into.partition = this.#partition(headers);
    into.timestamp = config.timestampHeader === undefined ? this.#now : this.#timestamp(headers[config.timestampHeader], config.timestampHeader);
    if (this.#copied.length > 0) this.#copy(headers, into);
    return true;
  }

  /** Marks an event that goes from Kafka to Kafka; false = it did so too often. */
  #hop(index: number, headers: Sealed['headers'], into: OutRecord): boolean {
    const limit = this.#config['kafka.maxHops'];
    const hops = limit === 0 ? -1 : hopsOf(headers);
    if (hops < 0) return true;
    if (hops >= limit) {
      this.looped.add(index);
      return false;
    }
    this.#hopValues[hops] ??= Buffer.from(String(hops + 1));
    into.headers = [[HOPS_HEADER, this.#hopValues[hops] as Buffer]];
    return true;
  }

  #partition(headers: Sealed['headers']): number {
    const { partitionIdHeader, defaultPartitionId = -1 } = this.#config;
    const named = partitionIdHeader === undefined ? undefined : headers[partitionIdHeader];
    if (named === undefined) return defaultPartitionId;
    if (/^\+?\d{1,9}$/.test(named.trim())) return Number(named);
    throw new DeliveryError(`the header ${partitionIdHeader} of an event is "${named}", which is no number of a partition`, {
      retriable: false,
      fix: 'correct what writes that header, e.g. with an interceptor',
    });
  }

  #timestamp(value: string | undefined, header: string): number {
    if (value === undefined) return this.#now;
    if (/^\d{1,15}$/.test(value)) return Number(value);
    throw new DeliveryError(`the header ${header} of an event is "${value}", which is no time in milliseconds`, {
      retriable: false,
      fix: 'correct what writes that header, or leave timestampHeader out',
    });
  }

  #copy(headers: Sealed['headers'], into: OutRecord): void {
    const copies: [string, Buffer][] = [];
    for (const [from, to] of this.#copied) {
      const value = headers[from];
      if (value !== undefined) copies.push([to, Buffer.from(value)]);
    }
    if (copies.length > 0) into.headers = [...into.headers, ...copies];
  }
}

const NO_HEADERS: OutRecord['headers'] = [];
