/**
 * The sink: delivers batches. It never sees a channel; the runner takes, delivers, commits or rolls back, and counts.
 */
import type { Sealed } from './event.ts';
import type { Lifecycle } from './lifecycle.ts';

export interface Sink extends Lifecycle {
  /**
   * Delivers the batch (never empty). Resolves with how many of it, counted from the front, are safely delivered;
   * void means all. Rejecting means none is known to be; the batch comes again.
   */
  deliver(batch: readonly Sealed[]): Promise<number | void>;
}
