/**
 * Settings of a Kafka client under the names and with the defaults of the Java client 2.7 (ProducerConfig,
 * ConsumerConfig), which is what definitions written for Flume use: `kafka.producer.acks`, `kafka.consumer.group.id`.
 * One declaration per setting; what has no meaning here says why, and what nobody knows is named.
 */
import { isIP } from 'node:net';
import type { FindingDraft, RawValue } from '../../lib/props/finding.ts';
import {
  BadValue,
  bool,
  type Config,
  duration,
  int,
  list,
  oneOf,
  type Properties,
  type Property,
  parseProperties,
  secret,
  size,
  text,
} from '../../lib/props/spec.ts';
import { nearest } from '../../lib/suggest.ts';
import { assignorName } from './assignors.ts';

const JAVA_CLASSES = 'Java classes cannot be loaded';
const ONE_REQUEST = 'a Flume batch is sent as a whole at once';
const NO_BUFFERS = 'the operating system sizes socket buffers';

/** An inert setting: accepted, said once, without effect. */
function inert(reason: string): Property<string | undefined> {
  return text({ ignored: reason, doc: 'No effect here.' });
}

const common = {
  'client.id': text({ default: '', doc: 'Name shown in the broker’s logs and used for quotas.' }),
  'security.protocol': oneOf(['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'], { default: 'PLAINTEXT', doc: 'How to talk to brokers.' }),
  'sasl.mechanism': text({ default: 'GSSAPI', doc: 'PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.' }),
  'sasl.jaas.config': secret({ doc: 'Login line: …LoginModule required username="…" password="…";' }),
  'sasl.oauthbearer.token.endpoint.url': text({ doc: 'Where to get a token with clientId and clientSecret of the login line.' }),
  'ssl.truststore.location': text({ doc: 'PKCS12, JKS or PEM file of accepted authorities; default: those that Node knows.' }),
  'ssl.truststore.password': secret({ doc: 'Password of the trust store.' }),
  'ssl.truststore.type': text({ default: 'JKS', doc: 'PKCS12, JKS or PEM; which one is told by the content.' }),
  'ssl.truststore.certificates': text({ doc: 'Accepted authorities as PEM text.' }),
  'ssl.keystore.location': text({ doc: 'PKCS12, JKS or PEM file with the client’s own key and certificate.' }),
  'ssl.keystore.password': secret({ doc: 'Password of the key store.' }),
  'ssl.keystore.type': text({ default: 'JKS', doc: 'PKCS12, JKS or PEM; which one is told by the content.' }),
  'ssl.keystore.key': secret({ doc: 'Private key as PEM text.' }),
  'ssl.keystore.certificate.chain': text({ doc: 'Certificate chain as PEM text.' }),
  'ssl.key.password': secret({ doc: 'Password of the private key.' }),
  'ssl.endpoint.identification.algorithm': text({ default: 'https', doc: 'https: the certificate must name the host. Empty or none: it need not.' }),
  'ssl.disableTLSHostnameVerification': bool({ default: false, doc: 'Flume’s switch for an empty ssl.endpoint.identification.algorithm.' }),
  'ssl.protocol': text({ doc: 'Newest TLS version to use.' }),
  'ssl.enabled.protocols': list({ separator: 'comma', doc: 'TLS versions, e.g. TLSv1.2,TLSv1.3.' }),
  'ssl.cipher.suites': list({ separator: 'comma', doc: 'Cipher suites in OpenSSL’s or IANA’s names.' }),
  'request.timeout.ms': duration({ default: 30_000, min: 1, unit: 'ms', doc: 'How long to wait for an answer.' }),
  'socket.connection.setup.timeout.ms': duration({ default: 10_000, min: 1, unit: 'ms', doc: 'For connecting and logging in.' }),
  'retry.backoff.ms': duration({ default: 100, unit: 'ms', doc: 'Pause before a request is repeated.' }),
  'retry.backoff.max.ms': duration({ default: 1_000, unit: 'ms', doc: 'Longest such pause.' }),
  'metadata.max.age.ms': duration({ default: 300_000, min: 1, unit: 'ms', doc: 'How often to look for new partitions and leaders.' }),
  'reconnect.backoff.ms': inert('the sink or source paces its attempts'),
  'reconnect.backoff.max.ms': inert('the sink or source paces its attempts'),
  'socket.connection.setup.timeout.max.ms': inert('the time for a connection does not grow'),
  'connections.max.idle.ms': inert('connections are kept; a broker may close idle ones'),
  'send.buffer.bytes': inert(NO_BUFFERS),
  'receive.buffer.bytes': inert(NO_BUFFERS),
  'client.dns.lookup': inert('all addresses of a name are tried'),
  'interceptor.classes': inert(JAVA_CLASSES),
  'metric.reporters': inert(JAVA_CLASSES),
  'metrics.num.samples': inert('see /metrics of the agent'),
  'metrics.recording.level': inert('see /metrics of the agent'),
  'metrics.sample.window.ms': inert('see /metrics of the agent'),
  'security.providers': inert(JAVA_CLASSES),
  'sasl.client.callback.handler.class': inert(JAVA_CLASSES),
  'sasl.login.callback.handler.class': inert(JAVA_CLASSES),
  'sasl.login.class': inert(JAVA_CLASSES),
  'ssl.provider': inert(JAVA_CLASSES),
  'ssl.engine.factory.class': inert(JAVA_CLASSES),
  'ssl.keymanager.algorithm': inert(JAVA_CLASSES),
  'ssl.trustmanager.algorithm': inert(JAVA_CLASSES),
  'ssl.secure.random.implementation': inert(JAVA_CLASSES),
  'bootstrap.servers': inert('kafka.bootstrap.servers counts'),
} as const;

