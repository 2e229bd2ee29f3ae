// Small specs that stand for the real components, so that the rules are tested apart from them.

import { loadDefinition } from '../../../../src/agent/config/load.ts';
import type { Catalog } from '../../../../src/agent/core/catalog.ts';
import {
  type AnySpec,
  defineChannel,
  defineConfigFilter,
  defineInterceptor,
  defineProcessor,
  defineSelector,
  defineSerializer,
  defineSink,
  defineSource,
} from '../../../../src/agent/core/define.ts';
import { unavailableReason } from '../../../../src/agent/wire/unavailable.ts';
import { ConfigError } from '../../../../src/lib/errors.ts';
import type { Finding } from '../../../../src/lib/props/finding.ts';
import { bool, charset, int, list, oneOf, path, regex, rest, secret, text } from '../../../../src/lib/props/spec.ts';

const never = () => {
  throw new Error('not built in these tests');
};

const specs: AnySpec[] = [
  defineSource({
    type: 'netcat',
    aliases: ['org.apache.flume.source.NetcatSource'],
    summary: 'Lines on a port.',
    properties: {
      bind: text({ required: true, doc: 'Address.' }),
      port: int({ required: true, min: 0, max: 65_535, doc: 'Port.' }),
      'ack-every-event': bool({ default: true, doc: 'Answer.' }),
      'max-line-length': int({ default: 512, min: 1, doc: 'Longest.' }),
    },
    facts: (c) => ({ listens: [{ protocol: 'tcp', host: c.bind, port: c.port }] }),
    create: never,
  }),
  defineSource({
    type: 'exec',
    summary: 'Output of a command.',
    properties: { command: text({ required: true, doc: 'Command.' }), batchSize: int({ default: 20, min: 1, doc: 'Batch.' }) },
    facts: (c) => ({ batchSize: c.batchSize }),
    create: never,
  }),
  defineSource({
    type: 'spooldir',
    summary: 'Files of a directory.',
    properties: {
      spoolDir: path({ required: true, doc: 'Directory.' }),
      ignorePattern: regex({ default: '^$', doc: 'Left alone.' }),
      inputCharset: charset({ default: 'UTF-8', doc: 'Charset.' }),
    },
    facts: (c) => ({ reads: [c.spoolDir] }),
    create: never,
  }),
  defineSource({
    type: 'kafka',
    aliases: ['org.apache.flume.source.kafka.KafkaSource'],
    summary: 'Topics.',
    properties: {
      'kafka.bootstrap.servers': text({ required: true, doc: 'Brokers.' }),
      'kafka.topics': list({ separator: 'comma', doc: 'Topics.' }),
      'kafka.consumer.*': rest({ doc: 'Client.' }),
      setTopicHeader: bool({ default: true, doc: 'Header.' }),
      topicHeader: text({ default: 'topic', doc: 'Header.' }),
      batchSize: int({ default: 1000, doc: 'Batch.' }),
    },
    facts: (c) => ({ batchSize: c.batchSize }),
    create: never,
  }),
  defineSource({
    type: 'avro',
    summary: 'Avro.',
    properties: { bind: text({ required: true, doc: 'Address.' }), port: int({ required: true, doc: 'Port.' }) },
    facts: (c) => ({ listens: [{ protocol: 'tcp', host: c.bind, port: c.port }] }),
    create: never,
  }),
  defineChannel({
    type: 'memory',
    aliases: ['org.apache.flume.channel.MemoryChannel'],
    summary: 'Memory.',
    properties: {
      capacity: int({ default: 100, min: 1, lenient: true, doc: 'Room.' }),
      transactionCapacity: int({ default: 100, min: 1, lenient: true, doc: 'Batch.' }),
    },
    facts: (c) => ({ capacity: c.capacity, transactionCapacity: c.transactionCapacity }),
    create: never,
  }),
  defineChannel({
    type: 'file',
    summary: 'Files.',
    properties: {
      checkpointDir: path({ default: '/home/u/.flume/checkpoint', doc: 'Checkpoint.' }),
      dataDirs: list({ default: ['/home/u/.flume/data'], separator: 'comma', doc: 'Data.' }),
    },
    facts: (c) => ({ transactionCapacity: 10_000, capacity: 1_000_000, owns: [c.checkpointDir, ...c.dataDirs] }),
    create: never,
  }),
  defineSink({ type: 'logger', summary: 'Log.', properties: { maxBytesToLog: int({ default: 16, doc: 'Bytes.' }) }, create: never }),
  defineSink({
    type: 'null',
    summary: 'Nothing.',
    properties: { batchSize: int({ default: 100, doc: 'Batch.' }) },
    facts: (c) => ({ batchSize: c.batchSize }),
    create: never,
  }),
  defineSink({
    type: 'file_roll',
    summary: 'Files.',
    properties: {
      'sink.directory': path({ required: true, doc: 'Directory.' }),
      'sink.serializer': text({ default: 'TEXT', doc: 'Serializer.' }),
      'sink.serializer.*': rest({ doc: 'Its properties.' }),
      mode: oneOf(['fast', 'safe'], { default: 'fast', doc: 'Mode.' }),
    },
    facts: (c) => ({ owns: [c['sink.directory']] }),
    create: never,
  }),
  defineSink({
    type: 'kafka',
    aliases: ['org.apache.flume.sink.kafka.KafkaSink'],
    summary: 'Topic.',
    properties: {
      'kafka.bootstrap.servers': text({ required: true, aliases: ['brokerList'], doc: 'Brokers.' }),
      'kafka.topic': text({ default: 'default-flume-topic', aliases: ['topic'], doc: 'Topic.' }),
      'kafka.producer.*': rest({ doc: 'Client.' }),
      allowTopicOverride: bool({ default: true, doc: 'Override.' }),
      topicHeader: text({ default: 'topic', doc: 'Header.' }),
      password: secret({ doc: 'Password.' }),
    },
    create: never,
  }),
  defineSink({
    type: 'avro',
    summary: 'Avro.',
    properties: { hostname: text({ required: true, doc: 'Host.' }), port: int({ required: true, doc: 'Port.' }) },
    create: never,
  }),
  defineInterceptor({
    type: 'static',
    aliases: ['org.apache.flume.interceptor.StaticInterceptor$Builder'],
    summary: 'Header.',
    properties: {
      key: text({ default: 'key', doc: 'Key.' }),
      value: text({ default: 'value', doc: 'Value.' }),
      preserveExisting: bool({ default: true, doc: 'Keep.' }),
    },
    create: never,
  }),
  defineInterceptor({ type: 'remove_header', summary: 'Header.', properties: { withName: text({ doc: 'Name.' }) }, create: never }),
  defineInterceptor({ type: 'regex_filter', summary: 'Filter.', properties: { regex: regex({ default: '.*', doc: 'Pattern.' }) }, create: never }),
  defineSelector({
    type: 'replicating',
    summary: 'All.',
    properties: { optional: list({ doc: 'Optional.' }) },
    create: () => ({ route: () => ({ required: [], optional: [] }) }),
  }),
  defineSelector({
    type: 'multiplexing',
    summary: 'By header.',
    properties: { header: text({ default: 'h', doc: 'Header.' }), 'mapping.*': rest({ doc: 'Value to channels.' }) },
    create: (c, channels) => {
      for (const name of Object.values(c['mapping.*'])) if (!channels.includes(name)) throw new ConfigError(`Selector channel not found: ${name}`);
      return { route: () => ({ required: [], optional: [] }) };
    },
  }),
  defineProcessor({ type: 'default', summary: 'One.', properties: {}, create: never }),
  defineProcessor({
    type: 'failover',
    summary: 'Best.',
    properties: { 'priority.*': rest({ doc: 'Priority.' }), maxpenalty: int({ default: 30_000, doc: 'Penalty.' }) },
    create: never,
  }),
  defineProcessor({ type: 'load_balance', summary: 'Share.', properties: { selector: text({ default: 'round_robin', doc: 'Order.' }) }, create: never }),
  defineSerializer({ type: 'text', summary: 'Text.', properties: { appendNewline: bool({ default: true, doc: 'Newline.' }) }, create: never }),
  defineConfigFilter({ type: 'env', summary: 'Env.', properties: {}, create: () => (key) => ({ MY_PORT: '4444', EVIL: '$&' })[key] ?? null }),
  defineConfigFilter({
    type: 'broken',
    summary: 'Fails.',
    properties: {},
    create: () => () => {
      throw new ConfigError('store is closed', { fix: 'open it' });
    },
  }),
];

