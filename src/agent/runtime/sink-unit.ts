/**
 * One sink in the agent: its supervised life and its counters. It delivers what a drain (sink-runner.ts) hands it,
 * alone or as a member of a sink group.
 */

import type { Clock } from '../../lib/clock.ts';
import { DeliveryError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { SinkModel } from '../config/model.ts';
import { SinkCounters } from '../core/counters.ts';
import type { Sealed } from '../core/event.ts';
import type { GroupMember } from '../core/processor.ts';
import type { Sink } from '../core/sink.ts';
import { type ContextBase, contextFor, placeOf, zeroed } from './context.ts';
import { CounterGroup } from './counter-group.ts';
import type { PartShop } from './part-shop.ts';
import { Supervised } from './supervisor.ts';

/** Events per batch for sinks that state no batch size. */
const DEFAULT_BATCH_SIZE = 100;

export class SinkUnit implements GroupMember {
  readonly model: SinkModel;
  readonly counters = new SinkCounters();
  readonly extra: Record<string, number>;
  readonly supervised: Supervised<Sink>;
  readonly log: Logger;
  readonly #clock: Clock;
  readonly #group: CounterGroup;
  #refusal: { readonly error: unknown } | undefined;
  progressAt = 0;
  failingSince = 0;
  /** Epoch ms since when the delivery under way lasts; 0 = none is. */
  busySince = 0;

  constructor(model: SinkModel, base: ContextBase, shop: PartShop) {
    this.model = model;
    this.#clock = base.clock;
    this.log = base.logFor(`sink ${model.name}`, placeOf(model.spec));
    this.extra = zeroed(model.spec.counters);
    this.supervised = new Supervised<Sink>({
      kind: 'sink',
      name: model.name,
      clock: base.clock,
      log: this.log,
      create: () => {
        if (this.#refusal !== undefined) throw this.#refusal.error;
        const ctx = contextFor(base, { name: model.name, log: this.log, extra: this.extra }, this.supervised);
        return complete(
          model.spec.create(model.config, { ...ctx, counters: this.counters, serializer: (type, properties) => shop.serializer(type, properties) }),
        );
      },
    });
    this.#group = new CounterGroup({ kind: 'sink', name: model.name, base, supervised: this.supervised, counters: this.counters });
  }

  /** Makes every start fail with this error: its group cannot be built. */
  refuse(error: unknown): void {
    this.#refusal = { error };
  }

  get name(): string {
    return this.model.name;
  }
  get batchSize(): number {
    return Math.max(1, this.model.facts.batchSize ?? DEFAULT_BATCH_SIZE);
  }

  start(): Promise<unknown> {
    return this.supervised.start();
  }

  async stop(): Promise<void> {
    await this.supervised.stop();
    this.#group.close({ ...this.counters, ...this.extra });
  }

  /** Sink.deliver, counted; rejects at once while the sink does not run. Success is booked by `delivered`. */
  async deliver(batch: readonly Sealed[]): Promise<number> {
    const { counters, supervised } = this;
    counters.EventDrainAttemptCount += batch.length;
    if (batch.length < this.batchSize) counters.BatchUnderflowCount++;
    else counters.BatchCompleteCount++;
    if (!supervised.working) {
      counters.EventWriteFail++;
      throw new DeliveryError(`sink ${this.name} is not running${reason(supervised.error?.message)}`);
    }
    this.busySince = this.#clock.now();
    try {
      return (await (supervised.instance as Sink).deliver(batch)) ?? batch.length;
    } catch (error) {
      counters.EventWriteFail++;
      if (this.failingSince === 0) this.failingSince = this.#clock.now();
      supervised.degrade('runner', error);
      throw error;
    } finally {
      this.busySince = 0;
    }
  }

  /** Books events that it delivered and that have left the channel for good. */
  delivered(count: number): void {
    this.counters.EventDrainSuccessCount += count;
    this.progressAt = this.#clock.now();
    if (this.failingSince !== 0) {
      this.failingSince = 0;
      this.supervised.heal('runner');
    }
  }
}

function reason(message: string | undefined): string {
  return message === undefined ? '' : `: ${message}`;
}

/** `start` and `stop` may be left out by a sink. */
function complete(sink: Pick<Sink, 'deliver'> & Partial<Sink>): Sink {
  return {
    start: async () => sink.start?.(),
    stop: async () => sink.stop?.(),
    deliver: (batch) => sink.deliver(batch),
  };
}
