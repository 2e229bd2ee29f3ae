/**
 * The file channel (Flume's FileChannel): what a put stored is on disk, and comes out again whatever happens to the
 * process. The storage is wal/queue/; here are the limits, the waiting, and the figures.
 */
import { ChannelError, ChannelFullError } from '../../lib/errors.ts';
import { Gate } from '../../lib/gate.ts';
import { type Config, duration, int } from '../../lib/props/spec.ts';
import { checkStorage, ownedDirectories, queueOptionsOf, storageCounters, storageProperties } from '../../wal/queue/channel-config.ts';
import { PutTrouble } from '../../wal/queue/put-trouble.ts';
import { DurableQueue } from '../../wal/queue/queue.ts';
import type { Channel, ChannelGauges, Lease } from '../core/channel.ts';
import { type ChannelContext, defineChannel } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { FillForecast } from '../core/fill-forecast.ts';
import { Takers } from '../core/takers.ts';

const properties = {
  capacity: int({ default: 1_000_000, min: 1, lenient: true, unit: 'events', doc: 'Most events the channel holds, those lent to sinks included.' }),
  'keep-alive': duration({ default: 3, unit: 's', doc: 'How long a put waits for room before it fails.' }),
  ...storageProperties,
};
type FileConfig = Config<typeof properties>;

class FileChannel implements Channel {
  readonly #ctx: ChannelContext;
  readonly #takers = new Takers();
  readonly #forecast: FillForecast;
  readonly #trouble: PutTrouble;
  #config: FileConfig;
  #gate = new Gate(Number.POSITIVE_INFINITY);
  #queue: DurableQueue | null = null;
  #unhealthy = false;
  /** Events inside when a directory was found removed. */
  #inside = 0;

  constructor(config: FileConfig, ctx: ChannelContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#forecast = new FillForecast(ctx.clock);
    this.#trouble = new PutTrouble(ctx);
  }