/** `all` is -1. */
function acks(options: { readonly default: number; readonly doc: string }): Property<number> {
  return {
    kind: 'text',
    options,
    parse(raw: string) {
      const word = raw.trim().toLowerCase();
      if (word === 'all' || word === '-1') return -1;
      if (word === '0' || word === '1') return Number(word);
      throw new BadValue('0, 1, -1 or all');
    },
  };
}

const serializer = text({ doc: 'Keys are text and values bytes, whatever it says.' });

export const producerProperties = {
  ...common,
  acks: acks({ default: 1, doc: '0: do not wait; 1: the leader has it; all or -1: all in-sync replicas have it.' }),
  'compression.type': oneOf(['none', 'gzip', 'snappy', 'lz4', 'zstd'], { default: 'none', doc: 'How batches are packed.' }),
  'compression.gzip.level': int({ min: -1, max: 9, doc: 'gzip level.' }),
  'compression.zstd.level': int({ min: 1, max: 22, doc: 'zstd level.' }),
  'enable.idempotence': bool({ default: false, doc: 'A repeated request stores nothing twice.' }),
  'transactional.id': text({ doc: 'Each Flume batch is one transaction under this id.' }),
  'transaction.timeout.ms': duration({ default: 60_000, min: 1, unit: 'ms', doc: 'After which the broker gives up a transaction.' }),
  'max.request.size': size({ default: 1_048_576, min: 1, doc: 'Largest record and batch; a larger event is set aside.' }),
  'delivery.timeout.ms': duration({
    default: 120_000,
    unit: 'ms',
    doc: 'How long requests are repeated (at most 15 s here) before the whole batch comes again.',
  }),
  retries: int({ default: 2_147_483_647, min: 0, doc: 'How often a request is repeated before the whole batch comes again.' }),
  'max.block.ms': duration({
    default: 60_000,
    unit: 'ms',
    doc: 'How long to wait (at most 5 s here) for a topic to have leaders before the batch comes again.',
  }),
  'partitioner.class': text({ doc: 'A class whose name holds RoundRobin spreads records without key one by one; else a batch goes to one partition.' }),
  'linger.ms': inert(ONE_REQUEST),
  'batch.size': inert(ONE_REQUEST),
  'buffer.memory': inert(ONE_REQUEST),
  'max.in.flight.requests.per.connection': inert('one batch per partition is under way'),
  'compression.lz4.level': inert('lz4 has one level here'),
  'partitioner.ignore.keys': inert('keys always choose the partition'),
  'partitioner.adaptive.partitioning.enable': inert('partitions take turns'),
  'partitioner.availability.timeout.ms': inert('partitions without leader are passed over'),
  'metadata.max.idle.ms': inert('topics stay known'),
  'key.serializer': serializer,
  'value.serializer': serializer,
} as const satisfies Properties;

