/**
 * The order in which Java's HashMap (Java 8 and later) iterates string keys. Flume prints headers in that order (logger
 * sink, HEADER_AND_TEXT serializer), so whoever compares our output with Flume's needs it too. Buckets are visited in
 * ascending order and keep insertion order inside; growing by doubling never changes the order inside a bucket, so only
 * the final capacity counts. Bins of more than eight keys (Java turns them into trees) are beyond what headers do.
 */

/** Java's String.hashCode, spread as HashMap does it. */
function spreadHash(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash ^ (hash >>> 16);
}

/** Buckets of a map made as a copy of `entries` others: HashMap(Map) takes the power of two at or above entries / 0.75 + 1. */
function copyCapacity(entries: number): number {
  const wanted = Math.trunc(entries / 0.75 + 1);
  let capacity = 1;
  while (capacity < wanted) capacity *= 2;
  return capacity;
}

/**
 * `keys` in HashMap order.
 * @param keys distinct keys in the order in which they were put
 * @param copyOf how many entries the map had when it was copied from another (events built from a header map); left out
 *   = a map that began empty, with 16 buckets
 */
export function javaMapOrder(keys: readonly string[], copyOf?: number): string[] {
  if (keys.length < 2) return keys.slice();
  let capacity = copyOf === undefined ? 16 : copyCapacity(copyOf);
  while (keys.length > capacity * 0.75) capacity *= 2;
  const mask = capacity - 1;
  const slots = keys.map((key) => ({ key, bucket: spreadHash(key) & mask }));
  slots.sort((a, b) => a.bucket - b.bucket);
  return slots.map((slot) => slot.key);
}
