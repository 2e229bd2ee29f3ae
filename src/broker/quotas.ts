/**
 * Client quotas (KIP-13, KIP-546): bytes per second of produce and fetch per user and client id. A client over its rate
 * is answered at once with a throttle time, and its connection is not read from for that long.
 *
 * Rate and delay follow Kafka: the mean over the last 11 windows of a second; delay = (rate - quota) / quota × the time
 * those windows span. The most specific entity counts: user+client, user, client, each before its default.
 */
import type { Clock } from '../lib/clock.ts';
import type { Quota, QuotaEntity } from './coordinator/metadata.ts';
import type { RequestContext } from './request.ts';

const WINDOWS = 11;
const WINDOW_MS = 1000;
const MAX_THROTTLE_MS = 30_000;
/** More rates than this are looked through for those that nobody uses any more: client ids may be new with each run. */
const MANY_RATES = 1000;
/** Rates kept before quiet ones are looked for. */
const MANY = 1000;

/** Bytes per window, as a ring over time. */
class Rate {
  readonly #bytes = new Float64Array(WINDOWS);
  #window = -1;
  #first = -1;

  isQuiet(nowMs: number): boolean {
    return Math.floor(nowMs / WINDOW_MS) - this.#window >= WINDOWS;
  }

  /** Nothing was added within all windows: the rate is 0. */
  isIdle(nowMs: number): boolean {
    return Math.floor(nowMs / WINDOW_MS) - this.#window >= WINDOWS;
  }

  /** Adds bytes now; answers bytes per second and the span it was measured over, in ms. */
  add(nowMs: number, bytes: number): { readonly perSecond: number; readonly spanMs: number } {
    const window = Math.floor(nowMs / WINDOW_MS);
    if (this.#first < 0 || window - this.#window >= WINDOWS) {
      this.#bytes.fill(0);
      this.#first = window;
    } else for (let w = this.#window + 1; w <= window; w++) this.#bytes[w % WINDOWS] = 0;
    this.#window = window;
    this.#bytes[window % WINDOWS] = (this.#bytes[window % WINDOWS] as number) + bytes;
    let total = 0;
    for (const part of this.#bytes) total += part;
    // A young rate is spread over at least ten windows, as Kafka does, so that one large first request is not punished.
    const spanMs = Math.max((WINDOWS - 1) * WINDOW_MS, nowMs - Math.max(this.#first, window - WINDOWS + 1) * WINDOW_MS);
    return { perSecond: (total * 1000) / spanMs, spanMs };
  }
}

export class Quotas {
  #lookThroughAt = MANY_RATES;
  readonly #clock: Clock;
  readonly #entries: () => Iterable<Quota>;
  readonly #rates = new Map<string, Rate>();

  /** @param entries what is set now; read at every request */
  constructor(entries: () => Iterable<Quota>, clock: Clock) {
    this.#entries = entries;
    this.#clock = clock;
  }

  /** Counts produced bytes; answers how long the client must wait, in ms. */
  produced(context: RequestContext, bytes: number): number {
    return this.#throttle('producer_byte_rate', context, bytes);
  }

  /** Counts fetched bytes; answers how long the client must wait, in ms. */
  fetched(context: RequestContext, bytes: number): number {
    return this.#throttle('consumer_byte_rate', context, bytes);
  }

  #throttle(key: string, { client }: RequestContext, bytes: number): number {
    if (bytes === 0) return 0;
    const user = client.principal.replace(/^User:/, '');
    const quota = this.#quotaFor(key, user, client.clientId);
    if (quota === undefined) return 0;
    const name = `${key} ${quota.scope}`;
    const now = this.#clock.monotonic();
    const { perSecond, spanMs } = this.#rateOf(name, now).add(now, bytes);
    if (perSecond <= quota.limit) return 0;
    return Math.min(MAX_THROTTLE_MS, Math.round(((perSecond - quota.limit) / quota.limit) * spanMs));
  }

  #rateOf(name: string, now: number): Rate {
    let rate = this.#rates.get(name);
    if (rate) return rate;
    // Clients may call themselves anything: those that have been quiet for all windows are forgotten.
    if (this.#rates.size >= MANY) for (const [other, old] of this.#rates) if (old.isQuiet(now)) this.#rates.delete(other);
    rate = new Rate();
    this.#rates.set(name, rate);
    if (this.#rates.size > this.#lookThroughAt) this.#dropIdle();
    return rate;
  }

  #dropIdle(): void {
    const now = this.#clock.monotonic();
    for (const [name, rate] of this.#rates) if (rate.isIdle(now)) this.#rates.delete(name);
    this.#lookThroughAt = Math.max(MANY_RATES, this.#rates.size * 2);
  }

  /** Rates remembered now. */
  get size(): number {
    return this.#rates.size;
  }

  /** The most specific quota; `scope` names who shares its rate. */
  #quotaFor(key: string, user: string, clientId: string): { readonly limit: number; readonly scope: string } | undefined {
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
