/**
 * A cluster as a client sees it: brokers, topics with their leaders, coordinators, and one connection per broker and
 * purpose. Whoever uses it repeats what failed; it only says what is so now, and asks anew when told that it is stale.
 */
import type { Clock } from '../../lib/clock.ts';
import { AppError, errorText, ProtocolError } from '../../lib/errors.ts';
import { FindCoordinator } from '../apis/find-coordinator.ts';
import { Metadata } from '../apis/metadata.ts';
import { ErrorCode, errorMessage, errorName } from '../errors.ts';
import { ConnectionError, type ConnectionOptions, KafkaConnection } from './connection.ts';
import { saslOf, tlsOf } from './security.ts';
import { type CommonConfig, type HostPort, parseBootstrap } from './settings.ts';

export interface PartitionInfo {
  /** Broker id; -1 = nobody at present. */
  leader: number;
  leaderEpoch: number;
}

export interface TopicInfo {
  readonly name: string;
  readonly isInternal: boolean;
  readonly partitions: readonly PartitionInfo[];
}

/** Group membership must not wait behind a long fetch, so it has connections of its own. */
export type Purpose = 'data' | 'group';

export interface ClusterOptions {
  readonly bootstrap: readonly string[];
  readonly config: CommonConfig;
  /** Used when the settings name no client id. */
  readonly clientId: string;
  readonly clock: Clock;
}

export class Cluster {
  readonly clock: Clock;
  readonly config: CommonConfig;
  readonly #bootstrap: readonly HostPort[];
  readonly #template: Omit<ConnectionOptions, 'host' | 'port'>;
  readonly #brokers = new Map<number, HostPort>();
  readonly #topics = new Map<string, TopicInfo>();
  readonly #connections = new Map<string, Promise<KafkaConnection>>();
  /** Told of connections made, ended and failed. */
  onConnection: ((what: 'opened' | 'closed' | 'failed') => void) | undefined;
  #loadedAt = Number.NEGATIVE_INFINITY;

