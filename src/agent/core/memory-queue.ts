/**
 * The queue under channels that keep events in memory: a list of chunks (a put's events) with positions, so that a
 * batch goes in as one array and usually comes out as that same array. Events carry a running number per chunk; what
 * comes back from a reader is put where its number belongs, so order survives any mix of readers and rollbacks.
 * How much room there is, is not its business: see lib/gate.ts.
 */
import { ChannelError } from '../../lib/errors.ts';
import type { Lease } from './channel.ts';
import type { Sealed } from './event.ts';

/** A run of events with consecutive numbers. Those before `head` are gone. */
interface Chunk {
  readonly events: Sealed[];
  head: number;
  /** Number of `events[head]`. */
  sequence: number;
  /** What the events from `head` on cost. */
  cost: number;
  /** Small puts may still be appended. */
  open: boolean;
}

export interface MemoryQueueOptions {
  /** What a run of events costs in the unit of the owner's limit; additive, and the same whenever it is asked. */
  readonly costOf: (events: readonly Sealed[], from: number, to: number) => number;
  /** Told once for events that left for good. */
  readonly onGone: (events: number, cost: number) => void;
  /** Told which events left for good, by their running numbers. */
  readonly onDone?: (from: number, to: number) => void;
}

/** Puts below this size share a chunk … */
const SMALL_PUT = 32;
/** … until it has this many events. */
const SHARED_CHUNK = 512;
/** Emptied places at the front of the chunk list are cut off beyond this many. */
const MANY_EMPTIED = 256;
const DONE: Promise<void> = Promise.resolve();

interface Reader {
  readonly signal: AbortSignal;
  readonly wake: () => void;
}

export class MemoryQueue {
  readonly #options: MemoryQueueOptions;
  readonly #chunks: (Chunk | undefined)[] = [];
  /** Index in #chunks of the oldest chunk. */
  #first = 0;
  #size = 0;
  #lent = 0;
  #nextSequence = 0;
  #readers: Reader[] = [];
  /** Signals that already have our listener: one per runner, not one per take. */
  #watched = new WeakSet<AbortSignal>();
  #closed = false;

  constructor(options: MemoryQueueOptions) {
    this.#options = options;
  }

  /** Events waiting. */
  get size(): number {
    return this.#size;
  }
  /** Events lent and neither committed nor returned. */
  get lent(): number {
    return this.#lent;
  }

  /** Adds events at the end; the array stays the caller's. `cost` as `costOf` says, or less. Answers the number of the first. */
  append(events: readonly Sealed[], cost: number): number {
    const count = events.length;
    const first = this.#nextSequence;
    const last = this.#chunks.length > this.#first ? this.#chunks[this.#chunks.length - 1] : undefined;
    if (count < SMALL_PUT && last?.open && last.events.length < SHARED_CHUNK) {
      for (let i = 0; i < count; i++) last.events.push(events[i] as Sealed);
      last.cost += cost;
    } else {
      this.#chunks.push({ events: events.slice(), head: 0, sequence: this.#nextSequence, cost, open: count < SMALL_PUT });
    }
    this.#nextSequence += count;
    this.#size += count;
    this.#wakeOne();
    return first;
  }

