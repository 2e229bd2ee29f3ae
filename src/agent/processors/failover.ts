/**
 * The failover processor (Flume's FailoverSinkProcessor): the live sink of the highest priority delivers. One that
 * fails sits out a growing penalty while the next takes over within the same delivery; it comes back by succeeding.
 */
import type { Clock } from '../../lib/clock.ts';
import { ConfigError, DeliveryError } from '../../lib/errors.ts';
import { javaMapOrder } from '../../lib/java-hash-order.ts';
import type { Logger } from '../../lib/log.ts';
import { duration, rest } from '../../lib/props/spec.ts';
import { defineProcessor } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';
import type { GroupMember, SinkProcessor } from '../core/processor.ts';

/** A failed sink waits this many ms times 2^failures, up to maxpenalty. */
const PENALTY_MS = 1000;
/** Java's shift overflows beyond this; the penalty is at its maximum long before. */
const MAX_SHIFT = 20;

interface Ranked {
  readonly member: GroupMember;
  readonly priority: number;
  failures: number;
  /** Monotonic ms after which it is tried again. */
  retryAt: number;
}

class FailoverProcessor implements SinkProcessor {
  /** Highest priority first. */
  readonly #live: Ranked[];
  readonly #failed: Ranked[] = [];
  readonly #maxPenaltyMs: number;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(ranked: Ranked[], maxPenaltyMs: number, ctx: { readonly clock: Clock; readonly log: Logger }) {
    this.#live = ranked;
    this.#maxPenaltyMs = maxPenaltyMs;
    this.#clock = ctx.clock;
    this.#log = ctx.log;
  }

  async deliver(batch: readonly Sealed[]): Promise<number | void> {
    let lastError: unknown;
    for (let candidate = this.#due(); candidate !== undefined; candidate = this.#due()) {
      try {
        const delivered = await candidate.member.deliver(batch);
        // Nothing delivered is Flume's BACKOFF: no failure, but no proof of life either.
        if (delivered !== 0) this.#revive(candidate);
        return delivered;
      } catch (error) {
        lastError = error;
        candidate.failures++;
        this.#penalize(candidate);
      }
    }
    for (let active = this.#live[0]; active !== undefined; active = this.#live[0]) {
      try {
        return await active.member.deliver(batch);
      } catch (error) {
        lastError = error;
        this.#log.warn({ err: error }, `Sink ${active.member.name} failed and has been sent to failover list`);
        this.#live.shift();
        active.failures = 1;
        this.#penalize(active);
        this.#failed.push(active);
      }
    }
    throw new DeliveryError('All sinks failed to process, nothing left to failover to', {
      fix: 'see the errors of the sinks of this group',
      cause: lastError,
    });
  }

  /** The failed sink whose penalty ended first, if any has. */
  #due(): Ranked | undefined {
    let first: Ranked | undefined;
    for (const ranked of this.#failed) if (first === undefined || ranked.retryAt < first.retryAt) first = ranked;
    return first !== undefined && first.retryAt < this.#clock.monotonic() ? first : undefined;
  }

  #penalize(ranked: Ranked): void {
    ranked.retryAt = this.#clock.monotonic() + Math.min(this.#maxPenaltyMs, PENALTY_MS * 2 ** Math.min(ranked.failures, MAX_SHIFT));
  }

  #revive(ranked: Ranked): void {
    this.#failed.splice(this.#failed.indexOf(ranked), 1);
    const below = this.#live.findIndex((other) => other.priority < ranked.priority);
    this.#live.splice(below < 0 ? this.#live.length : below, 0, ranked);
    this.#log.info(`Sink ${ranked.member.name} works again`);
  }
}

/** Members by priority, highest first; of two with the same priority the later one in Flume's map order is left out. */
function rank(members: readonly GroupMember[], priorities: Readonly<Record<string, string>>, log: Logger): Ranked[] {
  const ranked: Ranked[] = [];
  for (const name of Object.keys(priorities)) {
    if (!members.some((member) => member.name === name)) log.warn(`priority.${name} names no sink of this group`);
  }
  let unranked = 0;
  for (const name of javaMapOrder(members.map((member) => member.name))) {
    const member = members.find((one) => one.name === name) as GroupMember;
    const written = priorities[name] ?? '';
    const priority = /^[+-]?\d+$/.test(written) ? Number(written) : --unranked;
    const rival = ranked.find((one) => one.priority === priority);
    if (rival) log.warn(`Sink ${name} not added to FailverSinkProcessor as priority duplicates that of sink ${rival.member.name}`);
    else ranked.push({ member, priority, failures: 0, retryAt: 0 });
  }
  return ranked.sort((a, b) => b.priority - a.priority);
}

export default defineProcessor({
  type: 'failover',
  aliases: ['org.apache.flume.sink.FailoverSinkProcessor'],
  summary: 'Delivers through the sink of the highest priority that works.',
  properties: {
    'priority.*': rest({ doc: 'priority.SINK = whole number; the highest is used first. Sinks without one come last; each needs its own.' }),
    maxpenalty: duration({ default: 30_000, unit: 'ms', lenient: true, doc: 'Longest time a failed sink is left alone.' }),
  },
  check: (config) => {
    const seen = new Map<string, string>();
    return Object.entries(config['priority.*']).flatMap(([sink, priority]) => {
      const rival = seen.get(priority);
      seen.set(priority, sink);
      if (rival === undefined) return [];
      return [
        {
          code: 'duplicate-priority',
          severity: 'warning' as const,
          message: `sinks ${rival} and ${sink} have the same priority ${priority}, so one of them is left out`,
          fix: 'give each sink its own priority',
          key: `priority.${sink}`,
        },
      ];
    });
  },
  create: (config, members, ctx) => {
    if (members.length === 0) throw new ConfigError('a failover group needs at least one sink', { fix: 'name its sinks in sinkgroups.GROUP.sinks' });
    return new FailoverProcessor(rank(members, config['priority.*'], ctx.log), config.maxpenalty, ctx);
  },
});
