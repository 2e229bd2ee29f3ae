/**
 * The broker: what handlers work with, brought up in order and taken down in order.
 *
 * Start: take the directories (lock, identity, clean marker) → metadata → topics → coordinators (replayed from their
 * topics) → listeners, last, so that no client ever sees a half-loaded broker. Stop: listeners and connections, waiting
 * requests, coordinators, logs (flushed, snapshots), checkpoints, clean marker. Above 400 lines: the parts are put
 * together here, and only here.
 */
import { randomUUID } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ErrorCode } from '../kafka/errors.ts';
import type { Clock } from '../lib/clock.ts';
import { lockDirectory } from '../lib/dir-lock.ts';
import { ConfigError, errorText } from '../lib/errors.ts';
import { type FileSystem, realDisk, StorageError } from '../lib/files.ts';
import type { Logger } from '../lib/log.ts';
import { CONTROL_ABORT, CONTROL_COMMIT, controlBatch } from '../records/builder.ts';
import type { Damage } from '../wal/recover.ts';
import { type AclBinding, type Authorizer, aclAuthorizer, OPEN } from './auth/acl.ts';
import type { ScramCredential, ScramMechanism } from './auth/scram.ts';
import { ConnectionLimits } from './connection-limits.ts';
import { GroupHost } from './coordinator/group-host.ts';
import { type GroupCommand, type GroupReply, type GroupRules, Groups } from './coordinator/groups.ts';
import { Host } from './coordinator/host.ts';
import type { StateRecord } from './coordinator/machine.ts';
import { Metadata, type MetadataCommand, type MetadataReply, NO_CONFIGS } from './coordinator/metadata.ts';
import { MetadataLog } from './coordinator/metadata-log.ts';
import { ProducerIds } from './coordinator/producer-ids.ts';
import { assignorsOf } from './coordinator/server-assignors.ts';
import { TopicStateLog } from './coordinator/state-log.ts';
import { type EndMarkers, type TopicPartitions, type TransactionCommand, type TransactionReply, Transactions } from './coordinator/transactions.ts';
import { FetchSessions } from './fetch-sessions.ts';
import { Figures } from './figures.ts';
import { groupTimings } from './group-config.ts';
import { handlers } from './handlers/catalog.ts';
import { Housekeeping } from './housekeeping.ts';
import { type Listener, listenersOf } from './listeners.ts';
import { MeteredDisk } from './metered-disk.ts';
import { Purgatory } from './purgatory.ts';
import { Quotas } from './quotas.ts';
import type { Client, Handler } from './request.ts';
import type { BrokerSettings } from './settings.ts';
import type { Cleaner } from './storage/cleaner.ts';
import { LOCK, leaveCleanMarker, randomUuid, readMeta, takeCleanMarker, writeMeta } from './storage/data-dir.ts';
import type { Partition } from './storage/partition.ts';
import { OFFSETS_TOPIC, TopicStore, TRANSACTIONS_TOPIC } from './storage/topics.ts';

export interface BrokerOptions {
  readonly settings: BrokerSettings;
  readonly clock: Clock;
  readonly log: Logger;
  /** The disk; default the machine's. A memory disk is not locked. */
  readonly disk?: FileSystem;
}

export class Broker {
  readonly config: BrokerSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly handlers: ReadonlyMap<number, Handler> = handlers();
  readonly figures = new Figures();
  readonly purgatory: Purgatory;
  readonly fetchSessions: FetchSessions;
  readonly quotas: Quotas;
  readonly connectionLimits: ConnectionLimits;
  readonly metadata = new Metadata();
  readonly topics: TopicStore;
  readonly listeners: readonly Listener[];
  readonly authorizer: Authorizer;
  readonly hasAuthorizer: boolean;
  readonly producerIds: ProducerIds;
  readonly groupState: Groups;
  readonly groups: GroupHost;
  readonly transactionState: Transactions;
  readonly transactions: Host<TransactionCommand, TransactionReply, StateRecord, EndMarkers>;
  readonly #metadataHost: Host<MetadataCommand, MetadataReply, StateRecord>;
  readonly #metadataLog: MetadataLog;
  readonly #housekeeping: Housekeeping;
  readonly #disk: FileSystem;
  readonly #dirs: readonly string[];
  readonly #groupLog: TopicStateLog;
  readonly #transactionLog: TopicStateLog;
  /** Ports by listener name, once open. */
  readonly ports = new Map<string, number>();
  #unlock: (() => void)[] = [];
  #nodeId = -1;
  #clusterId = '';

