/**
 * The producer on kafkajs, the only file that imports it: transactions (`transactional.id`: one Flume batch is one
 * transaction), `kafka.client = kafkajs`, and brokers older than 0.11, for which kafkajs still has the message format.
 * It decodes and encodes some ten times slower than the lean producer.
 */
import { createRequire } from 'node:module';
import type { CompressionTypes as CompressionType, IHeaders, Producer as JsProducer, Kafka as KafkaClient, KafkaConfig, Message, TopicMessages } from 'kafkajs';
import { CODECS, compressAsync, decompressAsync } from '../../lib/codecs.ts';
import { DeliveryError, errorText } from '../../lib/errors.ts';
import { UNPACK_LIMIT } from '../../records/batch.ts';
import { ErrorCode } from '../errors.ts';
import { ConnectionError } from './connection.ts';
import type { ProducerOptions } from './producer.ts';
import { emptyRecord, isTopicName, type OutRecord, type Producer, type RecordSource, type Refusal } from './records.ts';
import { saslOf, tlsOf } from './security.ts';

type Module = typeof import('kafkajs');

export class KafkajsProducer implements Producer {
  readonly #options: ProducerOptions;
  readonly #record: OutRecord = emptyRecord();
  #producer: JsProducer | undefined;
  #compression: CompressionType | undefined;

  constructor(options: ProducerOptions) {
    this.#options = options;
  }

  async send(records: RecordSource): Promise<readonly Refusal[]> {
    const refusals: Refusal[] = [];
    const topics = this.#topics(records, refusals);
    try {
      if (topics.size > 0) await this.#sendWhole(await this.#connected(), topics);
      return refusals;
    } catch (error) {
      if (typeOf(error) !== 'MESSAGE_TOO_LARGE' && typeOf(error) !== 'RECORD_LIST_TOO_LARGE') throw await this.#failed(error);
    }
    return this.#sendPieces(records, refusals);
  }

  async close(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.disconnect();
  }

