/**
 * A source in the agent: its supervised life, its interceptors and selector, its counters, and the Output it puts
 * batches into. Per batch it costs a handful of additions and one promise; nothing per event.
 */

import { AppError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { SourceModel } from '../config/model.ts';
import { SourceCounters } from '../core/counters.ts';
import type { DeserializerInput } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Lifecycle } from '../core/lifecycle.ts';
import type { Deserializer } from '../core/serializer.ts';
import type { Output, PollableSource, Source } from '../core/source.ts';
import type { ChannelGuard } from './channel-guard.ts';
import { Complaint } from './complaint.ts';
import { type ContextBase, contextFor, placeOf, zeroed } from './context.ts';
import { CounterGroup } from './counter-group.ts';
import type { PartShop } from './part-shop.ts';
import { polling } from './poll-loop.ts';
import { Routing } from './routing.ts';
import { Supervised } from './supervisor.ts';

const DEFAULT_BACKOFF_INCREMENT_MS = 1_000;
const DEFAULT_MAX_BACKOFF_MS = 5_000;
/** Of a body, in a log that shows raw data. */
const SHOWN_BYTES = 1_024;

export interface SourceRunnerOptions {
  readonly model: SourceModel;
  readonly base: ContextBase;
  /** The source's channels in the model's order. */
  readonly channels: readonly ChannelGuard[];
  readonly shop: PartShop;
}

export class SourceRunner implements Output {
  readonly model: SourceModel;
  readonly channels: readonly ChannelGuard[];
  readonly counters = new SourceCounters();
  readonly extra: Record<string, number>;
  readonly supervised: Supervised<Lifecycle>;
  readonly #base: ContextBase;
  readonly #shop: PartShop;
  readonly #log: Logger;
  readonly #refusals: Complaint;
  readonly #group: CounterGroup;
  #routing: Routing | undefined;
  #abort = new AbortController();
  /** Events no channel wanted. */
  unrouted = 0;
  /** Events its interceptors took out before a selector could say which channels they were for. */
  filtered = 0;
  progressAt = 0;
  #refusedSince = 0;