  /** Waits for an event, then lends up to `max`. Null = aborted or closed. */
  take(max: number, signal: AbortSignal): Promise<Lease | null> {
    if (this.#size > 0 && !this.#closed && !signal.aborted) return Promise.resolve(this.#lend(max));
    return this.#takeLater(max, signal);
  }

  /** Lends up to `max` at once; null when nothing waits. */
  takeNow(max: number): Lease | null {
    return this.#size > 0 && !this.#closed ? this.#lend(max) : null;
  }

  /** Sends all waiting readers away; later ones at once. What is inside stays. */
  close(): void {
    this.#closed = true;
    for (const reader of this.#readers.splice(0)) reader.wake();
  }

  /** Lets readers in again after {@link close}. */
  open(): void {
    this.#closed = false;
  }

  async #takeLater(max: number, signal: AbortSignal): Promise<Lease | null> {
    this.#watch(signal);
    for (;;) {
      if (this.#closed || signal.aborted) {
        // Whoever woke this reader meant to wake one that takes.
        this.#wakeOne();
        return null;
      }
      if (this.#size > 0) {
        const lease = this.#lend(max);
        this.#wakeOne();
        return lease;
      }
      await new Promise<void>((resolve) => this.#readers.push({ signal, wake: resolve }));
    }
  }

  #watch(signal: AbortSignal): void {
    if (this.#watched.has(signal)) return;
    this.#watched.add(signal);
    signal.addEventListener(
      'abort',
      () => {
        const gone = this.#readers.filter((reader) => reader.signal === signal);
        this.#readers = this.#readers.filter((reader) => reader.signal !== signal);
        for (const reader of gone) reader.wake();
      },
      { once: true },
    );
  }

  #wakeOne(): void {
    if (this.#size > 0 && this.#readers.length > 0) (this.#readers.shift() as Reader).wake();
  }

  #lend(max: number): Lease {
    const first = this.#takePart(max);
    let count = first.events.length;
    const parts = [first];
    while (count < max && this.#first < this.#chunks.length) {
      const part = this.#takePart(max - count);
      parts.push(part);
      count += part.events.length;
    }
    this.#size -= count;
    this.#lent += count;
    return new MemoryLease(parts, this.#settle);
  }

  /** Takes the oldest chunk, or its first `max` events, as a closed chunk of its own. */
  #takePart(max: number): Chunk {
    const chunk = this.#chunks[this.#first] as Chunk;
    const left = chunk.events.length - chunk.head;
    if (left <= max) {
      this.#chunks[this.#first++] = undefined;
      this.#trim();
      chunk.open = false;
      return chunk.head === 0 ? chunk : { ...chunk, events: chunk.events.slice(chunk.head), head: 0 };
    }
    const end = chunk.head + max;
    const cost = Math.min(chunk.cost, this.#options.costOf(chunk.events, chunk.head, end));
    const part: Chunk = { events: chunk.events.slice(chunk.head, end), head: 0, sequence: chunk.sequence, cost, open: false };
    chunk.head = end;
    chunk.sequence += max;
    chunk.cost -= cost;
    return part;
  }

  #trim(): void {
    if (this.#first === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#first = 0;
    } else if (this.#first > MANY_EMPTIED && this.#first * 2 > this.#chunks.length) {
      this.#chunks.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** Ends a lease: the first `count` events are gone, the rest returns to its place. */
  readonly #settle = (parts: readonly Chunk[], count: number): void => {
    let left = count;
    let cost = 0;
    let returned = 0;
    for (const part of parts) {
      const length = part.events.length;
      if (left >= length) {
        left -= length;
        cost += part.cost;
        this.#options.onDone?.(part.sequence, part.sequence + length);
        continue;
      }
      if (left > 0) {
        this.#options.onDone?.(part.sequence, part.sequence + left);
        const gone = Math.min(part.cost, this.#options.costOf(part.events, 0, left));
        part.head = left;
        part.sequence += left;
        part.cost -= gone;
        cost += gone;
        left = 0;
      }
      returned += length - part.head;
      this.#insert(part);
    }
    this.#lent -= count + returned;
    this.#size += returned;
    if (count > 0) this.#options.onGone(count, cost);
    if (returned > 0) this.#wakeOne();
  };

  /** Puts a returned chunk where its number belongs; nearly always that is the front. */
  #insert(part: Chunk): void {
    let at = this.#first;
    while (at < this.#chunks.length && (this.#chunks[at] as Chunk).sequence < part.sequence) at++;
    if (at === this.#first && this.#first > 0) this.#chunks[--this.#first] = part;
    else this.#chunks.splice(at, 0, part);
  }
}

class MemoryLease implements Lease {
  readonly events: readonly Sealed[];
  readonly #parts: readonly Chunk[];
  readonly #settle: (parts: readonly Chunk[], count: number) => void;
  #over = false;

  constructor(parts: readonly Chunk[], settle: (parts: readonly Chunk[], count: number) => void) {
    this.#parts = parts;
    this.#settle = settle;
    this.events = parts.length === 1 ? (parts[0] as Chunk).events : joined(parts);
  }

  commit(count: number = this.events.length): Promise<void> {
    if (!(count >= 0 && count <= this.events.length)) return Promise.reject(new ChannelError(`commit of ${count} events, but ${this.events.length} were lent`));
    this.#end('commit');
    this.#settle(this.#parts, count);
    return DONE;
  }

  rollback(): void {
    this.#end('rollback');
    this.#settle(this.#parts, 0);
  }

  #end(call: string): void {
    if (this.#over) throw new ChannelError(`${call}() called on a lease that was already committed or rolled back`);
    this.#over = true;
  }
}

function joined(parts: readonly Chunk[]): Sealed[] {
  const out: Sealed[] = [];
  for (const { events } of parts) for (let i = 0; i < events.length; i++) out.push(events[i] as Sealed);
  return out;
}
