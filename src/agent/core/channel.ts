/**
 * The channel: where an event waits until it is delivered. Flume's transactions, split in two: `put` is the whole
 * write transaction, a Lease is the whole read transaction.
 */
import type { Event, Sealed } from './event.ts';
import type { Lifecycle } from './lifecycle.ts';

/** Events lent to a reader. Until commit or rollback they count as stored; exactly one of the two must be called. */
export interface Lease {
  readonly events: readonly Sealed[];
  /** The first `count` (default all) are delivered and leave the channel; the rest goes back to the front, in order. */
  commit(count?: number): Promise<void>;
  /** All go back to the front, in order. */
  rollback(): void;
}

/** What a channel says about itself for monitoring. */
export interface ChannelGauges {
  /** Events waiting, without those lent and not yet committed (Flume's ChannelSize). */
  readonly size: number;
  /** Upper bound of events; 0 = unbounded. */
  readonly capacity: number;
  /** Events lent to readers now. */
  readonly lent: number;
  /** Others put and take here too (a Kafka topic), so received = delivered + inside cannot be told from this agent alone. */
  readonly shared?: boolean;
}

export interface Channel extends Lifecycle {
  /**
   * Stores all of the batch or none. Waits for room up to keep-alive. Resolved = as safe as this channel ever makes it.
   * @throws ChannelFullError no room in time; ChannelError batch larger than transactionCapacity, or storage failed
   */
  put(batch: readonly Event[], signal: AbortSignal): Promise<void>;
  /** Waits until one event is there, then lends up to `max`, oldest first. Null when `signal` aborted first. */
  take(max: number, signal: AbortSignal): Promise<Lease | null>;
  gauges(): ChannelGauges;
  /** Further figures of this kind of channel, Flume's attribute names (e.g. `Unhealthy`). */
  extraGauges?(): Readonly<Record<string, number | string>>;
}
