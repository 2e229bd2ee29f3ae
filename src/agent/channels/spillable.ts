/**
 * The spillable channel (Flume's SpillableMemoryChannel): memory first, and the disk when memory is full. Order holds across
 * both: a list of runs, each of events in one of the two parts, says which part has the next events; what comes back from
 * a sink belongs to its run again. The memory part is a MemoryQueue, the disk part what the file channel is made of.
 *
 * A crash loses what is in memory, at most memoryCapacity events. A stop loses nothing: it writes them to the disk part.
 */
import { getHeapStatistics } from 'node:v8';
import { ChannelError, ChannelFullError, errorText } from '../../lib/errors.ts';
import { Gate } from '../../lib/gate.ts';
import { type Config, duration, int, size } from '../../lib/props/spec.ts';
import { checkStorage, ownedDirectories, queueOptionsOf, storageCounters, storageProperties } from '../../wal/queue/channel-config.ts';
import { PutTrouble } from '../../wal/queue/put-trouble.ts';
import { DurableQueue } from '../../wal/queue/queue.ts';
import type { Channel, ChannelGauges, Lease } from '../core/channel.ts';
import { compact } from '../core/compact.ts';
import { type ChannelContext, defineChannel } from '../core/define.ts';
import type { Event, Sealed } from '../core/event.ts';
import { FillForecast } from '../core/fill-forecast.ts';
import { MemoryQueue } from '../core/memory-queue.ts';
import { Takers } from '../core/takers.ts';
import { type LeaseOwner, type LeasePart, type Run, SpillableLease } from './spillable-lease.ts';

const DEFAULT_MEMORY = 10_000;
const DEFAULT_OVERFLOW = 100_000_000;
const DONE: Promise<void> = Promise.resolve();

const properties = {
  memoryCapacity: int({ default: DEFAULT_MEMORY, min: 0, lenient: true, unit: 'events', doc: 'Most events in memory; 0 = all go to disk.' }),
  overflowCapacity: int({ default: DEFAULT_OVERFLOW, min: 0, lenient: true, unit: 'events', doc: 'Most events on disk; 0 = no overflow.' }),
  overflowTimeout: duration({
    default: 3,
    unit: 's',
    lenient: true,
    doc: 'How long a put waits for memory before it goes to disk; not at all while others go there.',
  }),
  overflowDeactivationThreshold: int({
    default: 5,
    min: 0,
    max: 100,
    lenient: true,
    unit: '%',
    doc: 'Share of memory that must be free before puts wait for memory again, instead of going to disk at once when they do not fit.',
  }),
  byteCapacity: size({
    lenient: true,
    doc: 'Most bytes of bodies in memory, counted in slots of avgEventSize. Default: 80 % of the largest heap Node allows itself.',
  }),
  byteCapacityBufferPercentage: int({ default: 20, min: 0, max: 100, lenient: true, unit: '%', doc: 'Share of byteCapacity set aside for headers.' }),
  avgEventSize: int({ default: 500, min: 1, lenient: true, unit: 'bytes', doc: 'Size of a slot of byteCapacity.' }),
  capacity: int({ doc: 'Flume: no property of this channel.', ignored: 'set memoryCapacity and overflowCapacity' }),
  'keep-alive': duration({ unit: 's', doc: 'Flume: forced to 0 for the disk part.', ignored: 'overflowTimeout says how long a put waits' }),
  ...storageProperties,
};
type SpillableConfig = Config<typeof properties>;

/** Both 0 means the defaults, as in Flume. */
function capacities(config: SpillableConfig): { readonly memory: number; readonly overflow: number } {
  const { memoryCapacity: memory, overflowCapacity: overflow } = config;
  return memory === 0 && overflow === 0 ? { memory: DEFAULT_MEMORY, overflow: DEFAULT_OVERFLOW } : { memory, overflow };
}

class SpillableChannel implements Channel {
  readonly #config: SpillableConfig;
  readonly #ctx: ChannelContext;
  readonly #memoryCapacity: number;
  readonly #overflowCapacity: number;
  readonly #memoryGate: Gate;
  readonly #memory: MemoryQueue;
  readonly #takers = new Takers();
  readonly #forecast: FillForecast;
  readonly #trouble: PutTrouble;
  #diskGate = new Gate(Number.POSITIVE_INFINITY);
  #disk: DurableQueue | null = null;
  /** Oldest first. */
  #runs: Run[] = [];
  readonly #leases = new Set<SpillableLease>();
  #spilling = false;
  #unhealthy = false;
  /** Events on disk when a directory was found removed. */
  #onDisk = 0;
  #spilled = 0;

