/** Events lent out of a queue: the shape of an agent's Lease. */
import { ChannelError } from '../../lib/errors.ts';
import { firstOf, leftOf, type Part, type StoredEvent } from './part.ts';

/** What ends a loan: `done` ranges are finished with, `rest` goes back. */
export type Settle = (done: readonly (readonly [from: number, to: number])[], rest: readonly Part[]) => Promise<void>;

export class Loan {
  readonly events: readonly StoredEvent[];
  readonly #parts: readonly Part[];
  readonly #settle: Settle;
  #over = false;

  /** `parts` hold nothing but what is lent: their heads are 0. */
  constructor(parts: readonly Part[], settle: Settle) {
    this.#parts = parts;
    this.#settle = settle;
    this.events = parts.length === 1 ? (parts[0] as Part).events : parts.flatMap((part) => part.events);
  }

  commit(count: number = this.events.length): Promise<void> {
    if (!(count >= 0 && count <= this.events.length)) return Promise.reject(new ChannelError(`commit of ${count} events, but ${this.events.length} were lent`));
    this.#end('commit');
    const done: [number, number][] = [];
    const rest: Part[] = [];
    let left = count;
    for (const part of this.#parts) {
      const gone = Math.min(left, leftOf(part));
      if (gone > 0) done.push([firstOf(part), firstOf(part) + gone]);
      part.head += gone;
      left -= gone;
      if (leftOf(part) > 0) rest.push(part);
    }
    return this.#settle(done, rest);
  }

  rollback(): void {
    this.#end('rollback');
    // Nothing was done, so there is nothing to wait for.
    void this.#settle([], this.#parts);
  }

  #end(call: string): void {
    if (this.#over) throw new ChannelError(`${call}() called on a lease that was already committed or rolled back`);
    this.#over = true;
  }
}
