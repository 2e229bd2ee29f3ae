/**
 * The broker's settings in force: server.properties with its overrides, and the dynamic values that clients set later.
 * Reading the file gives all notices at once: what is not needed here, what is unknown, what was clamped.
 */
import type { Finding, RawValue } from '../lib/props/finding.ts';
import { type Config, parseProperties } from '../lib/props/spec.ts';
import { BROKER_PROPERTIES, isListenerKey, notNeeded } from './broker-config.ts';
import { assignorNamed } from './coordinator/server-assignors.ts';

/** The typed keys of {@link BROKER_PROPERTIES}. */
export type BrokerOwn = Config<typeof BROKER_PROPERTIES>;

export class BrokerSettings {
  /** As written in the file or on the command line. */
  readonly file: Readonly<Record<string, string>>;
  /** The file's values, typed, defaults filled in. Dynamic values do not show here: they are topic defaults, see `server`. */
  readonly own: BrokerOwn;
  #dynamicDefault: Readonly<Record<string, string>> = {};
  #dynamicBroker: Readonly<Record<string, string>> = {};
  #server: Readonly<Record<string, string>>;

  constructor(file: Readonly<Record<string, string>>, own: BrokerOwn) {
    this.file = file;
    this.own = own;
    this.#server = file;
  }

  /** Set for all brokers of the cluster by clients. */
  get dynamicDefault(): Readonly<Record<string, string>> {
    return this.#dynamicDefault;
  }
  /** Set for this broker by clients. */
  get dynamicBroker(): Readonly<Record<string, string>> {
    return this.#dynamicBroker;
  }
  /** What is in force per server key: this broker's, else the cluster default, else the file's. Topic defaults derive from it. */
  get server(): Readonly<Record<string, string>> {
    return this.#server;
  }

  /** Takes over dynamic values, all of one kind at once. */
  setDynamic(isDefault: boolean, values: Readonly<Record<string, string>>): void {
    if (isDefault) this.#dynamicDefault = values;
    else this.#dynamicBroker = values;
    this.#server = { ...this.file, ...this.#dynamicDefault, ...this.#dynamicBroker };
  }
}

/** Reads raw settings. `settings` is null when an error was found. */
export function readSettings(raw: Readonly<Record<string, RawValue>>): { readonly settings: BrokerSettings | null; readonly findings: readonly Finding[] } {
  const { config, findings: drafts, unknown } = parseProperties(BROKER_PROPERTIES, raw);
  const findings: Finding[] = drafts.map(({ key, ...draft }) => ({ ...draft, where: key === undefined ? undefined : raw[key]?.where }));
  const idle: string[] = [];
  for (const key of unknown) {
    if (isListenerKey(key)) continue;
    if (notNeeded(key)) idle.push(key);
    else
      findings.push({
        code: 'unknown-property',
        severity: 'warning',
        message: `no setting "${key}"`,
        fix: 'it is ignored, as Kafka does',
        where: raw[key]?.where,
      });
  }
  if (idle.length > 0)
    findings.push({
      code: 'not-needed',
      severity: 'info',
      message: `accepted, not needed here: ${idle.map((key) => `${key} (${notNeeded(key)})`).join(', ')}`,
    });
  findings.push(...clamped(raw));
  const wrong = config === null ? [] : consumerProtocol(config).map((finding) => ({ ...finding, where: raw[finding.key]?.where }));
  findings.push(...wrong.map(({ key: _, ...finding }) => finding));
  const file = Object.fromEntries(Object.entries(raw).map(([key, { value }]) => [key, value]));
  return { settings: config === null || wrong.length > 0 ? null : new BrokerSettings(file, config), findings };
}

/** What must hold between the settings of the new consumer protocol (GroupCoordinatorConfig). */
function consumerProtocol(own: BrokerOwn): (Omit<Finding, 'where'> & { readonly key: string })[] {
  const found: (Omit<Finding, 'where'> & { readonly key: string })[] = [];
  const wrong = (key: string, message: string, fix: string): void => void found.push({ key, code: 'bad-value', severity: 'error', message, fix });
  for (const what of ['session.timeout.ms', 'heartbeat.interval.ms'] as const) {
    const key = `group.consumer.${what}` as const;
    const [low, high] = [`group.consumer.min.${what}`, `group.consumer.max.${what}`] as const;
    if (own[key] < own[low] || own[key] > own[high])
      wrong(key, `${key}=${own[key]} is not between ${low}=${own[low]} and ${high}=${own[high]}`, `set ${low} and ${high} too`);
  }
  const [interval, session] = ['group.consumer.heartbeat.interval.ms', 'group.consumer.session.timeout.ms'] as const;
  if (own[interval] >= own[session])
    wrong(interval, `${interval}=${own[interval]} is not less than ${session}=${own[session]}`, 'call several times within a session');
  const assignors = own['group.consumer.assignors'];
  const stranger = assignors.find((word) => assignorNamed(word) === undefined);
  if (stranger !== undefined || assignors.length === 0)
    wrong(
      'group.consumer.assignors',
      stranger === undefined ? 'group.consumer.assignors names none' : `no assignor "${stranger}"`,
      'there are uniform and range',
    );
  return found;
}

const FACTORS = ['default.replication.factor', 'offsets.topic.replication.factor', 'transaction.state.log.replication.factor', 'min.insync.replicas'];

function clamped(raw: Readonly<Record<string, RawValue>>): Finding[] {
  return FACTORS.flatMap((key) => {
    const written = raw[key];
    if (!written || !(Number(written.value) > 1)) return [];
    return [
      {
        code: 'clamped',
        severity: 'warning' as const,
        message: `${key}=${written.value} is taken as 1: this broker is a single node`,
        fix: 'use a Kafka cluster for replicas',
        where: written.where,
      },
    ];
  });
}
