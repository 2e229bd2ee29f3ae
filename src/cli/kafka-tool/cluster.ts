/**
 * A Kafka cluster as a tool sees it: connections by broker, found from the bootstrap addresses; metadata; coordinators;
 * and repeating what a broker asks to be repeated. Waits a while for a broker that is just starting.
 */
import { FindCoordinator } from '../../kafka/apis/find-coordinator.ts';
import { Metadata } from '../../kafka/apis/metadata.ts';
import { ConnectionError, type ConnectionOptions, KafkaConnection } from '../../kafka/client/connection.ts';
import { ErrorCode, errorMessage, isRetriable } from '../../kafka/errors.ts';
import type { AnyApi, RequestDraft, ResponseOf } from '../../kafka/schema.ts';
import { ConfigError } from '../../lib/errors.ts';
import { logLine, WireError } from './output.ts';

/** How long to try to reach any broker, and to wait out errors that pass by themselves. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 100;

export type MetadataAnswer = ResponseOf<typeof Metadata>;
export type TopicMetadata = MetadataAnswer['topics'][number];

export interface BrokerAddress {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function addresses(bootstrap: string): { host: string; port: number }[] {
  const words = bootstrap.split(',').map((word) => word.trim());
  return words
    .filter((word) => word !== '')
    .map((word) => {
      const found = /^(?:[A-Z_]+:\/\/)?(?:\[([0-9a-fA-F:.%]+)\]|([^:/\s]+)):(\d{1,5})$/.exec(word);
      const host = found?.[1] ?? found?.[2];
      const port = Number(found?.[3]);
      if (host === undefined || port > 65_535)
        throw new ConfigError(`Invalid url in bootstrap.servers: ${word}`, { fix: 'write brokers as host:port, separated by commas' });
      return { host, port };
    });
}

export class Cluster {
  readonly #options: Omit<ConnectionOptions, 'host' | 'port'>;
  readonly #connections = new Map<string, Promise<KafkaConnection>>();
  readonly #entry: KafkaConnection;
  readonly #entryAddress: string;
  #brokers: readonly BrokerAddress[] = [];
  #controllerId = -1;
  #clusterId = '';

  /**
   * Connects to the first of the addresses that answers, trying for ten seconds.
   * @throws ConnectionError, ConfigError
   */
  static async open(bootstrap: string, settings: Readonly<Record<string, string>> = {}): Promise<Cluster> {
    const places = addresses(bootstrap);
    if (places.length === 0) throw new ConfigError('No resolvable bootstrap urls given in bootstrap.servers', { fix: 'write --bootstrap-server host:port' });
    const security = Object.keys(settings).some((key) => /^(security|sasl|ssl)\./.test(key)) ? (await import('./client-file.ts')).securityOf(settings) : {};
    const options = { clientId: settings['client.id'] ?? 'adminclient-1', requestTimeoutMs: Number(settings['request.timeout.ms'] ?? 30_000), ...security };
    const until = Date.now() + PATIENCE_MS;
    for (let round = 0; ; round++) {
      const failures: ConnectionError[] = [];
      for (const place of places) {
        try {
          const connection = await KafkaConnection.open({ ...options, ...place });
          return new Cluster(options, connection, `${place.host}:${place.port}`);
        } catch (error) {
          if (!(error instanceof ConnectionError)) throw error;
          failures.push(error);
        }
      }
      const passing = failures.filter((error) => (error.cause as NodeJS.ErrnoException | undefined)?.code !== 'ENOTFOUND');
      if (passing.length === 0)
        throw new ConnectionError('No resolvable bootstrap urls given in bootstrap.servers', { fix: `none of these names is known here: ${bootstrap}` });
      if (Date.now() >= until) throw passing[0];
      if (round === 0)
        logLine(
          'WARN',
          `[AdminClient clientId=${options.clientId}] ${passing[0]?.message}. Node may not be available; trying on.`,
          'org.apache.kafka.clients.NetworkClient',
        );
      await sleep(PAUSE_MS * 2);
    }
  }

  private constructor(options: Omit<ConnectionOptions, 'host' | 'port'>, entry: KafkaConnection, address: string) {
    this.#options = options;
    this.#entry = entry;
    this.#entryAddress = address;
    this.#connections.set(address, Promise.resolve(entry));
  }

  /** The connection that was made first. */
  get entry(): KafkaConnection {
    return this.#entry;
  }

  get brokers(): readonly BrokerAddress[] {
    return this.#brokers;
  }
  get clusterId(): string {
    return this.#clusterId;
  }

  /** Asks for these topics, or all (null), without creating any unless told to. */
  async metadata(topics: readonly string[] | null, allowAutoTopicCreation = false): Promise<MetadataAnswer> {
    const answer = await this.#entry.call(Metadata, { topics: topics?.map((name) => ({ name })) ?? null, allowAutoTopicCreation });
    this.#brokers = answer.brokers;
    this.#controllerId = answer.controllerId;
    this.#clusterId = answer.clusterId ?? '';
    return answer;
  }

  /** The connection to a broker. @throws ConnectionError it is unknown or cannot be reached */
  async broker(nodeId: number): Promise<KafkaConnection> {
    if (this.#brokers.length === 0) await this.metadata([]);
    const broker = this.#brokers.find((one) => one.nodeId === nodeId);
    if (broker === undefined) throw new ConnectionError(`broker ${nodeId} is not in the cluster now`, { fix: 'try again when it is up' });
    const address = `${broker.host}:${broker.port}`;
    // A lone broker is the one that answered, whatever it calls itself.
    if (this.#brokers.length === 1 && !this.#connections.has(address)) this.#connections.set(address, Promise.resolve(this.#entry));
    let connection = this.#connections.get(address);
    if (connection === undefined || (await connection).isClosed) {
      connection = KafkaConnection.open({ ...this.#options, host: broker.host, port: broker.port });
      this.#connections.set(address, connection);
    }
    return connection;
  }

  async controller(): Promise<KafkaConnection> {
    if (this.#brokers.length === 0) await this.metadata([]);
    return this.#controllerId >= 0 ? this.broker(this.#controllerId) : this.#entry;
  }

  /** The broker that coordinates a group (type 0) or a transactional id (type 1). @throws WireError */
  async coordinator(key: string, keyType: 0 | 1 = 0): Promise<BrokerAddress> {
    return this.patiently(async () => {
      const answer = await this.#entry.call(
        FindCoordinator,
        this.#entry.versionOf(FindCoordinator) >= 4 ? { keyType, coordinatorKeys: [key] } : { keyType, key },
      );
      const found = answer.coordinators[0] ?? answer;
      if (found.errorCode !== ErrorCode.NONE) return { retry: found.errorCode, message: found.errorMessage };
      if (!this.#brokers.some(({ nodeId }) => nodeId === found.nodeId)) await this.metadata([]);
      return { value: { nodeId: found.nodeId, host: found.host, port: found.port, rack: null } };
    });
  }

  async coordinatorOf(key: string, keyType: 0 | 1 = 0): Promise<KafkaConnection> {
    return this.broker((await this.coordinator(key, keyType)).nodeId);
  }

  /**
   * Repeats `attempt` while it answers an error code that passes by itself, for ten seconds.
   * @throws WireError with the last code
   */
  async patiently<T>(attempt: () => Promise<{ readonly value: T } | { readonly retry: number; readonly message?: string | null }>): Promise<T> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const result = await attempt();
      if ('value' in result) return result.value;
      if (!isRetriable(result.retry) || Date.now() >= until) throw new WireError(result.retry, result.message || errorMessage(result.retry));
      await sleep(PAUSE_MS);
    }
  }

  /** One call to the controller. */
  async ask<A extends AnyApi>(api: A, body: RequestDraft<A>): Promise<ResponseOf<A>> {
    return (await this.controller()).call(api, body);
  }

  close(): void {
    for (const connection of this.#connections.values()) {
      connection.then(
        (open) => open.close(),
        () => undefined,
      );
    }
  }

  get address(): string {
    return this.#entryAddress;
  }
}

/** Leader of every partition of `topics` that has one. */
export function leaders(topics: readonly TopicMetadata[]): Map<string, number> {
  const map = new Map<string, number>();
  for (const { name, partitions } of topics)
    for (const { partitionIndex, leaderId } of partitions) if (leaderId >= 0) map.set(`${name}-${partitionIndex}`, leaderId);
  return map;
}

/** @throws WireError when the code is not 0 */
export function check(errorCode: number, message?: string | null): void {
  if (errorCode !== ErrorCode.NONE) throw new WireError(errorCode, message || errorMessage(errorCode));
}
