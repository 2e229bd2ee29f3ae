/**
 * The events put last, kept as they came, so that a taker who keeps up never reads or decodes what was just written.
 * Bounded by the memory that the events pin; what does not fit is read from the log later, as if there were no cache.
 */
import type { StoredEvent } from './part.ts';

interface CachedPut {
  readonly from: number;
  readonly to: number;
  readonly events: readonly StoredEvent[];
  readonly bytes: number;
}

const LIMIT_BYTES = 16_777_216;
const EVENT_BYTES = 200;

export class TailCache {
  /** Undefined: forgotten, and its memory with it, before the array is shortened. */
  readonly #puts: (CachedPut | undefined)[] = [];
  #first = 0;
  #bytes = 0;

  /** Keeps a put if there is room. `events` must not change afterwards. */
  add(from: number, events: readonly StoredEvent[]): void {
    const bytes = pinnedBytes(events);
    if (this.#bytes + bytes > LIMIT_BYTES) return;
    this.#bytes += bytes;
    this.#puts.push({ from, to: from + events.length, events, bytes });
  }

  /** The put that holds `at`; those before it are forgotten. Undefined: it must be read from the log. */
  find(at: number): { readonly from: number; readonly events: readonly StoredEvent[] } | undefined {
    this.#dropBelow(at);
    const first = this.#puts[this.#first];
    return first !== undefined && first.from <= at ? first : undefined;
  }

  /** First number it holds from `at` on; Infinity when none: so far the log must be read. */
  nextFrom(at: number): number {
    this.#dropBelow(at);
    return this.#puts[this.#first]?.from ?? Number.POSITIVE_INFINITY;
  }

  #dropBelow(at: number): void {
    const puts = this.#puts;
    for (let put = puts[this.#first]; put !== undefined && put.to <= at; put = puts[this.#first]) {
      this.#bytes -= put.bytes;
      puts[this.#first++] = undefined;
    }
    if (this.#first === puts.length || this.#first > 1_000) puts.splice(0, this.#first);
    else return;
    this.#first = 0;
  }
}

/** Memory under the events; neighbours in one slab count it once. */
function pinnedBytes(events: readonly StoredEvent[]): number {
  let pinned = events.length * EVENT_BYTES;
  let last: ArrayBufferLike | undefined;
  for (let i = 0; i < events.length; i++) {
    const slab = events[i]!.body.buffer;
    if (slab === last) continue;
    last = slab;
    pinned += slab.byteLength;
  }
  return pinned;
}
