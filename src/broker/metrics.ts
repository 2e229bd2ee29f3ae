/**
 * What the broker is doing, as one plain object: of itself, of each topic and partition, of each group with its lag. The
 * metrics port shows it as JSON and as Prometheus text (metrics-text.ts); `/health` is judged from it.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import type { Broker } from './broker.ts';
import type { Partition } from './storage/partition.ts';

/** Per second, over the last minute (less after a start). */
export interface Rates {
  readonly recordsIn: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface PartitionFigures {
  readonly partition: number;
  readonly sizeBytes: number;
  readonly segments: number;
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  /** Since the start of the broker. */
  readonly appendedBytes: number;
  readonly fetchedBytes: number;
  readonly perSecond: Rates;
  /** Why its log takes nothing now, or null. */
  readonly failure: string | null;
}

export interface TopicFigures {
  readonly topic: string;
  readonly internal: boolean;
  readonly sizeBytes: number;
  readonly records: number;
  readonly perSecond: Rates;
  readonly partitions: readonly PartitionFigures[];
}

export interface GroupFigures {
  readonly group: string;
  readonly state: string;
  readonly protocol: string;
  readonly members: readonly { readonly id: string; readonly clientId: string; readonly host: string }[];
  /** Sum over its partitions. */
  readonly lagRecords: number;
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly endOffset: number;
    readonly lagRecords: number;
    readonly metadata: string;
  }[];
}

export interface ApiFigures {
  readonly api: string;
  readonly count: number;
  /** From request to answer, long polls included. */
  readonly totalMs: number;
}

export interface BrokerFigures {
  readonly nodeId: number;
  readonly clusterId: string;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly now: number;
  readonly listeners: Readonly<Record<string, number>>;
  readonly connections: {
    readonly open: number;
    readonly total: number;
    readonly waiting: number;
    readonly delayed: number;
    readonly throttled: number;
    readonly refused: number;
    readonly failedLogins: number;
    readonly badFrames: number;
  };
  readonly requests: { readonly total: number; readonly failed: number; readonly waitingFetches: number; readonly byApi: readonly ApiFigures[] };
  readonly bytes: { readonly in: number; readonly out: number };
  readonly throttles: { readonly count: number; readonly totalMs: number };
  readonly disk: { readonly syncs: number; readonly syncMs: number; readonly longestSyncMs: number; readonly failedSyncs: number; readonly damages: number };
  readonly compaction: { readonly rounds: number; readonly freedBytes: number };
  readonly memoryBytes: number;
  readonly topics: readonly TopicFigures[];
  readonly groups: readonly GroupFigures[];
}

const SAMPLE_MS = 10_000;
const SAMPLES = 6;

type Counts = readonly [records: number, bytesIn: number, bytesOut: number];

/** Remembers counters of the last minute, so that rates can be told. Runs only while somebody may ask. */
export class RateWindow {
  readonly #clock: Clock;
  readonly #partitions: () => Iterable<Partition>;
  /** Oldest first. */
  #samples: { readonly at: number; readonly counts: WeakMap<Partition, Counts> }[] = [];
  #timer: Timer;

  constructor(clock: Clock, partitions: () => Iterable<Partition>) {
    this.#clock = clock;
    this.#partitions = partitions;
    this.#timer = this.#sample();
  }

  stop(): void {
    this.#timer.cancel();
  }

  of(partition: Partition): Rates {
    const now = this.#clock.monotonic();
    const since = this.#samples.find(({ counts }) => counts.has(partition));
    const then = since?.counts.get(partition);
    const seconds = since ? (now - since.at) / 1000 : 0;
    if (!then || seconds < 0.5) return { recordsIn: 0, bytesIn: 0, bytesOut: 0 };
    const [records, bytesIn, bytesOut] = countsOf(partition);
    return { recordsIn: (records - then[0]) / seconds, bytesIn: (bytesIn - then[1]) / seconds, bytesOut: (bytesOut - then[2]) / seconds };
  }

  #sample(): Timer {
    const counts = new WeakMap<Partition, Counts>();
    for (const partition of this.#partitions()) counts.set(partition, countsOf(partition));
    this.#samples.push({ at: this.#clock.monotonic(), counts });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    return this.#clock.after(SAMPLE_MS, () => {
      this.#timer = this.#sample();
    });
  }
}

function countsOf(partition: Partition): Counts {
  return [partition.highWatermark, partition.appendedBytes, partition.fetchedBytes];
}

