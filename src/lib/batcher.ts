/**
 * Gathers single items to batches: handed on when `maxSize` are there, or `maxWaitMs` after the first. One batch is
 * under way at a time; `add` answers false when the caller should stop and await {@link Batcher.room}.
 */
import type { Clock, Timer } from './clock.ts';

export interface BatcherOptions<T> {
  /** Items per batch, >= 1. */
  readonly maxSize: number;
  /** Longest wait of an item for company, ms; 0 = every turn of the loop. */
  readonly maxWaitMs: number;
  readonly clock: Clock;
  /** Takes a batch over. A rejection is handed to whoever awaits `room` or `flush`, and ends the batcher. */
  readonly deliver: (batch: T[]) => Promise<void>;
}

export class Batcher<T> {
  readonly #options: BatcherOptions<T>;
  #pending: T[] = [];
  #timer: Timer | undefined;
  #underway: Promise<void> | undefined;
  #broken: { readonly error: unknown } | undefined;

  constructor(options: BatcherOptions<T>) {
    this.#options = options;
  }

  /** Items that wait, without those under way. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Adds one; false = enough for now. */
  add(item: T): boolean {
    this.#pending.push(item);
    if (this.#pending.length >= this.#options.maxSize) this.#launch();
    else this.#timer ??= this.#options.clock.after(this.#options.maxWaitMs, () => this.#launch());
    return this.#underway === undefined || this.#pending.length < this.#options.maxSize;
  }

  /** Resolves when `add` may go on. @throws what `deliver` rejected with */
  async room(): Promise<void> {
    while (this.#underway !== undefined && this.#pending.length >= this.#options.maxSize) await this.#underway;
    if (this.#broken) throw this.#broken.error;
  }

  /** Hands everything on that waits, and resolves when it arrived. @throws what `deliver` rejected with */
  async flush(): Promise<void> {
    while (this.#underway !== undefined || (this.#pending.length > 0 && !this.#broken)) {
      this.#launch();
      await this.#underway;
    }
    if (this.#broken) throw this.#broken.error;
  }

  #launch(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#underway !== undefined || this.#broken || this.#pending.length === 0) return;
    const { maxSize, deliver } = this.#options;
    const batch = this.#pending.length <= maxSize ? this.#pending : this.#pending.slice(0, maxSize);
    this.#pending = batch === this.#pending ? [] : this.#pending.slice(maxSize);
    this.#underway = deliver(batch).then(
      () => this.#landed(),
      (error: unknown) => {
        this.#broken = { error };
        this.#underway = undefined;
      },
    );
  }

  /** What gathered meanwhile has waited already for a whole delivery: it goes at once. */
  #landed(): void {
    this.#underway = undefined;
    this.#launch();
  }
}