export const fixtures: Catalog = {
  find: async (kind, type) =>
    specs.find((spec) => spec.kind === kind && (spec.type.toLowerCase() === type.toLowerCase() || spec.aliases?.includes(type) === true)) as
      | AnySpec
      | undefined,
  unavailable: unavailableReason,
  types: async (kind) => specs.filter((spec) => spec.kind === kind).map((spec) => spec.type),
};

/** Loads a definition written in a test; blank lines and indentation do not matter. */
export async function load(text: string, surroundings: { env?: Record<string, string>; systemProperties?: Record<string, string> } = {}) {
  const files = [{ file: 'test.conf', bytes: Buffer.from(text) }];
  const loaded = await loadDefinition({ files, catalog: fixtures, env: {}, ...surroundings });
  const findings: Finding[] = [...loaded.fileFindings];
  for (const list of loaded.agentFindings.values()) findings.push(...list.filter((finding) => !findings.includes(finding)));
  return { ...loaded, findings, model: loaded.models.get('a1') ?? null };
}

/** A definition without anything to say about it: netcat to memory to logger. */
export const SOUND = `a1.sources = r1
a1.channels = c1
a1.sinks = k1
a1.sources.r1.type = netcat
a1.sources.r1.bind = 127.0.0.1
a1.sources.r1.port = 4444
a1.sources.r1.channels = c1
a1.channels.c1.type = memory
a1.sinks.k1.type = logger
a1.sinks.k1.channel = c1
`;
