/**
 * The source: brings events in. It acknowledges upstream (socket reply, file position, consumer offset) only after
 * `output.put` resolved.
 */
import type { Event } from './event.ts';
import type { Lifecycle } from './lifecycle.ts';

/** Where a source puts its events; interceptors and selector run inside. */
export interface Output {
  /**
   * Resolved = every required channel has the whole batch: safe to acknowledge. An interceptor may have dropped
   * events; that too is success. Batches larger than the channel's transactionCapacity are refused, so sources cut
   * their batches to `maxBatch`.
   * @throws ChannelFullError, ChannelError, or what an interceptor threw; the batch may then be put again
   */
  put(batch: Event[]): Promise<void>;
  /** Largest batch every required channel takes (the smallest transactionCapacity). */
  readonly maxBatch: number;
}

/** A source with its own rhythm: sockets, child processes, watchers. */
export type Source = Lifecycle;

/**
 * A source the runner polls in a loop, one call at a time. `backoff` makes the runner wait
 * min(n × backoffSleepIncrement, maxBackoffSleep) ms, n = consecutive backoffs (Flume's PollableSourceRunner).
 */
export interface PollableSource extends Lifecycle {
  poll(signal: AbortSignal): Promise<'ready' | 'backoff'>;
}
