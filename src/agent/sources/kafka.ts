/**
 * Reads Kafka topics as a member of a consumer group (Flume's KafkaSource, of 1.11 with the keys of all earlier releases).
 *
 * When is an event safe? Its offset is committed only after every required channel has it, so a crash or a rebalance
 * repeats events but loses none. Commits run beside the reading, one at a time; a stop waits for the last one and leaves
 * the group. A full channel makes the source wait with what it has, and it stays in the group meanwhile.
 *
 * Unlike Flume a batch does not wait for batchDurationMillis to fill up: it ends when nothing more lies ready.
 */
import { type Assigned, GroupConsumer } from '../../kafka/client/consumer.ts';
import { bootstrapProperty, type ConsumerConfig, readConsumerConfig } from '../../kafka/client/settings.ts';
import { AppError, ConfigError, errorText } from '../../lib/errors.ts';
import { javaRegex } from '../../lib/java-regex.ts';
import type { FindingDraft, RawValue } from '../../lib/props/finding.ts';
import { bool, type Config, duration, int, list, regex, rest, text } from '../../lib/props/spec.ts';
import type { RecordCursor } from '../../records/cursor.ts';
import { defineSource, type SourceContext } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { PatientOutput } from '../core/patient-output.ts';
import type { PollableSource } from '../core/source.ts';
import { AvroEventReader } from '../wire/avro-event-codec.ts';
import { HOPS_HEADER } from '../wire/hops.ts';

const REPEAT_LOG_MS = 60_000;

const properties = {
  'kafka.bootstrap.servers': bootstrapProperty([]),
  'kafka.topics': list({ separator: 'comma', aliases: ['topic'], doc: 'Topics to read, separated by commas.' }),
  'kafka.topics.regex': regex({ doc: 'Reads all topics whose whole name matches, instead of kafka.topics.' }),
  'kafka.consumer.group.id': text({ default: 'flume', aliases: ['groupId'], doc: 'Consumer group; sources of one group share the partitions.' }),
  'kafka.consumer.*': rest({ doc: 'Any setting of the Java consumer, e.g. auto.offset.reset, security.protocol, sasl.jaas.config.' }),
  batchSize: int({ default: 1000, min: 1, unit: 'events', doc: 'Most events put into the channel at once.' }),
  batchDurationMillis: duration({ default: 1000, unit: 'ms', doc: 'Longest time a batch may take to fill; here it never waits that long.' }),
  backoffSleepIncrement: duration({ default: 1000, unit: 'ms', doc: 'After each failure in a row the source waits so much longer …' }),
  maxBackoffSleep: duration({ default: 5000, unit: 'ms', doc: '… but at most so long.' }),
  useFlumeEventFormat: bool({ default: false, doc: 'Records hold AvroFlumeEvent: headers and body.' }),
  setTopicHeader: bool({ default: true, doc: 'Note the topic in a header.' }),
  topicHeader: text({ default: 'topic', doc: 'That header.' }),
  'header.*': rest({ doc: 'header.<event header> = <record header>: copies a record header into the event.' }),
  zookeeperConnect: text({ ignored: 'brokers are found by kafka.bootstrap.servers, and offsets are in Kafka', doc: 'No effect.' }),
  migrateZookeeperOffsets: bool({ default: true, doc: 'Flume read old offsets from ZooKeeper; here it is refused where it would act.' }),
} as const;
type KafkaConfig = Config<typeof properties>;

function consumerConfig(config: KafkaConfig): ReturnType<typeof readConsumerConfig> {
  return readConsumerConfig({ ...config['kafka.consumer.*'], 'group.id': config['kafka.consumer.group.id'] });
}

function check(config: KafkaConfig, raw: Readonly<Record<string, RawValue>>): FindingDraft[] {
  const findings = [...consumerConfig(config).findings];
  const pattern = config['kafka.topics.regex'];
  if (pattern === undefined && (config['kafka.topics'] ?? []).length === 0) {
    findings.push({
      code: 'missing-property',
      severity: 'error',
      message: 'At least one Kafka topic must be specified.',
      fix: 'set kafka.topics or kafka.topics.regex',
    });
  }
  if (pattern !== undefined) {
    try {
      javaRegex(pattern, 'matches');
    } catch (error) {
      findings.push({
        code: 'bad-value',
        severity: 'error',
        message: `kafka.topics.regex cannot be understood: ${errorText(error)}`,
        fix: 'correct it',
        key: 'kafka.topics.regex',
      });
    }
  }
  if ('zookeeperConnect' in raw && config.migrateZookeeperOffsets && pattern === undefined && config['kafka.topics']?.length === 1) {
    findings.push({
      code: 'zookeeper-offsets',
      severity: 'error',
      message: 'offsets cannot be taken over from ZooKeeper: no Kafka since 2.0 keeps any there, and there is no client for it here',
      fix: 'set migrateZookeeperOffsets = false; if offsets must be kept, set them with kafka-consumer-groups.sh --reset-offsets',
      key: 'zookeeperConnect',
    });
  }
  return findings;
}

