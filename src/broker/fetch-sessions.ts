/**
 * Incremental fetch sessions (KIP-227): a client names its partitions once and from then on only what changes; the
 * answer holds only partitions with data, an error, or a moved high watermark or log start. Epochs count requests:
 * 0 opens, -1 closes, anything unexpected is refused so that the client starts over with a full fetch.
 *
 * The cache holds `max.incremental.fetch.session.cache.slots` sessions; when full the one unused for longest (at least
 * two minutes, as Kafka's min.incremental.fetch.session.eviction.ms) gives way, else the newcomer gets none (id 0).
 */
import { randomInt } from 'node:crypto';
import type { Fetch } from '../kafka/apis/fetch.ts';
import { ErrorCode } from '../kafka/errors.ts';
import { type RequestOf, ZERO_UUID } from '../kafka/schema.ts';
import type { Clock } from '../lib/clock.ts';
import type { RequestContext } from './request.ts';

type FetchRequest = RequestOf<typeof Fetch>;
const BY_ID_SINCE = 13;
const EVICT_AFTER_MS = 120_000;
const MAX_ID = 2 ** 31 - 1;

/** One partition a client wants, resolved to a name. */
export interface WantedPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly fetchOffset: number;
  readonly maxBytes: number;
  readonly currentLeaderEpoch: number;
  /** -1: the client does not say. */
  readonly lastFetchedEpoch: number;
  /** Not NONE when the topic id is unknown. */
  readonly errorCode: number;
}

/** What of a result decides whether it is worth sending. */
interface Shown {
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly size: number;
  /** Only there when the reader's log is not the one here, which it must hear. */
  readonly divergingEpoch?: unknown;
}

/** A resolved fetch: with or without a session behind it. */
export interface FetchSession {
  readonly errorCode: number;
  /** 0 = no session. */
  readonly id: number;
  readonly partitions: readonly WantedPartition[];
  /** Whether a partition's result goes into the answer; remembers what was sent. */
  changed(wanted: WantedPartition, result: Shown): boolean;
  /** Partitions that returned data go to the end of the line, so that no one starves. */
  served(partitions: readonly WantedPartition[]): void;
}

interface Cached {
  readonly id: number;
  epoch: number;
  lastUsed: number;
  readonly byId: boolean;
  readonly principal: string;
  readonly partitions: Map<string, WantedPartition>;
  readonly sent: Map<string, { highWatermark: number; logStartOffset: number; failed: boolean }>;
}

export class FetchSessions {
  readonly #slots: number;
  readonly #clock: Clock;
  readonly #sessions = new Map<number, Cached>();

  constructor(slots: number, clock: Clock) {
    this.#slots = slots;
    this.#clock = clock;
  }

