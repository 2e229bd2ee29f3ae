import { expect, test } from 'vitest';
import { murmur3, OffsetMap } from '../../../../src/broker/storage/offset-map.ts';

function hash(text: string): string {
  const out = new Int32Array(4);
  const padded = Buffer.from(`xx${text}yy`);
  murmur3(padded, 2, Buffer.byteLength(text), out);
  return [...out].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

test('the hash is MurmurHash3 x86 128', () => {
  expect(hash('')).toBe('00000000000000000000000000000000');
  expect(hash('The quick brown fox jumps over the lazy dog')).toBe('2f1583c3ecee2c675d7bf66ce5e91d2c');
});

test('keys of every length are told apart', () => {
  const seen = new Set<string>();
  for (let length = 0; length < 70; length++) for (const last of ['a', 'b']) seen.add(hash(`${'k'.repeat(length)}${last}`));
  expect(seen.size).toBe(140);
});

test('keeps the last offset of each key, beyond 2^32 too', () => {
  const map = new OffsetMap(1000, 1_000_000);
  const keys = Array.from({ length: 1000 }, (_, i) => Buffer.from(`key-${i}`));
  for (const [i, key] of keys.entries()) map.put(key, 0, key.length, i);
  for (const [i, key] of keys.entries()) if (i % 3 === 0) map.put(key, 0, key.length, 6_000_000_000 + i);
  expect(map.size).toBe(1000);
  for (const [i, key] of keys.entries()) expect(map.get(key, 0, key.length)).toBe(i % 3 === 0 ? 6_000_000_000 + i : i);
  const other = Buffer.from('key-1000');
  expect(map.get(other, 0, other.length)).toBe(-1);
});

test('is bounded by its memory, and grows for one batch that would never fit', () => {
  const map = new OffsetMap(1_000_000, 24 * 100);
  expect(map.room).toBe(75);
  map.growEmpty(500);
  expect(map.room).toBeGreaterThanOrEqual(500);
});
