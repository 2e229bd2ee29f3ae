/**
 * Client quotas (KIP-13, KIP-124, KIP-546, KIP-599) per user and client id. A client over its limit is answered at once
 * with a throttle time, and its connection is not read from for that long.
 *
 *   producer_byte_rate, consumer_byte_rate   bytes per second
 *   request_percentage                       share of the event loop that its requests keep busy; 100 = all of it
 *   controller_mutation_rate                 partitions made and removed per second
 *
 * Rates and delays follow Kafka: the mean over the last 11 windows of a second; delay = (rate - quota) / quota × the time
 * those windows span. Mutations draw from a bucket that holds 11 seconds' worth. The most specific entity counts:
 * user+client, user, client, each before its default.
 */
import type { Clock } from '../lib/clock.ts';
import type { Quota, QuotaEntity } from './coordinator/metadata.ts';
import type { RequestContext } from './request.ts';

const WINDOWS = 11;
const WINDOW_MS = 1000;
/** Longest wait for bytes, and, as in Kafka a window, for busy requests. */
const MAX_THROTTLE_MS = 30_000;
const MAX_BUSY_THROTTLE_MS = WINDOW_MS;
/** The longest that an answer can tell. */
const MAX_TELLABLE_MS = 2 ** 31 - 1;
/** More rates than this are looked through for those that nobody uses any more: client ids may be new with each run. */
const MANY_RATES = 1000;

/** What was counted per window, as a ring over time. */
class Rate {
  readonly #counted = new Float64Array(WINDOWS);
  #window = -1;
  #first = -1;

  /** Nothing was added within all windows: the rate is 0. */
  isIdle(nowMs: number): boolean {
    return Math.floor(nowMs / WINDOW_MS) - this.#window >= WINDOWS;
  }

  /** Adds something now; answers the rate per second and the span it was measured over, in ms. */
  add(nowMs: number, amount: number): { readonly perSecond: number; readonly spanMs: number } {
    const window = Math.floor(nowMs / WINDOW_MS);
    if (this.#first < 0 || window - this.#window >= WINDOWS) {
      this.#counted.fill(0);
      this.#first = window;
    } else for (let w = this.#window + 1; w <= window; w++) this.#counted[w % WINDOWS] = 0;
    this.#window = window;
    this.#counted[window % WINDOWS] = (this.#counted[window % WINDOWS] as number) + amount;
    let total = 0;
    for (const part of this.#counted) total += part;
    // A young rate is spread over at least ten windows, as Kafka does, so that one large first request is not punished.
    const spanMs = Math.max((WINDOWS - 1) * WINDOW_MS, nowMs - Math.max(this.#first, window - WINDOWS + 1) * WINDOW_MS);
    return { perSecond: (total * 1000) / spanMs, spanMs };
  }
}

/** What a client may still change; below zero it has to wait until time has filled it up. Begins full. */
class Bucket {
  #left = Number.POSITIVE_INFINITY;
  #at = 0;
  #perSecond = 0;

  /** Full again: a new one is the same. */
  isIdle(nowMs: number): boolean {
    return this.#left + ((nowMs - this.#at) / 1000) * this.#perSecond >= this.#perSecond * WINDOWS;
  }

  /** How much is left now, with `perSecond` coming in. */
  left(nowMs: number, perSecond: number): number {
    this.#left = Math.min(perSecond * WINDOWS, this.#left + ((nowMs - this.#at) / 1000) * perSecond);
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
  readonly #entries: () => Iterable<Quota>;
  readonly #counts = new Map<string, Rate | Bucket>();
  #lookThroughAt = MANY_RATES;

  /** @param entries what is set now; read at every request */
  constructor(entries: () => Iterable<Quota>, clock: Clock) {
    this.#entries = entries;
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
    return Math.min(MAX_BUSY_THROTTLE_MS, this.#throttle('request_percentage', client, busyMs / 10));
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
    return {
      charge: (partitions) => {
        const left = bucket.left(this.#clock.monotonic(), limit);
        refused ||= isStrict && left < 0;
        if (!refused) bucket.take(partitions);
        return !refused;
      },
      throttleTimeMs: () => {
        const left = bucket.left(this.#clock.monotonic(), limit);
        const ms = left < 0 && (refused || !isStrict) ? Math.min(MAX_TELLABLE_MS, Math.round((-left / limit) * 1000)) : 0;
        context.throttle(ms);
        return ms;
      },
    };
  }

  #throttle(key: string, client: RequestContext['client'], amount: number): number {
    if (amount === 0) return 0;
    const quota = this.#quotaFor(key, client);
    if (quota === undefined) return 0;
    const rate = this.#count(`${key} ${quota.scope}`, () => new Rate()) as Rate;
    const { perSecond, spanMs } = rate.add(this.#clock.monotonic(), amount);
    if (perSecond <= quota.limit) return 0;
    return Math.min(MAX_THROTTLE_MS, Math.round(((perSecond - quota.limit) / quota.limit) * spanMs));
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

  /** The most specific quota; `scope` names who shares its rate. */
  #quotaFor(key: string, { principal, clientId }: RequestContext['client']): { readonly limit: number; readonly scope: string } | undefined {
    const user = principal.replace(/^User:/, '');
    let best: { rank: number; limit: number; scope: string } | undefined;
    for (const { entity, values } of this.#entries()) {
      const limit = values[key];
      if (limit === undefined || has(entity, 'ip')) continue;
      const rank = rankOf(entity, user, clientId);
      if (rank < 0 || (best && best.rank <= rank)) continue;
      best = { rank, limit, scope: `${has(entity, 'user') ? user : ''}/${has(entity, 'client-id') ? clientId : ''}` };
    }
    return best;
  }
}

/** 0 = most specific; -1 = does not apply. */
function rankOf(entity: readonly QuotaEntity[], user: string, clientId: string): number {
  const byUser = match(nameOf(entity, 'user'), user);
  const byClient = match(nameOf(entity, 'client-id'), clientId);
  if (byUser === 'no' || byClient === 'no') return -1;
  return ORDER.indexOf(`${byUser} ${byClient}`);
}

const ORDER = ['named named', 'named default', 'named absent', 'default named', 'default default', 'default absent', 'absent named', 'absent default'];

function match(entity: string | null | undefined, name: string): 'named' | 'default' | 'absent' | 'no' {
  if (entity === undefined) return 'absent';
  if (entity === null) return 'default';
  return entity === name ? 'named' : 'no';
}

function nameOf(entity: readonly QuotaEntity[], type: string): string | null | undefined {
  return entity.find((part) => part.type === type)?.name;
}

function has(entity: readonly QuotaEntity[], type: string): boolean {
  return nameOf(entity, type) !== undefined;
}
