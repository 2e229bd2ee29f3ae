/**
 * The memory channel (Flume's MemoryChannel): fast, bounded in events and bytes, and empty after a crash.
 * Bodies are counted as Flume counts them, in slots of 100 bytes; headers are counted beyond what the buffer percentage
 * sets aside for them (docs/decisions.md, "Headers in the memory channel"). Waiting for room is first come first served.
 */
import { getHeapStatistics } from 'node:v8';
import type { Clock } from '../../lib/clock.ts';
import { ChannelError, ChannelFullError } from '../../lib/errors.ts';
import { Gate } from '../../lib/gate.ts';
import { bool, type Config, duration, int, size } from '../../lib/props/spec.ts';
import type { Channel, ChannelGauges, Lease } from '../core/channel.ts';
import { Commitments } from '../core/commitments.ts';
import { compact } from '../core/compact.ts';
import { type Delivery, defineChannel } from '../core/define.ts';
import type { Event, Sealed } from '../core/event.ts';
import { MemoryQueue } from '../core/memory-queue.ts';

const properties = {
  capacity: int({ default: 100, min: 1, lenient: true, unit: 'events', doc: 'Most events the channel holds, those lent to sinks included.' }),
  transactionCapacity: int({
    default: 100,
    min: 1,
    lenient: true,
    unit: 'events',
    doc: 'Largest batch a source may put or a sink may take at once; not above capacity.',
  }),
  'keep-alive': duration({ default: 3, unit: 's', lenient: true, doc: 'How long a put waits for room before it fails.' }),
  byteCapacity: size({
    lenient: true,
    doc: 'Most bytes the channel holds, counted in slots of 100 per body; below 100 means no limit. Default: 80 % of the largest heap Node allows itself.',
  }),
  byteCapacityBufferPercentage: int({
    default: 20,
    min: 0,
    max: 100,
    lenient: true,
    unit: '%',
    doc: 'Share of byteCapacity set aside for headers; headers beyond their share use the room of bodies.',
  }),
  ackThrough: bool({
    default: false,
    doc: 'A put returns only when sinks have committed its events, so that a source which can send again (spooldir, Kafka, avro, thrift, netcat with answers) loses nothing by a crash. Not in Flume.',
  }),
};
type MemoryConfig = Config<typeof properties>;

const SLOT_BYTES = 100;
const HEAP_SHARE = 0.8;
const DONE: Promise<void> = Promise.resolve();

/** The limits of a configuration in the unit of the gate; Infinity = none. */
function byteLimits(config: MemoryConfig): { limit: number; freeHeaderBytesPerSlot: number } {
  const total = config.byteCapacity ?? getHeapStatistics().heap_size_limit * HEAP_SHARE;
  const bodyShare = 1 - config.byteCapacityBufferPercentage / 100;
  const slots = Math.trunc((total * bodyShare) / SLOT_BYTES);
  if (slots < 1) return { limit: Number.POSITIVE_INFINITY, freeHeaderBytesPerSlot: 0 };
  return { limit: slots * SLOT_BYTES, freeHeaderBytesPerSlot: Math.trunc(SLOT_BYTES / bodyShare - SLOT_BYTES) };
}

class MemoryChannel implements Channel {
  readonly #clock: Clock;
  readonly #gate = new Gate(0, 0);
  readonly #queue: MemoryQueue;
  /** With ackThrough: puts that wait until their events are delivered. */
  readonly #commitments: Commitments | null;
  #config: MemoryConfig;
  #freeHeaderBytesPerSlot = 0;
  #stopped = false;

