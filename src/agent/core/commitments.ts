/**
 * Promises about runs of numbered events: each is kept when every event of its run is done with, in whatever order that
 * happens. For channels that acknowledge a put only when its events are delivered.
 */
import { ChannelError } from '../../lib/errors.ts';

interface Commitment {
  readonly from: number;
  readonly to: number;
  left: number;
  readonly settle: (error: Error | null) => void;
}

export class Commitments {
  /** By number; a handful, one per lane of a source. */
  #open: Commitment[] = [];

  /** Resolves when all of [from, to) are done. @throws ChannelError as a rejection: `signal` aborted, or given up */
  wait(from: number, to: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#open = this.#open.filter((one) => one !== commitment);
        commitment.settle(new ChannelError('a put was given up before its events were delivered, because its source stops', { retriable: true }));
      };
      const commitment: Commitment = {
        from,
        to,
        left: to - from,
        settle: (error) => {
          signal.removeEventListener('abort', onAbort);
          if (error) reject(error);
          else resolve();
        },
      };
      this.#open.push(commitment);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  /** [from, to) are done; each number comes once. */
  done(from: number, to: number): void {
    let kept = false;
    for (const one of this.#open) {
      const overlap = Math.min(to, one.to) - Math.max(from, one.from);
      if (overlap <= 0) continue;
      one.left -= overlap;
      kept ||= one.left === 0;
    }
    if (!kept) return;
    const settled = this.#open.filter((one) => one.left === 0);
    this.#open = this.#open.filter((one) => one.left > 0);
    for (const one of settled) one.settle(null);
  }

  /** Breaks all that are open. */
  giveUp(error: Error): void {
    for (const one of this.#open.splice(0)) one.settle(error);
  }
}
