/**
 * A set of whole numbers that fills up from 0: everything below `low`, and few ranges above it. For what is done with in a
 * queue: readers finish nearly in order, so the ranges are about as many as there are readers.
 */
export class RangeSet {
  #low = 0;
  /** Ranges above {@link low}, rising, none touching another. */
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  #above = 0;

  /** Everything below is in it, this is not. */
  get low(): number {
    return this.#low;
  }
  /** The number after the largest in it. */
  get high(): number {
    return this.#to[this.#to.length - 1] ?? this.#low;
  }
  /** How many numbers above {@link low} are in it. */
  get above(): number {
    return this.#above;
  }

  /** Adds [from, to) and answers how many of them were new. */
  add(from: number, to: number): number {
    const begin = Math.max(from, this.#low);
    if (begin >= to) return 0;
    const before = this.#low + this.#above;
    if (begin === this.#low) this.#raise(to);
    else this.#insert(begin, to);
    return this.#low + this.#above - before;
  }

  #raise(to: number): void {
    let low = to;
    let gone = 0;
    while (gone < this.#from.length && this.#from[gone]! <= low) low = Math.max(low, this.#to[gone++]!);
    for (let i = 0; i < gone; i++) this.#above -= this.#to[i]! - this.#from[i]!;
    this.#from.splice(0, gone);
    this.#to.splice(0, gone);
    this.#low = low;
  }

  #insert(from: number, to: number): void {
    const first = this.#firstEndingFrom(from);
    let end = first;
    let low = from;
    let high = to;
    while (end < this.#from.length && this.#from[end]! <= to) {
      low = Math.min(low, this.#from[end]!);
      high = Math.max(high, this.#to[end]!);
      this.#above -= this.#to[end]! - this.#from[end]!;
      end++;
    }
    this.#from.splice(first, end - first, low);
    this.#to.splice(first, end - first, high);
    this.#above += high - low;
  }

  /** Index of the first range that ends at `at` or behind it. */
  #firstEndingFrom(at: number): number {
    let low = 0;
    let high = this.#to.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#to[middle]! < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first number from `at` on that is not in it. */
  nextOutside(at: number): number {
    if (at < this.#low) return this.nextOutside(this.#low);
    const i = this.#firstEndingFrom(at + 1);
    return i < this.#from.length && this.#from[i]! <= at ? this.#to[i]! : at;
  }

  /** The first number from `at` on that is in it; Infinity when there is none. */
  nextInside(at: number): number {
    if (at < this.#low) return at;
    const i = this.#firstEndingFrom(at + 1);
    return i < this.#from.length ? Math.max(at, this.#from[i]!) : Number.POSITIVE_INFINITY;
  }

  /** How many of [from, to) are not in it. */
  missingIn(from: number, to: number): number {
    let count = 0;
    for (let at = this.nextOutside(from); at < to; ) {
      const end = Math.min(to, this.nextInside(at));
      count += end - at;
      at = this.nextOutside(end);
    }
    return count;
  }

  /** All ranges, rising, the one below {@link low} first if there is one. */
  *ranges(): Generator<readonly [from: number, to: number]> {
    if (this.#low > 0) yield [0, this.#low];
    for (let i = 0; i < this.#from.length; i++) yield [this.#from[i]!, this.#to[i]!];
  }
}

/** Neighbouring ranges become one. */
export function mergedRanges(ranges: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const out: [number, number][] = [];
  for (const [from, to] of ranges) {
    const last = out[out.length - 1];
    if (last && last[1] === from) last[1] = to;
    else out.push([from, to]);
  }
  return out;
}
