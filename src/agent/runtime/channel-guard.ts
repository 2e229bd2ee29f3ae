/**
 * A channel as sources and sink runners see it: supervised, counted, and refusing work while it does not run. Keeps the
 * figures of conservation of what flows through it. Sources and sinks hold the guard, never the channel.
 */

import type { Clock } from '../../lib/clock.ts';
import { ChannelError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { ChannelModel } from '../config/model.ts';
import type { Channel, ChannelGauges, Lease } from '../core/channel.ts';
import { ChannelCounters } from '../core/counters.ts';
import type { ComponentContext } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { type ContextBase, contextFor, placeOf, zeroed } from './context.ts';
import { CounterGroup } from './counter-group.ts';
import type { DropReason } from './snapshot.ts';
import { Supervised } from './supervisor.ts';

/** A batch limit for channels that state none. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
const STOPPED_TAKE_PAUSE_MS = 50;

export class ChannelGuard {
  readonly counters = new ChannelCounters();
  readonly extra: Record<string, number>;
  readonly supervised: Supervised<Channel>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #group: CounterGroup;
  #model: ChannelModel;
  /** Events that came in; see FlowSnapshot. */
  received = 0;
  delivered = 0;
  readonly dropped: Record<DropReason, number> = { interceptor: 0, 'optional-channel-refused': 0, 'definition-changed': 0 };
  /** Events of puts and of commits under way: the channel may hold them, or not any more, before they are booked here. */
  putting = 0;
  committing = 0;
  progressAt = 0;
  /** Largest batch that `put` takes. */
  maxBatch: number;

  constructor(model: ChannelModel, base: ContextBase) {
    this.#model = model;
    this.#clock = base.clock;
    this.#log = base.logFor(`channel ${model.name}`, placeOf(model.spec));
    this.extra = zeroed(model.spec.counters);
    this.maxBatch = model.facts.transactionCapacity ?? NO_LIMIT;
    this.supervised = new Supervised<Channel>({
      kind: 'channel',
      name: model.name,
      clock: base.clock,
      log: this.#log,
      create: () => {
        const ctx: ComponentContext = contextFor(base, { name: model.name, log: this.#log, extra: this.extra }, this.supervised);
        return model.spec.create(model.config, { ...ctx, counters: this.counters });
      },
    });
    this.#group = new CounterGroup({ kind: 'channel', name: model.name, base, supervised: this.supervised, counters: this.counters });
    const unsubscribe = this.supervised.onChange(() => {
      if (!this.supervised.working) return;
      unsubscribe();
      // What a durable channel brings along from an earlier run came in without a source of this run.
      this.received = this.held;
    });
  }

  get model(): ChannelModel {
    return this.#model;
  }
  get name(): string {
    return this.#model.name;
  }
  /** Whether what waits in it is lost when the process ends in order; a channel that does not say is taken to lose. */
  get losesOnStop(): boolean {
    return (this.#model.spec.delivery?.(this.#model.config).stop.effect ?? 'loses') === 'loses';
  }

  /** See Supervised.start. */
  start(): Promise<unknown> {
    return this.supervised.start();
  }

  async stop(): Promise<void> {
    const { size = 0, capacity = 0 } = this.gauges() ?? {};
    await this.supervised.stop();
    this.#group.close({ ...this.counters, ...this.extra, ChannelSize: size, ChannelCapacity: capacity });
  }

  /** Takes a changed configuration over without losing an event; false = it must be built anew. */
  adopt(model: ChannelModel): boolean {
    const { instance, working } = this.supervised;
    if (instance === undefined || !working || model.spec !== this.#model.spec || model.spec.adopt === undefined) return false;
    if (!model.spec.adopt(instance, model.config)) return false;
    this.#model = model;
    this.maxBatch = model.facts.transactionCapacity ?? NO_LIMIT;
    return true;
  }

  /** Channel.put, counted and booked. Refuses at once while the channel does not run. */
  async put(batch: readonly Event[], signal: AbortSignal): Promise<void> {
    const { counters, supervised } = this;
    const count = batch.length;
    counters.EventPutAttemptCount += count;
    if (!supervised.working) throw this.#notRunning();
    this.putting += count;
    try {
      await (supervised.instance as Channel).put(batch, signal);
      this.received += count;
    } finally {
      this.putting -= count;
    }
    counters.EventPutSuccessCount += count;
    this.progressAt = this.#clock.now();
  }

  /** Lease.commit of the first `count` events, booked. */
  async commit(lease: Lease, count: number): Promise<void> {
    this.committing += count;
    try {
      await (count < lease.events.length ? lease.commit(count) : lease.commit());
      this.counters.EventTakeSuccessCount += count;
      this.delivered += count;
    } finally {
      this.committing -= count;
    }
    this.progressAt = this.#clock.now();
  }

  /** Channel.take; waits while the channel does not run. Null only when `signal` aborted. */
  async take(max: number, signal: AbortSignal): Promise<Lease | null> {
    const { supervised } = this;
    for (;;) {
      if (!supervised.working && !(await supervised.whenWorking(signal))) return null;
      const lease = await (supervised.instance as Channel).take(max, signal);
      if (lease !== null) {
        this.counters.EventTakeAttemptCount += lease.events.length;
        return lease;
      }
      if (signal.aborted) return null;
      // The channel is being stopped or started again; its status tells in a moment.
      await this.#clock.sleep(STOPPED_TAKE_PAUSE_MS, signal);
    }
  }

  /** Books events that came for this channel and ended for a reason. */
  drop(reason: DropReason, count: number): void {
    this.received += count;
    this.dropped[reason] += count;
  }

  gauges(): ChannelGauges | undefined {
    return this.supervised.instance?.gauges();
  }

  /** Events inside: waiting and lent. */
  get held(): number {
    const gauges = this.gauges();
    return gauges === undefined ? 0 : gauges.size + gauges.lent;
  }

  #notRunning(): ChannelError {
    const why = this.supervised.error?.message;
    return new ChannelError(`channel ${this.name} is not running${why === undefined ? '' : `: ${why}`}`, {
      retriable: true,
      fix: 'the events can be sent again when the channel runs',
    });
  }
}
