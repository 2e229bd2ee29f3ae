/** What kafka-configs works on: pairs of type and name, as its options name them in their order. */
import type { Cluster } from './cluster.ts';
import type { Options } from './options.ts';

export interface Entity {
  /** In the plural, as `--entity-type` takes it. */
  readonly type: string;
  /** Undefined: all of the type. Empty: the default entity. */
  readonly name: string | undefined;
}

export interface ConfigJob {
  readonly options: Options;
  readonly cluster: Cluster;
  readonly entities: readonly Entity[];
}

/** Said as one line on stderr, exit 1. */
export class ConfigRefusal extends Error {}

/** Resource type on the wire; 0 for what is reached through quotas. */
export const TYPES: ReadonlyMap<string, number> = new Map([
  ['topics', 2],
  ['clients', 0],
  ['users', 0],
  ['brokers', 4],
  ['ips', 0],
  ['broker-loggers', 8],
  ['client-metrics', 16],
  ['groups', 32],
]);

const SHORT: Readonly<Record<string, string>> = {
  topic: 'topics',
  client: 'clients',
  user: 'users',
  broker: 'brokers',
  'broker-logger': 'broker-loggers',
  ip: 'ips',
  'client-metrics': 'client-metrics',
  group: 'groups',
};

export function entitiesOf(options: Options): Entity[] {
  const types = options.all('entity-type');
  const names: string[] = [];
  const short: Entity[] = [];
  for (const [option, value] of options.order) {
    if (option === 'entity-name') names.push(value as string);
    else if (option === 'entity-default') names.push('');
    else if (SHORT[option] !== undefined) short.push({ type: SHORT[option], name: value as string });
    else if (option.endsWith('-defaults')) short.push({ type: `${option.replace(/-defaults$/, '')}s`, name: '' });
  }
  return [...types.map((type, i) => ({ type, name: names[i] })), ...short];
}

/** What Kafka calls an entity in the quota APIs. */
export const QUOTA_TYPE: Readonly<Record<string, string>> = { users: 'user', clients: 'client-id', ips: 'ip' };

export const QUOTA_KEYS: ReadonlySet<string> = new Set([
  'producer_byte_rate',
  'consumer_byte_rate',
  'request_percentage',
  'controller_mutation_rate',
  'connection_creation_rate',
]);

/** Number on the wire by name. */
export const SCRAM: ReadonlyMap<string, number> = new Map([
  ['SCRAM-SHA-256', 1],
  ['SCRAM-SHA-512', 2],
]);
