/**
 * Flume's PseudoTxnMemoryChannel, a channel for tests: a small queue in memory where a put waits for room without end.
 * Flume's has no transactions and loses events when a sink fails; here a rollback returns them, as with any channel.
 */
import type { Clock } from '../../lib/clock.ts';
import { ChannelError } from '../../lib/errors.ts';
import { Gate } from '../../lib/gate.ts';
import { duration, int } from '../../lib/props/spec.ts';
import type { Channel, ChannelGauges, Lease } from '../core/channel.ts';
import { defineChannel } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { MemoryQueue } from '../core/memory-queue.ts';

const DONE: Promise<void> = Promise.resolve();

class PseudoChannel implements Channel {
  readonly #capacity: number;
  readonly #clock: Clock;
  readonly #gate: Gate;
  readonly #queue: MemoryQueue;
  #stopped = false;

  constructor(capacity: number, clock: Clock) {
    this.#capacity = capacity;
    this.#clock = clock;
    this.#gate = new Gate(capacity);
    this.#queue = new MemoryQueue({ costOf: () => 0, onGone: (events) => this.#gate.leave(events, 0) });
  }

  start(): Promise<void> {
    this.#stopped = false;
    this.#gate.resize(this.#capacity);
    this.#queue.open();
    return DONE;
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.close();
    // Whoever waits for room is let in and finds the channel stopped.
    this.#gate.resize(Number.POSITIVE_INFINITY);
    return DONE;
  }

  async put(batch: readonly Event[], signal: AbortSignal): Promise<void> {
    const count = batch.length;
    if (count > this.#capacity) {
      throw new ChannelError(`a batch of ${count} events cannot enter a pseudo channel of capacity ${this.#capacity}`, {
        fix: `set capacity to ${count} or more`,
      });
    }
    const wait = { clock: this.#clock, timeoutMs: Number.MAX_SAFE_INTEGER, signal };
    const entered = !this.#stopped && (this.#gate.tryEnter(count, 0) || (await this.#gate.enter(count, 0, wait)));
    if (entered && !this.#stopped) {
      this.#queue.append(batch, 0);
      return;
    }
    if (entered) this.#gate.leave(count, 0);
    throw new ChannelError('the pseudo channel was stopped while a put waited for room', { retriable: true });
  }

  take(max: number, signal: AbortSignal): Promise<Lease | null> {
    return this.#queue.take(max, signal);
  }

  gauges(): ChannelGauges {
    return { size: this.#queue.size, capacity: this.#capacity, lent: this.#queue.lent };
  }
}

export default defineChannel({
  type: 'pseudo',
  aliases: ['org.apache.flume.channel.PseudoTxnMemoryChannel'],
  summary: 'A small memory channel for tests, whose put waits for room without end; use memory for work.',
  properties: {
    capacity: int({ default: 50, min: 1, unit: 'events', doc: 'Most events the channel holds.' }),
    'keep-alive': duration({
      default: 3,
      unit: 's',
      doc: 'How long Flume waits for an event.',
      ignored: 'sinks here wait for events without polling',
    }),
  },
  facts: (config) => ({ capacity: config.capacity, transactionCapacity: config.capacity }),
  delivery: () => ({
    crash: { effect: 'loses', note: 'what waits in memory is lost', improve: 'use a channel of type = file' },
    stop: { effect: 'loses', note: 'what waits in memory is delivered until --stop-timeout; the rest is lost', improve: 'use a channel of type = file' },
  }),
  create: (config, ctx) => new PseudoChannel(config.capacity, ctx.clock),
});
