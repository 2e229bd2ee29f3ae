/**
 * Flume's RPC clients, made from properties as its SDK has them (RpcClientFactory; reference 5.5): one host, failover,
 * load balancing, Avro or Thrift. `flume-ng avro-client` sends through them.
 */
import type { Clock } from '../../lib/clock.ts';
import { ConfigError, DeliveryError, errorText } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { FindingDraft } from '../../lib/props/finding.ts';
import { bool, type Config, duration, int, list, oneOf, parseProperties, rest, text } from '../../lib/props/spec.ts';
import type { Sealed } from '../core/event.ts';
import { connectAvro } from './avro-connection.ts';
import { KERBEROS_ONLY, kerberosFindings, kerberosProperties } from './kerberos.ts';
import { placeOf, type RpcConnection, type RpcTarget } from './rpc-connection.ts';
import { timeLimit } from './rpc-sink.ts';
import { connectThrift } from './thrift-connection.ts';
import { clientTls, clientTlsFindings, clientTlsProperties } from './tls.ts';

/** Sends events to one or several hosts. */
export interface RpcClient {
  /** Events sent in one call, at most. */
  readonly batchSize: number;
  /** Resolves when all are stored at the other end. @throws DeliveryError no host took them; some may be stored */
  send(events: readonly Sealed[]): Promise<void>;
  close(): Promise<void>;
}

/** Those that concern several hosts, besides their names. */
export const severalHostsProperties = {
  'hosts.*': rest({ doc: 'host:port of each name in hosts.' }),
  'max-attempts': int({ min: 1, doc: 'Failover: hosts tried for a batch; default: as many as there are.' }),
  'host-selector': oneOf(['ROUND_ROBIN', 'RANDOM'], { default: 'ROUND_ROBIN', doc: 'Load balancing: who is next.' }),
  backoff: bool({ default: false, doc: 'Load balancing: leave out a host for a while after it failed.' }),
  maxBackoff: duration({ default: 30_000, unit: 'ms', doc: 'Load balancing: the longest such while; 0: 30000.' }),
} as const;

const properties = {
  'client.type': text({ default: 'default', doc: 'default, thrift, default_failover or default_loadbalance.' }),
  hosts: list({ required: true, doc: 'Names of the hosts, separated by blanks.' }),
  ...severalHostsProperties,
  'batch-size': int({ default: 100, min: 1, lenient: true, doc: 'Events sent in one call, at most.' }),
  'connect-timeout': duration({ default: 20_000, unit: 'ms', doc: 'For the connection and its handshakes.' }),
  'request-timeout': duration({ default: 20_000, unit: 'ms', doc: 'For each call until its answer.' }),
  maxConnections: int({ doc: 'Thrift connections.', ignored: 'one is used' }),
  maxIoWorkers: int({ doc: 'Threads of the client.', ignored: 'there are no such threads' }),
  protocol: oneOf(['compact', 'binary'], { default: 'compact', doc: 'Thrift protocol.' }),
  'compression-type': oneOf(['none', 'deflate'], { default: 'none', doc: 'Avro: how connections are compressed.' }),
  'compression-level': int({ default: 6, min: 0, max: 9, doc: 'Avro: 0 not at all … 9 best.' }),
  'compress-outside-tls': bool({ default: true, doc: 'Avro, with ssl and compression: true for Flume 1.10 and later, false for older ones.' }),
  ...clientTlsProperties,
  ...kerberosProperties,
  'client-principal': text({ doc: 'Kerberos principal.', ignored: KERBEROS_ONLY }),
  'client-keytab': text({ doc: 'Kerberos keytab.', ignored: KERBEROS_ONLY }),
  'server-principal': text({ doc: 'Kerberos principal of the source.', ignored: KERBEROS_ONLY }),
} as const;
type ClientConfig = Config<typeof properties>;

type Kind = 'default' | 'thrift' | 'failover' | 'loadbalance';
const KINDS: Readonly<Record<string, Kind>> = {
  default: 'default',
  thrift: 'thrift',
  default_failover: 'failover',
  default_loadbalance: 'loadbalance',
  'org.apache.flume.api.NettyAvroRpcClient': 'default',
  'org.apache.flume.api.ThriftRpcClient': 'thrift',
  'org.apache.flume.api.FailoverRpcClient': 'failover',
  'org.apache.flume.api.LoadBalancingRpcClient': 'loadbalance',
};

