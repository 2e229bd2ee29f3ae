import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lz4Bound, lz4Compress, lz4Decompress } from '../../../src/lib/codec/lz4.ts';
import { plainSnappy, snappyCompress, snappyDecompress } from '../../../src/lib/codec/snappy.ts';
import { zstdCompress, zstdDecompress } from '../../../src/lib/codec/zstd.ts';
import { CODECS, CodecError, compress, compressAsync, decompress, decompressAsync } from '../../../src/lib/codecs.ts';

const LIMIT = 10_000_000;
const packing = Object.entries(CODECS).filter(([, codec]) => codec !== 0);

/** Text with repetitions near and far, then noise, then zeros. */
function sample(n: number): Buffer {
  const out = Buffer.alloc(n);
  for (let i = 0; i < n; i++) out[i] = i % 5 === 0 ? i >> 7 : 'the quick brown fox jumps over'.charCodeAt((i * (1 + (i >> 10))) % 30);
  if (n > 3000) randomBytes(1000).copy(out, n >> 1);
  return out;
}

const SIZES = [0, 1, 4, 5, 12, 13, 14, 60, 61, 256, 257, 1000, 16_383, 16_384, 32_768, 32_769, 65_535, 65_536, 65_537, 300_000, 1_048_577];

describe.each(packing)('%s', (_name, codec) => {
  test('gives back what it was given, at every interesting size', async () => {
    for (const n of SIZES) {
      for (const data of [sample(n), Buffer.alloc(n), randomBytes(n)]) {
        const packed = compress(codec, data);
        expect(decompress(codec, packed, LIMIT).equals(data)).toBe(true);
        expect((await decompressAsync(codec, await compressAsync(codec, data), LIMIT)).equals(data)).toBe(true);
      }
    }
  });

  test('makes text smaller', () => {
    expect(compress(codec, sample(100_000)).length).toBeLessThan(70_000);
  });

  test('refuses to unpack more than the limit, sync and async', async () => {
    const bomb = compress(codec, Buffer.alloc(8_000_000));
    expect(() => decompress(codec, bomb, 1_000_000)).toThrow(CodecError);
    await expect(decompressAsync(codec, bomb, 1_000_000)).rejects.toThrow(CodecError);
    expect(() => decompress(codec, bomb, 7_999_999)).toThrow(/unpacks to more than 7999999 bytes/);
    expect(decompress(codec, bomb, 8_000_000).length).toBe(8_000_000);
  });

  test('damaged, cut or random data is an error or other bytes, never anything worse', () => {
    const packed = compress(codec, sample(5000));
    const attempt = (data: Buffer): void => {
      try {
        expect(decompress(codec, data, 100_000).length).toBeLessThanOrEqual(100_000);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
      }
    };
    for (let n = 0; n < packed.length; n++) attempt(packed.subarray(0, n));
    for (let i = 0; i < packed.length; i++) {
      const bad = Buffer.from(packed);
      bad[i] = bad[i]! ^ (1 << (i & 7));
      attempt(bad);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => attempt(Buffer.from(bytes))),
      { numRuns: 200 },
    );
  });
});

test('codec 0 is the data itself; 5 to 7 are nobody', () => {
  const data = sample(10);
  expect(compress(0, data)).toBe(data);
  expect(decompress(0, data, 1)).toBe(data);
  for (const codec of [5, 6, 7]) {
    expect(() => compress(codec, data)).toThrow(/codec \d is not known/);
    expect(() => decompress(codec, data, LIMIT)).toThrow(CodecError);
  }
});

describe('plain JavaScript and the natives read each other', () => {
  const require = createRequire(import.meta.url);
  const lz4 = require('lz4-napi') as { compressFrameSync(d: Buffer): Buffer; decompressFrameSync(d: Buffer): Buffer };
  const snappy = require('snappy') as { compressSync(d: Buffer): Buffer; uncompressSync(d: Buffer): Buffer };

  test('lz4', () => {
    for (const n of SIZES) {
      const data = sample(n);
      if (n > 0) expect(lz4.decompressFrameSync(lz4Compress(data)).equals(data)).toBe(true);
      expect(lz4Decompress(lz4.compressFrameSync(data), LIMIT).equals(data)).toBe(true);
    }
    expect(lz4Compress(sample(100_000)).length).toBeLessThan(60_000);
  });

  test('snappy', () => {
    for (const n of SIZES) {
      const data = sample(n);
      expect(snappy.uncompressSync(plainSnappy.compress(data)).equals(data)).toBe(true);
      expect(plainSnappy.uncompress(snappy.compressSync(data), n).equals(data)).toBe(true);
      expect(snappyDecompress(snappyCompress(data), LIMIT).equals(data)).toBe(true);
      expect(decompress(CODECS.snappy, snappy.compressSync(data), LIMIT).equals(data)).toBe(true);
    }
  });

  test('zstd as WebAssembly reads frames with and without a stated size, of several levels', () => {
    for (const n of SIZES) {
      const data = sample(n);
      for (const level of [1, 3, 9]) expect(zstdDecompress(zstdCompress(data, level), LIMIT).equals(data)).toBe(true);
    }
    const withoutSize = Buffer.from('28b52ffd0058c400009054000000046b304476616c75652d302d7800010017b004010000', 'hex');
    expect(zstdDecompress(withoutSize, LIMIT).toString('latin1')).toContain('value-0-xxxxxxxxxxxxxxxxxxxxxxxxxx');
    expect(() => zstdDecompress(withoutSize, 42)).toThrow(/more than 42 bytes/);
    expect(zstdDecompress(withoutSize, 43).length).toBe(43);
  });
});

test('lz4 of message format 0 has the checksum over the wrong bytes; readers let it pass', () => {
  const data = sample(50_000);
  const right = compress(CODECS.lz4, data);
  const wrong = compress(CODECS.lz4, data, { brokenLz4: true });
  expect(lz4Bound(right).strict).toBe(true);
  expect(lz4Bound(wrong).strict).toBe(false);
  expect(right.subarray(7).equals(wrong.subarray(7))).toBe(true);
  expect(decompress(CODECS.lz4, wrong, LIMIT).equals(data)).toBe(true);
  expect(lz4Compress(data, true)[6]).toBe(wrong[6]);
});

test('the lz4 frame header is the one that Java wants', () => {
  expect(compress(CODECS.lz4, sample(100)).subarray(0, 7).toString('hex')).toBe('04224d18604082');
});
