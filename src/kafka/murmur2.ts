/**
 * The hash by which Java's default partitioner spreads keyed records (`org.apache.kafka.common.utils.Utils.murmur2`,
 * seed 0x9747b28c): producers of other languages that want the same key on the same partition must use exactly this.
 */

const M = 0x5bd1e995;
const SEED = 0x9747b28c;

/** 32 bits, signed, as in Java. */
export function murmur2(data: Uint8Array): number {
  const length = data.length;
  let h = SEED ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let k = (data[at] as number) | ((data[at + 1] as number) << 8) | ((data[at + 2] as number) << 16) | ((data[at + 3] as number) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const left = length - at;
  if (left === 3) h ^= (data[at + 2] as number) << 16;
  if (left >= 2) h ^= (data[at + 1] as number) << 8;
  if (left >= 1) h = Math.imul(h ^ (data[at] as number), M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return (h ^ (h >>> 15)) | 0;
}

/** The partition of a key, 0 … partitions-1: the sign bit is cleared (`Utils.toPositive`), not the absolute value taken. */
export function partitionForKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}
