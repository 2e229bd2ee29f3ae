/**
 * Settings as DescribeConfigs and CreateTopics show them: effective value, where it comes from, and its synonyms, most
 * specific first (KIP-226, KIP-525). All of it derives from the property declarations.
 */
import type { Property } from '../lib/props/spec.ts';
import { BROKER_PROPERTIES, brokerProperty, isDynamicBrokerKey, isListenerLimit } from './broker-config.ts';
import { GROUP_KEYS, GROUP_PROPERTIES } from './group-config.ts';
import type { BrokerSettings } from './settings.ts';
import { configText, configType, SERVER_KEYS, scaleFor, TOPIC_PROPERTIES, type TopicKey } from './topic-config.ts';

/** Where a value comes from, as DescribeConfigs numbers it. */
export const SOURCE = { topic: 1, dynamicBroker: 2, dynamicDefault: 3, file: 4, builtIn: 5, group: 8 } as const;

export interface ConfigSynonym {
  readonly name: string;
  readonly value: string | null;
  readonly source: number;
}

export interface ConfigEntry extends ConfigSynonym {
  readonly readOnly: boolean;
  readonly isSensitive: boolean;
  readonly configType: number;
  readonly documentation: string;
  readonly synonyms: readonly ConfigSynonym[];
}

/** All settings of a topic, sorted by name. */
export function topicConfigEntries(overrides: Readonly<Record<string, string>>, settings: BrokerSettings): ConfigEntry[] {
  return (Object.entries(TOPIC_PROPERTIES) as [TopicKey, Property<unknown>][])
    .map(([key, property]) => topicEntry(key, property, overrides[key], settings))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function topicEntry(key: TopicKey, property: Property<unknown>, override: string | undefined, settings: BrokerSettings): ConfigEntry {
  const own: ConfigSynonym[] = override === undefined ? [] : [{ name: key, value: override, source: SOURCE.topic }];
  const serverKeys = SERVER_KEYS[key] ?? [];
  const set = [...own, ...serverKeys.flatMap((serverKey) => brokerValues(serverKey, settings))];
  const isScaled = (name: string): boolean => scaleFor(name, 1) !== null;
  // Kafka does not count keys in other units (log.retention.hours) as synonyms: they change the value, not its source.
  const synonyms = set.filter(({ name }) => !isScaled(name));
  const builtIn = configText(property.options.default);
  const [serverKey] = serverKeys;
  // Nor has log.flush.interval.ms a default there: without it the scheduler's interval counts.
  const hasDefault = serverKey !== undefined && serverKey !== 'log.flush.interval.ms' && !serverKeys.some(isScaled);
  if (hasDefault) synonyms.push({ name: serverKey, value: builtIn, source: SOURCE.builtIn });
  const [used] = set;
  const value = used === undefined ? builtIn : scaledText(used);
  return { name: key, value, source: synonyms[0]?.source ?? SOURCE.builtIn, synonyms, ...described(property), readOnly: false };
}

function scaledText({ name, value }: ConfigSynonym): string | null {
  const scaled = value === null ? null : scaleFor(name, Number(value));
  return scaled === null ? value : String(scaled);
}

/** What is set for a broker key: for this broker, as cluster default, in the file. */
function brokerValues(key: string, settings: BrokerSettings): ConfigSynonym[] {
  const layers: [Readonly<Record<string, string>>, number][] = [
    [settings.dynamicBroker, SOURCE.dynamicBroker],
    [settings.dynamicDefault, SOURCE.dynamicDefault],
    [settings.file, SOURCE.file],
  ];
  return layers.flatMap(([values, source]) => (values[key] === undefined ? [] : [{ name: key, value: values[key], source }]));
}

/** All settings of the broker, sorted by name. */
export function brokerConfigEntries(settings: BrokerSettings): ConfigEntry[] {
  const ofListeners = Object.keys(settings.server).filter(isListenerLimit);
  return [...Object.keys(BROKER_PROPERTIES), ...ofListeners]
    .map((key) => {
      const property = brokerProperty(key) as Property<unknown>;
      const builtIn = configText(property.options.default);
      const synonyms = brokerValues(key, settings);
      if (builtIn !== null) synonyms.push({ name: key, value: builtIn, source: SOURCE.builtIn });
      return finish(key, property, synonyms);
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** All settings of a group, sorted by name. */
export function groupConfigEntries(overrides: Readonly<Record<string, string>>, settings: BrokerSettings): ConfigEntry[] {
  return GROUP_KEYS.map((key) => {
    const serverKey = `group.${key}` as const;
    const own: ConfigSynonym[] = overrides[key] === undefined ? [] : [{ name: key, value: overrides[key], source: SOURCE.group }];
    const builtIn = { name: serverKey, value: configText(BROKER_PROPERTIES[serverKey].options.default), source: SOURCE.builtIn };
    return { ...finish(key, GROUP_PROPERTIES[key], [...own, ...brokerValues(serverKey, settings), builtIn]), readOnly: false };
  }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The cluster-wide dynamic defaults alone: what the broker resource with the empty name shows. */
export function brokerDefaultEntries(settings: BrokerSettings): ConfigEntry[] {
  return Object.entries(settings.dynamicDefault)
    .map(([key, value]) => {
      const property = brokerProperty(key) as Property<unknown>;
      return finish(key, property, [{ name: key, value, source: SOURCE.dynamicDefault }]);
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function finish(name: string, property: Property<unknown>, synonyms: readonly ConfigSynonym[]): ConfigEntry {
  const secret = property.options.secret === true;
  const shown = secret ? synonyms.map((one) => ({ ...one, value: null })) : synonyms;
  return {
    name,
    value: shown[0]?.value ?? null,
    source: shown[0]?.source ?? SOURCE.builtIn,
    synonyms: shown,
    ...described(property),
    readOnly: !isDynamicBrokerKey(name),
  };
}

function described(property: Property<unknown>) {
  return { isSensitive: property.options.secret === true, configType: configType(property), documentation: property.options.doc };
}