export default defineSource({
  type: 'kafka',
  aliases: ['org.apache.flume.source.kafka.KafkaSource'],
  summary: 'Reads Kafka topics as a member of a consumer group.',
  properties,
  counters: {
    KafkaEventGetTimer: 'Milliseconds spent in waiting for records, added up.',
    KafkaCommitTimer: 'Milliseconds spent in commits, added up.',
    KafkaEmptyCount: 'How often nothing came within batchDurationMillis.',
    OffsetOutOfRangeCount: 'How often the offset to read at was gone and reading went on where auto.offset.reset says.',
    GroupThrownOutCount: 'How often the group went on without this source, which then joined again.',
  },
  check,
  facts: (config) => ({ batchSize: config.batchSize }),
  delivery: () => ({
    crash: { effect: 'doubles', note: 'events put but not yet committed are read again' },
    stop: { effect: 'nothing', note: 'what was put is committed, and the group is left' },
    full: { effect: 'waits', note: 'nothing is read on until the channel has room' },
    replays: true,
  }),
  create: (config, ctx) => new KafkaSource(config, ctx),
});

class KafkaSource implements PollableSource {
  readonly #config: KafkaConfig;
  readonly #ctx: SourceContext;
  readonly #output: PatientOutput;
  readonly #copied: readonly (readonly [string, string])[];
  /** The usual headers and no others: they are made in one go. */
  readonly #isPlain: boolean;
  readonly #avro = new AvroEventReader();
  readonly #troubles: Troubles;
  readonly #unreadable: Troubles;
  #consumer: GroupConsumer | undefined;
  #batch: Event[] = [];
  #lastTimestamp = -1;
  #timestampText = '';

  constructor(config: KafkaConfig, ctx: SourceContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#output = new PatientOutput(ctx, 'the topics wait', (error) => !(error instanceof ConfigError));
    this.#copied = Object.entries(config['header.*']);
    this.#troubles = new Troubles(ctx, 'it is tried again');
    this.#unreadable = new Troubles(ctx, 'such records are counted in EventReadFail');
    this.#isPlain = !config.useFlumeEventFormat && config.setTopicHeader && config.topicHeader === 'topic';
  }

  /** Reads key stores; brokers are reached in the background. @throws ConfigError */
  async start(): Promise<void> {
    const { clock, log, name, agent, extra } = this.#ctx;
    const pattern = this.#config['kafka.topics.regex'];
    const matches = pattern === undefined ? undefined : javaRegex(pattern, 'matches');
    this.#consumer ??= new GroupConsumer({
      bootstrap: this.#config['kafka.bootstrap.servers'],
      config: consumerConfig(this.#config).config as ConsumerConfig,
      clientId: `${agent}-${name}`,
      clock,
      topics: matches === undefined ? (this.#config['kafka.topics'] ?? []) : (topic) => matches.test(topic),
      onTrouble: (error) => this.#troubles.note(error),
      onAssigned: (partitions) =>
        log.info(`reads ${partitions.map(({ topic, partition }) => `${topic}-${partition}`).join(', ') || 'no partition at present'}`),
      onOutOfRange: ({ topic, partition, position }) => {
        extra.OffsetOutOfRangeCount = (extra.OffsetOutOfRangeCount ?? 0) + 1;
        log.warn(`offset ${position} of ${topic}-${partition} is gone from the broker; reading goes on where auto.offset.reset says`);
      },
      onThrownOut: () => {
        extra.GroupThrownOutCount = (extra.GroupThrownOutCount ?? 0) + 1;
        log.warn(`group ${this.#config['kafka.consumer.group.id']} went on without this source; it joins again and reads from the committed offsets`);
      },
    });
    this.#consumer.start();
  }

  async stop(): Promise<void> {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    await consumer?.stop();
  }

