/**
 * Group commit: everybody who asks before a sync starts shares it, so a thousand writers cost one wait for the device. At
 * most one sync is at work and one is being waited for. A sync starts after the turn of the loop in which it was asked
 * for, so that all sockets which were readable in that turn are in it.
 */
export class GroupSync {
  readonly #work: () => Promise<void>;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  /** @param work makes durable what was written before it was called */
  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Resolves when everything written before this call is durable; rejects as the work did. */
  request(): Promise<void> {
    this.#next ??= this.#start(this.#running);
    return this.#next;
  }

  /** Resolves when no sync is at work or asked for, however they ended. */
  async idle(): Promise<void> {
    while (this.#running || this.#next) await settled(this.#next ?? this.#running);
  }

  async #start(previous: Promise<void> | null): Promise<void> {
    if (previous) await settled(previous);
    else await new Promise<void>((resolve) => setImmediate(resolve));
    this.#running = this.#next;
    this.#next = null;
    try {
      await this.#work();
    } finally {
      this.#running = null;
    }
  }
}

/** The end of a promise, good or bad: its own waiters hear of the error. */
async function settled(promise: Promise<void> | null): Promise<void> {
  try {
    await promise;
  } catch {
    // those who asked for that sync were told
  }
}