  /** Looks at the settings; touches nothing. @throws ConfigError */
  constructor({ settings, clock, log, disk = realDisk }: BrokerOptions) {
    this.config = settings;
    this.clock = clock;
    this.log = log;
    this.#disk = disk;
    const metered = new MeteredDisk(disk, this.figures, clock);
    this.#dirs = dirsOf(settings);
    this.listeners = listenersOf(settings.file);
    this.purgatory = new Purgatory(clock);
    this.fetchSessions = new FetchSessions(settings.own['max.incremental.fetch.session.cache.slots'], clock);
    this.quotas = new Quotas(this.metadata.quotaLimits, clock);
    this.connectionLimits = new ConnectionLimits(settings, clock);
    this.hasAuthorizer = (settings.own['authorizer.class.name'] ?? '') !== '';
    this.authorizer = this.hasAuthorizer ? authorizerOf(settings, () => this.metadata.acls) : OPEN;
    const onError = (error: unknown): void => log.error({ err: error }, `a coordinator cannot store its state: ${errorText(error)}`);
    this.#metadataLog = new MetadataLog({
      dir: join(this.#dirs[0] as string, 'millrace.metadata'),
      disk: metered,
      clock,
      onDamage: (damage) => this.#onDamage('metadata', damage),
    });
    this.#metadataHost = new Host(this.metadata, { log: this.#metadataLog, clock, onError });
    this.producerIds = new ProducerIds(async (count) => (await this.changeMetadata({ kind: 'reserve-producer-ids', count })).firstProducerId as number);
    this.topics = new TopicStore({
      dirs: this.#dirs,
      disk: metered,
      clock,
      log,
      settings,
      nodeId: () => this.#nodeId,
      metadata: this.metadata,
      changeMetadata: (command) => this.changeMetadata(command),
      onDamage: (partition, damage) => this.#onDamage(partition, damage),
      onRemoved: (topic, partitions) => this.#onRemoved(topic, partitions),
      onReopened: (partitions) => this.#lookAgain(partitions),
    });
    this.groupState = new Groups(groupRules(settings, this.metadata));
    this.#groupLog = new TopicStateLog(() => this.topics.get(OFFSETS_TOPIC)?.partitions ?? [], clock);
    this.groups = new GroupHost(
      new Host<GroupCommand, GroupReply, StateRecord>(this.groupState, {
        log: this.#groupLog,
        clock,
        onError,
        abandon: (decision, now) => this.groupState.abandon(decision, now),
      }),
    );
    this.transactionState = new Transactions({
      maxTimeoutMs: settings.own['transaction.max.timeout.ms'],
      idExpirationMs: settings.own['transactional.id.expiration.ms'],
    });
    this.#transactionLog = new TopicStateLog(() => this.topics.get(TRANSACTIONS_TOPIC)?.partitions ?? [], clock);
    this.transactions = new Host(this.transactionState, {
      log: this.#transactionLog,
      clock,
      onError,
      perform: (markers) => this.#endTransaction(markers),
      abandon: (decision, now) => this.transactionState.abandon(decision, now),
    });
    this.#housekeeping = new Housekeeping(this, metered);
  }

  get nodeId(): number {
    return this.#nodeId;
  }
  get clusterId(): string {
    return this.#clusterId;
  }

  /** Compaction, for figures. */
  get cleaner(): Cleaner {
    return this.#housekeeping.cleaner;
  }

  /** What a client is told to connect to: the advertised address of its listener, else the one it reached. */
  addressFor(client: Client): { readonly host: string; readonly port: number } {
    return this.listeners.find(({ name }) => name === client.listener)?.advertised ?? client.reached;
  }

  scramCredential(user: string, mechanism: ScramMechanism): ScramCredential | undefined {
    return this.metadata.scram(user, mechanism);
  }

  /** Changes the metadata; resolves when the change is on disk. */
  changeMetadata(command: MetadataCommand): Promise<MetadataReply> {
    return this.#metadataHost.run(command);
  }

  /** Whether an append must be on the device before it is answered. */
  mustSync(partition: Partition, acks: number): boolean {
    if (partition.isFlushDue) return true;
    return acks === -1 && this.config.own['millrace.sync'] === 'acknowledged';
  }

  // ---- start ----

  /** Loads everything from disk. The listeners are opened by server.ts afterwards. @throws ConfigError, StorageError */
  async load(): Promise<void> {
    const clean = this.#takeDirs();
    this.#metadataLog.open(this.#dirs.every((dir) => clean.has(dir)));
    this.#metadataLog.replay((record) => this.metadata.apply(record));
    this.config.setDynamic(true, this.metadata.brokerConfigs(null));
    this.config.setDynamic(false, this.metadata.brokerConfigs(this.#nodeId));
    await this.topics.open(clean);
    await this.#internalTopic(OFFSETS_TOPIC, 'offsets.topic');
    await this.#internalTopic(TRANSACTIONS_TOPIC, 'transaction.state.log');
    await this.#loadCoordinators();
    this.topics.writeRecoveryPoints();
    this.#housekeeping.start();
    this.figures.startedAt = this.clock.now();
  }

  /** Locks and identifies the directories; answers which of them were closed cleanly. */
  #takeDirs(): Set<string> {
    const clean = new Set<string>();
    for (const dir of this.#dirs) {
      this.#makeDir(dir);
      if (this.#disk === realDisk) this.#unlock.push(lockDirectory(dir, LOCK, 'a broker'));
    }
    this.#identify();
    for (const dir of this.#dirs) if (takeCleanMarker(this.#disk, dir)) clean.add(dir);
    return clean;
  }

  /** Makes a directory with those above it, names included: what is in it is no more durable than its own name. */
  #makeDir(dir: string): void {
    const missing: string[] = [];
    for (let at = dir; !this.#disk.stat(at) && dirname(at) !== at; at = dirname(at)) missing.push(at);
    this.#disk.mkdir(dir);
    for (const made of missing.reverse()) this.#disk.syncDir(dirname(made));
  }

  #identify(): void {
    const metas = this.#dirs.map((dir) => ({ dir, ...readMeta(this.#disk, dir) }));
    const wanted = this.config.own['broker.id'] ?? this.config.own['node.id'];
    const known = metas.find(({ nodeId }) => nodeId !== undefined);
    if (known && wanted !== undefined && wanted >= 0 && known.nodeId !== wanted) {
      throw new ConfigError(`${known.dir} belongs to broker ${known.nodeId}, but broker.id is ${wanted}`, {
        fix: `set broker.id=${known.nodeId}, or use another log.dirs`,
      });
    }
    this.#nodeId = wanted !== undefined && wanted >= 0 ? wanted : (known?.nodeId ?? 0);
    const clusters = new Set(metas.flatMap(({ clusterId }) => clusterId ?? []));
    if (clusters.size > 1)
      throw new ConfigError(`the directories in log.dirs belong to different clusters: ${[...clusters].join(', ')}`, { fix: 'use directories of one cluster' });
    this.#clusterId = [...clusters][0] ?? this.config.own['cluster.id'] ?? randomUuid();
    for (const { dir, clusterId } of metas) {
      if (clusterId === undefined) writeMeta(this.#disk, dir, { nodeId: this.#nodeId, clusterId: this.#clusterId, now: new Date(this.clock.now()) });
    }
  }

  async #internalTopic(name: string, prefix: 'offsets.topic' | 'transaction.state.log'): Promise<void> {
    if (this.topics.get(name)) return;
    const partitions = this.config.own[`${prefix}.num.partitions`];
    const overrides: Record<string, string> = { 'cleanup.policy': 'compact', 'segment.bytes': String(this.config.own[`${prefix}.segment.bytes`]) };
    if (name === OFFSETS_TOPIC) overrides['compression.type'] = 'producer';
    else overrides['compression.type'] = 'uncompressed';
    const { errorCode, message } = await this.topics.create(name, { partitions, overrides });
    if (errorCode !== ErrorCode.NONE) throw new ConfigError(`cannot make ${name}: ${message ?? errorCode}`, { fix: 'look at the data directory' });
  }

  async #loadCoordinators(): Promise<void> {
    this.#groupLog.replay({
      record: (record, offset) => this.groupState.apply(record, offset),
      marker: (producerId, committed, partition) => this.groupState.finish(producerId, committed, partition),
    });
    this.groupState.loaded(this.clock.now());
    this.#transactionLog.replay({ record: (record) => this.transactionState.apply(record), marker: () => {} });
    await this.transactions.perform(this.transactionState.loaded());
    // A first command makes the hosts look at their machines' deadlines. Topics may have gone just before a crash.
    this.#forgetTopics(this.groupState.topics().filter((topic) => !this.topics.get(topic)));
    await this.transactions.run({ kind: 'markers-written', transactionalId: '' });
  }

  // ---- transactions ----

  /** Carries out the end of a transaction: markers everywhere, on disk, then the final state. */
  async #endTransaction(markers: EndMarkers): Promise<void> {
    const errors = await this.writeMarkers({ ...markers, coordinatorEpoch: 0 });
    for (const [where, errorCode] of errors) {
      if (errorCode === ErrorCode.KAFKA_STORAGE_ERROR) throw new StorageError('write the end of a transaction into', where, 'EIO');
    }
    await this.transactions.run({ kind: 'markers-written', transactionalId: markers.transactionalId });
  }

  /** Writes a marker into every partition that there is and syncs them. @returns error codes by `topic-partition`, where there was one */
  async writeMarkers(end: {
    readonly producerId: number;
    readonly epoch: number;
    readonly commit: boolean;
    readonly coordinatorEpoch: number;
    readonly topics: readonly TopicPartitions[];
  }): Promise<Map<string, number>> {
    const errors = new Map<string, number>();
    const written: Partition[] = [];
    for (const { topic, partitions } of end.topics) {
      for (const index of partitions) {
        const partition = this.topics.partition(topic, index);
        if (!partition) {
          errors.set(`${topic}-${index}`, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
          continue;
        }
        const { producerId, epoch, coordinatorEpoch, commit } = end;
        try {
          partition.appendOwn(
            controlBatch({ type: commit ? CONTROL_COMMIT : CONTROL_ABORT, producerId, producerEpoch: epoch, coordinatorEpoch, timestamp: this.clock.now() }),
          );
        } catch (error) {
          errors.set(partition.label, this.#storageError(error, partition));
          continue;
        }
        if (topic === OFFSETS_TOPIC) this.groupState.finish(producerId, commit, index);
        written.push(partition);
        this.purgatory.wake(partition);
      }
    }
    const synced = await Promise.allSettled(written.map((partition) => partition.sync()));
    for (const [i, end] of synced.entries()) {
      const partition = written[i] as Partition;
      if (end.status === 'rejected') errors.set(partition.label, this.#storageError(end.reason, partition));
    }
    return errors;
  }

  #storageError(error: unknown, { label }: Partition): number {
    if (!(error instanceof StorageError)) throw error;
    this.log.error({ err: error, partition: label }, `cannot store the end of a transaction in ${label}: ${errorText(error)}`);
    return ErrorCode.KAFKA_STORAGE_ERROR;
  }

  // ---- events ----

  #onDamage(where: string, damage: Damage): void {
    this.figures.damages++;
    const { kind, file, position, sizeBytes, firstOffset, nextOffset, savedAs } = damage;
    const lost = nextOffset < 0 ? `offsets from ${firstOffset} on` : `offsets ${firstOffset} to ${nextOffset - 1}`;
    if (kind === 'torn-tail') {
      this.log.warn(
        { partition: where, ...damage },
        `${file}: an unfinished write of ${sizeBytes} bytes at position ${position} was cut off (it was never acknowledged)`,
      );
    } else {
      this.log.error(
        { partition: where, ...damage },
        `${file}: ${sizeBytes} damaged bytes at position ${position}; lost are ${lost}${savedAs ? `; the bytes are kept in ${savedAs}` : ''}`,
      );
    }
  }

  #onRemoved(topic: string, partitions: readonly Partition[]): void {
    this.#lookAgain(partitions);
    this.#forgetTopics([topic]);
  }

  #forgetTopics(topics: readonly string[]): void {
    this.groups
      .run({ kind: 'forget-topics', topics })
      .catch((error) => this.log.error({ err: error }, `cannot forget the committed offsets of ${topics.join(', ')}: ${errorText(error)}`));
  }

  #lookAgain(partitions: readonly Partition[]): void {
    for (const partition of partitions) this.purgatory.wake(partition);
    this.#housekeeping.forget(partitions);
  }

  // ---- stop ----

  /** Brings everything to disk. Connections are closed before, by server.ts. */
  async unload(): Promise<void> {
    await this.#housekeeping.stop();
    this.purgatory.close();
    const reason = new Error('the broker stops');
    this.groups.stop(reason);
    this.transactions.stop(reason);
    this.#metadataHost.stop(reason);
    try {
      // All at once keeps the device busy; whoever fails says so when it is closed.
      await Promise.allSettled([...this.topics.allPartitions()].map((partition) => partition.sync()));
      const clean = await this.topics.close(true);
      this.topics.writeRecoveryPoints();
      this.topics.writeLogStarts();
      await this.#metadataLog.close();
      if (clean) for (const dir of this.#dirs) leaveCleanMarker(this.#disk, dir);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.log.error({ err: error }, `the stop is not clean, and the next start verifies the logs: ${errorText(error)}`);
    } finally {
      for (const unlock of this.#unlock.splice(0)) unlock();
    }
  }

  /** Gives the directories back after a start that failed. */
  release(): void {
    this.#housekeeping.halt();
    for (const unlock of this.#unlock.splice(0)) unlock();
  }
}

function dirsOf(settings: BrokerSettings): string[] {
  const written = settings.own['log.dirs'] ?? (settings.own['log.dir'] === undefined ? ['kafka-logs'] : [settings.own['log.dir']]);
  const resolved = written.map((dir) => {
    try {
      return realpathSync(dir);
    } catch {
      return resolve(dir);
    }
  });
  if (new Set(resolved).size !== resolved.length) throw new ConfigError(`log.dirs names one directory twice: ${written.join(', ')}`, { fix: 'name each once' });
  return resolved;
}

function authorizerOf(settings: BrokerSettings, bindings: () => Iterable<AclBinding>): Authorizer {
  const superUsers = new Set(
    (settings.own['super.users'] ?? '')
      .split(';')
      .map((user) => user.trim())
      .filter((user) => user !== ''),
  );
  return aclAuthorizer(bindings, { superUsers, allowIfNone: settings.own['allow.everyone.if.no.acl.found'] });
}

function groupRules({ own }: BrokerSettings, metadata: Metadata): GroupRules {
  return {
    partitions: own['offsets.topic.num.partitions'],
    expiryIntervalMs: own['offsets.retention.check.interval.ms'],
    initialDelayMs: own['group.initial.rebalance.delay.ms'],
    minSessionMs: own['group.min.session.timeout.ms'],
    maxSessionMs: own['group.max.session.timeout.ms'],
    maxSize: own['group.max.size'],
    newId: () => randomUUID(),
    maxMetadataBytes: own['offset.metadata.max.bytes'],
    retentionMs: own['offsets.retention.minutes'] * 60_000,
    consumer: {
      assignors: assignorsOf(own['group.consumer.assignors']),
      sessionMs: own['group.consumer.session.timeout.ms'],
      heartbeatMs: own['group.consumer.heartbeat.interval.ms'],
      timingsOf: (groupId) => {
        const configs = metadata.groupConfigs(groupId);
        return configs === NO_CONFIGS ? undefined : groupTimings(configs, own);
      },
      maxSize: own['group.consumer.max.size'],
      migration: own['group.consumer.migration.policy'],
      topics: metadata,
    },
  };
}