  async poll(signal: AbortSignal): Promise<'ready' | 'backoff'> {
    const { clock, extra, output } = this.#ctx;
    const consumer = this.#consumer as GroupConsumer;
    const began = clock.monotonic();
    const isThere = await consumer.wait(Math.max(1, this.#config.batchDurationMillis), signal);
    extra.KafkaEventGetTimer = (extra.KafkaEventGetTimer ?? 0) + Math.round(clock.monotonic() - began);
    if (signal.aborted) return 'ready';
    if (!isThere) {
      extra.KafkaEmptyCount = (extra.KafkaEmptyCount ?? 0) + 1;
      return 'ready';
    }
    this.#batch = [];
    const count = consumer.drain(Math.min(this.#config.batchSize, output.maxBatch), this.#visit);
    const batch = this.#batch;
    if (count > 0 && batch.length > 0 && !(await this.#output.put(batch, signal))) return 'ready';
    consumer.allSafe();
    void consumer.commit();
    extra.KafkaCommitTimer = Math.round(consumer.commitMs);
    return 'ready';
  }

  readonly #visit = (partition: Assigned, cursor: RecordCursor): void => {
    const value = cursor.value() ?? EMPTY;
    if (cursor.timestamp !== this.#lastTimestamp) {
      this.#lastTimestamp = cursor.timestamp;
      this.#timestampText = String(cursor.timestamp);
    }
    if (this.#isPlain && cursor.keyLength < 0 && cursor.headerCount === 0) {
      const headers = { timestamp: this.#timestampText, topic: partition.topic, partition: partition.partitionText, offset: String(cursor.offset) };
      this.#batch.push({ headers, body: value });
      return;
    }
    const event = this.#config.useFlumeEventFormat ? this.#flumeEvent(value, partition, cursor) : { headers: {}, body: value };
    if (event === undefined) return;
    const headers: Record<string, string> = event.headers;
    headers.timestamp ??= this.#timestampText;
    if (this.#config.setTopicHeader) headers[this.#config.topicHeader] ??= partition.topic;
    headers.partition ??= partition.partitionText;
    headers.offset ??= String(cursor.offset);
    if (cursor.keyLength >= 0) headers.key = cursor.data.toString('utf8', cursor.keyAt, cursor.keyAt + cursor.keyLength);
    if (cursor.headerCount > 0) this.#copyHeaders(headers, cursor);
    this.#batch.push(event);
  };

  #copyHeaders(headers: Record<string, string>, cursor: RecordCursor): void {
    const written = cursor.headerRecord();
    for (const [to, from] of this.#copied) if (Object.hasOwn(written, from)) headers[to] = written[from] as string;
    const hops = written[HOPS_HEADER];
    if (hops !== undefined) headers[HOPS_HEADER] = hops;
  }

  /** Undefined when the record is no AvroFlumeEvent: it is passed over, said and counted. */
  #flumeEvent(value: Buffer, { topic, partition }: Assigned, { offset }: RecordCursor): Event | undefined {
    try {
      return this.#avro.open(value).event();
    } catch (error) {
      this.#ctx.counters.EventReadFail++;
      this.#unreadable.note(
        new AppError('PROTOCOL', `the record at offset ${offset} of ${topic}-${partition} is no Flume event and is passed over: ${errorText(error)}`, {
          fix: 'set useFlumeEventFormat = false if the topic holds plain records',
        }),
      );
      return undefined;
    }
  }
}

const EMPTY = Buffer.alloc(0);

/** What goes wrong in the background: said when it is new and then once a minute, and gone with `note(undefined)`. */
class Troubles {
  readonly #ctx: SourceContext;
  readonly #consequence: string;
  #last = '';
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(ctx: SourceContext, consequence: string) {
    this.#ctx = ctx;
    this.#consequence = consequence;
  }

  note(error: Error | undefined): void {
    const { log, clock } = this.#ctx;
    if (error === undefined) {
      if (this.#last === '') return;
      this.#last = '';
      this.#ctx.healthy();
      log.info('the brokers answer again');
      return;
    }
    const key = error.message.replace(/\d+/g, '#');
    const now = clock.monotonic();
    if (key === this.#last && now - this.#saidAt < REPEAT_LOG_MS) return;
    this.#last = key;
    this.#saidAt = now;
    const fix = error instanceof AppError && error.fix !== undefined ? `; ${error.fix}` : '';
    log.error(error instanceof AppError ? {} : { err: error }, `${error.message}${fix}; ${this.#consequence}`);
    this.#ctx.degraded(error);
  }
}
