/**
 * A source's way into its channels, compiled once: interceptors to an array of functions, the selector to channel
 * indexes. When every event has the same route the whole batch goes unsplit, the same array to each channel (Flume's
 * ChannelProcessor groups event by event).
 */
import type { Event } from '../core/event.ts';
import type { Interceptor } from '../core/interceptor.ts';
import type { Route, Selector } from '../core/selector.ts';
import type { ChannelGuard } from './channel-guard.ts';

export interface RoutingParts {
  readonly channels: readonly ChannelGuard[];
  readonly selector: Selector;
  readonly interceptors: readonly Interceptor[];
  /** Called for each optional channel that refused. */
  readonly onOptionalRefused: (channel: ChannelGuard, error: unknown) => void;
}

export class Routing {
  readonly #parts: RoutingParts;
  readonly #constant: Route | undefined;

  constructor(parts: RoutingParts) {
    this.#parts = parts;
    this.#constant = parts.selector.constant;
  }

  /** Largest batch every channel that must have it takes at once. */
  get maxBatch(): number {
    let smallest = Number.MAX_SAFE_INTEGER;
    const { channels } = this.#parts;
    const bound = this.#constant === undefined ? channels : this.#constant.required.map((index) => channels[index] as ChannelGuard);
    for (const channel of bound) if (channel.maxBatch < smallest) smallest = channel.maxBatch;
    return smallest;
  }

  /** Runs the interceptors over a batch. @throws what one of them threw */
  intercept(batch: Event[]): Event[] {
    let events = batch;
    for (const interceptor of this.#parts.interceptors) {
      if (events.length === 0) break;
      events = interceptor.apply(events);
    }
    return events;
  }

  /**
   * Stores a batch where it belongs: required channels in order, then optional ones. Resolves with the number of
   * events no channel wanted. @throws the first refusal of a required channel; earlier ones keep what they have
   */
  async store(events: readonly Event[], signal: AbortSignal): Promise<number> {
    const route = this.#constant;
    if (route === undefined) return this.#storeSplit(events, signal);
    const { channels } = this.#parts;
    for (const index of route.required) await storeIn(channels[index] as ChannelGuard, events, signal);
    for (const index of route.optional) await this.#offer(channels[index] as ChannelGuard, events, signal);
    return route.required.length + route.optional.length === 0 ? events.length : 0;
  }

  /** Books events that interceptors took out, where it is known which channels they would have reached; false = it is not. */
  bookFiltered(count: number): boolean {
    const route = this.#constant;
    if (route === undefined) return false;
    for (const index of route.required) (this.#parts.channels[index] as ChannelGuard).drop('interceptor', count);
    for (const index of route.optional) (this.#parts.channels[index] as ChannelGuard).drop('interceptor', count);
    return true;
  }

  async #storeSplit(events: readonly Event[], signal: AbortSignal): Promise<number> {
    const { channels, selector } = this.#parts;
    const required: (Event[] | undefined)[] = new Array(channels.length);
    const optional: (Event[] | undefined)[] = new Array(channels.length);
    let unrouted = 0;
    for (const event of events) {
      const route = selector.route(event);
      if (route.required.length + route.optional.length === 0) unrouted++;
      for (const index of route.required) append(required, index, event);
      for (const index of route.optional) append(optional, index, event);
    }
    for (let index = 0; index < channels.length; index++) {
      const part = required[index];
      if (part !== undefined) await storeIn(channels[index] as ChannelGuard, part, signal);
    }
    for (let index = 0; index < channels.length; index++) {
      const part = optional[index];
      if (part !== undefined) await this.#offer(channels[index] as ChannelGuard, part, signal);
    }
    return unrouted;
  }

  async #offer(channel: ChannelGuard, events: readonly Event[], signal: AbortSignal): Promise<void> {
    for (const part of transactions(events, channel.maxBatch)) {
      try {
        await channel.put(part, signal);
      } catch (error) {
        channel.drop('optional-channel-refused', part.length);
        this.#parts.onOptionalRefused(channel, error);
      }
    }
  }
}

function append(lists: (Event[] | undefined)[], index: number, event: Event): void {
  const list = lists[index];
  if (list === undefined) lists[index] = [event];
  else list.push(event);
}

async function storeIn(channel: ChannelGuard, events: readonly Event[], signal: AbortSignal): Promise<void> {
  if (events.length <= channel.maxBatch) return channel.put(events, signal);
  for (const part of transactions(events, channel.maxBatch)) await channel.put(part, signal);
}

/** Cuts what is larger than a transaction may be; sources keep to `maxBatch`, but interceptors can add events. */
function transactions(events: readonly Event[], maxBatch: number): readonly (readonly Event[])[] {
  if (events.length <= maxBatch) return [events];
  const parts: (readonly Event[])[] = [];
  for (let at = 0; at < events.length; at += maxBatch) parts.push(events.slice(at, at + maxBatch));
  return parts;
}
