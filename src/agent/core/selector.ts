/** Channel selectors decide which of a source's channels get an event. Channels are indexes into the source's list. */
import type { Event } from './event.ts';

export interface Selector {
  /** The same answer for every event, when there is one: lets the runtime hand the whole batch over unsplit. */
  readonly constant?: Route;
  /** Called per event when `constant` is absent. Must return shared arrays, not fresh ones. */
  route(event: Event): Route;
}

export interface Route {
  /** Channels that must have the event; a failure fails the put. */
  readonly required: readonly number[];
  /** Channels that get a copy if they can; a failure is counted. */
  readonly optional: readonly number[];
}
