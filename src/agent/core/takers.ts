/**
 * Takers that wait for a channel to have events: woken one by one, oldest first, and sent away by their signal or when the
 * channel closes. The channel decides what a woken taker gets.
 */
interface Taker {
  readonly signal: AbortSignal;
  readonly wake: () => void;
}

export class Takers {
  #waiting: Taker[] = [];
  /** Signals that already have our listener: one per runner, not one per take. */
  readonly #watched = new WeakSet<AbortSignal>();
  #closed = false;

  /**
   * Asks `attempt` until it answers something, waiting for {@link wakeOne} in between. Null = aborted or closed.
   * Whatever `attempt` throws goes to the caller.
   */
  async take<T>(signal: AbortSignal, attempt: () => T | null): Promise<T | null> {
    for (;;) {
      if (this.#closed || signal.aborted) {
        // Whoever woke this taker meant to wake one that takes.
        this.wakeOne();
        return null;
      }
      const got = attempt();
      if (got !== null) {
        // There may be more than this one took.
        this.wakeOne();
        return got;
      }
      this.#watch(signal);
      await new Promise<void>((resolve) => this.#waiting.push({ signal, wake: resolve }));
    }
  }

  /** There may be something for one taker more. */
  wakeOne(): void {
    this.#waiting.shift()?.wake();
  }

  /** Sends all away, later ones at once. */
  close(): void {
    this.#closed = true;
    for (const taker of this.#waiting.splice(0)) taker.wake();
  }

  /** Lets takers in again after {@link close}. */
  open(): void {
    this.#closed = false;
  }

  #watch(signal: AbortSignal): void {
    if (this.#watched.has(signal)) return;
    this.#watched.add(signal);
    signal.addEventListener(
      'abort',
      () => {
        const gone = this.#waiting.filter((taker) => taker.signal === signal);
        this.#waiting = this.#waiting.filter((taker) => taker.signal !== signal);
        for (const taker of gone) taker.wake();
      },
      { once: true },
    );
  }
}
