/**
 * `kafka-producer-perf-test.sh`: sends records at full or limited speed and says how long they took
 * (org.apache.kafka.tools.ProducerPerformance 3.9). Latency is from handing a record over until its batch is acknowledged.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { OutRecord, Producer } from '../kafka/client/records.ts';
import { systemClock } from '../lib/clock.ts';
import { Latencies } from './kafka-tool/latencies.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, out } from './kafka-tool/output.ts';
import { runTool, settingsOf } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [
  { name: 'topic', value: 'TOPIC', doc: 'Produce messages to this topic.' },
  { name: 'num-records', value: 'NUM-RECORDS', doc: 'Number of messages to produce.' },
  { name: 'record-size', value: 'RECORD-SIZE', doc: 'Message size in bytes. One of --record-size, --payload-file, --payload-monotonic is needed.' },
  { name: 'payload-file', value: 'PAYLOAD-FILE', doc: 'File to take messages from, at random.' },
  { name: 'payload-delimiter', value: 'PAYLOAD-DELIMITER', doc: 'What stands between messages of --payload-file; default a line break.' },
  { name: 'payload-monotonic', doc: 'The number of the message is its content.' },
  { name: 'throughput', value: 'THROUGHPUT', doc: 'At most about so many messages per second; -1 for no limit.' },
  { name: 'producer-props', value: 'PROP-NAME=PROP-VALUE', many: true, doc: 'Settings of the producer, e.g. bootstrap.servers, acks.' },
  { name: 'producer.config', value: 'CONFIG-FILE', doc: 'File with settings of the producer.' },
  { name: 'print-metrics', doc: 'Print figures of the producer at the end.' },
  { name: 'transactional-id', value: 'TRANSACTIONAL-ID', doc: 'The transactional id to use with --transaction-duration-ms.' },
  { name: 'transaction-duration-ms', value: 'TRANSACTION-DURATION', doc: 'Longest time of a transaction; default 3000.' },
];
const NEEDED = ['topic', 'num-records', 'throughput'];
const USAGE =
  'usage: producer-performance [-h] --topic TOPIC --num-records NUM-RECORDS --throughput THROUGHPUT (--record-size RECORD-SIZE | --payload-file PAYLOAD-FILE | --payload-monotonic) [--producer-props PROP-NAME=PROP-VALUE ...] [--producer.config CONFIG-FILE]';
const REPORT_MS = 5_000;
const MAX_BATCH = 5_000;
const SEND_BYTES = 512 * 1024;
/** Sends under way at once, each by a producer of its own: one sends, one waits, the loop builds. */
const LANES = 3;

const fault = (message: string): UsageFault => new UsageFault(`${USAGE}\nproducer-performance: error: ${message}`, { brief: true });

/** Contents of the records, by number. */
function payloads(options: Options): (index: number) => Buffer {
  const kinds = ['record-size', 'payload-file', 'payload-monotonic'].filter((name) => options.has(name));
  if (kinds.length !== 1)
    throw fault(
      kinds.length === 0
        ? 'one of the arguments --record-size --payload-file --payload-monotonic is required'
        : `argument --${kinds[1]}: not allowed with argument --${kinds[0]}`,
    );
  if (options.has('payload-monotonic')) return (index) => Buffer.from(String(index));
  const file = options.get('payload-file');
  if (file !== undefined) {
    const delimiter = (options.get('payload-delimiter') ?? '\\n').replaceAll('\\n', '\n').replaceAll('\\t', '\t');
    out(`Reading payloads from: ${resolve(file)}\n`);
    if (!existsSync(file)) throw fault(`File does not exist or empty file provided: ${file}`);
    const list = readFileSync(file, 'utf8')
      .split(delimiter)
      .filter((text) => text !== '')
      .map((text) => Buffer.from(text));
    if (list.length === 0) throw fault(`File does not exist or empty file provided: ${file}`);
    out(`Number of messages read: ${list.length}\n`);
    return () => list[Math.floor(Math.random() * list.length)] as Buffer;
  }
  const size = options.int('record-size', 0);
  if (size <= 0) throw fault(`--record-size should be greater than zero.`);
  // Random letters as Kafka's tool sends them; some thousand different ones are as hard to pack.
  const pool = Array.from({ length: Math.max(1, Math.min(1_000, Math.floor(4_000_000 / size))) }, () => {
    const bytes = Buffer.allocUnsafeSlow(size);
    for (let i = 0; i < size; i++) bytes[i] = 65 + Math.floor(Math.random() * 26);
    return bytes;
  });
  return (index) => pool[index % pool.length] as Buffer;
}

interface Job {
  readonly topic: string;
  readonly total: number;
  /** Records per second; -1 = no limit. */
  readonly throughput: number;
  readonly payload: (index: number) => Buffer;
  readonly figures: Latencies;
}

