/** What the spillable channel lends: leases of its two parts, joined in order. */
import { ChannelError } from '../../lib/errors.ts';
import type { Lease } from '../core/channel.ts';
import type { Sealed } from '../core/event.ts';

/** Consecutive events in one of the two parts. */
export interface Run {
  readonly onDisk: boolean;
  waiting: number;
  lent: number;
}

export interface LeasePart {
  readonly run: Run;
  readonly lease: Lease;
}

/** Told what becomes of a lease. */
export interface LeaseOwner {
  /** Events of a run were committed, or came back to it. */
  settle(run: Run, committed: number, returned: number): void;
  ended(lease: SpillableLease): void;
}

/** A lease made of leases of both parts, in order. */
export class SpillableLease implements Lease {
  readonly events: readonly Sealed[];
  readonly #parts: readonly LeasePart[];
  readonly #owner: LeaseOwner;
  #over = false;

  constructor(parts: readonly LeasePart[], owner: LeaseOwner) {
    this.#parts = parts;
    this.#owner = owner;
    this.events = parts.length === 1 ? (parts[0] as LeasePart).lease.events : parts.flatMap(({ lease }) => lease.events);
  }

  commit(count: number = this.events.length): Promise<void> {
    if (!(count >= 0 && count <= this.events.length)) return Promise.reject(new ChannelError(`commit of ${count} events, but ${this.events.length} were lent`));
    this.#end('commit');
    let left = count;
    const commits = this.#parts.map(({ run, lease }) => {
      const { length } = lease.events;
      const gone = Math.min(left, length);
      left -= gone;
      const done = lease.commit(gone);
      this.#owner.settle(run, gone, length - gone);
      return done;
    });
    return commits.length === 1 ? (commits[0] as Promise<void>) : Promise.all(commits).then(() => {});
  }

  rollback(): void {
    this.#end('rollback');
    for (const { run, lease } of this.#parts) {
      lease.rollback();
      this.#owner.settle(run, 0, lease.events.length);
    }
  }

  #end(call: string): void {
    if (this.#over) throw new ChannelError(`${call}() called on a lease that was already committed or rolled back`);
    this.#over = true;
    this.#owner.ended(this);
  }
}
