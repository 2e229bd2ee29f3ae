/**
 * `kafka-console-producer.sh`: sends each line of stdin as a record (kafka.tools.ConsoleProducer 3.9). Lines are sent as
 * they come; what comes while a request is under way goes with the next.
 */
import type { LeanProducer } from '../kafka/client/producer.ts';
import type { OutRecord } from '../kafka/client/records.ts';
import { systemClock } from '../lib/clock.ts';
import { AppError, errorText } from '../lib/errors.ts';
import { LineFault, type LineRecord, lineReader } from './kafka-tool/line-records.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, logLine, out } from './kafka-tool/output.ts';
import { openLeanProducer } from './kafka-tool/producing.ts';
import { BOOTSTRAP, BROKER_LIST, bootstrapOf, runTool, settingsOf, ZOOKEEPER } from './kafka-tool/tool.ts';

const int = (name: string, doc: string): ToolOption => ({ name, value: 'Integer', doc });

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  BROKER_LIST,
  ZOOKEEPER,
  { name: 'topic', value: 'String: topic', doc: 'REQUIRED: The topic to produce messages to.' },
  { name: 'sync', doc: 'Wait for each record to be acknowledged.' },
  { name: 'compression-codec', value: 'String: compression-codec', optional: true, doc: "'none', 'gzip', 'snappy', 'lz4' or 'zstd'; gzip without a value." },
  { name: 'request-required-acks', value: 'String: request required acks', doc: '0, 1, -1 or all; default -1.' },
  {
    name: 'property',
    value: 'String: prop',
    repeatable: true,
    doc: 'A property of the reader: parse.key, parse.headers, ignore.error, key.separator, headers.delimiter, headers.separator, headers.key.separator, null.marker.',
  },
  { name: 'reader-property', value: 'String: prop', repeatable: true, doc: 'As --property.' },
  { name: 'reader-config', value: 'String: config file', doc: 'File with properties of the reader.' },
  { name: 'line-reader', value: 'String: reader_class', doc: 'The class that reads lines; only the default is available here.' },
  { name: 'producer-property', value: 'String: producer_prop', repeatable: true, doc: 'A setting of the producer, key=value.' },
  { name: 'producer.config', value: 'String: config file', doc: 'File with settings of the producer.' },
  int('batch-size', 'Records are sent as they come; has no effect.'),
  int('timeout', 'Records are sent as they come; has no effect.'),
  int('message-send-max-retries', 'How often a request is repeated; default 3.'),
  int('retry-backoff-ms', 'Pause before a request is repeated; default 100.'),
  int('request-timeout-ms', 'How long to wait for an acknowledgement; default 1500.'),
  int('metadata-expiry-ms', 'How long metadata is believed; default 300000.'),
  int('max-block-ms', 'How long to wait for the topic; default 60000.'),
  int('max-memory-bytes', 'Has no effect.'),
  int('max-partition-memory-bytes', 'Has no effect.'),
  int('socket-buffer-size', 'Has no effect.'),
  int('queue-size', 'Older; has no effect.'),
  int('queue-enqueuetimeout-ms', 'Older; has no effect.'),
];

/** Lines held at most while a request is under way; then stdin waits. */
const QUEUE_LIMIT = 50_000;

async function producerSettings(options: Options): Promise<Record<string, string>> {
  const given = await settingsOf(options, 'producer.config', options.all('producer-property'));
  const settings: Record<string, string> = { 'client.id': 'console-producer', ...given };
  if (options.has('compression-codec')) settings['compression.type'] = options.get('compression-codec') ?? 'gzip';
  settings.acks = options.get('request-required-acks') ?? given.acks ?? 'all';
  if (settings.acks === 'all' || settings.acks === '-1') settings['enable.idempotence'] ??= 'true';
  const renamed = {
    'retry-backoff-ms': 'retry.backoff.ms',
    'request-timeout-ms': 'request.timeout.ms',
    'max-block-ms': 'max.block.ms',
    'metadata-expiry-ms': 'metadata.max.age.ms',
  };
  for (const [option, key] of Object.entries(renamed)) {
    const value = options.get(option);
    if (value !== undefined) settings[key] = value;
  }
  return settings;
}

/** Sends batches of lines one after the other. */
class LineSender {
  readonly #producer: LeanProducer;
  readonly #topic: string;
  #queue: LineRecord[] = [];
  #sending: Promise<void> | undefined;
  failure: unknown;

