/**
 * Waiting times that double from attempt to attempt up to a limit, shortened at random by up to a part of themselves,
 * so that many who failed together do not come back together.
 */
export interface BackoffOptions {
  /** First waiting time, ms. */
  readonly minMs: number;
  readonly maxMs: number;
  /** Largest part of a waiting time that chance may take off, 0 … 1. Default 0.2. */
  readonly jitter?: number;
  /** 0 <= random() < 1. */
  readonly random?: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #attempts = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Failures since the last reset. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The next waiting time, ms. */
  next(): number {
    const { minMs, maxMs, jitter = 0.2, random = Math.random } = this.#options;
    const full = Math.min(maxMs, minMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts++;
    return Math.round(full * (1 - jitter * random()));
  }

  reset(): void {
    this.#attempts = 0;
  }
}