  constructor(config: SpillableConfig, ctx: ChannelContext) {
    this.#config = config;
    this.#ctx = ctx;
    const { memory, overflow } = capacities(config);
    this.#memoryCapacity = memory;
    this.#overflowCapacity = overflow;
    const bytes = (config.byteCapacity ?? getHeapStatistics().heap_size_limit * 0.8) * (1 - config.byteCapacityBufferPercentage / 100);
    const slots = Math.trunc(bytes / config.avgEventSize);
    this.#memoryGate = new Gate(memory, slots < 1 ? Number.POSITIVE_INFINITY : slots * config.avgEventSize);
    this.#memory = new MemoryQueue({
      costOf: (events, from, to) => this.#costOf(events, from, to),
      onGone: (count, cost) => this.#memoryGate.leave(count, cost),
    });
    this.#forecast = new FillForecast(ctx.clock);
    this.#trouble = new PutTrouble(ctx);
  }

  /** @throws ConfigError, DirectoryInUseError, StorageError */
  async start(): Promise<void> {
    const { log, extra } = this.#ctx;
    const events = { onEvents: (): void => {}, onGone: (count: number): void => this.#diskGate.leave(count, 0) };
    try {
      this.#disk = new DurableQueue(queueOptionsOf(this.#config, this.#ctx, events));
    } catch (error) {
      this.#unhealthy = true;
      throw error;
    }
    this.#unhealthy = false;
    const { size: waiting, notes, lostAtOpen } = this.#disk;
    const lost = Math.max(lostAtOpen, this.#onDisk - waiting);
    this.#onDisk = 0;
    extra.EventsLostCount = (extra.EventsLostCount ?? 0) + lost;
    for (const note of notes) log.warn(note);
    if (lost > 0) log.error(`${lost} events that had been safe on disk are lost`);
    this.#diskGate = new Gate(Number.POSITIVE_INFINITY);
    this.#diskGate.tryEnter(waiting, 0);
    this.#diskGate.resize(this.#overflowCapacity);
    this.#runs = waiting > 0 ? [{ onDisk: true, waiting, lent: 0 }] : [];
    // What the last stop could not bring to disk is still in memory, behind what is there.
    if (this.#memory.size > 0) this.#runs.push({ onDisk: false, waiting: this.#memory.size, lent: 0 });
    this.#spilling = this.#memoryCapacity === 0;
    this.#takers.open();
    log.info(`open with ${waiting} events waiting on disk`);
  }

  async stop(): Promise<void> {
    const disk = this.#disk;
    this.#takers.close();
    this.#disk = null;
    if (!disk) return;
    // What a sink did not give back in time comes again.
    for (const lease of this.#leases) lease.rollback();
    if (disk.removed) this.#onDisk = disk.size;
    try {
      await this.#saveMemory(disk);
    } finally {
      await disk.close();
    }
  }

  /** Brings what is in memory to disk, behind what is there. */
  async #saveMemory(disk: DurableQueue): Promise<void> {
    const count = this.#memory.size;
    for (let lease = this.#memory.takeNow(this.#config.transactionCapacity); lease; lease = this.#memory.takeNow(this.#config.transactionCapacity)) {
      try {
        await disk.put(lease.events);
      } catch (error) {
        lease.rollback();
        this.#ctx.log.error(`${this.#memory.size} events in memory could not be written to disk; they are lost if the process ends now: ${errorText(error)}`);
        return;
      }
      await lease.commit();
    }
    if (count > 0) this.#ctx.log.info(`${count} events in memory were written to disk for the next start`);
  }

  put(batch: readonly Event[], signal: AbortSignal): Promise<void> {
    const count = batch.length;
    if (count === 0) return DONE;
    if (!this.#disk) return Promise.reject(this.#stopped());
    if (count > this.#config.transactionCapacity) return Promise.reject(this.#tooLarge(count));
    const cost = this.#costOf(batch, 0, count);
    if (!this.#memoryGate.tryEnter(count, cost)) return this.#putLater(batch, cost, signal);
    this.#keepInMemory(batch, cost);
    return DONE;
  }

  #keepInMemory(batch: readonly Event[], cost: number): void {
    compact(batch);
    this.#memory.append(batch, cost);
    this.#extend(false, batch.length);
  }

  async #putLater(batch: readonly Event[], cost: number, signal: AbortSignal): Promise<void> {
    const count = batch.length;
    const { clock } = this.#ctx;
    const timeoutMs = this.#config.overflowTimeout * 1000;
    const never = count > this.#memoryCapacity || cost > this.#memoryGate.byteLimit;
    if (!never && !this.#stillSpilling() && (await this.#memoryGate.enter(count, cost, { clock, timeoutMs, signal }))) {
      if (!this.#disk) {
        this.#memoryGate.leave(count, cost);
        throw this.#stopped();
      }
      this.#keepInMemory(batch, cost);
      return;
    }
    if (signal.aborted) throw new ChannelError('a put was given up while it waited for room, because its source stops', { retriable: true });
    await this.#spill(batch, { clock, timeoutMs, signal });
  }

  /** While puts go to disk the next ones do not wait for memory, until enough of it is free. */
  #stillSpilling(): boolean {
    if (!this.#spilling || this.#memoryCapacity === 0) return this.#spilling;
    const { events, bytes, byteLimit } = this.#memoryGate;
    const free = Math.min(1 - events / this.#memoryCapacity, byteLimit === Number.POSITIVE_INFINITY ? 1 : 1 - bytes / byteLimit);
    if (free * 100 >= this.#config.overflowDeactivationThreshold) this.#spilling = false;
    return this.#spilling;
  }

  async #spill(batch: readonly Event[], wait: { clock: ChannelContext['clock']; timeoutMs: number; signal: AbortSignal }): Promise<void> {
    const count = batch.length;
    if (this.#overflowCapacity === 0) {
      throw new ChannelFullError("Spillable Memory Channel's memory capacity has been reached and overflow is disabled. Consider increasing memoryCapacity.", {
        fix: 'raise memoryCapacity, or set overflowCapacity above 0',
      });
    }
    if (!this.#spilling) this.#ctx.log.info('memory is full: events go to disk until there is room again');
    this.#spilling = true;
    const gate = this.#diskGate;
    if (!(await gate.enter(count, 0, wait))) {
      throw new ChannelFullError(`The overflow of the channel has reached its capacity of ${this.#overflowCapacity} events. [channel=${this.#ctx.name}]`, {
        fix: 'see why the sink is slow, or raise overflowCapacity',
      });
    }
    try {
      if (!this.#disk) throw this.#stopped();
      await this.#disk.put(batch);
    } catch (error) {
      gate.leave(count, 0);
      this.#trouble.failed(error, this.#disk !== null);
      throw error;
    }
    this.#trouble.worked();
    this.#spilled += count;
    this.#extend(true, count);
  }

  /** The newest events are in this part. */
  #extend(onDisk: boolean, count: number): void {
    const last = this.#runs[this.#runs.length - 1];
    if (last?.onDisk === onDisk) last.waiting += count;
    else this.#runs.push({ onDisk, waiting: count, lent: 0 });
    this.#takers.wakeOne();
  }

  take(max: number, signal: AbortSignal): Promise<Lease | null> {
    const most = Math.min(max, this.#config.transactionCapacity);
    return this.#takers.take(signal, () => this.#lend(most));
  }

  #lend(most: number): Lease | null {
    const parts: LeasePart[] = [];
    let count = 0;
    for (let run = this.#nextRun(); run && count < most; run = this.#nextRun()) {
      const lease = this.#lendFrom(run, Math.min(most - count, run.waiting), count > 0);
      if (lease === null) {
        if (run.waiting > 0) break;
        continue;
      }
      const { length } = lease.events;
      run.waiting = Math.max(0, run.waiting - length);
      run.lent += length;
      count += length;
      parts.push({ run, lease });
    }
    if (count === 0) return null;
    const lease = new SpillableLease(parts, this.#leaseOwner);
    this.#leases.add(lease);
    return lease;
  }

  /** Null with nothing left in the run: its events were lost. With `quietly` an error is left for the next call. */
  #lendFrom(run: Run, max: number, quietly: boolean): Lease | null {
    if (!run.onDisk) return this.#memory.takeNow(max);
    try {
      const lease = this.#disk?.take(max) ?? null;
      if (lease === null) run.waiting = 0;
      return lease;
    } catch (error) {
      if (quietly) return null;
      const { extra } = this.#ctx;
      extra.EventTakeErrorCount = (extra.EventTakeErrorCount ?? 0) + 1;
      throw error;
    }
  }

  /** The oldest run with waiting events; runs that are all gone are dropped. */
  #nextRun(): Run | undefined {
    const runs = this.#runs;
    let gone = 0;
    while (gone < runs.length && runs[gone]!.waiting === 0 && runs[gone]!.lent === 0) gone++;
    if (gone > 0) runs.splice(0, gone);
    return runs.find((run) => run.waiting > 0);
  }

  readonly #leaseOwner: LeaseOwner = {
    settle: (run, committed, returned) => {
      run.lent -= committed + returned;
      run.waiting += returned;
      if (returned > 0) this.#takers.wakeOne();
    },
    ended: (lease) => {
      this.#leases.delete(lease);
    },
  };

  gauges(): ChannelGauges {
    const disk = this.#disk;
    return {
      size: this.#memory.size + (disk?.size ?? 0),
      capacity: this.#memoryCapacity + this.#overflowCapacity,
      lent: this.#memory.lent + (disk?.lent ?? 0),
    };
  }

  extraGauges(): Record<string, number | string> {
    const { size: waiting, lent, capacity } = this.gauges();
    const open = this.#disk !== null;
    return {
      Open: String(open),
      Closed: open ? 0 : 1,
      Unhealthy: this.#unhealthy ? 1 : 0,
      EventsInMemory: this.#memory.size,
      EventsOnDisk: this.#disk?.size ?? 0,
      EventsSpilledCount: this.#spilled,
      TimeToFullSeconds: this.#forecast.secondsToFull(waiting + lent, capacity),
    };
  }

  #costOf(events: readonly Sealed[], from: number, to: number): number {
    const slot = this.#config.avgEventSize;
    let slots = 0;
    for (let i = from; i < to; i++) {
      const { length } = (events[i] as Sealed).body;
      slots += length <= slot ? 1 : Math.ceil(length / slot);
    }
    return slots * slot;
  }

  #stopped(): ChannelError {
    return new ChannelError(`Channel closed [channel=${this.#ctx.name}]`, { retriable: true, fix: 'send the events again when the channel runs' });
  }

  #tooLarge(count: number): ChannelError {
    const { transactionCapacity } = this.#config;
    return new ChannelError(`the batch has ${count} events, but transactionCapacity is ${transactionCapacity}. [channel=${this.#ctx.name}]`, {
      fix: `set transactionCapacity to ${count} or more, or the batch size of the source to ${transactionCapacity} or less`,
    });
  }
}

