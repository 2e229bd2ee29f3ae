/** Sink processors: which sink of a group delivers a batch. */
import type { Sealed } from './event.ts';

/** A sink as the processor sees it: its name, and its delivery already wrapped with counters and status by the runner. */
export interface GroupMember {
  readonly name: string;
  deliver(batch: readonly Sealed[]): Promise<number | void>;
}

export interface SinkProcessor {
  /** Delivers through one of the members; rejects when none could. Same meaning of the result as Sink.deliver. */
  deliver(batch: readonly Sealed[]): Promise<number | void>;
}
