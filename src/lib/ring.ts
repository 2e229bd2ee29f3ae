/**
 * A first-in-first-out queue of fixed size in one array, for inputs that cannot be paused (UDP): what does not fit is
 * refused, and the caller counts it. No allocation after construction.
 */
export class Ring<T> {
  readonly #slots: (T | undefined)[];
  #head = 0;
  #length = 0;

  /** `capacity` >= 1. */
  constructor(capacity: number) {
    this.#slots = new Array<T | undefined>(capacity).fill(undefined);
  }

  get length(): number {
    return this.#length;
  }
  get capacity(): number {
    return this.#slots.length;
  }

  /** Appends; false when full. */
  push(item: T): boolean {
    const { length: capacity } = this.#slots;
    if (this.#length === capacity) return false;
    let at = this.#head + this.#length;
    if (at >= capacity) at -= capacity;
    this.#slots[at] = item;
    this.#length++;
    return true;
  }

  /** Removes the oldest. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = this.#head + 1 === this.#slots.length ? 0 : this.#head + 1;
    this.#length--;
    return item;
  }

  /** Removes up to `max` of the oldest, in order. */
  drain(max: number): T[] {
    const out: T[] = [];
    for (let left = Math.min(max, this.#length); left > 0; left--) out.push(this.shift() as T);
    return out;
  }
}
