/** Who keeps events in memory must not keep the slabs of a socket or file alive for a few bytes of each. */
import type { Event } from './event.ts';

/** Below this share of the memory their slabs pin, bodies are copied together. */
const WORTH_KEEPING = 0.5;

/**
 * Copies the bodies into one buffer when they use less than half of the slabs they keep alive. The copies take the
 * place of the views in the events themselves: other channels that hold the same events read the same bytes.
 */
export function compact(batch: readonly Event[]): void {
  const pinned = pinnedBytes(batch);
  let used = 0;
  for (let i = 0; i < batch.length; i++) used += (batch[i] as Event).body.length;
  if (used >= pinned * WORTH_KEEPING) return;
  const slab = Buffer.allocUnsafeSlow(used);
  let at = 0;
  for (let i = 0; i < batch.length; i++) {
    const event = batch[i] as Event;
    const end = at + event.body.length;
    event.body.copy(slab, at);
    event.body = slab.subarray(at, end);
    at = end;
  }
}

/** Bytes of the slabs under a batch. Equal slabs at both ends mean one slab: asking every body costs more than a put. */
function pinnedBytes(batch: readonly Event[]): number {
  const first = (batch[0] as Event).body.buffer;
  let last: ArrayBufferLike = (batch[batch.length - 1] as Event).body.buffer;
  if (last === first) return first.byteLength;
  let pinned = first.byteLength;
  last = first;
  for (let i = 1; i < batch.length; i++) {
    const slab = (batch[i] as Event).body.buffer;
    if (slab === last) continue;
    last = slab;
    pinned += slab.byteLength;
  }
  return pinned;
}
