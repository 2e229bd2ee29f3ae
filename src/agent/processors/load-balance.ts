/**
 * The load balancing processor (Flume's LoadBalancingSinkProcessor with its OrderSelector): sinks take turns, or are
 * drawn by chance; if one fails, the next gets the batch within the same delivery. With backoff a failed sink is left
 * out for a time that doubles with each failure in a row.
 */
import type { Clock } from '../../lib/clock.ts';
import { ConfigError, DeliveryError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { bool, duration, oneOf } from '../../lib/props/spec.ts';
import { defineProcessor } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';
import type { GroupMember, SinkProcessor } from '../core/processor.ts';

const BACKOFF_UNIT_MS = 1000;
const MOST_FAILURES_COUNTED = 16;
/** A failure this long after the end of the last backoff begins a new row. */
const SAME_ROW_MS = 3_600_000;

interface Balanced {
  readonly member: GroupMember;
  failures: number;
  lastFailureAt: number;
  /** Monotonic ms until which it is left out. */
  restoreAt: number;
}

interface Settings {
  readonly random: boolean;
  readonly backoff: boolean;
  readonly maxBackoffMs: number;
}

class LoadBalancingProcessor implements SinkProcessor {
  readonly #sinks: readonly Balanced[];
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #log: Logger;
  #next = 0;

  constructor(members: readonly GroupMember[], settings: Settings, ctx: { readonly clock: Clock; readonly log: Logger }) {
    this.#sinks = members.map((member) => ({ member, failures: 0, lastFailureAt: Number.NEGATIVE_INFINITY, restoreAt: Number.NEGATIVE_INFINITY }));
    this.#settings = settings;
    this.#clock = ctx.clock;
    this.#log = ctx.log;
  }

  async deliver(batch: readonly Sealed[]): Promise<number | void> {
    let lastError: unknown;
    for (const sink of this.#order()) {
      try {
        return await sink.member.deliver(batch);
      } catch (error) {
        lastError = error;
        if (this.#settings.backoff) this.#backOff(sink);
        this.#log.warn({ err: error }, `Sink ${sink.member.name} failed to consume event. Attempting next sink if available.`);
      }
    }
    throw new DeliveryError('All configured sinks have failed', { fix: 'see the errors of the sinks of this group', cause: lastError });
  }

  /** Sinks not backing off, in the order to try them. */
  #order(): readonly Balanced[] {
    const now = this.#clock.monotonic();
    const active = this.#settings.backoff ? this.#sinks.filter((sink) => sink.restoreAt < now) : this.#sinks;
    if (this.#settings.random) return shuffled(active);
    if (this.#next >= active.length) this.#next = 0;
    const begin = this.#next++;
    return [...active.slice(begin), ...active.slice(0, begin)];
  }

  #backOff(sink: Balanced): void {
    const now = this.#clock.monotonic();
    const inRow = now - sink.lastFailureAt < this.#backoffMs(sink.failures) + SAME_ROW_MS;
    sink.failures = inRow ? Math.min(sink.failures + 1, MOST_FAILURES_COUNTED) : 1;
    sink.lastFailureAt = now;
    sink.restoreAt = now + this.#backoffMs(sink.failures);
  }

  #backoffMs(failures: number): number {
    return Math.min(this.#settings.maxBackoffMs, BACKOFF_UNIT_MS * 2 ** failures);
  }
}

/** A fresh array in random order (Fisher-Yates). */
function shuffled<T>(items: readonly T[]): readonly T[] {
  const out = items.slice();
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}

export default defineProcessor({
  type: 'load_balance',
  aliases: ['org.apache.flume.sink.LoadBalancingSinkProcessor'],
  summary: 'Spreads batches over the sinks of the group and passes a batch on when a sink fails.',
  properties: {
    selector: oneOf(['round_robin', 'random'], { default: 'round_robin', doc: 'Whose turn it is.' }),
    backoff: bool({ default: false, doc: 'Leave a failed sink out for a while, longer with each failure in a row.' }),
    'selector.maxTimeOut': duration({ default: 30_000, unit: 'ms', doc: 'Longest time a failed sink is left out.' }),
  },
  create: (config, members, ctx) => {
    if (members.length < 2) {
      throw new ConfigError('The LoadBalancingSinkProcessor cannot be used for a single sink. Please configure more than one sinks and try again.', {
        fix: 'name two or more sinks in sinkgroups.GROUP.sinks',
      });
    }
    return new LoadBalancingProcessor(
      members,
      { random: config.selector === 'random', backoff: config.backoff, maxBackoffMs: config['selector.maxTimeOut'] },
      ctx,
    );
  },
});
