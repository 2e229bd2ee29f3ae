/**
 * Topic settings: one declaration per key, with Kafka's names, types, defaults and ranges (kafka-configs of 3.9).
 * From it follow parsing, CreateTopics/AlterConfigs validation with Kafka's wording, and DescribeConfigs.
 * A topic's effective value: its own override, else the broker's key(s) in `SERVER_KEYS`, else the default.
 */
import { BadValue, bool, type Config, float, int, list, long, oneOf, type Property, text } from '../lib/props/spec.ts';
import type { LogConfig } from '../wal/config.ts';

const MAX_LONG = 2 ** 63;

export const TOPIC_PROPERTIES = {
  'cleanup.policy': list({ separator: 'comma', default: ['delete'], doc: 'What happens to old segments: delete, compact, or both.' }),
  'compression.type': oneOf(['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'], {
    default: 'producer',
    doc: 'Codec of stored batches; producer keeps what arrives.',
  }),
  'compression.gzip.level': int({ default: -1, min: -1, max: 9, doc: 'Level when compression.type is gzip.' }),
  'compression.lz4.level': int({ default: 9, min: 1, max: 17, doc: 'Level when compression.type is lz4.' }),
  'compression.zstd.level': int({ default: 3, min: -131072, max: 22, doc: 'Level when compression.type is zstd.' }),
  'delete.retention.ms': long({ default: 86_400_000, min: 0, doc: 'How long a tombstone stays readable after compaction saw it.' }),
  'file.delete.delay.ms': long({ default: 60_000, min: 0, doc: 'Time between removing a segment from the log and erasing its files.' }),
  'flush.messages': long({ default: MAX_LONG, min: 1, doc: 'fsync after this many records; 1 = before every answer.' }),
  'flush.ms': long({ default: MAX_LONG, min: 0, doc: 'fsync when the oldest unsynced record is this old.' }),
  'follower.replication.throttled.replicas': list({ separator: 'comma', default: [], doc: 'Kept for tools; there are no followers.' }),
  'index.interval.bytes': int({ default: 4096, min: 0, doc: 'Bytes between two entries of the offset index.' }),
  'leader.replication.throttled.replicas': list({ separator: 'comma', default: [], doc: 'Kept for tools; there are no followers.' }),
  'local.retention.bytes': long({ default: -2, min: -2, doc: 'Kept for tools; there is no tiered storage.' }),
  'local.retention.ms': long({ default: -2, min: -2, doc: 'Kept for tools; there is no tiered storage.' }),
  'max.compaction.lag.ms': long({ default: MAX_LONG, min: 1, doc: 'Longest time a record stays ineligible for compaction.' }),
  'max.message.bytes': int({ default: 1_048_588, min: 0, doc: 'Largest batch accepted, as stored.' }),
  'message.downconversion.enable': bool({ default: true, doc: 'Whether fetches older than version 4 are served in an older format.' }),
  'message.format.version': text({ default: '3.0-IV1', doc: 'Accepted and ignored since Kafka 3.0; batches are stored as format 2.' }),
  'message.timestamp.type': oneOf(['CreateTime', 'LogAppendTime'], { default: 'CreateTime', doc: 'Who sets the timestamp of a record.' }),
  'message.timestamp.before.max.ms': long({ default: MAX_LONG, min: 0, doc: 'How far in the past a CreateTime may lie.' }),
  'message.timestamp.after.max.ms': long({ default: MAX_LONG, min: 0, doc: 'How far in the future a CreateTime may lie.' }),
  'message.timestamp.difference.max.ms': long({ default: MAX_LONG, min: 0, doc: 'Older single bound in both directions.' }),
  'min.cleanable.dirty.ratio': float({ default: 0.5, min: 0, max: 1, doc: 'Share of the log that must be uncompacted before compaction runs.' }),
  'min.compaction.lag.ms': long({ default: 0, min: 0, doc: 'Shortest time a record stays uncompacted.' }),
  'min.insync.replicas': int({ default: 1, min: 1, doc: 'Kept for tools; one node is always in sync with itself.' }),
  preallocate: bool({ default: false, doc: 'Kept for tools; segments grow as they are written.' }),
  'remote.log.copy.disable': bool({ default: false, doc: 'Kept for tools; there is no tiered storage.' }),
  'remote.log.delete.on.disable': bool({ default: false, doc: 'Kept for tools; there is no tiered storage.' }),
  'remote.storage.enable': bool({ default: false, doc: 'Kept for tools; there is no tiered storage.' }),
  'retention.bytes': long({ default: -1, doc: 'Largest size of a partition before old segments go; -1 = no limit.' }),
  'retention.ms': long({ default: 604_800_000, min: -1, doc: 'Age at which segments go; -1 = never.' }),
  'segment.bytes': int({ default: 1_073_741_824, min: 14, doc: 'Size at which a new segment begins.' }),
  'segment.index.bytes': int({ default: 10_485_760, min: 4, doc: 'Largest size of one index file.' }),
  'segment.jitter.ms': long({ default: 0, min: 0, doc: 'Random part taken off segment.ms per segment.' }),
  'segment.ms': long({ default: 604_800_000, min: 1, doc: 'Age at which a new segment begins.' }),
  'unclean.leader.election.enable': bool({ default: false, doc: 'Kept for tools; there is one node.' }),
} as const;