export const consumerProperties = {
  ...common,
  'group.id': text({ default: 'flume', doc: 'The consumer group.' }),
  'group.instance.id': text({ doc: 'A fixed name of this member: a restart within the session timeout causes no rebalance.' }),
  'auto.offset.reset': oneOf(['latest', 'earliest', 'none'], { default: 'latest', doc: 'Where to start without a committed offset, or when it is gone.' }),
  'session.timeout.ms': duration({ default: 10_000, min: 1, unit: 'ms', doc: 'A member silent for so long leaves the group.' }),
  'heartbeat.interval.ms': duration({ default: 3_000, min: 1, unit: 'ms', doc: 'How often a member says it lives.' }),
  'max.poll.interval.ms': duration({ default: 300_000, min: 1, unit: 'ms', doc: 'How long the group waits for members in a rebalance.' }),
  'fetch.min.bytes': int({ default: 1, min: 0, doc: 'A fetch waits for so many bytes …' }),
  'fetch.max.wait.ms': duration({ default: 500, unit: 'ms', doc: '… for at most so long.' }),
  'fetch.max.bytes': size({ default: 52_428_800, min: 1, doc: 'Largest answer.' }),
  'max.partition.fetch.bytes': size({ default: 1_048_576, min: 1, doc: 'Most bytes of one partition in an answer.' }),
  'isolation.level': oneOf(['read_uncommitted', 'read_committed'], { default: 'read_uncommitted', doc: 'read_committed leaves out aborted transactions.' }),
  'client.rack': text({ default: '', doc: 'Where this client stands; accepted for the broker’s sake.' }),
  'partition.assignment.strategy': list({
    separator: 'comma',
    default: ['range'],
    doc: 'Assignors by class name or short: range, roundrobin, sticky, cooperative-sticky.',
  }),
  'check.crcs': bool({ default: true, doc: 'Check each batch.' }),
  'exclude.internal.topics': bool({ default: true, doc: 'A pattern does not match internal topics.' }),
  'allow.auto.create.topics': bool({ default: true, doc: 'Asking for a topic may create it.' }),
  'enable.auto.commit': inert('offsets are committed after the channel has the events, never by time'),
  'auto.commit.interval.ms': inert('offsets are committed after the channel has the events, never by time'),
  'max.poll.records': inert('batchSize bounds a batch'),
  'default.api.timeout.ms': inert('request.timeout.ms counts'),
  'group.protocol': inert('the classic protocol is used'),
  'key.deserializer': serializer,
  'value.deserializer': serializer,
} as const satisfies Properties;

export type ProducerConfig = Config<typeof producerProperties>;
export type ConsumerConfig = Config<typeof consumerProperties>;
export type CommonConfig = Config<typeof common>;

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

interface Read<C> {
  readonly config: C | null;
  readonly findings: readonly FindingDraft[];
}

/**
 * Reads `settings` (names without `prefix`). `preset` are a component's own defaults, under what is written. Findings
 * carry the full key.
 */
function read<P extends Properties>(
  spec: P,
  settings: Readonly<Record<string, string>>,
  prefix: string,
  preset: Readonly<Record<string, string>>,
): Read<Config<P>> {
  const raw: Record<string, RawValue> = {};
  for (const [key, value] of Object.entries({ ...preset, ...settings })) raw[key] = { value };
  const { config, findings, unknown } = parseProperties(spec, raw);
  const named = findings.map((finding) =>
    finding.key === undefined
      ? finding
      : { ...finding, key: `${prefix}${finding.key}`, message: finding.message.replace(`"${finding.key}"`, `"${prefix}${finding.key}"`) },
  );
  const strangers = unknown.map((key): FindingDraft => {
    const meant = nearest(key, Object.keys(spec));
    return {
      code: 'unknown-kafka-setting',
      severity: 'info',
      message: `"${prefix}${key}" is no setting of a Kafka client; it has no effect`,
      fix: meant === undefined ? 'see the reference of the component for the settings there are' : `did you mean ${prefix}${meant}?`,
      key: `${prefix}${key}`,
    };
  });
  return { config, findings: [...named, ...strangers] };
}

