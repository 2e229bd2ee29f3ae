/**
 * `kafka-console-consumer.sh`: prints records (org.apache.kafka.tools.consumer.ConsoleConsumer 3.9). With `--group` it is
 * a member of that group; without, it reads all partitions by itself and leaves no group behind. `--zookeeper`, which the
 * old consumer took, is passed over.
 */
import { isTopicName } from '../kafka/client/records.ts';
import type { ConsumerConfig } from '../kafka/client/settings.ts';
import { ErrorCode } from '../kafka/errors.ts';
import { systemClock } from '../lib/clock.ts';
import { errorText, ProtocolError } from '../lib/errors.ts';
import { isFinal } from './kafka-tool/final-errors.ts';
import { javaClassOf } from './kafka-tool/java-text.ts';
import { type Formatter, formatterOf, OutputBuffer } from './kafka-tool/message-formatters.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, logLine, out, WireError } from './kafka-tool/output.ts';
import { BOOTSTRAP, BROKER_LIST, bootstrapOf, runTool, settingsOf, ZOOKEEPER } from './kafka-tool/tool.ts';
import { topicFilter } from './kafka-tool/topic-filter.ts';

const CLASS = 'org.apache.kafka.tools.consumer.ConsoleConsumer';
const PROPERTY = { value: 'String: prop', repeatable: true } as const;

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  BROKER_LIST,
  ZOOKEEPER,
  { name: 'topic', value: 'String: topic', doc: 'The topic to consume on.' },
  { name: 'include', value: 'String: Java regex', doc: 'Regular expression of topics to consume.' },
  { name: 'whitelist', value: 'String: Java regex', doc: 'Older name of --include.' },
  { name: 'partition', value: 'Integer: partition', doc: "The partition to consume from; begins at its end unless '--offset' is given." },
  { name: 'offset', value: 'String: consume offset', doc: "The offset to begin at: a number, 'earliest' or 'latest'; default latest." },
  { name: 'consumer-property', value: 'String: consumer_prop', repeatable: true, doc: 'A setting of the consumer, key=value.' },
  { name: 'consumer.config', value: 'String: config file', doc: 'File with settings of the consumer.' },
  { name: 'formatter', value: 'String: class', doc: 'The class that shows records.' },
  {
    name: 'property',
    ...PROPERTY,
    doc: 'A property of the formatter: print.timestamp, print.key, print.offset, print.partition, print.headers, print.value, key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer, headers.deserializer.',
  },
  { name: 'formatter-config', value: 'String: config file', doc: 'File with properties of the formatter.' },
  { name: 'formatter-property', ...PROPERTY, doc: 'As --property.' },
  { name: 'from-beginning', doc: 'Begin at the earliest record if the consumer has no offset yet.' },
  { name: 'max-messages', value: 'Integer: num_messages', doc: 'Exit after so many records.' },
  { name: 'timeout-ms', value: 'Integer: timeout_ms', doc: 'Exit if nothing comes for so long.' },
  { name: 'skip-message-on-error', doc: 'Skip a record that cannot be shown instead of ending.' },
  { name: 'key-deserializer', value: 'String: deserializer for key', doc: 'Class that reads keys.' },
  { name: 'value-deserializer', value: 'String: deserializer for values', doc: 'Class that reads values.' },
  { name: 'enable-systest-events', doc: 'Say when the consumer ends.' },
  { name: 'isolation-level', value: 'String', doc: 'read_committed leaves out records of aborted transactions; default read_uncommitted.' },
  { name: 'group', value: 'String: consumer group id', doc: 'The consumer group.' },
  { name: 'new-consumer', doc: 'Older; has no effect.' },
  { name: 'delete-consumer-offsets', doc: 'Older; has no effect.' },
];

const COMMIT_MS = 5_000;
const BATCH = 1_000;

/** What reads: a group member or a lone reader. */
interface Reader {
  start(): void;
  stop(): Promise<void>;
  allSafe(): void;
  commit(): Promise<void>;
  wait(timeoutMs: number, signal: AbortSignal): Promise<boolean>;
  drain(max: number, visit: (...args: Parameters<Formatter> extends [infer P, infer C, ...unknown[]] ? [P, C] : never) => void): number;
}

