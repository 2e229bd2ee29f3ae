/**
 * Fetches what assigned partitions have, ahead of the reader: at most one request per broker is under way, and a
 * partition with enough lying ready is left out of it. Requests are whole each time; fetch sessions (KIP-227) would spare
 * bytes only with hundreds of partitions.
 */
import { CorruptLogError, errorText, ProtocolError } from '../../lib/errors.ts';
import { type BatchView, batches, checkBatch, unpackRecordsAsync } from '../../records/batch.ts';
import { Fetch } from '../apis/fetch.ts';
import { ListOffsets } from '../apis/list-offsets.ts';
import { ErrorCode, errorMessage, errorName, isRetriable, needsRefresh } from '../errors.ts';
import type { ResponseOf } from '../schema.ts';
import type { Assigned } from './assigned.ts';
import type { Cluster } from './cluster.ts';
import type { ConsumerConfig } from './settings.ts';

const PAUSE_MS = 200;
const LATEST = -1;
const EARLIEST = -2;

export interface FetcherOptions {
  readonly cluster: Cluster;
  readonly config: ConsumerConfig;
  /** Something lies ready. */
  readonly onReady: () => void;
  /** Said to the owner; fetching goes on. */
  readonly onError: (error: Error) => void;
  readonly onFetched: () => void;
  /** The committed offset of a partition is gone; reading goes on elsewhere. */
  readonly onOutOfRange: (partition: Assigned) => void;
}

type FetchedPartition = ResponseOf<typeof Fetch>['responses'][number]['partitions'][number];

