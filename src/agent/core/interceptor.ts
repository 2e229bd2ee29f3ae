/** Interceptors change, drop or add events between a source and its channels. Synchronous, a batch at a time. */
import type { Event } from './event.ts';

export interface Interceptor {
  /** May change the events in place; returns the batch to go on with (the same array or another). Must not keep it. */
  apply(batch: Event[]): Event[];
}