  /** Reads key stores. @throws ConfigError, BadValue */
  constructor({ bootstrap, config, clientId, clock }: ClusterOptions) {
    this.clock = clock;
    this.config = config;
    this.#bootstrap = parseBootstrap(bootstrap);
    this.#template = {
      clientId: config['client.id'] || clientId,
      tls: tlsOf(config),
      sasl: saslOf(config),
      connectTimeoutMs: config['socket.connection.setup.timeout.ms'],
      requestTimeoutMs: config['request.timeout.ms'],
    };
  }

  /** What was last heard of a topic; undefined when nothing was, or it is gone. */
  topic(name: string): TopicInfo | undefined {
    return this.#topics.get(name);
  }

  /** True when what is known is older than metadata.max.age.ms. */
  get isStale(): boolean {
    return this.clock.monotonic() - this.#loadedAt > this.config['metadata.max.age.ms'];
  }

  /**
   * Asks for these topics (null: all), which may create them.
   * @returns error codes of those that cannot be used now
   * @throws ConnectionError no broker can be reached; ProtocolError all refuse the login
   */
  async load(topics: readonly string[] | null, mayCreate: boolean): Promise<ReadonlyMap<string, number>> {
    const connection = await this.any();
    const answer = await connection.call(Metadata, { topics: topics?.map((name) => ({ name })) ?? null, allowAutoTopicCreation: mayCreate });
    for (const { nodeId, host, port } of answer.brokers) this.#brokers.set(nodeId, { host, port });
    const errors = new Map<string, number>();
    if (topics === null) this.#topics.clear();
    for (const { name, errorCode, isInternal, partitions } of answer.topics) {
      if (name === null) continue;
      if (errorCode !== ErrorCode.NONE) {
        errors.set(name, errorCode);
        if (errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) this.#topics.delete(name);
        continue;
      }
      const list: PartitionInfo[] = [];
      for (const { partitionIndex, leaderId, leaderEpoch } of partitions) list[partitionIndex] = { leader: leaderId, leaderEpoch };
      this.#topics.set(name, { name, isInternal, partitions: Array.from(list, (one) => one ?? { leader: -1, leaderEpoch: -1 }) });
    }
    this.#loadedAt = this.clock.monotonic();
    return errors;
  }

  /** All topics that were in the last answer. */
  get topics(): Iterable<TopicInfo> {
    return this.#topics.values();
  }

  /** A connection to this broker. @throws ConnectionError, ProtocolError (login) */
  connection(nodeId: number, purpose: Purpose = 'data'): Promise<KafkaConnection> {
    const address = this.#brokers.get(nodeId);
    if (address === undefined) return Promise.reject(new ConnectionError(`broker ${nodeId} is not known`));
    return this.#open(`${purpose} ${address.host}:${address.port}`, address);
  }

  /** A connection to some broker: one that is open, else known ones, else those of the definition, in random order. */
  async any(): Promise<KafkaConnection> {
    for (const [key, opening] of this.#connections) {
      if (!key.startsWith('data ')) continue;
      const connection = await opening.catch(() => undefined);
      if (connection !== undefined && !connection.isClosed && connection.pending === 0) return connection;
    }
    const addresses = new Map<string, HostPort>();
    for (const address of [...shuffled([...this.#brokers.values()]), ...shuffled(this.#bootstrap)]) addresses.set(`${address.host}:${address.port}`, address);
    let last: unknown;
    for (const [name, address] of addresses) {
      try {
        return await this.#open(`data ${name}`, address);
      } catch (error) {
        // Another broker would refuse the same login for the same reason.
        if (error instanceof ProtocolError) throw error;
        last = error;
      }
    }
    const names = this.#bootstrap.map(({ host, port }) => `${host}:${port}`).join(', ');
    throw new ConnectionError(addresses.size === 1 ? errorText(last) : `no broker answers (${names}): ${errorText(last)}`, {
      fix: (last instanceof AppError && last.fix) || 'check the addresses and that a broker runs',
      cause: last,
    });
  }

  /** The broker that keeps a group's (0) or a transactional id's (1) state. @throws ConnectionError, ProtocolError */
  async coordinator(key: string, keyType: 0 | 1): Promise<number> {
    const connection = await this.any();
    const version = connection.versionOf(FindCoordinator);
    const answer = await connection.call(FindCoordinator, version >= 4 ? { keyType, coordinatorKeys: [key] } : { keyType, key }, { version });
    const found = version >= 4 ? answer.coordinators[0] : answer;
    const errorCode = found?.errorCode ?? ErrorCode.COORDINATOR_NOT_AVAILABLE;
    if (found === undefined || errorCode !== ErrorCode.NONE) {
      throw new ProtocolError(
        `no coordinator for ${keyType === 0 ? 'group' : 'transactional id'} ${key}: ${errorName(errorCode)}: ${errorMessage(errorCode)}`,
        {
          wireCode: errorCode,
          retriable: true,
        },
      );
    }
    this.#brokers.set(found.nodeId, { host: found.host, port: found.port });
    return found.nodeId;
  }

  /** Ends all connections; the cluster can be used again, and opens new ones. Calls under way fail. */
  close(): void {
    const all = [...this.#connections.values()];
    this.#connections.clear();
    for (const opening of all) {
      opening.then(
        (connection) => connection.close(),
        () => {}, // told to whoever opened it
      );
    }
  }

  #open(key: string, { host, port }: HostPort): Promise<KafkaConnection> {
    const present = this.#connections.get(key);
    if (present !== undefined) return present;
    const opening = KafkaConnection.open({ ...this.#template, host, port }).then(
      (connection) => {
        this.onConnection?.('opened');
        connection.onClose = () => {
          this.onConnection?.('closed');
          if (this.#connections.get(key) === opening) this.#connections.delete(key);
        };
        if (connection.isClosed) connection.onClose(new ConnectionError('closed'));
        return connection;
      },
      (error: unknown) => {
        if (this.#connections.get(key) === opening) this.#connections.delete(key);
        this.onConnection?.('failed');
        throw located(error, `${host}:${port}`);
      },
    );
    this.#connections.set(key, opening);
    return opening;
  }
}

/** Says which broker an error is about, where its text does not. */
function located(error: unknown, name: string): unknown {
  if (!(error instanceof ProtocolError) || error.message.includes(name)) return error;
  return new ProtocolError(`${name}: ${error.message}`, { wireCode: error.wireCode, cause: error, ...(error.fix !== undefined && { fix: error.fix }) });
}

function shuffled<T>(list: readonly T[]): T[] {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