  /** The records by topic; `only` picks some. */
  #topics(records: RecordSource, refusals: Refusal[], only?: ReadonlySet<number>): Map<string, Message[]> {
    const topics = new Map<string, Message[]>();
    const limit = this.#options.config['max.request.size'];
    for (let index = 0; index < records.count; index++) {
      if ((only !== undefined && !only.has(index)) || !records.load(index, this.#record)) continue;
      const { topic, value, key } = this.#record;
      const bytes = (value?.length ?? 0) + (key?.length ?? 0);
      if (!isTopicName(topic)) refusals.push({ index, topic, reason: `"${topic}" cannot be the name of a topic` });
      else if (bytes > limit) refusals.push({ index, topic, reason: `it has ${bytes} bytes, more than max.request.size (${limit}) allows` });
      else {
        const list = topics.get(topic);
        if (list === undefined) topics.set(topic, [messageOf(this.#record)]);
        else list.push(messageOf(this.#record));
      }
    }
    return topics;
  }

  async #sendWhole(producer: JsProducer, topics: ReadonlyMap<string, Message[]>): Promise<void> {
    const { config } = this.#options;
    const transactional = config['transactional.id'] !== undefined;
    const topicMessages: TopicMessages[] = Array.from(topics, ([topic, messages]) => ({ topic, messages }));
    const compression = this.#compression;
    const batch = {
      topicMessages,
      acks: transactional || config['enable.idempotence'] ? -1 : config.acks,
      timeout: config['request.timeout.ms'],
      ...(compression !== undefined && { compression }),
    };
    if (!transactional) {
      await producer.sendBatch(batch);
      return;
    }
    const transaction = await producer.transaction();
    try {
      await transaction.sendBatch(batch);
      await transaction.commit();
    } catch (error) {
      if (transaction.isActive()) await transaction.abort();
      throw error;
    }
  }

  /** Something in the batch is too large: records go one by one, so that only that one stays behind. */
  async #sendPieces(records: RecordSource, refusals: Refusal[]): Promise<readonly Refusal[]> {
    const refused = new Set(refusals.map(({ index }) => index));
    for (let index = 0; index < records.count; index++) {
      if (refused.has(index)) continue;
      const topics = this.#topics(records, [], new Set([index]));
      const [topic] = topics.keys();
      try {
        if (topic !== undefined) await this.#sendWhole(await this.#connected(), topics);
      } catch (error) {
        if (typeOf(error) !== 'MESSAGE_TOO_LARGE' && typeOf(error) !== 'RECORD_LIST_TOO_LARGE') throw await this.#failed(error);
        refusals.push({ index, topic: topic ?? '', reason: `it is too large for the topic: ${errorText(error)}` });
      }
    }
    return refusals;
  }

  async #connected(): Promise<JsProducer> {
    if (this.#producer !== undefined) return this.#producer;
    const kafkajs = createRequire(import.meta.url)('kafkajs') as Module;
    const { config } = this.#options;
    const codec = config['compression.type'];
    if (codec !== 'none') {
      this.#compression = CODECS[codec];
      giveCodecs(kafkajs);
    }
    const client: KafkaClient = new kafkajs.Kafka(clientConfig(this.#options, kafkajs));
    const transactionalId = config['transactional.id'];
    const producer = client.producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      allowAutoTopicCreation: true,
      idempotent: config['enable.idempotence'] || transactionalId !== undefined,
      ...(transactionalId !== undefined && { transactionalId, transactionTimeout: config['transaction.timeout.ms'], maxInFlightRequests: 1 }),
    });
    await producer.connect();
    this.#producer = producer;
    return producer;
  }

  /** A producer that failed begins anew with the next send: a transaction's state in it is not to be trusted. */
  async #failed(error: unknown): Promise<Error> {
    await this.close().catch(() => {}); // it is given up in any case
    const name = (error as { name?: string }).name ?? '';
    const text = errorText(error);
    if (/Connection|BrokerNotFound|RequestTimeout|NumberOfRetries/.test(name)) return new ConnectionError(text, { cause: error });
    return new DeliveryError(text, { cause: error, retriable: (error as { retriable?: boolean }).retriable ?? true });
  }
}

function messageOf({ partition, key, value, timestamp, headers }: OutRecord): Message {
  const named: IHeaders = {};
  for (const [name, content] of headers) named[name] = content ?? undefined;
  return { key, value, headers: named, ...(timestamp >= 0 && { timestamp: String(timestamp) }), ...(partition >= 0 && { partition }) };
}

function typeOf(error: unknown): string {
  const { type, cause, code } = error as { type?: string; cause?: unknown; code?: number };
  if (type !== undefined) return type;
  if (code === ErrorCode.MESSAGE_TOO_LARGE) return 'MESSAGE_TOO_LARGE';
  return cause === undefined || cause === null ? '' : typeOf(cause);
}

function clientConfig(options: ProducerOptions, kafkajs: Module): KafkaConfig {
  const { config, bootstrap, clientId } = options;
  const sasl = saslOf(config);
  const tls = tlsOf(config);
  return {
    brokers: [...bootstrap],
    clientId: config['client.id'] || clientId,
    connectionTimeout: config['socket.connection.setup.timeout.ms'],
    requestTimeout: config['request.timeout.ms'],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { initialRetryTime: Math.max(1, config['retry.backoff.ms']), maxRetryTime: Math.max(1, config['retry.backoff.max.ms']), retries: 8 },
    ...(tls !== undefined && { ssl: { ...tls } as Exclude<KafkaConfig['ssl'], boolean | undefined> }),
    ...(sasl !== undefined && { sasl: saslConfig(sasl) }),
  };
}

function saslConfig(sasl: NonNullable<ReturnType<typeof saslOf>>): NonNullable<KafkaConfig['sasl']> {
  if (sasl.mechanism === 'OAUTHBEARER') return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await sasl.token() }) };
  const { username, password } = sasl;
  switch (sasl.mechanism) {
    case 'PLAIN':
      return { mechanism: 'plain', username, password };
    case 'SCRAM-SHA-256':
      return { mechanism: 'scram-sha-256', username, password };
    default:
      return { mechanism: 'scram-sha-512', username, password };
  }
}

/** kafkajs brings gzip only; the others are ours. */
function giveCodecs({ CompressionCodecs, CompressionTypes }: Module): void {
  const types = { [CODECS.snappy]: CompressionTypes.Snappy, [CODECS.lz4]: CompressionTypes.LZ4, [CODECS.zstd]: CompressionTypes.ZSTD };
  for (const [codec, type] of Object.entries(types)) {
    (CompressionCodecs as Record<number, () => object>)[type] = () => ({
      compress: (encoder: { buffer: Buffer }) => compressAsync(Number(codec), encoder.buffer),
      decompress: (data: Buffer) => decompressAsync(Number(codec), data, UNPACK_LIMIT),
    });
  }
}
