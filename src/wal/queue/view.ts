/**
 * A look into a queue without opening it for work: nothing is locked, changed or repaired, and an agent may run beside it.
 * What the agent does meanwhile may or may not be seen.
 */
import type { BatchCipher } from './cipher.ts';
import { nearestStripe, openStorage, type Storage, type StorageOptions } from './opening.ts';
import type { StoredEvent } from './part.ts';

/** One event with its number in the queue. */
export interface ViewedEvent {
  readonly sequence: number;
  readonly event: StoredEvent;
}

/** A data file. */
export interface ViewedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly firstSequence: number;
}

export class QueueView {
  readonly #storage: Storage;
  readonly #cipher: BatchCipher | null;

  /** @throws ConfigError, StorageError */
  constructor(options: StorageOptions, cipher: BatchCipher | null) {
    this.#storage = openStorage(options, true);
    this.#cipher = cipher;
  }

  /** Events that are not acknowledged. */
  get size(): number {
    const { done, next } = this.#storage;
    return next - done.low - done.above;
  }
  /** Number of the oldest event that is not acknowledged. */
  get first(): number {
    return this.#storage.done.low;
  }
  /** Number the next event will get. */
  get next(): number {
    return this.#storage.next;
  }
  get wasClean(): boolean {
    return this.#storage.wasClean;
  }
  get notes(): readonly string[] {
    return this.#storage.notes;
  }

  files(): ViewedFile[] {
    return this.#storage.stripes.flatMap(({ log }) =>
      log.segments().map(({ path, sizeBytes, baseOffset }) => ({ path: `${path}.log`, sizeBytes, firstSequence: baseOffset })),
    );
  }

  /** What waits, oldest first. @throws CorruptLogError where it is damaged; ChannelError it cannot be decrypted */
  *events(): Generator<ViewedEvent> {
    const { done, next, stripes } = this.#storage;
    for (let at = done.nextOutside(0); at < next; at = done.nextOutside(at)) {
      const stripe = nearestStripe(stripes, at, next);
      if (!stripe) return;
      const { events, sequence } = stripe.events(Math.max(at, stripe.peek(at, next)), this.#cipher);
      for (let i = 0; i < events.length; i++) {
        if (done.nextOutside(sequence + i) === sequence + i) yield { sequence: sequence + i, event: events[i]! };
      }
      at = stripe.lastOfHead + 1;
    }
  }

  async close(): Promise<void> {
    for (const { log } of this.#storage.stripes) await log.close({ clean: false });
  }
}