export function readProducerConfig(
  settings: Readonly<Record<string, string>>,
  prefix = 'kafka.producer.',
  preset: Readonly<Record<string, string>> = {},
): Read<ProducerConfig> {
  const { config, findings } = read(producerProperties, settings, prefix, preset);
  return { config, findings: config === null ? findings : [...findings, ...producerRules(config, prefix), ...securityRules(config, prefix)] };
}

export function readConsumerConfig(
  settings: Readonly<Record<string, string>>,
  prefix = 'kafka.consumer.',
  preset: Readonly<Record<string, string>> = {},
): Read<ConsumerConfig> {
  const { config, findings } = read(consumerProperties, settings, prefix, preset);
  return { config, findings: config === null ? findings : [...findings, ...assignorRules(config, prefix), ...securityRules(config, prefix)] };
}

function assignorRules(config: ConsumerConfig, prefix: string): FindingDraft[] {
  const key = `${prefix}partition.assignment.strategy`;
  return config['partition.assignment.strategy']
    .filter((word) => assignorName(word) === undefined)
    .map((word) => ({
      code: 'kafka-assignor',
      severity: 'warning',
      message: `there is no assignor ${word} here (${JAVA_CLASSES}); range is used in its place`,
      fix: 'name range, roundrobin, sticky or cooperative-sticky',
      key,
    }));
}

function producerRules(config: ProducerConfig, prefix: string): FindingDraft[] {
  const wanted = config['enable.idempotence'] || config['transactional.id'] !== undefined;
  if (!wanted || config.acks === -1) return [];
  return [
    {
      code: 'acks-raised',
      severity: 'info',
      message: `${config['transactional.id'] === undefined ? 'enable.idempotence' : 'transactional.id'} needs acks = all, which is used`,
      fix: `write ${prefix}acks = all`,
      key: `${prefix}acks`,
    },
  ];
}

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'];

function securityRules(config: CommonConfig, prefix: string): FindingDraft[] {
  if (!config['security.protocol'].startsWith('SASL')) return [];
  const error = (code: string, message: string, fix: string, key: string): FindingDraft => ({ code, severity: 'error', message, fix, key: `${prefix}${key}` });
  const mechanism = config['sasl.mechanism'];
  if (!MECHANISMS.includes(mechanism)) {
    return [error('sasl-mechanism', `SASL mechanism ${mechanism} is not available here`, `use one of ${MECHANISMS.join(', ')}`, 'sasl.mechanism')];
  }
  if (config['sasl.jaas.config'] === undefined) {
    const fix = `write ${prefix}sasl.jaas.config = …LoginModule required username="…" password="…";`;
    return [error('missing-property', `SASL needs a login: "${prefix}sasl.jaas.config" is required`, fix, 'sasl.jaas.config')];
  }
  return [];
}

/** Addresses of brokers: `host:port`, separated by commas. @throws BadValue */
export function parseBootstrap(servers: readonly string[]): HostPort[] {
  return servers.map((word) => {
    const found = /^(?:[A-Z_]+:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^:/\s[\]]+)):(\d{1,5})\/?$/.exec(word);
    const port = Number(found?.[3]);
    const host = found?.[1] ?? found?.[2];
    if (host === undefined || port < 1 || port > 65_535 || (found?.[1] !== undefined && isIP(host) !== 6))
      throw new BadValue('brokers as host:port, separated by commas');
    return { host, port };
  });
}

/** The property of a component that names its brokers. */
export function bootstrapProperty(aliases: readonly string[]): Property<readonly string[]> {
  const base = list({ separator: 'comma', required: true, aliases, doc: 'Brokers to ask first, host:port, separated by commas; one that answers is enough.' });
  return {
    ...base,
    parse(raw: string) {
      const words = base.parse(raw);
      parseBootstrap(words);
      return words;
    },
  };
}