export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #busy = new Set<number>();
  #partitions: readonly Assigned[] = [];
  #refreshing = false;
  #stopped = true;
  #wakeUp: { cancel(): void } | undefined;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  /** Replaces the partitions to read; each has a position. */
  assign(partitions: readonly Assigned[]): void {
    this.#partitions = partitions;
    this.#stopped = false;
    this.pump();
  }

  stop(): void {
    this.#stopped = true;
    this.#partitions = [];
    this.#wakeUp?.cancel();
  }

  /** Asks brokers for what is due. Called whenever something may have become due. */
  pump(): void {
    if (this.#stopped) return;
    const { cluster, config } = this.#options;
    const now = cluster.clock.monotonic();
    const due = new Map<number, Assigned[]>();
    let paused = Number.POSITIVE_INFINITY;
    for (const partition of this.#partitions) {
      if (partition.isFetching || partition.revoked || partition.fetchOffset < 0 || partition.readyBytes >= config['max.partition.fetch.bytes']) continue;
      if (partition.pausedUntil > now) {
        paused = Math.min(paused, partition.pausedUntil);
        continue;
      }
      const leader = cluster.topic(partition.topic)?.partitions[partition.partition]?.leader ?? -1;
      if (leader === -1) {
        this.#refresh();
        continue;
      }
      if (this.#busy.has(leader)) continue;
      const list = due.get(leader);
      if (list === undefined) due.set(leader, [partition]);
      else list.push(partition);
    }
    for (const [leader, partitions] of due) void this.#fetch(leader, partitions);
    if (paused !== Number.POSITIVE_INFINITY) this.#wakeAt(paused - now);
  }

  #wakeAt(delayMs: number): void {
    this.#wakeUp?.cancel();
    this.#wakeUp = this.#options.cluster.clock.after(Math.max(1, delayMs), () => this.pump());
  }

  async #fetch(leader: number, partitions: readonly Assigned[]): Promise<void> {
    const { cluster, onError } = this.#options;
    this.#busy.add(leader);
    for (const partition of partitions) partition.isFetching = true;
    try {
      const connection = await cluster.connection(leader);
      const version = connection.versionOf(Fetch, 12);
      const answer = await connection.call(Fetch, this.#request(partitions), {
        version,
        timeoutMs: this.#options.config['request.timeout.ms'] + this.#options.config['fetch.max.wait.ms'],
      });
      if (answer.errorCode !== ErrorCode.NONE)
        throw new ProtocolError(`fetch: ${errorName(answer.errorCode)}: ${errorMessage(answer.errorCode)}`, { wireCode: answer.errorCode });
      for (const { topic, partitions: fetched } of answer.responses) {
        for (const one of fetched) {
          const partition = partitions.find((p) => p.partition === one.partitionIndex && p.topic === topic);
          if (partition !== undefined && !partition.revoked && !this.#stopped) await this.#take(partition, one);
        }
      }
      this.#options.onFetched();
    } catch (error) {
      if (this.#stopped) return;
      onError(error instanceof Error ? error : new Error(errorText(error)));
      const until = cluster.clock.monotonic() + PAUSE_MS;
      for (const partition of partitions) partition.pausedUntil = until;
      this.#refresh();
    } finally {
      this.#busy.delete(leader);
      for (const partition of partitions) partition.isFetching = false;
      this.pump();
    }
  }

  #request(partitions: readonly Assigned[]) {
    const { config } = this.#options;
    const topics = new Map<string, { partition: number; fetchOffset: number; partitionMaxBytes: number }[]>();
    for (const { topic, partition, fetchOffset } of partitions) {
      const list = topics.get(topic) ?? [];
      list.push({ partition, fetchOffset, partitionMaxBytes: config['max.partition.fetch.bytes'] });
      topics.set(topic, list);
    }
    return {
      maxWaitMs: config['fetch.max.wait.ms'],
      minBytes: config['fetch.min.bytes'],
      maxBytes: config['fetch.max.bytes'],
      isolationLevel: config['isolation.level'] === 'read_committed' ? 1 : 0,
      sessionEpoch: -1,
      rackId: config['client.rack'],
      topics: Array.from(topics, ([topic, list]) => ({ topic, partitions: list })),
    };
  }

  async #take(partition: Assigned, fetched: FetchedPartition): Promise<void> {
    const { errorCode } = fetched;
    if (errorCode === ErrorCode.NONE) {
      if (fetched.records !== null && fetched.records.length > 0) await this.#open(partition, fetched.records, fetched.abortedTransactions ?? []);
      return;
    }
    partition.pausedUntil = this.#options.cluster.clock.monotonic() + PAUSE_MS;
    if (errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
      // A position that the reader has reached is gone; what lies ready before it is still good and goes first.
      if (partition.ready.length > 0) return;
      this.#options.onOutOfRange(partition);
      await this.reset(partition);
      return;
    }
    if (isRetriable(errorCode) || needsRefresh(errorCode)) this.#refresh();
    else {
      const { topic, partition: number } = partition;
      this.#options.onError(
        new ProtocolError(`partition ${number} of topic ${topic} cannot be read: ${errorName(errorCode)}: ${errorMessage(errorCode)}`, { wireCode: errorCode }),
      );
    }
  }

  async #open(partition: Assigned, data: Buffer, abortedTransactions: readonly { readonly producerId: number; readonly firstOffset: number }[]): Promise<void> {
    const { config } = this.#options;
    const aborted = [...abortedTransactions].sort((a, b) => a.firstOffset - b.firstOffset);
    const aborting = new Set<number>();
    for (const view of batches(data)) {
      this.#check(partition, view, config['check.crcs']);
      if (view.nextOffset <= partition.fetchOffset) continue;
      while (aborted.length > 0 && (aborted[0] as { firstOffset: number }).firstOffset <= view.lastOffset) {
        aborting.add((aborted.shift() as { producerId: number }).producerId);
      }
      const skip = view.isControl || (view.isTransactional && aborting.has(view.producerId));
      if (view.isControl) aborting.delete(view.producerId);
      const records = skip || view.codec === 0 ? undefined : await unpackRecordsAsync(view);
      if (partition.revoked) return;
      partition.ready.push({ view, records, skip, cursor: undefined });
      partition.readyBytes += view.sizeBytes;
      partition.fetchOffset = view.nextOffset;
    }
    if (partition.ready.length > 0) this.#options.onReady();
  }

  #check({ topic, partition }: Assigned, view: BatchView, withCrc: boolean): void {
    if (view.magic !== 2) {
      throw new ProtocolError(`topic ${topic} holds messages of format ${view.magic}, from before Kafka 0.11`, {
        fix: 'let the broker rewrite them: set message.format.version of the topic',
      });
    }
    const fault = withCrc ? checkBatch(view.buf, view.at) : null;
    if (fault === null) return;
    throw new CorruptLogError(`a batch at offset ${view.baseOffset} of ${topic}-${partition} is damaged (${fault})`, {
      file: `${topic}-${partition}`,
      position: view.baseOffset,
    });
  }

  /** Sets a partition where auto.offset.reset says. @throws ProtocolError, ConnectionError, AppError with auto.offset.reset = none */
  async reset(partition: Assigned): Promise<void> {
    const { cluster, config } = this.#options;
    const policy = config['auto.offset.reset'];
    if (policy === 'none') {
      throw new ProtocolError(`no valid offset is committed for partition ${partition.partition} of topic ${partition.topic}, and auto.offset.reset is none`, {
        fix: 'set auto.offset.reset to earliest or latest, or set the offsets with kafka-consumer-groups.sh',
        wireCode: ErrorCode.OFFSET_OUT_OF_RANGE,
      });
    }
    const leader = cluster.topic(partition.topic)?.partitions[partition.partition]?.leader ?? -1;
    const connection = await cluster.connection(leader);
    const answer = await connection.call(ListOffsets, {
      replicaId: -1,
      isolationLevel: config['isolation.level'] === 'read_committed' ? 1 : 0,
      topics: [{ name: partition.topic, partitions: [{ partitionIndex: partition.partition, timestamp: policy === 'earliest' ? EARLIEST : LATEST }] }],
    });
    const found = answer.topics[0]?.partitions[0];
    const errorCode = found?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR;
    if (found === undefined || errorCode !== ErrorCode.NONE) {
      throw new ProtocolError(
        `no offset for partition ${partition.partition} of topic ${partition.topic}: ${errorName(errorCode)}: ${errorMessage(errorCode)}`,
        {
          wireCode: errorCode,
          retriable: true,
        },
      );
    }
    partition.seek(found.oldStyleOffsets?.[0] ?? found.offset);
  }

  /** Asks for leaders anew, one request at a time. */
  #refresh(): void {
    if (this.#refreshing || this.#stopped) return;
    this.#refreshing = true;
    const { cluster, onError } = this.#options;
    const topics = [...new Set(this.#partitions.map(({ topic }) => topic))];
    void cluster.clock
      .sleep(PAUSE_MS)
      .then(() => (this.#stopped ? undefined : cluster.load(topics, false)))
      .catch((error: Error) => onError(error))
      .finally(() => {
        this.#refreshing = false;
        if (!this.#stopped) this.#wakeAt(PAUSE_MS);
      });
  }
}