  /** @throws ConfigError, DirectoryInUseError, StorageError */
  async start(): Promise<void> {
    const { log, clock, extra } = this.#ctx;
    const began = clock.monotonic();
    // One for each opening: what was lent before and is committed late is counted here again already.
    const gate = new Gate(Number.POSITIVE_INFINITY);
    try {
      this.#queue = new DurableQueue(
        queueOptionsOf(this.#config, this.#ctx, { onEvents: () => this.#takers.wakeOne(), onGone: (count) => gate.leave(count, 0) }),
      );
    } catch (error) {
      this.#unhealthy = true;
      throw error;
    }
    this.#unhealthy = false;
    const { size, notes, lostAtOpen } = this.#queue;
    const lost = Math.max(lostAtOpen, this.#inside - size);
    this.#inside = 0;
    extra.EventsLostCount = (extra.EventsLostCount ?? 0) + lost;
    for (const note of notes) log.warn(note);
    if (lost > 0) log.error(`${lost} events that had been safe are lost`);
    // What is inside counts even if the capacity is smaller now: puts wait until it fits.
    gate.tryEnter(size, 0);
    gate.resize(this.#config.capacity);
    this.#gate = gate;
    this.#takers.open();
    log.info(`open with ${size} events waiting, after ${((clock.monotonic() - began) / 1000).toFixed(2)} s`);
  }

  async stop(): Promise<void> {
    const queue = this.#queue;
    this.#takers.close();
    // Whoever waits for room is let in and finds the channel stopped.
    this.#gate.resize(Number.POSITIVE_INFINITY);
    if (queue?.removed) this.#inside = queue.size + queue.lent;
    await queue?.close();
    if (this.#queue === queue) this.#queue = null;
  }

  /** A new capacity or keep-alive for the running channel. */
  adopt(config: FileConfig): boolean {
    const { capacity, transactionCapacity, 'keep-alive': keepAlive, ...storage } = config;
    const { capacity: _c, transactionCapacity: _t, 'keep-alive': _k, ...before } = this.#config;
    if (JSON.stringify(storage) !== JSON.stringify(before)) return false;
    this.#config = { ...this.#config, capacity, transactionCapacity, 'keep-alive': keepAlive };
    this.#gate.resize(capacity);
    return true;
  }

  async put(batch: readonly Event[], signal: AbortSignal): Promise<void> {
    const count = batch.length;
    if (count === 0) return;
    if (!this.#queue) throw this.#stopped();
    if (count > this.#config.transactionCapacity) throw this.#tooLarge(count);
    const gate = this.#gate;
    if (!gate.tryEnter(count, 0)) await this.#enter(gate, count, signal);
    try {
      if (!this.#queue) throw this.#stopped();
      await this.#queue.put(batch);
    } catch (error) {
      gate.leave(count, 0);
      this.#trouble.failed(error, this.#queue !== null);
      throw error;
    }
    this.#trouble.worked();
  }

  async #enter(gate: Gate, count: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ctx;
    if (await gate.enter(count, 0, { clock, timeoutMs: this.#config['keep-alive'] * 1000, signal })) return;
    if (signal.aborted) throw new ChannelError('a put was given up while it waited for room, because its source stops', { retriable: true });
    throw new ChannelFullError(
      `The channel has reached it's capacity. This might be the result of a sink on the channel having too low of batch size, a downstream system running slower than normal, or that the channel capacity is just too low. [channel=${this.#ctx.name}]`,
      { fix: `see why the sink is slow, or raise capacity above ${this.#config.capacity}` },
    );
  }

  take(max: number, signal: AbortSignal): Promise<Lease | null> {
    const most = Math.min(max, this.#config.transactionCapacity);
    return this.#takers.take(signal, () => this.#lend(most));
  }

  #lend(most: number): Lease | null {
    try {
      return this.#queue?.take(most) ?? null;
    } catch (error) {
      const { extra } = this.#ctx;
      extra.EventTakeErrorCount = (extra.EventTakeErrorCount ?? 0) + 1;
      throw error;
    }
  }

  gauges(): ChannelGauges {
    return { size: this.#queue?.size ?? 0, capacity: this.#config.capacity, lent: this.#queue?.lent ?? 0 };
  }

  extraGauges(): Record<string, number | string> {
    const open = this.#queue !== null;
    return {
      Open: String(open),
      Closed: open ? 0 : 1,
      Unhealthy: this.#unhealthy ? 1 : 0,
      TimeToFullSeconds: this.#forecast.secondsToFull((this.#queue?.size ?? 0) + (this.#queue?.lent ?? 0), this.#config.capacity),
    };
  }

  #stopped(): ChannelError {
    return new ChannelError(`Channel closed [channel=${this.#ctx.name}]`, { retriable: true, fix: 'send the events again when the channel runs' });
  }

  #tooLarge(count: number): ChannelError {
    const { transactionCapacity } = this.#config;
    return new ChannelError(
      `Put queue for FileBackedTransaction of capacity ${transactionCapacity} full, consider committing more frequently, increasing capacity or increasing thread count. [channel=${this.#ctx.name}]`,
      { fix: `the batch has ${count} events: set transactionCapacity to ${count} or more, or the batch size of the source to ${transactionCapacity} or less` },
    );
  }
}

export default defineChannel({
  type: 'file',
  aliases: ['org.apache.flume.channel.file.FileChannel'],
  summary: 'Keeps events on disk: what a source was told is stored survives a crash and comes out again.',
  properties,
  counters: storageCounters,
  check: (config, raw) => [
    ...(config.transactionCapacity > config.capacity
      ? [
          {
            code: 'capacity-below-transaction',
            severity: 'error' as const,
            message: 'File Channel transaction capacity cannot be greater than the capacity of the channel.',
            fix: `set capacity to ${config.transactionCapacity} or more, or transactionCapacity to ${config.capacity} or less`,
            key: 'transactionCapacity' in raw ? 'transactionCapacity' : 'capacity',
          },
        ]
      : []),
    ...checkStorage(config, raw),
  ],
  facts: (config) => ({ capacity: config.capacity, transactionCapacity: config.transactionCapacity, owns: ownedDirectories(config) }),
  delivery: (config) => ({
    crash: config.fsyncPerTransaction
      ? { effect: 'doubles', note: 'nothing stored is lost; what a sink had delivered but not yet committed is delivered again' }
      : {
          effect: 'loses',
          note: `a power failure loses what was stored in the last ${config.fsyncInterval} s; a kill of the process alone loses nothing`,
          improve: 'leave fsyncPerTransaction at true',
        },
    stop: { effect: 'nothing', note: 'everything waits on disk for the next start' },
  }),
  create: (config, ctx) => new FileChannel(config, ctx),
  adopt: (channel, config) => channel instanceof FileChannel && channel.adopt(config),
});