export interface RpcClientContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random?: () => number;
}

/** What a client is to be, before files are read. */
interface Plan {
  readonly config: ClientConfig;
  readonly kind: Kind;
  readonly targets: readonly RpcTarget[];
}

/**
 * Builds a client; it connects with the first events.
 * @throws ConfigError properties that cannot be used, or a trust store that cannot be read
 */
export function rpcClient(written: Readonly<Record<string, string>>, ctx: RpcClientContext): RpcClient {
  const { config, kind, targets } = plan(written, ctx.log);
  const batchSize = config['batch-size'];
  const connect = connector(config, kind, ctx.clock);
  const hosts = targets.map((target) => new Host(target, connect));
  if (kind === 'failover') return new Failover({ hosts, batchSize, attempts: config['max-attempts'] ?? hosts.length }, ctx.log);
  if (kind === 'loadbalance') {
    const backoffMs = config.backoff ? config.maxBackoff || 30_000 : 0;
    return new LoadBalance({ hosts, batchSize, backoffMs, random: config['host-selector'] === 'RANDOM' }, ctx);
  }
  if (hosts.length > 1) ctx.log.warn(`client.type = ${config['client.type']} uses only the first of ${hosts.length} hosts`);
  return new Failover({ hosts: hosts.slice(0, 1), batchSize, attempts: 1 }, ctx.log);
}

