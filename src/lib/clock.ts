/**
 * Time as a parameter. Everything that waits asks a Clock, so a test with a ManualClock needs no sleep.
 * The real clock uses one timer per pending deadline; hosts with many deadlines keep their own heap.
 */

/** A pending {@link Clock.at} call; `cancel` is safe twice and after it fired. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, epoch milliseconds. May jump; never use it to measure a span. */
  now(): number;
  /** Monotonic milliseconds since some fixed moment. */
  monotonic(): number;
  /** Calls `fn` once, `delayMs` from now (>= 0). */
  after(delayMs: number, fn: () => void): Timer;
  /** Resolves after `delayMs`, or at once (without error) when `signal` aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

function sleepOn(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(delayMs, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Node's setTimeout is limited to this many milliseconds (2^31 - 1, about 24.8 days). */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, fn) {
    const handle = setTimeout(fn, Math.min(Math.max(0, delayMs), MAX_TIMEOUT_MS));
    return { cancel: () => clearTimeout(handle) };
  },
  sleep: (delayMs, signal) => sleepOn(systemClock, delayMs, signal),
};

/** A clock that moves only when told to; timers fire in order of their deadline, ties in order of creation. */
export class ManualClock implements Clock {
  #now: number;
  #mono = 0;
  #pending: { at: number; fn: () => void }[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#mono;
  }

  after(delayMs: number, fn: () => void): Timer {
    const entry = { at: this.#mono + Math.max(0, delayMs), fn };
    this.#pending.push(entry);
    return {
      cancel: () => {
        const index = this.#pending.indexOf(entry);
        if (index >= 0) this.#pending.splice(index, 1);
      },
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Moves time on by `ms`, firing what falls due on the way, and lets promise callbacks run between timers. */
  async advance(ms: number): Promise<void> {
    const target = this.#mono + ms;
    for (;;) {
      let next: { at: number; fn: () => void } | undefined;
      for (const entry of this.#pending) if (entry.at <= target && (!next || entry.at < next.at)) next = entry;
      if (!next) break;
      this.#pending.splice(this.#pending.indexOf(next), 1);
      this.#now += next.at - this.#mono;
      this.#mono = next.at;
      next.fn();
      await settle();
    }
    this.#now += target - this.#mono;
    this.#mono = target;
    await settle();
  }

  /** Sets the wall clock alone, as an administrator or NTP would; timers do not move. */
  setWall(ms: number): void {
    this.#now = ms;
  }
}

/** Lets every promise callback that is already due run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