  constructor(config: MemoryConfig, clock: Clock) {
    this.#clock = clock;
    this.#config = config;
    const commitments = config.ackThrough ? new Commitments() : null;
    this.#commitments = commitments;
    this.#queue = new MemoryQueue({
      costOf: (events, from, to) => this.#costOf(events, from, to),
      onGone: (events, cost) => this.#gate.leave(events, cost),
      ...(commitments === null ? {} : { onDone: (from: number, to: number) => commitments.done(from, to) }),
    });
    this.adopt(config);
  }

  start(): Promise<void> {
    this.#stopped = false;
    this.#queue.open();
    this.adopt(this.#config);
    return DONE;
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.close();
    // Whoever waits for room is let in and finds the channel stopped.
    this.#gate.resize(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    this.#commitments?.giveUp(stoppedError());
    return DONE;
  }

  /** Takes a changed configuration over; false = it must be built anew. */
  adopts(config: MemoryConfig): boolean {
    if (config.ackThrough !== this.#config.ackThrough) return false;
    this.adopt(config);
    return true;
  }

  /** New limits for a running channel. What is inside stays, even above a smaller capacity: puts wait until it fits. */
  adopt(config: MemoryConfig): void {
    const { limit, freeHeaderBytesPerSlot } = byteLimits(config);
    this.#config = config;
    // What is inside keeps the cost it came in with; the queue hands back exactly that.
    this.#freeHeaderBytesPerSlot = freeHeaderBytesPerSlot;
    this.#gate.resize(config.capacity, limit);
  }

  put(batch: readonly Event[], signal: AbortSignal): Promise<void> {
    const count = batch.length;
    if (count === 0) return DONE;
    if (this.#stopped) return Promise.reject(stoppedError());
    if (count > this.#config.transactionCapacity) return Promise.reject(this.#tooLarge(count));
    let cost = this.#costOf(batch, 0, count);
    if (cost > this.#gate.byteLimit) {
      if (bodyCost(batch) > this.#gate.byteLimit) return Promise.reject(this.#full(0));
      // Flume takes a batch whose bodies fit, so an empty channel never refuses one for its headers.
      cost = this.#gate.byteLimit;
    }
    if (!this.#gate.tryEnter(count, cost)) return this.#putLater(batch, cost, signal);
    return this.#store(batch, cost, signal);
  }

  take(max: number, signal: AbortSignal): Promise<Lease | null> {
    return this.#queue.take(Math.min(max, this.#config.transactionCapacity), signal);
  }

  gauges(): ChannelGauges {
    return { size: this.#queue.size, capacity: this.#config.capacity, lent: this.#queue.lent };
  }

  async #putLater(batch: readonly Event[], cost: number, signal: AbortSignal): Promise<void> {
    const count = batch.length;
    const entered = await this.#gate.enter(count, cost, { clock: this.#clock, timeoutMs: this.#config['keep-alive'] * 1000, signal });
    if (this.#stopped) {
      if (entered) this.#gate.leave(count, cost);
      throw stoppedError();
    }
    if (entered) await this.#store(batch, cost, signal);
    else
      throw signal.aborted ? new ChannelError('a put was given up while it waited for room, because its source stops', { retriable: true }) : this.#full(count);
  }

  #store(batch: readonly Event[], cost: number, signal: AbortSignal): Promise<void> {
    compact(batch);
    if (this.#commitments === null) {
      this.#queue.append(batch, cost);
      return DONE;
    }
    const from = this.#queue.append(batch, cost);
    return this.#commitments.wait(from, from + batch.length, signal);
  }

  /** Slots of the bodies plus what the headers exceed their share by, in bytes. */
  #costOf(events: readonly Sealed[], from: number, to: number): number {
    const free = this.#freeHeaderBytesPerSlot;
    let cost = 0;
    for (let i = from; i < to; i++) {
      const { headers, body } = events[i] as Sealed;
      const slots = slotsOf(body.length);
      let excess = -free * slots;
      for (const name in headers) {
        const value = headers[name];
        excess += name.length + (typeof value === 'string' ? value.length : 0);
      }
      cost += slots * SLOT_BYTES + Math.max(excess, 0);
    }
    return cost;
  }

  #tooLarge(count: number): ChannelError {
    const { transactionCapacity } = this.#config;
    return new ChannelError(
      `Put queue for MemoryTransaction of capacity ${transactionCapacity} full, consider committing more frequently, increasing capacity or increasing thread count`,
      {
        fix: `the batch has ${count} events: set transactionCapacity (and capacity) to ${count} or more, or the batch size of the source to ${transactionCapacity} or less`,
      },
    );
  }

  /** `count` = events that found no room; 0 = a batch whose bodies alone exceed the channel. */
  #full(count: number): ChannelFullError {
    const { capacity } = this.#config;
    if (count > 0 && this.#gate.events + count > capacity) {
      return new ChannelFullError(
        "Space for commit to queue couldn't be acquired. Sinks are likely not keeping up with sources, or the buffer size is too tight",
        { fix: `see why the sink is slow, or raise capacity above ${capacity}` },
      );
    }
    return new ChannelFullError(
      `Cannot commit transaction. Byte capacity allocated to store event body ${this.#gate.byteLimit}.0reached. Please increase heap space/byte capacity allocated to the channel as the sinks may not be keeping up with the sources`,
      { fix: 'raise byteCapacity, or use a file channel' },
    );
  }
}

/** Slots of the bodies, in bytes. */
function bodyCost(events: readonly Sealed[]): number {
  let slots = 0;
  for (const { body } of events) slots += slotsOf(body.length);
  return slots * SLOT_BYTES;
}

function slotsOf(bodyBytes: number): number {
  return bodyBytes <= SLOT_BYTES ? 1 : Math.ceil(bodyBytes / SLOT_BYTES);
}

function stoppedError(): ChannelError {
  return new ChannelError('the memory channel is stopped', { retriable: true, fix: 'send the events again when the agent runs' });
}

const LOST = 'what waits in memory';

function lossyDelivery(config: MemoryConfig): Delivery {
  return {
    crash: {
      effect: 'loses',
      note: `${LOST} (up to ${config.capacity} events) is lost`,
      improve: 'use a channel of type = file, which keeps events on disk; or set ackThrough = true, if the source can send again',
    },
    stop: {
      effect: 'loses',
      note: `${LOST} is delivered until --stop-timeout; the rest is lost, and its number is logged`,
      improve: 'use a channel of type = file, or a longer --stop-timeout',
    },
  };
}

export default defineChannel({
  type: 'memory',
  aliases: ['org.apache.flume.channel.MemoryChannel'],
  summary: 'Keeps events in memory: fast, but what it holds is lost when the process dies.',
  properties,
  check: (config, raw) =>
    config.transactionCapacity > config.capacity
      ? [
          {
            code: 'capacity-below-transaction',
            severity: 'error',
            message: 'Transaction Capacity of Memory Channel cannot be higher than the capacity.',
            fix: `set capacity to ${config.transactionCapacity} or more, or transactionCapacity to ${config.capacity} or less`,
            key: 'transactionCapacity' in raw ? 'transactionCapacity' : 'capacity',
          },
        ]
      : [],
  facts: (config) => ({ capacity: config.capacity, transactionCapacity: config.transactionCapacity, ...(config.ackThrough ? { ackThrough: true } : {}) }),
  delivery: (config) =>
    config.ackThrough
      ? {
          crash: { effect: 'doubles', note: 'no source is told of success before a sink has committed, so what was in memory is sent again' },
          stop: { effect: 'doubles', note: 'what was not delivered is sent again by its source' },
        }
      : lossyDelivery(config),
  create: (config, ctx) => new MemoryChannel(config, ctx.clock),
  adopt: (channel, config) => channel instanceof MemoryChannel && channel.adopts(config),
});
