/**
 * Empties one channel into one sink, or into a sink group through its processor: take, deliver, commit; on an error roll
 * back and wait n × 1 s, at most 5 s (Flume's SinkRunner), shortened by chance and ended at once by a stop. An idle
 * runner waits inside `take`, so an event never waits for a poll as it does in Flume.
 */

import type { Clock } from '../../lib/clock.ts';
import { DeliveryError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Lease } from '../core/channel.ts';
import type { Sealed } from '../core/event.ts';
import type { GroupMember, SinkProcessor } from '../core/processor.ts';
import type { ChannelGuard } from './channel-guard.ts';
import { Complaint } from './complaint.ts';
import type { SinkUnit } from './sink-unit.ts';
import { Turn } from './turn.ts';

const BACKOFF_INCREMENT_MS = 1_000;
const BACKOFF_MAX_MS = 5_000;
/** While the agent stops, a failing sink is tried at this interval until the deadline. */
const HURRIED_BACKOFF_MS = 250;

export interface SinkRunnerOptions {
  /** Name of the group, or of its only sink. */
  readonly name: string;
  readonly channel: ChannelGuard;
  /** The group's sinks on this channel, or the one sink. */
  readonly sinks: readonly SinkUnit[];
  /** Builds the group's processor over its members; absent for a sink without a group. */
  readonly processor?: (members: readonly GroupMember[]) => SinkProcessor;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random?: () => number;
}

export class SinkRunner {
  readonly #options: SinkRunnerOptions;
  readonly #complaint: Complaint;
  readonly #deliver: (batch: readonly Sealed[]) => Promise<number | void>;
  readonly #batchSize: number;
  readonly #turn = new Turn();
  /** The sink that took the batch under way. */
  #carrier: SinkUnit;
  #take = new AbortController();
  #wait = new AbortController();
  #hurried = false;
  #loop: Promise<void> | undefined;

  /** @throws ConfigError when the processor cannot be built */
  constructor(options: SinkRunnerOptions) {
    const { sinks, processor, clock, log } = options;
    this.#options = options;
    this.#complaint = new Complaint(clock, log);
    this.#carrier = sinks[0] as SinkUnit;
    this.#batchSize = Math.min(...sinks.map((sink) => sink.batchSize));
    if (processor === undefined) this.#deliver = (batch) => this.#carrier.deliver(batch);
    else {
      const built = processor(sinks.map((sink) => this.#member(sink)));
      this.#deliver = (batch) => built.deliver(batch);
    }
  }

  get name(): string {
    return this.#options.name;
  }
  get channel(): ChannelGuard {
    return this.#options.channel;
  }

  /** Whether all its sinks wait for a new definition, so that it will deliver nothing more. */
  get hopeless(): boolean {
    return this.#options.sinks.every((sink) => sink.supervised.status === 'failed');
  }

  start(): void {
    this.#take = new AbortController();
    this.#wait = new AbortController();
    this.#hurried = false;
    this.#loop ??= this.#run();
  }

  /** The agent stops soon: failed deliveries are tried again at once and then quickly. */
  hurry(): void {
    this.#hurried = true;
    this.#wait.abort();
    this.#wait = new AbortController();
  }

  /** Takes nothing more; resolves when the batch under way is delivered or given back. */
  async stop(): Promise<void> {
    this.#take.abort();
    this.#wait.abort();
    await this.#loop;
    this.#loop = undefined;
  }

  #member(sink: SinkUnit): GroupMember {
    return {
      name: sink.name,
      deliver: (batch) => {
        this.#carrier = sink;
        return sink.deliver(batch);
      },
    };
  }

  async #run(): Promise<void> {
    const { channel } = this.#options;
    const { signal } = this.#take;
    let failures = 0;
    while (!signal.aborted) {
      if (!this.#anyWorks() && !(await this.#oneWorks(signal))) break;
      let lease: Lease | null;
      try {
        lease = await channel.take(Math.min(this.#batchSize, channel.maxBatch), signal);
      } catch (error) {
        this.#carrier.counters.ChannelReadFail++;
        await this.#backOff(++failures, error);
        continue;
      }
      if (lease === null) break;
      const error = await this.#hand(lease);
      if (error !== undefined) {
        await this.#backOff(++failures, error);
        continue;
      }
      failures = 0;
      this.#complaint.clear();
      if (this.#turn.due()) await this.#turn.next();
    }
  }

  /** Delivers what was taken; answers the error, after giving the events back. */
  async #hand(lease: Lease): Promise<unknown> {
    const { channel } = this.#options;
    const count = lease.events.length;
    let done: number;
    try {
      done = (await this.#deliver(lease.events)) ?? count;
    } catch (error) {
      lease.rollback();
      return error ?? new DeliveryError('the delivery failed without an error');
    }
    if (done <= 0) {
      lease.rollback();
      return new DeliveryError(`sink ${this.#carrier.name} delivered nothing of ${count} events`);
    }
    const delivered = Math.min(done, count);
    try {
      await channel.commit(lease, delivered);
    } catch (error) {
      this.#carrier.counters.ChannelReadFail++;
      return error ?? new DeliveryError('the channel could not commit');
    }
    this.#carrier.delivered(delivered);
    if (count < this.#batchSize && channel.gauges()?.size === 0) this.#carrier.counters.BatchEmptyCount++;
    return undefined;
  }

  #anyWorks(): boolean {
    for (const sink of this.#options.sinks) if (sink.supervised.working) return true;
    return false;
  }

  /** Waits until one of its sinks works; false = stopped. */
  async #oneWorks(signal: AbortSignal): Promise<boolean> {
    const found = new AbortController();
    const either = AbortSignal.any([signal, found.signal]);
    const works = await Promise.race(this.#options.sinks.map((sink) => sink.supervised.whenWorking(either)));
    found.abort();
    return works;
  }

  async #backOff(failures: number, error: unknown): Promise<void> {
    const { clock, random = Math.random } = this.#options;
    const fullMs = this.#hurried ? HURRIED_BACKOFF_MS : Math.min(failures * BACKOFF_INCREMENT_MS, BACKOFF_MAX_MS);
    const waitMs = Math.round(fullMs * (1 - 0.2 * random()));
    this.#complaint.raise(error, `the events wait in channel ${this.#options.channel.name}; trying again in ${(waitMs / 1000).toFixed(1)} s`);
    if (!this.#take.signal.aborted) await clock.sleep(waitMs, this.#wait.signal);
  }
}