const fault = (message: string): UsageFault => new UsageFault(message);

function offsetOf(options: Options): number | undefined {
  const text = options.get('offset');
  if (text === undefined) return undefined;
  if (/^earliest$/i.test(text)) return -2;
  if (/^latest$/i.test(text)) return -1;
  if (/^\d+$/.test(text)) return Number(text);
  throw fault(`The provided offset value '${text}' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long.`);
}

function checkOptions(options: Options): void {
  const filters = ['topic', 'include', 'whitelist'].filter((name) => options.has(name));
  if (filters.length !== 1) throw fault('Exactly one of --include/--topic is required. ');
  if (options.has('partition')) {
    if (!options.has('topic')) throw fault('The topic is required when partition is specified.');
    if (options.has('from-beginning') && options.has('offset')) throw fault('Options from-beginning and offset cannot be specified together.');
  } else if (options.has('offset')) throw fault('The partition is required when offset is specified.');
}

/** Settings of the consumer, from file, `--consumer-property` and the options that stand for some. */
async function consumerSettings(options: Options): Promise<Record<string, string>> {
  const settings = await settingsOf(options, 'consumer.config', options.all('consumer-property'));
  const groups = new Set([options.get('group'), settings['group.id']].filter((group) => group !== undefined));
  if (groups.size > 1) {
    throw fault(
      `The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config') do not match. Detected group ids: ${[...groups].map((group) => `'${group}'`).join(', ')}`,
    );
  }
  const [group] = groups;
  if (group !== undefined) settings['group.id'] = group;
  const reset = settings['auto.offset.reset'];
  if (options.has('from-beginning')) {
    if (reset !== undefined && reset !== 'earliest') {
      throw new UsageFault(`Can't simultaneously specify --from-beginning and 'auto.offset.reset=${reset}', please remove one option`, { brief: true });
    }
    settings['auto.offset.reset'] = 'earliest';
  }
  settings['auto.offset.reset'] ??= 'latest';
  const level = options.get('isolation-level');
  if (level !== undefined) settings['isolation.level'] = level;
  return settings;
}

async function configOf(settings: Readonly<Record<string, string>>): Promise<ConsumerConfig> {
  const { readConsumerConfig } = await import('../kafka/client/settings.ts');
  const { config, findings } = readConsumerConfig(settings, '', {
    'session.timeout.ms': '45000',
    'exclude.internal.topics': 'true',
    'client.id': 'console-consumer',
  });
  const bad = findings.find(({ severity }) => severity === 'error');
  if (config === null || bad !== undefined)
    throw new UsageFault(`org.apache.kafka.common.config.ConfigException: ${bad?.message ?? 'Invalid settings of the consumer'}`, { brief: true });
  return config;
}

async function formatterFor(options: Options, settings: Readonly<Record<string, string>>): Promise<Formatter> {
  const properties = await settingsOf(options, 'formatter-config', [...options.all('property'), ...options.all('formatter-property')]);
  const [key, value] = [options.get('key-deserializer') ?? settings['key.deserializer'], options.get('value-deserializer') ?? settings['value.deserializer']];
  if (key !== undefined) properties['key.deserializer'] ??= key;
  if (value !== undefined) properties['value.deserializer'] ??= value;
  return formatterOf(options.get('formatter') ?? 'org.apache.kafka.tools.consumer.DefaultMessageFormatter', properties);
}

async function readerFor(options: Options, settings: Readonly<Record<string, string>>, onTrouble: (error: Error | undefined) => void): Promise<Reader> {
  const bootstrap = bootstrapOf(options)
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  const offset = offsetOf(options);
  const pattern = options.get('include') ?? options.get('whitelist');
  const topics = pattern === undefined ? [options.get('topic') as string] : topicFilter(pattern);
  const byOffset = offset === -2 ? 'earliest' : offset === -1 ? 'latest' : undefined;
  const config = await configOf({ ...settings, ...(byOffset !== undefined && { 'auto.offset.reset': byOffset }) });
  if (settings['group.id'] === undefined || options.has('partition')) {
    const { SoloReader } = await import('./kafka-tool/solo-reader.ts');
    const partition = options.has('partition') ? options.int('partition', 0) : undefined;
    return new SoloReader({ bootstrap, config, topics, partition, offset: offset !== undefined && offset >= 0 ? offset : undefined, onTrouble });
  }
  const { GroupConsumer } = await import('../kafka/client/consumer.ts');
  return new GroupConsumer({ bootstrap, config, topics, clientId: 'console-consumer', clock: systemClock, onTrouble });
}

