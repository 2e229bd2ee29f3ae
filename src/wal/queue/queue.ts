/**
 * A queue of events on disk: what the file channel and the overflow of the spillable channel are made of. Events are
 * records of batches in logs (one per data directory) under one numbering; what is done with stands in a side file.
 *
 * What must stay true:
 *  - A put is visible to takers, and its promise resolves, when its bytes are durable (with `syncEach`); then nothing but
 *    a range in the side file can make it go away.
 *  - Sequence numbers are never given out twice, whatever failed: `next` is above everything in logs, side file, checkpoint.
 *    So an old acknowledgement can never hit a new event. Numbers of puts that failed are holes, and done with.
 *  - Data files are deleted only when the acknowledgement of everything in them is durable.
 *  - Losing an acknowledgement costs a second delivery; so a disk that refuses them never stops the taking, which is what
 *    frees a full disk.
 * One grouped sync covers the logs and the side file (../group-sync.ts).
 */
import { ChannelError } from '../../lib/errors.ts';
import { BatchBuilder } from '../../records/builder.ts';
import { GroupSync } from '../group-sync.ts';
import type { BatchCipher } from './cipher.ts';
import { putFailure } from './failures.ts';
import { lockAll } from './home.ts';
import { Housekeeping, type HousekeepingOptions } from './housekeeping.ts';
import { Loan } from './loan.ts';
import { abandon, nearestStripe, openStorage, type Storage, type StorageOptions } from './opening.ts';
import { leftOf, type Part, PartQueue, type StoredEvent } from './part.ts';
import { mergedRanges } from './ranges.ts';
import { type Stripe, sequenceMark } from './stripe.ts';
import { TailCache } from './tail-cache.ts';

export interface QueueOptions extends StorageOptions, HousekeepingOptions {
  /** Puts wait for the device; otherwise only the sync every `syncIntervalMs` does. */
  readonly syncEach: boolean;
  readonly syncIntervalMs: number;
  /** A put fails when a data directory's disk has less free. */
  readonly minimumFreeBytes: number;
  readonly cipher: BatchCipher | null;
  /** Takers may come: events became visible, or came back. */
  readonly onEvents: () => void;
  /** Events left for good, delivered or lost; their room is free. */
  readonly onGone: (count: number) => void;
  /** Events that were acknowledged to their source are gone and could not be found. */
  readonly onMissing: (count: number, from: number) => void;
  /** Takes the lock of a directory and answers how to give it back; absent: nobody else can come. */
  readonly lock?: ((dir: string) => () => void) | undefined;
}

/** A put on its way to the device. */
interface PendingPut {
  readonly from: number;
  readonly to: number;
  readonly stripe: Stripe;
  error: Error | null;
  settled: boolean;
}

const REUSE_BYTES = 4_194_304;

export class DurableQueue {
  readonly #options: QueueOptions;
  readonly #locks: (() => void)[];
  readonly #storage: Storage;
  readonly #housekeeping: Housekeeping;
  readonly #ready = new PartQueue();
  readonly #tail = new TailCache();
  readonly #group = new GroupSync(() => this.#syncNow());
  #builder = new BatchBuilder();
  #pending: PendingPut[] = [];
  /** Acknowledged and not yet written. */
  #unwritten: (readonly [from: number, to: number])[] = [];
  #next: number;
  /** Takers may have everything below. */
  #visible: number;
  /** Where reading goes on. */
  #cursor: number;
  #waiting: number;
  #lent = 0;
  /** Where marks stay, for numbers of failed puts behind may not be durable in the acknowledgements yet; a new one for each failure. */
  #held: { readonly at: number } | null = null;
  #turn = 0;
  /** A hole that was looked into already. */
  #searched = -1;
  #closed = false;

  /** @throws ConfigError directories that cannot be this queue's; StorageError. Nothing stays open then. */
  constructor(options: QueueOptions) {
    this.#options = options;
    this.#locks = lockAll(options);
    try {
      this.#storage = openStorage(options);
    } catch (error) {
      this.#unlock();
      throw error;
    }
    const { done, next, stripes } = this.#storage;
    this.#next = next;
    this.#visible = next;
    this.#cursor = done.low;
    this.#waiting = next - done.low - done.above;
    this.#housekeeping = new Housekeeping(this.#storage, options, { next: () => this.#next, settle: () => this.#group.request() });
    try {
      this.#housekeeping.begin(options.syncEach ? undefined : options.syncIntervalMs);
    } catch (error) {
      abandon(stripes);
      this.#housekeeping.abandon();
      this.#unlock();
      throw error;
    }
  }

  #unlock(): void {
    for (const release of this.#locks.splice(0)) release();
  }

  /** Events that wait, without those lent. */
  get size(): number {
    return this.#waiting;
  }
  get lent(): number {
    return this.#lent;
  }
  /** See Housekeeping.removed. */
  get removed(): boolean {
    return this.#housekeeping.removed;
  }
  /** See Storage.notes. */
  get notes(): readonly string[] {
    return this.#storage.notes;
  }
  /** See Storage.lost. */
  get lostAtOpen(): number {
    return this.#storage.lost;
  }