  constructor(producer: LeanProducer, topic: string) {
    this.#producer = producer;
    this.#topic = topic;
  }

  get isFull(): boolean {
    return this.#queue.length >= QUEUE_LIMIT;
  }

  add(record: LineRecord): void {
    this.#queue.push(record);
  }

  /** Resolves when everything added so far was acknowledged, or given up. */
  async flush(): Promise<void> {
    while (this.#queue.length > 0 || this.#sending !== undefined) {
      this.#sending ??= this.#sendQueue().finally(() => (this.#sending = undefined));
      await this.#sending;
    }
  }

  async #sendQueue(): Promise<void> {
    const batch = this.#queue;
    this.#queue = [];
    const timestamp = Date.now();
    const load = (index: number, into: OutRecord): boolean => {
      Object.assign(into, { topic: this.#topic, partition: -1, timestamp, ...(batch[index] as LineRecord) });
      return true;
    };
    try {
      const refusals = await this.#producer.send({ count: batch.length, load });
      for (const { reason, index } of refusals) this.#complain(batch[index] as LineRecord, reason);
    } catch (error) {
      this.failure = error;
      this.#complain(batch[0] as LineRecord, errorText(error));
      if (error instanceof AppError && error.fix !== undefined) err(`${error.fix}\n`);
    }
  }

  #complain({ key, value }: LineRecord, reason: string): void {
    const size = (bytes: Buffer | null): string => (bytes === null ? 'null' : `${bytes.length} bytes`);
    const text = `Error when sending message to topic ${this.#topic} with key: ${size(key)}, value: ${size(value)} with error: ${reason}`;
    logLine('ERROR', text, 'org.apache.kafka.clients.producer.internals.ErrorLoggingCallback');
  }
}

/** Reads lines of stdin, as text, without their ends: `\n`, `\r\n`, or `\r` alone, as Java's BufferedReader. */
async function* stdinChunks(): AsyncGenerator<string[]> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of process.stdin) {
    const text = rest + decoder.decode(chunk as Buffer, { stream: true });
    // What ends in \r may go on with \n.
    const end = text.endsWith('\r') ? text.length - 1 : text.length;
    const lines = text.slice(0, end).split(/\r\n|[\r\n]/);
    rest = (lines.pop() as string) + text.slice(end);
    yield lines;
  }
  rest += decoder.decode();
  if (rest !== '') yield [rest.replace(/\r$/, '')];
}

async function run(options: Options): Promise<number> {
  if (!['bootstrap-server', 'broker-list', 'zookeeper'].some((name) => options.has(name)))
    throw new UsageFault('Missing required option(s) [bootstrap-server]');
  if (!options.has('topic')) throw new UsageFault('Missing required argument "[topic]"');
  for (const { name, value } of OPTIONS) if (value === 'Integer') options.int(name, 0);
  const reader = options.get('line-reader');
  if (reader !== undefined && !/(^|\.|\$)LineMessageReader$/.test(reader)) throw new UsageFault(`java.lang.ClassNotFoundException: ${reader}`, { brief: true });
  const read = lineReader(await settingsOf(options, 'reader-config', [...options.all('property'), ...options.all('reader-property')]));
  const topic = options.get('topic') as string;
  const producer = await openLeanProducer(bootstrapOf(options), await producerSettings(options), systemClock);
  const sender = new LineSender(producer, topic);
  const prompt = process.stdin.isTTY ? '>' : '';
  out(prompt);
  let sending: Promise<void> = Promise.resolve();
  for await (const lines of stdinChunks()) {
    try {
      for (const line of lines) sender.add(read(line));
    } catch (error) {
      // What stands before the bad line is sent, as it would be one by one.
      await sender.flush();
      throw error;
    }
    sending = sender.flush();
    if (options.has('sync') || sender.isFull) await sending;
    if (prompt !== '') {
      await sending;
      out(prompt.repeat(lines.length));
    }
  }
  await sender.flush();
  await sending;
  await producer.close();
  return 0;
}

await runTool({
  purpose: 'This tool helps to read data from standard input and publish it to Kafka.',
  options: OPTIONS,
  helpWithoutWords: false,
  run: async (options) => {
    try {
      return await run(options);
    } catch (error) {
      if (!(error instanceof LineFault)) throw error;
      err(`org.apache.kafka.common.KafkaException: ${error.message}\n`);
      process.exit(1);
    }
  },
});