  constructor(options: SourceRunnerOptions) {
    const { model, base } = options;
    this.model = model;
    this.channels = options.channels;
    this.#base = base;
    this.#shop = options.shop;
    this.#log = base.logFor(`source ${model.name}`, placeOf(model.spec));
    this.#refusals = new Complaint(base.clock, this.#log);
    this.extra = zeroed(model.spec.counters);
    this.supervised = new Supervised<Lifecycle>({ kind: 'source', name: model.name, clock: base.clock, log: this.#log, create: () => this.#create() });
    this.#group = new CounterGroup({ kind: 'source', name: model.name, base, supervised: this.supervised, counters: this.counters });
  }

  get name(): string {
    return this.model.name;
  }
  /** Epoch ms since when every put was refused; 0 = the last one was accepted. */
  get failingSince(): number {
    return this.#refusedSince;
  }

  /** See Output.maxBatch. */
  get maxBatch(): number {
    return (this.#routing as Routing).maxBatch;
  }

  start(): Promise<unknown> {
    this.#abort = new AbortController();
    return this.supervised.start();
  }

  /** Ends input and waits for puts in flight; those that still wait for room after `patienceMs` are given up. */
  async stop(patienceMs: number): Promise<void> {
    const timer = this.#base.clock.after(patienceMs, () => this.#abort.abort());
    try {
      await this.supervised.stop();
    } finally {
      timer.cancel();
      this.#group.close({ ...this.counters, ...this.extra });
    }
  }

  /** See Output.put. */
  async put(batch: Event[]): Promise<void> {
    const { counters } = this;
    const routing = this.#routing as Routing;
    const { events, before } = this.#intercepted(batch, routing);
    if (this.#base.rawData) this.#show(events);
    if (events.length > 0) {
      try {
        this.unrouted += await routing.store(events, this.#abort.signal);
      } catch (error) {
        counters.ChannelWriteFail++;
        this.#refusedBatches.set(batch, { events, before });
        this.#refused(error);
        throw error;
      }
    }
    const filtered = before - events.length;
    if (filtered > 0 && !routing.bookFiltered(filtered)) this.filtered += filtered;
    counters.EventAcceptedCount += before;
    this.progressAt = this.#base.clock.now();
    if (this.#refusedSince !== 0) this.#accepted();
  }

  /** Batches that were refused, with what the interceptors made of them (null: one threw): put again they are neither changed nor counted twice. */
  readonly #refusedBatches = new WeakMap<Event[], { readonly events: Event[] | null; readonly before: number }>();

  #intercepted(batch: Event[], routing: Routing): { readonly events: Event[]; readonly before: number } {
    const refused = this.#refusedBatches.get(batch);
    if (refused?.events) return { events: refused.events, before: refused.before };
    const before = batch.length;
    if (!refused) this.counters.EventReceivedCount += before;
    try {
      return { events: routing.intercept(batch), before };
    } catch (error) {
      this.counters.GenericProcessingFail++;
      this.#refusedBatches.set(batch, { events: null, before });
      this.#refused(error);
      throw error;
    }
  }

  /** For people who asked to see what passes; everybody else's events stay out of the log. */
  #show(events: readonly Event[]): void {
    if (!this.#log.isLevelEnabled('debug')) return;
    for (const { headers, body } of events) {
      const more = body.length > SHOWN_BYTES ? ` … (${body.length} bytes)` : '';
      this.#log.debug(`received ${JSON.stringify(headers)} ${JSON.stringify(body.toString('utf8', 0, SHOWN_BYTES))}${more}`);
    }
  }

  #create(): Lifecycle {
    const { model } = this;
    const { log, clock } = { log: this.#log, clock: this.#base.clock };
    this.#routing = new Routing({
      channels: this.channels,
      selector: model.selector.spec.create(
        model.selector.config,
        this.channels.map((channel) => channel.name),
      ),
      interceptors: model.interceptors.map((part) => part.spec.create(part.config, { name: part.name, source: model.name, log, clock })),
      onOptionalRefused: (channel, error) => this.#refusals.raise(error, `optional channel ${channel.name} goes without these events`),
    });
    const source = model.spec.create(model.config, {
      ...contextFor(this.#base, { name: model.name, log, extra: this.extra }, this.supervised),
      output: this,
      counters: this.counters,
      deserializer: (type: string, properties: Readonly<Record<string, string>>, input: DeserializerInput): Deserializer =>
        this.#shop.deserializer(type, properties, input),
    });
    return isPollable(source) ? this.#polled(source) : source;
  }

  #polled(source: PollableSource): Lifecycle {
    const setting = (key: string, fallback: number): number => {
      const configured: unknown = this.model.config[key] ?? this.model.raw[key]?.value;
      const value = Number(configured ?? fallback);
      return Number.isFinite(value) && value >= 0 ? value : fallback;
    };
    return polling(source, {
      clock: this.#base.clock,
      complaint: new Complaint(this.#base.clock, this.#log),
      incrementMs: setting('backoffSleepIncrement', DEFAULT_BACKOFF_INCREMENT_MS),
      maxMs: setting('maxBackoffSleep', DEFAULT_MAX_BACKOFF_MS),
      onError: (error) => this.supervised.degrade('runner', error),
      onSuccess: () => this.supervised.heal('runner'),
    });
  }

  #refused(error: unknown): void {
    if (this.#refusedSince === 0) this.#refusedSince = this.#base.clock.now();
    // A full channel is ordinary back pressure: the source waits or tells its client, and says itself what it does.
    const expected = error instanceof AppError && error.retriable;
    if (!expected) this.#refusals.raise(error, 'the batch went back to the source');
    this.supervised.degrade('runner', error);
  }

  #accepted(): void {
    this.#refusedSince = 0;
    this.#refusals.clear();
    this.supervised.heal('runner');
  }
}

function isPollable(source: Source | PollableSource): source is PollableSource {
  return typeof (source as Partial<PollableSource>).poll === 'function';
}