interface Course {
  readonly options: Options;
  readonly signal: AbortSignal;
  readonly commits: boolean;
  /** Records handed to the formatter. */
  count: number;
}

/** Prints until there is an end to it. @throws Error a record cannot be shown; those before it are */
async function pump(reader: Reader, show: Formatter, course: Course): Promise<void> {
  const { options, signal, commits } = course;
  const max = options.int('max-messages', -1);
  const timeoutMs = options.int('timeout-ms', -1);
  const buffer = new OutputBuffer();
  const skipErrors = options.has('skip-message-on-error');
  let lastCommit = Date.now();
  while (!signal.aborted && (max < 0 || course.count < max)) {
    if (!(await reader.wait(timeoutMs < 0 ? COMMIT_MS : timeoutMs, signal)) && timeoutMs >= 0 && !signal.aborted) {
      logLine('ERROR', 'Error processing message, terminating consumer process: ', CLASS);
      err('org.apache.kafka.common.errors.TimeoutException\n');
      break;
    }
    if (signal.aborted) break;
    try {
      reader.drain(max < 0 ? BATCH : Math.min(BATCH, max - course.count), (partition, cursor) => {
        course.count++;
        try {
          show(partition, cursor, buffer);
        } catch (error) {
          if (!skipErrors) throw error;
          logLine('ERROR', `Error processing message, skipping this message: ${errorText(error)}`, CLASS);
        }
      });
    } finally {
      const bytes = buffer.take();
      if (bytes.length > 0 && !process.stdout.write(bytes)) await new Promise((resolve) => process.stdout.once('drain', resolve));
    }
    if (commits) reader.allSafe();
    if (commits && Date.now() - lastCommit >= COMMIT_MS) {
      lastCommit = Date.now();
      await reader.commit();
    }
  }
}

async function run(options: Options): Promise<number> {
  checkOptions(options);
  const settings = await consumerSettings(options);
  const show = await formatterFor(options, settings);
  const stopping = new AbortController();
  let exitCode = 0;
  let said = '';
  let fatal: Error | undefined;
  const reader = await readerFor(options, settings, (error) => {
    if (error === undefined) return;
    if (isFinal(error)) {
      fatal = error;
      stopping.abort();
    } else if (error.message !== said) {
      said = error.message;
      logLine('WARN', `[Consumer clientId=console-consumer] ${error.message}`, 'org.apache.kafka.clients.NetworkClient');
    }
  });
  const stop = (code: number): void => {
    exitCode = code;
    stopping.abort();
  };
  process.once('SIGINT', () => stop(130)).once('SIGTERM', () => stop(143));
  const topic = options.get('topic');
  // No broker has such a topic, nor makes one: there is nothing to wait for.
  const badName = topic !== undefined && !isTopicName(topic);
  if (!badName) reader.start();
  const commits = settings['group.id'] !== undefined && settings['enable.auto.commit'] !== 'false';
  const course: Course = { options, signal: stopping.signal, commits, count: 0 };
  try {
    if (badName) throw new WireError(ErrorCode.INVALID_TOPIC_EXCEPTION, `Invalid topics: [${topic}]`);
    await pump(reader, show, course);
  } catch (error) {
    fatal = error as Error;
  }
  await reader.stop();
  if (fatal !== undefined) {
    logLine('ERROR', `Error processing message, terminating consumer process: `, CLASS);
    err(`${fatal instanceof ProtocolError ? `${javaClassOf(fatal.wireCode)}: ` : ''}${fatal.message}\n`);
    exitCode = 1;
  }
  err(`Processed a total of ${course.count} messages\n`);
  if (options.has('enable-systest-events')) out('shutdown_complete\n');
  return exitCode;
}

await runTool({
  purpose: 'This tool helps to read data from Kafka topics and outputs it to standard output.',
  options: OPTIONS,
  run,
});
