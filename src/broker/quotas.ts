/**
 * Quotas (KIP-13, KIP-124, KIP-546, KIP-599, KIP-612) of users, client ids and addresses. A client over its limit is answered at once
 * with a throttle time, and its connection is not read from for that long.
 *
 *   producer_byte_rate, consumer_byte_rate   bytes per second
 *   request_percentage                       share of the event loop that its requests keep busy; 100 = all of it
 *   controller_mutation_rate                 partitions made and removed per second
 *   connection_creation_rate                 connections per second from one address; those above it are closed after a while
 *
 * Rates and delays follow Kafka: the mean over the last 11 windows of a second; delay = (rate - quota) / quota × the time
 * those windows span. Mutations draw from a bucket that holds 11 seconds' worth. Which quota counts: quota-limits.ts.
 */
import type { Clock } from '../lib/clock.ts';
import type { Limit, QuotaLimits } from './coordinator/quota-limits.ts';
import { BURST_WINDOWS, Rate, WINDOW_MS } from './rate.ts';
import type { RequestContext } from './request.ts';

/** Longest wait for bytes; for busy requests and for connections it is a window, as in Kafka. */
const MAX_THROTTLE_MS = 30_000;
/** The longest that an answer can tell. */
const MAX_TELLABLE_MS = 2 ** 31 - 1;
/** More rates than this are looked through for those that nobody uses any more: client ids may be new with each run. */
const MANY_RATES = 1000;

/** What a client may still change; below zero it has to wait until time has filled it up. Begins full. */
class Bucket {
  #left = Number.POSITIVE_INFINITY;
  #at = 0;
  #perSecond = 0;

  /** Full again: a new one is the same. */
  isIdle(nowMs: number): boolean {
    return this.#left + ((nowMs - this.#at) / 1000) * this.#perSecond >= this.#perSecond * BURST_WINDOWS;
  }

  /** How much is left now, with `perSecond` coming in. */
  left(nowMs: number, perSecond: number): number {
    this.#left = Math.min(perSecond * BURST_WINDOWS, this.#left + ((nowMs - this.#at) / 1000) * perSecond);
    this.#at = nowMs;
    this.#perSecond = perSecond;
    return this.#left;
  }

  take(amount: number): void {
    this.#left -= amount;
  }
}

/** One request that makes or removes partitions, and what it may under its quota. */
export interface Mutations {
  /** Counts partitions; false when the client must be refused them with THROTTLING_QUOTA_EXCEEDED. */
  charge(partitions: number): boolean;
  /** To be called once, for the answer: how long the client must wait, which its connection then does. */
  throttleTimeMs(): number;
}

const UNLIMITED: Mutations = { charge: () => true, throttleTimeMs: () => 0 };

export class Quotas {
  readonly #clock: Clock;
  readonly #limits: QuotaLimits;
  readonly #counts = new Map<string, Rate | Bucket>();
  #lookThroughAt = MANY_RATES;

  /** @param limits what is set; looked at with every request */
  constructor(limits: QuotaLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Counts produced bytes; answers how long the client must wait, in ms. */
  produced({ client }: RequestContext, bytes: number): number {
    return this.#throttle('producer_byte_rate', client, bytes);
  }

  /** Counts fetched bytes; answers how long the client must wait, in ms. */
  fetched({ client }: RequestContext, bytes: number): number {
    return this.#throttle('consumer_byte_rate', client, bytes);
  }

  /** Counts the time that a request kept the event loop busy; answers how long the client must wait, in ms. */
  worked({ client }: RequestContext, busyMs: number): number {
    return Math.min(WINDOW_MS, this.#throttle('request_percentage', client, busyMs / 10));
  }

  /**
   * Counts a new connection; answers how long it must be kept waiting before it is closed, in ms; 0 = it is welcome. A
   * refused one does not count against those after it.
   * @param host a name of the address that quotas know it by
   */
  connected(address: string, host?: string): number {
    const quota = this.#limits.ofAddress('connection_creation_rate', address, host);
    if (quota === undefined) return 0;
    const rate = this.#rateOf('connection_creation_rate', quota);
    const now = this.#clock.monotonic();
    const delayMs = Math.min(WINDOW_MS, rate.add(now, 1, quota.limit));
    if (delayMs > 0) rate.add(now, -1, quota.limit);
    return delayMs;
  }

  /**
   * For a request that makes or removes partitions.
   * @param isStrict the client knows THROTTLING_QUOTA_EXCEEDED; others have their way and wait afterwards
   */
  mutations(context: RequestContext, isStrict: boolean): Mutations {
    const quota = this.#quotaFor('controller_mutation_rate', context.client);
    if (quota === undefined) return UNLIMITED;
    const { limit, scope } = quota;
    const bucket = this.#count(`controller_mutation_rate ${scope}`, () => new Bucket()) as Bucket;
    let refused = false;
    let charged = false;
    return {
      charge: (partitions) => {
        const left = bucket.left(this.#clock.monotonic(), limit);
        refused ||= isStrict && left < 0;
        charged = true;
        if (!refused) bucket.take(partitions);
        return !refused;
      },
      throttleTimeMs: () => {
        const left = bucket.left(this.#clock.monotonic(), limit);
        const ms = left < 0 && (refused || (charged && !isStrict)) ? Math.min(MAX_TELLABLE_MS, Math.round((-left / limit) * 1000)) : 0;
        context.throttle(ms);
        return ms;
      },
    };
  }

  #throttle(key: string, client: RequestContext['client'], amount: number): number {
    if (amount === 0) return 0;
    const quota = this.#quotaFor(key, client);
    if (quota === undefined) return 0;
    return Math.min(MAX_THROTTLE_MS, this.#rateOf(key, quota).add(this.#clock.monotonic(), amount, quota.limit));
  }

  #rateOf(key: string, { scope }: Limit): Rate {
    return this.#count(`${key} ${scope}`, () => new Rate()) as Rate;
  }

  #count(name: string, make: () => Rate | Bucket): Rate | Bucket {
    let count = this.#counts.get(name);
    if (count) return count;
    if (this.#counts.size >= this.#lookThroughAt) this.#dropIdle();
    count = make();
    this.#counts.set(name, count);
    return count;
  }

  #dropIdle(): void {
    const now = this.#clock.monotonic();
    for (const [name, count] of this.#counts) if (count.isIdle(now)) this.#counts.delete(name);
    this.#lookThroughAt = Math.max(MANY_RATES, this.#counts.size * 2);
  }

  /** Rates remembered now. */
  get size(): number {
    return this.#counts.size;
  }

  #quotaFor(key: string, { principal, clientId }: RequestContext['client']): Limit | undefined {
    return this.#limits.find(key, principal.replace(/^User:/, ''), clientId);
  }
}