  // ---- putting ----

  /**
   * Stores all or none; the events must not change afterwards, the array may.
   * @throws ChannelError the disk is full, too full, or failed; nothing is stored
   */
  async put(events: readonly StoredEvent[]): Promise<void> {
    const put = await this.#append(events);
    if (!this.#options.syncEach) {
      this.#settlePuts();
      return;
    }
    await this.#group.request();
    if (put.error) throw put.error;
  }

  async #append(events: readonly StoredEvent[]): Promise<PendingPut> {
    await this.#heal();
    if (this.#closed) throw new ChannelError('the channel is stopped', { retriable: true });
    const now = this.#options.clock.now();
    const builder = this.#builder;
    // In the checksum, unlike the offset: up to where events were safe, and the low bits of the batch's own number.
    builder.restart(true, { producerId: this.#held?.at ?? this.#visible, producerEpoch: 0, baseSequence: sequenceMark(this.#next) });
    for (let i = 0; i < events.length; i++) builder.appendEvent(events[i]!.body, events[i]!.headers, now);
    const plain = builder.finish();
    const stripe = this.#write(this.#options.cipher?.seal(plain) ?? plain);
    if (plain.length > REUSE_BYTES) this.#builder = new BatchBuilder();
    const from = this.#next;
    const put: PendingPut = { from, to: from + events.length, stripe, error: null, settled: !this.#options.syncEach };
    this.#next = put.to;
    this.#pending.push(put);
    this.#tail.add(from, events.slice());
    this.#housekeeping.wrote(plain.length);
    return put;
  }

  /** Writes a batch into the directory whose turn it is, or into another one if that cannot. */
  #write(batch: Buffer): Stripe {
    const { stripes } = this.#storage;
    let failure: unknown;
    for (let i = 0; i < stripes.length; i++) {
      const stripe = stripes[(this.#turn + i) % stripes.length]!;
      try {
        stripe.needSpace(batch.length, this.#options.minimumFreeBytes, this.#options.clock.monotonic());
        stripe.append(batch, this.#next);
        this.#turn = (this.#turn + i + 1) % stripes.length;
        return stripe;
      } catch (error) {
        failure ??= error;
      }
    }
    throw putFailure(this.#housekeeping.noticeRemoval() ?? failure);
  }

  /** After a failed sync a log takes nothing until it is cut back to what is surely durable. */
  async #heal(): Promise<void> {
    for (const stripe of this.#storage.stripes) {
      const { failure } = stripe.log;
      if (!failure) continue;
      // What was appended behind the last good sync is cut off now, also if nobody has been told yet.
      for (const put of this.#pending) if (put.stripe === stripe && !put.settled) this.#fail(put, putFailure(failure));
      try {
        await stripe.log.heal();
        stripe.forget();
      } catch (error) {
        if (this.#storage.stripes.every(({ log }) => log.failure)) throw putFailure(error);
      }
    }
  }

  /** The work of one grouped sync. Never rejects: each put has its own outcome. */
  async #syncNow(): Promise<void> {
    const puts = this.#pending.filter((put) => !put.settled);
    const visible = this.#visible;
    this.#flushAcks();
    const failed = new Map<Stripe, Error>();
    const stripes = this.#storage.stripes.filter((stripe) => stripe.log.recoveryPoint < stripe.log.nextOffset);
    const gone = stripes.length === 0 ? null : this.#housekeeping.noticeRemoval();
    await Promise.all([
      this.#housekeeping.syncAcks(),
      ...stripes.map((stripe) =>
        stripe.log.sync().catch((error: Error) => {
          failed.set(stripe, error);
        }),
      ),
    ]);
    for (const put of puts) {
      const error = gone ?? failed.get(put.stripe);
      if (error && !put.settled) this.#fail(put, putFailure(error));
      put.settled = true;
    }
    this.#settlePuts();
    const { syncEach } = this.#options;
    if (!gone && (syncEach || failed.size === 0)) await this.#noteSafe(syncEach ? this.#visible : visible);
  }

  /** Holes of failed puts must be on the device before a mark, here or in a batch, that would make losses of them. */
  async #noteSafe(mark: number): Promise<void> {
    const held = this.#held;
    if (held) {
      this.#flushAcks();
      await this.#housekeeping.syncAcks();
      if (!this.#housekeeping.acksInDoubt && this.#held === held) this.#held = null;
    }
    if (!this.#held) this.#housekeeping.noteSafe(mark);
  }

  /** Its numbers become a hole. */
  #fail(put: PendingPut, error: ChannelError): void {
    put.error = error;
    put.settled = true;
    this.#held = { at: this.#held?.at ?? this.#visible };
    this.#storage.done.add(put.from, put.to);
    this.#unwritten.push([put.from, put.to]);
  }

  /** Makes visible what is durable, in order. */
  #settlePuts(): void {
    const pending = this.#pending;
    let [count, visible] = [0, 0];
    while (count < pending.length && pending[count]!.settled) {
      const put = pending[count++]!;
      this.#visible = put.to;
      if (put.error === null) visible += put.to - put.from;
    }
    pending.splice(0, count);
    if (visible === 0) return;
    this.#waiting += visible;
    this.#options.onEvents();
  }

  // ---- taking ----

  /**
   * Lends up to `max` of the oldest events, at once; null when none waits.
   * @throws ChannelError what is on disk cannot be read; trying again may help
   */
  take(max: number): Loan | null {
    if (this.#closed) return null;
    const parts: Part[] = [];
    let count = 0;
    while (count < max) {
      if (this.#ready.isEmpty && !this.#load(count > 0)) break;
      const part = this.#ready.shift(max - count);
      parts.push(part);
      count += leftOf(part);
    }
    if (count === 0) return null;
    this.#waiting -= count;
    this.#lent += count;
    return new Loan(parts, this.#settleLoan);
  }

  readonly #settleLoan = (done: readonly (readonly [number, number])[], rest: readonly Part[]): Promise<void> => {
    let count = 0;
    for (const [from, to] of done) {
      count += to - from;
      this.#storage.done.add(from, to);
      this.#unwritten.push([from, to]);
    }
    let back = 0;
    for (const part of rest) {
      back += leftOf(part);
      if (leftOf(part) > 0) this.#ready.insert(part);
    }
    this.#lent -= count + back;
    this.#waiting += back;
    if (count > 0) this.#options.onGone(count);
    if (back > 0) this.#options.onEvents();
    if (count === 0 || this.#closed) return Promise.resolve();
    if (this.#options.syncEach) return this.#group.request();
    this.#flushAcks();
    return Promise.resolve();
  };

  /** Gets the next events into memory; false = none waits. With `quietly` an error is left for the next call. */
  #load(quietly: boolean): boolean {
    try {
      return this.#loadNext();
    } catch (error) {
      if (quietly) return false;
      throw error instanceof ChannelError
        ? error
        : new ChannelError(`cannot read the stored events: ${(error as Error).message}`, { cause: error, retriable: true });
    }
  }

  #loadNext(): boolean {
    const { done, stripes } = this.#storage;
    for (;;) {
      const from = done.nextOutside(this.#cursor);
      if (from >= this.#visible) return false;
      const cached = this.#tail.find(from);
      if (cached) {
        this.#cursor = cached.from + cached.events.length;
        this.#ready.insert({ events: cached.events, head: from - cached.from, sequence: cached.from });
        return true;
      }
      const upTo = Math.min(this.#visible, this.#tail.nextFrom(from));
      const stripe = nearestStripe(stripes, from, upTo);
      const base = stripe?.peek(from, upTo) ?? upTo;
      if (base > from) this.#crossHole(from, base);
      else if (stripe) {
        const { events, sequence } = stripe.events(from, this.#options.cipher);
        this.#cursor = Math.min(stripe.lastOfHead + 1, upTo);
        if (this.#keepUndone({ events, head: 0, sequence })) return true;
      }
    }
  }

  /** Takes over what is not done with of a run that was read; false = nothing. */
  #keepUndone(part: Part): boolean {
    const { done } = this.#storage;
    const end = part.sequence + part.events.length;
    if (done.nextInside(part.sequence) >= end) {
      this.#ready.insert(part);
      return part.events.length > 0;
    }
    let kept = false;
    for (let at = done.nextOutside(part.sequence); at < end; ) {
      const to = Math.min(end, done.nextInside(at));
      this.#ready.insert({ events: part.events.slice(at - part.sequence, to - part.sequence), head: 0, sequence: at });
      kept = true;
      at = done.nextOutside(to);
    }
    return kept;
  }

  /** Events that ought to be there are in no log: looks for them once, then goes on behind them and says so. */
  #crossHole(from: number, base: number): void {
    const { done, stripes } = this.#storage;
    const to = Math.min(base, done.nextInside(from));
    if (this.#searched !== from) {
      for (const stripe of stripes) stripe.repairAt(from);
      this.#searched = from;
      return;
    }
    const count = done.add(from, to);
    this.#unwritten.push([from, to]);
    this.#waiting -= count;
    this.#cursor = to;
    this.#options.onMissing(count, from);
    this.#options.onGone(count);
  }

  #flushAcks(): void {
    const ranges = this.#unwritten;
    if (ranges.length === 0 && !this.#housekeeping.acksInDoubt) return;
    this.#unwritten = [];
    this.#housekeeping.writeAcks(mergedRanges(ranges));
  }

  // ---- ending ----

  /** Writes everything out and closes. Loans still out are not acknowledged: their events come again. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#group.request();
    this.#closed = true;
    await this.#group.idle();
    this.#flushAcks();
    try {
      await this.#housekeeping.end();
    } finally {
      this.#unlock();
    }
  }
}