/** Sends its share until all are handed out. */
async function lane(producer: Producer, job: Job, next: (max: number) => { from: number; count: number; wait: number }): Promise<void> {
  const sizeHint = Math.max(1, job.payload(0).length + 20);
  const most = Math.max(1, Math.min(MAX_BATCH, Math.floor(SEND_BYTES / sizeHint)));
  for (;;) {
    const { from, count, wait } = next(most);
    if (wait > 0) {
      await systemClock.sleep(wait);
      continue;
    }
    if (count === 0) return;
    const timestamp = Date.now();
    const began = performance.now();
    let bytes = 0;
    const load = (index: number, into: OutRecord): boolean => {
      into.topic = job.topic;
      into.partition = -1;
      into.key = null;
      into.timestamp = timestamp;
      into.value = job.payload(from + index);
      into.headers = [];
      return true;
    };
    const refusals = await producer.send({ count, load });
    for (let i = 0; i < count; i++) bytes += job.payload(from + i).length;
    for (const { reason } of refusals) err(`org.apache.kafka.common.errors.RecordTooLargeException: ${reason}\n`);
    job.figures.add(count - refusals.length, bytes, performance.now() - began);
  }
}

/** Hands out numbers of records, no faster than wanted. */
function allotter({ total, throughput }: Job): (max: number) => { from: number; count: number; wait: number } {
  const began = performance.now();
  let handed = 0;
  return (max) => {
    if (handed >= total) return { from: handed, count: 0, wait: 0 };
    let count = Math.min(max, total - handed);
    if (throughput > 0) {
      const due = Math.floor(((performance.now() - began) / 1000) * throughput) + 1 - handed;
      if (due <= 0) return { from: handed, count: 0, wait: Math.max(1, 1000 / throughput) };
      count = Math.min(count, due);
    }
    handed += count;
    return { from: handed - count, count, wait: 0 };
  };
}

/** `bootstrap.servers=a:9092, b:9092`: what follows a comma and a blank belongs to the list. */
function joined(words: readonly string[]): string[] {
  const settings: string[] = [];
  for (const word of words) {
    const before = settings.at(-1);
    if (before?.endsWith(',') && !word.includes('=')) settings[settings.length - 1] = `${before}${word}`;
    else settings.push(word);
  }
  return settings;
}

async function producersFor(
  bootstrap: string,
  settings: Readonly<Record<string, string>>,
  options: Options,
): Promise<{ list: Producer[]; close(): Promise<void> }> {
  const id = options.get('transactional-id') ?? settings['transactional.id'];
  if (id !== undefined || options.has('transaction-duration-ms')) {
    // Each send of the transactional client is one transaction.
    const { readProducerConfig } = await import('../kafka/client/settings.ts');
    const { KafkajsProducer } = await import('../kafka/client/kafkajs-producer.ts');
    const { config } = readProducerConfig({ acks: 'all', ...settings, 'transactional.id': id ?? `performance-producer-${process.pid}` }, '');
    if (config === null) throw fault('the settings of the producer cannot be used');
    const producer = new KafkajsProducer({ bootstrap: bootstrap.split(','), config, clientId: 'perf-producer-client', clock: systemClock });
    return { list: [producer], close: () => producer.close() };
  }
  const { openLeanProducer } = await import('./kafka-tool/producing.ts');
  const list = await Promise.all(Array.from({ length: LANES }, () => openLeanProducer(bootstrap, settings, systemClock)));
  return {
    list,
    close: async () => {
      for (const producer of list) await producer.close();
    },
  };
}

async function run(options: Options): Promise<number> {
  for (const name of NEEDED) if (!options.has(name)) throw fault(`argument --${name} is required`);
  if (!options.has('producer-props') && !options.has('producer.config')) throw fault('Either --producer-props or --producer.config must be specified.');
  const properties = joined(options.all('producer-props'));
  for (const pair of properties) if (!/^[^=]+=/.test(pair)) throw new UsageFault(`Invalid property: ${pair}`, { brief: true });
  const payload = payloads(options);
  const settings: Record<string, string> = {
    'client.id': 'perf-producer-client',
    acks: 'all',
    ...(await settingsOf(options, 'producer.config', properties)),
  };
  if (settings.acks === 'all' || settings.acks === '-1') settings['enable.idempotence'] ??= 'true';
  const bootstrap = settings['bootstrap.servers'];
  if (bootstrap === undefined) throw fault('bootstrap.servers is missing in --producer-props');
  const figures = new Latencies(options.int('num-records', 0));
  const job: Job = { topic: options.get('topic') as string, total: options.int('num-records', 0), throughput: options.int('throughput', -1), payload, figures };
  const producers = await producersFor(bootstrap, settings, options);
  figures.begin();
  const timer = setInterval(() => out(figures.window()), REPORT_MS);
  const next = allotter(job);
  try {
    await Promise.all(producers.list.map((producer) => lane(producer, job, next)));
  } finally {
    clearInterval(timer);
    await producers.close();
  }
  out(figures.total());
  if (options.has('print-metrics'))
    out(
      `\n${'Metric Name'.padEnd(70)} Value\n${'producer-metrics:record-send-total:{client-id=perf-producer-client}'.padEnd(70)} : ${figures.count.toFixed(3)}\n`,
    );
  return 0;
}

await runTool({ purpose: `This tool is used to verify the producer performance.\n${USAGE}`, options: OPTIONS, run });