  /** Sessions open now. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Finds out which partitions a request means. */
  resolve(request: FetchRequest, context: RequestContext): FetchSession {
    const { sessionId, sessionEpoch } = request;
    if (context.version < 7 || sessionEpoch === -1 || (sessionEpoch === 0 && this.#slots === 0)) {
      if (sessionId !== 0) this.#sessions.delete(sessionId);
      return withoutSession(wantedOf(request, context));
    }
    if (sessionEpoch === 0) {
      if (sessionId !== 0) this.#sessions.delete(sessionId);
      return this.#open(request, context);
    }
    return this.#continue(request, context);
  }

  #open(request: FetchRequest, context: RequestContext): FetchSession {
    const wanted = wantedOf(request, context);
    if (wanted.length === 0 || !this.#makeRoom()) return withoutSession(wanted);
    let id = 0;
    while (id === 0 || this.#sessions.has(id)) id = randomInt(1, MAX_ID);
    const cached: Cached = {
      id,
      epoch: 1,
      lastUsed: this.#clock.monotonic(),
      byId: context.version >= BY_ID_SINCE,
      principal: context.client.principal,
      partitions: new Map(wanted.map((one) => [keyOf(one), one])),
      sent: new Map(),
    };
    this.#sessions.set(id, cached);
    return sessionView(cached, true);
  }

  #continue(request: FetchRequest, context: RequestContext): FetchSession {
    const cached = this.#sessions.get(request.sessionId);
    if (!cached || cached.principal !== context.client.principal) return failed(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
    if (request.sessionEpoch !== cached.epoch) return failed(ErrorCode.INVALID_FETCH_SESSION_EPOCH);
    if (cached.byId !== context.version >= BY_ID_SINCE) return failed(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR);
    cached.epoch = cached.epoch === MAX_ID ? 1 : cached.epoch + 1;
    cached.lastUsed = this.#clock.monotonic();
    for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
      for (const partition of partitions) {
        const key = keyOf({
          topic: cached.byId ? (context.broker.topics.byId(topicId)?.name ?? '') : topic,
          topicId: cached.byId ? topicId : ZERO_UUID,
          partition,
        });
        cached.partitions.delete(key);
        cached.sent.delete(key);
      }
    }
    for (const wanted of wantedOf(request, context)) cached.partitions.set(keyOf(wanted), wanted);
    return sessionView(cached, false);
  }

  /** True when a slot is free, after evicting a stale session if need be. */
  #makeRoom(): boolean {
    if (this.#sessions.size < this.#slots) return true;
    let oldest: Cached | undefined;
    for (const session of this.#sessions.values()) if (!oldest || session.lastUsed < oldest.lastUsed) oldest = session;
    if (!oldest || this.#clock.monotonic() - oldest.lastUsed < EVICT_AFTER_MS) return false;
    return this.#sessions.delete(oldest.id);
  }
}

function keyOf({ topic, topicId, partition }: { readonly topic: string; readonly topicId: string; readonly partition: number }): string {
  return `${topicId === ZERO_UUID ? topic : topicId} ${partition}`;
}

function wantedOf(request: FetchRequest, { broker, version }: RequestContext): WantedPartition[] {
  const out: WantedPartition[] = [];
  for (const { topic, topicId, partitions } of request.topics) {
    const byId = version >= BY_ID_SINCE;
    const name = byId ? broker.topics.byId(topicId)?.name : topic;
    for (const one of partitions) {
      out.push({
        topic: name ?? '',
        topicId: byId ? topicId : ZERO_UUID,
        partition: one.partition,
        fetchOffset: one.fetchOffset,
        maxBytes: one.partitionMaxBytes,
        currentLeaderEpoch: one.currentLeaderEpoch,
        lastFetchedEpoch: one.lastFetchedEpoch,
        errorCode: name === undefined ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.NONE,
      });
    }
  }
  return out;
}

function withoutSession(partitions: readonly WantedPartition[]): FetchSession {
  return { errorCode: ErrorCode.NONE, id: 0, partitions, changed: () => true, served: () => {} };
}

function failed(errorCode: number): FetchSession {
  return { errorCode, id: 0, partitions: [], changed: () => false, served: () => {} };
}

function sessionView(cached: Cached, full: boolean): FetchSession {
  return {
    errorCode: ErrorCode.NONE,
    id: cached.id,
    partitions: [...cached.partitions.values()],
    changed(wanted, { errorCode, highWatermark, logStartOffset, size, divergingEpoch }) {
      const key = keyOf(wanted);
      const before = cached.sent.get(key);
      const isFailed = errorCode !== ErrorCode.NONE;
      cached.sent.set(key, { highWatermark, logStartOffset, failed: isFailed });
      if (full || size > 0 || isFailed || divergingEpoch !== undefined || !before) return true;
      return before.highWatermark !== highWatermark || before.logStartOffset !== logStartOffset || before.failed;
    },
    served(partitions) {
      for (const wanted of partitions) {
        const key = keyOf(wanted);
        const current = cached.partitions.get(key);
        if (!current) continue;
        cached.partitions.delete(key);
        cached.partitions.set(key, current);
      }
    },
  };
}
