/** `kafka-consumer-perf-test.sh`: reads records at full speed and says how long it took (org.apache.kafka.tools.ConsumerPerformance 3.9). */
import { GroupConsumer } from '../kafka/client/consumer.ts';
import { readConsumerConfig } from '../kafka/client/settings.ts';
import { systemClock } from '../lib/clock.ts';
import { logDate } from './kafka-tool/java-text.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { logLine, out } from './kafka-tool/output.ts';
import { BOOTSTRAP, BROKER_LIST, bootstrapOf, runTool, settingsOf, ZOOKEEPER } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  BROKER_LIST,
  ZOOKEEPER,
  { name: 'topic', value: 'String: topic', doc: 'REQUIRED: The topic to consume from.' },
  { name: 'messages', value: 'Long: count', doc: 'REQUIRED: The number of messages to consume.' },
  { name: 'group', value: 'String: gid', doc: 'The group id to consume on; default perf-consumer and a number.' },
  { name: 'fetch-size', value: 'Integer: size', doc: 'The amount of data to fetch of a partition in a single request; default 1048576.' },
  { name: 'from-latest', doc: 'Begin with the latest message instead of the earliest.' },
  { name: 'timeout', value: 'Long: milliseconds', doc: 'Longest time between two messages; default 10000.' },
  { name: 'reporting-interval', value: 'Integer: interval_ms', doc: 'How often to print with --show-detailed-stats; default 5000.' },
  { name: 'show-detailed-stats', doc: 'Print figures for each interval.' },
  { name: 'hide-header', doc: 'Print no heading.' },
  { name: 'date-format', value: 'String: date format', doc: 'Form of dates; default yyyy-MM-dd HH:mm:ss:SSS.' },
  { name: 'consumer.config', value: 'String: config file', doc: 'File with settings of the consumer.' },
  { name: 'print-metrics', doc: 'Has no effect.' },
  { name: 'socket-buffer-size', value: 'Integer: size', doc: 'Has no effect.' },
  { name: 'threads', value: 'Integer: count', doc: 'Has no effect.' },
  { name: 'num-fetch-threads', value: 'Integer: count', doc: 'Has no effect.' },
];

const MB = 1_048_576;
const TOTAL_HEADING =
  'start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec';
const DETAIL_HEADING =
  'time, threadId, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec';

const rate = (amount: number, ms: number): string => (ms <= 0 ? 0 : (amount * 1000) / ms).toFixed(4);

/** What was read, and when. */
interface Counts {
  bytes: number;
  messages: number;
  /** How long it took until there were partitions to read. */
  joinMs: number;
}

async function consumerFor(options: Options, onAssigned: () => void): Promise<GroupConsumer> {
  const settings = await settingsOf(options, 'consumer.config');
  const { config, findings } = readConsumerConfig(
    {
      ...settings,
      'group.id': options.get('group') ?? settings['group.id'] ?? `perf-consumer-${Math.floor(Math.random() * 100_000)}`,
      'max.partition.fetch.bytes': options.get('fetch-size') ?? '1048576',
      'auto.offset.reset': options.has('from-latest') ? 'latest' : 'earliest',
      'check.crcs': 'false',
    },
    '',
  );
  const bad = findings.find(({ severity }) => severity === 'error');
  if (config === null || bad !== undefined) throw new UsageFault(bad?.message ?? 'the settings of the consumer cannot be used', { brief: true });
  const bootstrap = bootstrapOf(options)
    .split(',')
    .map((word) => word.trim());
  let said = '';
  return new GroupConsumer({
    bootstrap,
    config,
    topics: [options.get('topic') as string],
    clientId: 'perf-consumer-client',
    clock: systemClock,
    onAssigned,
    onTrouble: (error) => {
      if (error === undefined || error.message === said) return;
      said = error.message;
      logLine('WARN', `[Consumer clientId=perf-consumer-client] ${error.message}`, 'org.apache.kafka.clients.NetworkClient');
    },
  });
}

async function consume(consumer: GroupConsumer, options: Options, counts: Counts): Promise<void> {
  const wanted = options.int('messages', 0);
  const timeoutMs = options.int('timeout', 10_000);
  const details = options.has('show-detailed-stats') ? options.int('reporting-interval', 5_000) : Number.POSITIVE_INFINITY;
  const never = new AbortController().signal;
  let last = { at: Date.now(), bytes: 0, messages: 0 };
  let lastMessage = Date.now();
  while (counts.messages < wanted) {
    const count = (await consumer.wait(Math.min(timeoutMs, 500), never))
      ? consumer.drain(Math.min(5_000, wanted - counts.messages), (_, cursor) => {
          counts.bytes += Math.max(0, cursor.keyLength) + Math.max(0, cursor.valueLength);
        })
      : 0;
    counts.messages += count;
    const now = Date.now();
    if (count > 0) lastMessage = now;
    consumer.allSafe();
    if (now - last.at >= details) {
      const [mb, messages, ms] = [(counts.bytes - last.bytes) / MB, counts.messages - last.messages, now - last.at];
      out(
        `${logDate(now, ':')}, 0, ${(counts.bytes / MB).toFixed(4)}, ${rate(mb, ms)}, ${counts.messages}, ${rate(messages, ms)}, ${counts.joinMs}, ${ms}, ${rate(mb, ms)}, ${rate(messages, ms)}\n`,
      );
      last = { at: now, bytes: counts.bytes, messages: counts.messages };
    }
    if (now - lastMessage > timeoutMs) {
      out(
        `WARNING: Exiting before consuming the expected number of messages: timeout (${timeoutMs} ms) exceeded. You can use the --timeout option to increase the timeout.\n`,
      );
      return;
    }
  }
}

async function run(options: Options): Promise<number> {
  bootstrapOf(options, new UsageFault('Missing required option(s) [bootstrap-server]'));
  options.require('topic', 'messages');
  const counts: Counts = { bytes: 0, messages: 0, joinMs: 0 };
  const detailed = options.has('show-detailed-stats');
  if (!options.has('hide-header')) out(`${detailed ? DETAIL_HEADING : TOTAL_HEADING}\n`);
  const began = Date.now();
  const consumer = await consumerFor(options, () => {
    if (counts.joinMs === 0) counts.joinMs = Date.now() - began;
  });
  consumer.start();
  try {
    await consume(consumer, options, counts);
  } finally {
    await consumer.stop();
  }
  const ended = Date.now();
  if (detailed) return 0;
  const [ms, fetchMs, mb] = [ended - began, ended - began - counts.joinMs, counts.bytes / MB];
  out(
    `${logDate(began, ':')}, ${logDate(ended, ':')}, ${mb.toFixed(4)}, ${rate(mb, ms)}, ${counts.messages}, ${rate(counts.messages, ms)}, ` +
      `${counts.joinMs}, ${fetchMs}, ${rate(mb, fetchMs)}, ${rate(counts.messages, fetchMs)}\n`,
  );
  return 0;
}

await runTool({ purpose: 'This tool is used to verify the consumer performance.', options: OPTIONS, helpWithoutWords: false, run });
