/**
 * Settings of single groups of the new consumer protocol (KIP-848, resource type GROUP): declared as those of the broker are,
 * kept in the metadata whether or not the group exists, and in force with a member's next heartbeat. Checks and words are
 * those of Kafka 4.0 (GroupConfig); brokers of 3.9 refuse the resource type.
 */
import { int, type Property } from '../lib/props/spec.ts';
import type { BrokerOwn } from './settings.ts';
import { valueError } from './topic-config.ts';

export const GROUP_PROPERTIES = {
  'consumer.session.timeout.ms': int({ min: 1, doc: 'A member of the group that is not heard of for so long is removed.' }),
  'consumer.heartbeat.interval.ms': int({ min: 1, doc: 'How often members of the group are told to call.' }),
} as const;

export type GroupKey = keyof typeof GROUP_PROPERTIES;
export const GROUP_KEYS = Object.keys(GROUP_PROPERTIES) as GroupKey[];

type Values = Readonly<Record<string, string>>;

/** What counts for a group: its own value, else the broker's. */
function inForce(key: GroupKey, values: Values, own: BrokerOwn): number {
  const value = values[key];
  return value === undefined ? own[`group.${key}`] : Number(value);
}

/** Both times of a group. */
export function groupTimings(values: Values, own: BrokerOwn): { readonly sessionMs: number; readonly heartbeatMs: number } {
  return { sessionMs: inForce('consumer.session.timeout.ms', values, own), heartbeatMs: inForce('consumer.heartbeat.interval.ms', values, own) };
}

/** What is wrong with one setting, or null. */
export function groupKeyError(key: string, value: string | null): string | null {
  const property = (GROUP_PROPERTIES as Readonly<Record<string, Property<unknown>>>)[key];
  if (!property) return `Unknown group config name: ${key}`;
  return value === null ? `Null value not supported for group configs: ${key}` : valueError(key, value, property);
}

/** What is wrong with all settings of a group together, or null. */
export function groupConfigError(values: Values, own: BrokerOwn): string | null {
  for (const key of ['consumer.heartbeat.interval.ms', 'consumer.session.timeout.ms'] as const) {
    const [low, high] = boundsOf(key);
    const value = inForce(key, values, own);
    if (value < own[low]) return `${key} must be greater than or equal to ${low}`;
    if (value > own[high]) return `${key} must be less than or equal to ${high}`;
  }
  const { sessionMs, heartbeatMs } = groupTimings(values, own);
  return sessionMs > heartbeatMs ? null : 'consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms';
}

function boundsOf(key: GroupKey) {
  return key === 'consumer.session.timeout.ms'
    ? (['group.consumer.min.session.timeout.ms', 'group.consumer.max.session.timeout.ms'] as const)
    : (['group.consumer.min.heartbeat.interval.ms', 'group.consumer.max.heartbeat.interval.ms'] as const);
}