export type TopicKey = keyof typeof TOPIC_PROPERTIES;
/** The typed, effective settings of one topic. */
export type TopicConfig = Config<typeof TOPIC_PROPERTIES>;

/** Broker keys that supply a topic key's default, most specific first. Those ending in `.hours`/`.minutes` are scaled. */
export const SERVER_KEYS: Readonly<Partial<Record<TopicKey, readonly string[]>>> = {
  'cleanup.policy': ['log.cleanup.policy'],
  'compression.type': ['compression.type'],
  'compression.gzip.level': ['compression.gzip.level'],
  'compression.lz4.level': ['compression.lz4.level'],
  'compression.zstd.level': ['compression.zstd.level'],
  'delete.retention.ms': ['log.cleaner.delete.retention.ms'],
  'file.delete.delay.ms': ['log.segment.delete.delay.ms'],
  'flush.messages': ['log.flush.interval.messages'],
  'flush.ms': ['log.flush.interval.ms'],
  'index.interval.bytes': ['log.index.interval.bytes'],
  'local.retention.bytes': ['log.local.retention.bytes'],
  'local.retention.ms': ['log.local.retention.ms'],
  'max.compaction.lag.ms': ['log.cleaner.max.compaction.lag.ms'],
  'max.message.bytes': ['message.max.bytes'],
  'message.downconversion.enable': ['log.message.downconversion.enable'],
  'message.format.version': ['log.message.format.version'],
  'message.timestamp.type': ['log.message.timestamp.type'],
  'message.timestamp.before.max.ms': ['log.message.timestamp.before.max.ms'],
  'message.timestamp.after.max.ms': ['log.message.timestamp.after.max.ms'],
  'message.timestamp.difference.max.ms': ['log.message.timestamp.difference.max.ms'],
  'min.cleanable.dirty.ratio': ['log.cleaner.min.cleanable.ratio'],
  'min.compaction.lag.ms': ['log.cleaner.min.compaction.lag.ms'],
  'min.insync.replicas': ['min.insync.replicas'],
  preallocate: ['log.preallocate'],
  'retention.bytes': ['log.retention.bytes'],
  'retention.ms': ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
  'segment.bytes': ['log.segment.bytes'],
  'segment.index.bytes': ['log.index.size.max.bytes'],
  'segment.jitter.ms': ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
  'segment.ms': ['log.roll.ms', 'log.roll.hours'],
  'unclean.leader.election.enable': ['unclean.leader.election.enable'],
};

/** Kafka's ConfigDef types as DescribeConfigs numbers them. */
export const CONFIG_TYPE = { bool: 1, string: 2, int: 3, short: 4, long: 5, double: 6, list: 7, class: 8, password: 9 } as const;

/** The DescribeConfigs type of a property. */
export function configType(property: Property<unknown>): number {
  switch (property.kind) {
    case 'bool':
      return CONFIG_TYPE.bool;
    case 'int':
      return CONFIG_TYPE.int;
    case 'long':
    case 'duration':
    case 'size':
      return CONFIG_TYPE.long;
    case 'float':
      return CONFIG_TYPE.double;
    case 'list':
      return CONFIG_TYPE.list;
    case 'secret':
      return CONFIG_TYPE.password;
    default:
      return CONFIG_TYPE.string;
  }
}

/** A typed value as Kafka prints it: lists joined with commas, 2^63 as 9223372036854775807. */
export function configText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.join(',');
  if (typeof value === 'number' && value >= MAX_LONG) return '9223372036854775807';
  return String(value);
}

const NUMBER_NAME: Readonly<Record<number, string>> = { 3: 'INT', 4: 'SHORT', 5: 'LONG', 6: 'DOUBLE' };

/**
 * Checks one topic setting as an admin request gives it.
 * @returns Kafka's error text, or null when it is good
 */
export function topicConfigError(key: string, value: string | null): string | null {
  const property = (TOPIC_PROPERTIES as Readonly<Record<string, Property<unknown>>>)[key];
  if (!property) return `Unknown topic config name: ${key}`;
  return valueError(key, value, property);
}