export default defineChannel({
  type: 'SPILLABLEMEMORY',
  aliases: ['org.apache.flume.channel.SpillableMemoryChannel'],
  summary: 'Keeps events in memory and, when that is full, on disk, in one order; a crash loses what is in memory.',
  properties,
  counters: storageCounters,
  check: (config, raw) => {
    const { overflow } = capacities(config);
    const tooSmall = {
      code: 'capacity-below-transaction',
      severity: 'error' as const,
      message: 'File Channel transaction capacity cannot be greater than the capacity of the channel.',
      fix: `set overflowCapacity to ${config.transactionCapacity} or more, or transactionCapacity to ${overflow} or less`,
      key: 'overflowCapacity' in raw ? 'overflowCapacity' : 'transactionCapacity',
    };
    return [...(overflow > 0 && overflow < config.transactionCapacity ? [tooSmall] : []), ...checkStorage(config, raw)];
  },
  facts: (config) => {
    const { memory, overflow } = capacities(config);
    return { capacity: memory + overflow, transactionCapacity: config.transactionCapacity, owns: ownedDirectories(config) };
  },
  delivery: (config) => ({
    crash: {
      effect: 'loses',
      note: `what is in memory (up to ${capacities(config).memory} events) is lost; what is on disk is kept`,
      improve: 'use a channel of type = file, or memoryCapacity = 0',
    },
    stop: { effect: 'nothing', note: 'what is in memory is written to disk and waits there for the next start' },
  }),
  create: (config, ctx) => new SpillableChannel(config, ctx),
});
