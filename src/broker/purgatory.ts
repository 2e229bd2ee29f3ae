/**
 * Where requests wait: a long-poll fetch until data arrives, keyed by partition (Kafka's DelayedOperationPurgatory,
 * without the threads). One deadline timer serves all; a waiter is woken at most once per append and decides itself
 * whether it is satisfied.
 */
import type { Clock, Timer } from '../lib/clock.ts';

/** One waiting request. */
interface Waiter {
  readonly deadline: number;
  /** True = satisfied (or dead) and to be forgotten. */
  readonly attempt: (expired: boolean) => boolean;
  readonly keys: readonly object[];
  done: boolean;
}

export class Purgatory {
  readonly #clock: Clock;
  readonly #byKey = new Map<object, Set<Waiter>>();
  readonly #all = new Set<Waiter>();
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Requests waiting now. */
  get size(): number {
    return this.#all.size;
  }

  /**
   * Parks a request until `attempt` answers true, which is asked at every `wake` of one of `keys` and once, with
   * `expired` true, after `waitMs`. The caller has tried once already. Returns a function that drops the waiter.
   */
  wait(keys: readonly object[], waitMs: number, attempt: (expired: boolean) => boolean): () => void {
    const waiter: Waiter = { deadline: this.#clock.monotonic() + waitMs, attempt, keys, done: false };
    this.#all.add(waiter);
    for (const key of keys) {
      const set = this.#byKey.get(key);
      if (set) set.add(waiter);
      else this.#byKey.set(key, new Set([waiter]));
    }
    this.#arm(waiter.deadline);
    return () => this.#drop(waiter);
  }

  /** Something changed for `key`: everyone waiting on it looks again. */
  wake(key: object): void {
    const set = this.#byKey.get(key);
    if (!set) return;
    for (const waiter of [...set]) if (!waiter.done && waiter.attempt(false)) this.#drop(waiter);
  }

  /** Ends every wait, as on shutdown. */
  close(): void {
    this.#timer?.cancel();
    for (const waiter of [...this.#all]) {
      if (!waiter.done) waiter.attempt(true);
      this.#drop(waiter);
    }
  }

  #drop(waiter: Waiter): void {
    if (waiter.done) return;
    waiter.done = true;
    this.#all.delete(waiter);
    for (const key of waiter.keys) {
      const set = this.#byKey.get(key);
      set?.delete(waiter);
      if (set?.size === 0) this.#byKey.delete(key);
    }
  }

  #arm(deadline: number): void {
    if (deadline >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = deadline;
    this.#timer = this.#clock.after(deadline - this.#clock.monotonic(), () => this.#expire());
  }

  /** Answers all that are due and arms the timer for the next. A linear pass: it runs at most once per distinct deadline. */
  #expire(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    // Whoever is dropped on the way is not met any more, and nobody is added: answers start no request at once.
    for (const waiter of this.#all) {
      if (waiter.deadline <= now + 0.5) {
        if (!waiter.done) waiter.attempt(true);
        this.#drop(waiter);
      } else if (waiter.deadline < next) next = waiter.deadline;
    }
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next);
  }
}