/** What is wrong between the settings of one topic, or null: Kafka's LogConfig.validateValues. */
export function conflictingConfigs(overrides: Readonly<Record<string, string>>): string | null {
  const [min, max] = [overrides['min.compaction.lag.ms'], overrides['max.compaction.lag.ms']].map((value) => (value === undefined ? undefined : Number(value)));
  if (min === undefined || min <= (max ?? MAX_LONG)) return null;
  return `conflict topic config setting min.compaction.lag.ms (${min}) > max.compaction.lag.ms (${max})`;
}

/** The same for any property; `key` only serves the text. */
export function valueError(key: string, value: string | null, property: Property<unknown>): string | null {
  if (value === null) return `Null value not supported for topic configs: ${key}`;
  const type = configType(property);
  const trimmed = value.trim();
  // Other than in a properties file, Kafka takes these as they are written.
  const { values: words } = property.options;
  if (words && !words.includes(trimmed)) return `Invalid value ${value} for configuration ${key}: String must be one of: ${words.join(', ')}`;
  if (key.endsWith('.throttled.replicas') && !/^(\*|\d+:\d+(\s*,\s*\d+:\d+)*)?$/.test(trimmed)) {
    return `Invalid value [${trimmed.split(/\s*,\s*/).join(', ')}] for configuration ${key}: ${key} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...`;
  }
  if (key === 'compression.gzip.level' && /^[+-]?\d+$/.test(trimmed) && !(Number(trimmed) === -1 || (Number(trimmed) >= 1 && Number(trimmed) <= 9)))
    return `Invalid value ${value} for configuration ${key}: Value must be between 1 and 9 or equal to -1`;
  const numberName = NUMBER_NAME[type];
  if (numberName && !/^[+-]?\d+$/.test(trimmed) && (type !== CONFIG_TYPE.double || trimmed === '' || Number.isNaN(Number(trimmed)))) {
    return `Invalid value ${value} for configuration ${key}: Not a number of type ${numberName}`;
  }
  if (type === CONFIG_TYPE.bool && !/^(true|false)$/i.test(trimmed))
    return `Invalid value ${value} for configuration ${key}: Expected value to be either true or false`;
  if (key === 'cleanup.policy') {
    const bad = list({ separator: 'comma', doc: '' })
      .parse(value)
      ?.find((word) => word !== 'delete' && word !== 'compact');
    if (bad !== undefined) return `Invalid value ${bad} for configuration ${key}: String must be one of: compact, delete`;
  }
  try {
    property.parse(value);
    return null;
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    const { min, max } = property.options;
    if (min !== undefined && Number(trimmed) < min) return `Invalid value ${value} for configuration ${key}: Value must be at least ${min}`;
    if (max !== undefined && Number(trimmed) > max) return `Invalid value ${value} for configuration ${key}: Value must be no more than ${max}`;
    return `Invalid value ${value} for configuration ${key}: Not a number of type ${numberName ?? 'INT'}`;
  }
}

/**
 * The effective settings of a topic.
 * @param overrides what was set on the topic itself
 * @param server what is set for the broker, dynamic values already merged over the file's
 */
export function effectiveTopicConfig(overrides: Readonly<Record<string, string>>, server: Readonly<Record<string, string>>): TopicConfig {
  const out: Record<string, unknown> = {};
  for (const [key, property] of Object.entries(TOPIC_PROPERTIES) as [TopicKey, Property<unknown>][]) {
    out[key] = topicValue(key, property, overrides[key], server);
  }
  return out as unknown as TopicConfig;
}

function topicValue(key: TopicKey, property: Property<unknown>, override: string | undefined, server: Readonly<Record<string, string>>): unknown {
  if (override !== undefined) return property.parse(override);
  for (const serverKey of SERVER_KEYS[key] ?? []) {
    const value = server[serverKey];
    if (value === undefined) continue;
    const scaled = scaleFor(serverKey, Number(value));
    return scaled === null ? property.parse(value) : scaled;
  }
  return property.options.default;
}

/** Milliseconds of a value given under an `.hours` or `.minutes` key (-1 stays), or null for other keys. */
export function scaleFor(serverKey: string, value: number): number | null {
  const factor = serverKey.endsWith('.hours') ? 3_600_000 : serverKey.endsWith('.minutes') ? 60_000 : 0;
  if (factor === 0) return null;
  return value < 0 ? value : value * factor;
}

/** What of a topic's settings concerns the log of a partition. */
export function logConfigOf(config: TopicConfig): Partial<LogConfig> {
  return {
    segmentBytes: Math.min(config['segment.bytes'], 2 ** 31 - 1),
    // A record that must be compacted within a time has to leave the active segment within it.
    segmentMs: config['cleanup.policy'].includes('compact') ? Math.min(config['segment.ms'], config['max.compaction.lag.ms']) : config['segment.ms'],
    segmentJitterMs: config['segment.jitter.ms'],
    segmentIndexBytes: config['segment.index.bytes'],
    indexIntervalBytes: config['index.interval.bytes'],
  };
}