/** Everything, as of now. */
export function brokerFigures(broker: Broker, rates: RateWindow): BrokerFigures {
  const { figures } = broker;
  const { rounds, freedBytes } = broker.cleaner;
  return {
    nodeId: broker.nodeId,
    clusterId: broker.clusterId,
    startedAt: figures.startedAt,
    now: broker.clock.now(),
    listeners: Object.fromEntries(broker.ports),
    connections: {
      open: figures.connections,
      total: figures.connectionsTotal,
      waiting: figures.connectionsWaiting,
      delayed: figures.connectionsDelayed,
      throttled: figures.connectionsThrottled,
      refused: figures.connectionsRefused,
      failedLogins: figures.failedLogins,
      badFrames: figures.badFrames,
    },
    requests: { total: figures.requests, failed: figures.failedRequests, waitingFetches: broker.purgatory.size, byApi: apiFigures(broker) },
    bytes: { in: figures.bytesIn, out: figures.bytesOut },
    throttles: { count: figures.throttles, totalMs: figures.throttledMs },
    disk: {
      syncs: figures.syncs,
      syncMs: figures.syncMs,
      longestSyncMs: figures.longestSyncMs,
      failedSyncs: figures.failedSyncs,
      damages: figures.damages,
    },
    compaction: { rounds, freedBytes },
    memoryBytes: process.memoryUsage.rss(),
    topics: broker.topics.all().map((topic) => topicFigures(topic, rates)),
    groups: groupFigures(broker),
  };
}

function apiFigures({ figures, handlers }: Broker): ApiFigures[] {
  return [...handlers.values()]
    .map(({ api }) => ({ api: api.name, count: figures.answered[api.key] as number, totalMs: figures.answerMs[api.key] as number }))
    .filter(({ count }) => count > 0);
}

function topicFigures({ name, internal, partitions }: ReturnType<Broker['topics']['all']>[number], rates: RateWindow): TopicFigures {
  const each = partitions.map((partition) => partitionFigures(partition, rates));
  const sum = (of: (one: PartitionFigures) => number): number => each.reduce((total, one) => total + of(one), 0);
  return {
    topic: name,
    internal,
    sizeBytes: sum(({ sizeBytes }) => sizeBytes),
    records: sum(({ highWatermark, logStartOffset }) => highWatermark - logStartOffset),
    perSecond: {
      recordsIn: sum(({ perSecond }) => perSecond.recordsIn),
      bytesIn: sum(({ perSecond }) => perSecond.bytesIn),
      bytesOut: sum(({ perSecond }) => perSecond.bytesOut),
    },
    partitions: each,
  };
}

function partitionFigures(partition: Partition, rates: RateWindow): PartitionFigures {
  return {
    partition: partition.index,
    sizeBytes: partition.sizeBytes,
    segments: partition.log.segmentCount,
    logStartOffset: partition.logStartOffset,
    highWatermark: partition.highWatermark,
    lastStableOffset: partition.lastStableOffset,
    appendedBytes: partition.appendedBytes,
    fetchedBytes: partition.fetchedBytes,
    perSecond: rates.of(partition),
    failure: partition.log.failure?.message ?? null,
  };
}

function groupFigures(broker: Broker): GroupFigures[] {
  return [...broker.groupState.all.values()].map((group) => {
    const partitions = [...group.offsets.all].flatMap(([topic, entries]) =>
      [...entries].map(([partition, { offset, metadata }]) => {
        const endOffset = broker.topics.partition(topic, partition)?.highWatermark ?? offset;
        return { topic, partition, offset, endOffset, lagRecords: Math.max(0, endOffset - offset), metadata };
      }),
    );
    const { state, members } = group.consumer ?? group;
    return {
      group: group.id,
      state,
      protocol: group.consumer ? 'consumer' : (group.protocol ?? ''),
      members: Array.from<{ id: string; clientId: string; clientHost: string }, GroupFigures['members'][number]>(
        members.values(),
        ({ id, clientId, clientHost }) => ({ id, clientId, host: clientHost }),
      ),
      lagRecords: partitions.reduce((total, { lagRecords }) => total + lagRecords, 0),
      partitions,
    };
  });
}

/** What keeps the broker from doing its work; empty = healthy. */
export function problemsOf(broker: Broker): string[] {
  const failed = [...broker.topics.allPartitions()].filter(({ log }) => log.failure !== null);
  return failed.map((partition) => `${partition.label} takes no records: ${partition.log.failure?.message}`);
}