/** Says why these properties make no client; undefined = they do, as far as can be told without reading files. */
export function rpcClientProblem(written: Readonly<Record<string, string>>): ConfigError | undefined {
  try {
    plan(written, undefined);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** @throws ConfigError */
function plan(written: Readonly<Record<string, string>>, log: Logger | undefined): Plan {
  const raw = Object.fromEntries(Object.entries(written).map(([key, value]) => [key, { value: value.trim() }]));
  const { config, findings, unknown } = parseProperties(properties, raw);
  const all: readonly FindingDraft[] = [...findings, ...(config === null ? [] : [...kerberosFindings(config.kerberos), ...clientTlsFindings(config)])];
  const error = all.find(({ severity }) => severity === 'error');
  if (config === null || error !== undefined) {
    throw new ConfigError(error?.message ?? 'the RPC client cannot be built', { fix: error?.fix ?? 'correct the properties of the client' });
  }
  for (const { severity, message } of all) if (severity === 'warning') log?.warn(message);
  for (const key of unknown) log?.warn(`the RPC client has no property "${key}"; it is ignored`);
  const type = config['client.type'];
  const kind = KINDS[type] ?? KINDS[type.toLowerCase()];
  if (kind === undefined)
    throw new ConfigError(`there is no RPC client "${type}"`, { fix: 'client.type is default, thrift, default_failover or default_loadbalance' });
  const targets = config.hosts.map((name) => targetOf(name, config['hosts.*']));
  if ((kind === 'failover' || kind === 'loadbalance') && targets.length < 2) {
    throw new ConfigError(`client.type = ${type} needs two hosts at least`, { fix: 'name more in hosts, or use client.type = default' });
  }
  return { config, kind, targets };
}

function targetOf(name: string, places: Readonly<Record<string, string>>): RpcTarget {
  const place = places[name];
  const match = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(place ?? '');
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) {
    throw new ConfigError(place === undefined ? `hosts names ${name}, but there is no hosts.${name}` : `hosts.${name} = ${place} is no address`, {
      fix: `write hosts.${name} = host:port`,
    });
  }
  return { host: match[1] as string, port };
}

function connector(config: ClientConfig, kind: Kind, clock: Clock): (target: RpcTarget) => Promise<RpcConnection> {
  const tls = clientTls(config);
  const limits = { connectTimeoutMs: timeLimit(config['connect-timeout']), requestTimeoutMs: timeLimit(config['request-timeout']) };
  if (kind === 'thrift') {
    const layers = { tls, deflateLevel: undefined, deflateOutside: false };
    return (target) => connectThrift({ ...target, ...limits, clock, layers }, config.protocol);
  }
  const deflateLevel = config['compression-type'] === 'deflate' ? config['compression-level'] : undefined;
  const layers = { tls, deflateLevel, deflateOutside: config['compress-outside-tls'] };
  return (target) => connectAvro({ ...target, ...limits, clock, layers });
}

/** One of the hosts, with its connection while that works. */
class Host {
  readonly target: RpcTarget;
  readonly #connect: (target: RpcTarget) => Promise<RpcConnection>;
  #connection: RpcConnection | undefined;
  failures = 0;
  /** Monotonic ms until when it is left out. */
  outUntil = 0;

  constructor(target: RpcTarget, connect: (target: RpcTarget) => Promise<RpcConnection>) {
    this.target = target;
    this.#connect = connect;
  }

  async send(events: readonly Sealed[]): Promise<void> {
    if (this.#connection?.dead) await this.close();
    this.#connection ??= await this.#connect(this.target);
    try {
      await this.#connection.send(events);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
  }
}

interface FailoverOptions {
  readonly hosts: readonly Host[];
  readonly batchSize: number;
  /** Hosts tried for one batch. */
  readonly attempts: number;
}

/** Stays with a host until it fails, then takes the next one. With one host: that one, once. */
class Failover implements RpcClient {
  readonly batchSize: number;
  readonly #options: FailoverOptions;
  readonly #log: Logger;
  #current = 0;

  constructor(options: FailoverOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    this.batchSize = options.batchSize;
  }

  async send(events: readonly Sealed[]): Promise<void> {
    for (let from = 0; from < events.length; from += this.batchSize) await this.#sendBatch(events.slice(from, from + this.batchSize));
  }

  async #sendBatch(batch: readonly Sealed[]): Promise<void> {
    const { hosts, attempts } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const host = hosts[this.#current] as Host;
      try {
        return await host.send(batch);
      } catch (error) {
        this.#current = (this.#current + 1) % hosts.length;
        if (attempt >= attempts) throw error;
        this.#log.warn(`${errorText(error)}; trying ${placeOf((hosts[this.#current] as Host).target)}`);
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#options.hosts.map((host) => host.close()));
  }
}

interface LoadBalanceOptions {
  readonly hosts: readonly Host[];
  readonly batchSize: number;
  /** Longest time a failed host is left out; 0 = never left out. */
  readonly backoffMs: number;
  readonly random: boolean;
}

const FIRST_BACKOFF_MS = 1_000;

/** Each batch goes to another host, in turn or by chance; one that fails is left out for a while, if so wished. */
class LoadBalance implements RpcClient {
  readonly batchSize: number;
  readonly #options: LoadBalanceOptions;
  readonly #ctx: RpcClientContext;
  #next = 0;

  constructor(options: LoadBalanceOptions, ctx: RpcClientContext) {
    this.#options = options;
    this.#ctx = ctx;
    this.batchSize = options.batchSize;
  }

  async send(events: readonly Sealed[]): Promise<void> {
    for (let from = 0; from < events.length; from += this.batchSize) await this.#sendBatch(events.slice(from, from + this.batchSize));
  }

  async #sendBatch(batch: readonly Sealed[]): Promise<void> {
    let last: unknown;
    for (const host of this.#order()) {
      try {
        await host.send(batch);
        host.failures = 0;
        return;
      } catch (error) {
        last = error;
        this.#failed(host);
        this.#ctx.log.warn(`${errorText(error)}; trying another host`);
      }
    }
    throw new DeliveryError('unable to send events to any host', { fix: errorText(last), cause: last });
  }

  /** All hosts, those that are left out for a while last: they are still better than nobody. */
  #order(): readonly Host[] {
    const { hosts, random } = this.#options;
    const start = random ? 0 : this.#next++ % hosts.length;
    const all = [...hosts.slice(start), ...hosts.slice(0, start)];
    if (random) shuffle(all, this.#ctx.random ?? Math.random);
    const now = this.#ctx.clock.monotonic();
    return [...all.filter((host) => host.outUntil <= now), ...all.filter((host) => host.outUntil > now)];
  }

  #failed(host: Host): void {
    const { backoffMs } = this.#options;
    host.outUntil = this.#ctx.clock.monotonic() + Math.min(backoffMs, FIRST_BACKOFF_MS * 2 ** Math.min(host.failures, 20));
    host.failures++;
  }

  async close(): Promise<void> {
    await Promise.all(this.#options.hosts.map((host) => host.close()));
  }
}

function shuffle(hosts: Host[], random: () => number): void {
  for (let i = hosts.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [hosts[i], hosts[j]] = [hosts[j] as Host, hosts[i] as Host];
  }
}
