/**
 * The event: headers of strings and a body of bytes (Flume's Event). No id, no implicit timestamp, null body = empty body.
 */

/** An event that its present owner (source, interceptor) may still change. A body may be a view of a larger slab. */
export interface Event {
  headers: Record<string, string>;
  body: Buffer;
}

/** An event after `put`: nobody may change it any more, since several channels may hold the same object. */
export type Sealed = Readonly<{ headers: Readonly<Record<string, string>>; body: Buffer }>;

/** An event without headers. */
export function eventOf(body: Buffer): Event {
  return { headers: {}, body };
}
